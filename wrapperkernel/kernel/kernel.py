"""The base class: what a kernel author subclasses.

Every hook has a harmless default. The class knows no socket: it says what it says through ``Link``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from traitlets import Bool, Enum, Unicode
from traitlets.config import Configurable

from ..interrupts import Interrupts
from ..wire import Session
from . import dispatch, replies
from .comms import CommManager
from .display import MimeBundle
from .errors import ExecuteError
from .history import Entry, History, history_path
from .hooks import Caller, Plan, plans_of
from .iopub import IOPub
from .outbox import ChannelName, Nowhere, Outbox
from .request import Link, Request
from .stdin import Stdin

# Requests that touch nothing of the author's unless their hook is overridden.
_HARMLESS_BESIDE = frozenset(
    {"complete_request", "inspect_request", "is_complete_request", "history_request"}
    | {"kernel_info_request", "comm_info_request"}
)


class Kernel(Configurable):
    """A Jupyter kernel: subclass it, say what it is, and implement ``do_execute``.

    A hook (``do_*``) gets the parameters it names, is plain or ``async``, returns nothing or reply
    content, and raises ExecuteError where the language fails. Whatever it does, the client gets exactly
    one valid reply.
    """

    implementation: str = ""
    """The kernel's name, such as ``bash_kernel``."""
    implementation_version: str = "0"
    """The kernel's version."""
    banner: str = ""
    """What a console shows at its start."""
    language_info: Mapping[str, Any] = MappingProxyType({})
    """``name``, ``version``, ``mimetype``, ``file_extension`` … of the language ("Kernel info")."""
    help_links: Sequence[Mapping[str, str]] = ()
    """``{"text": …, "url": …}`` for the frontend's help menu."""
    beside: ClassVar[frozenset[str]] = frozenset()
    """Hooks that may run in another thread while a cell runs: names such as ``"do_complete"``."""
    runs_elsewhere: ClassVar[bool] = False
    """Whether ``do_execute`` has a cell run elsewhere, and waits by ``link.outbox.wait_for_room`` at once.

    Then the busy and the ``execute_input`` of the cell leave while it runs already.
    """

    abort_status = Enum(
        ["error", "aborted"],
        "error",
        help="Status of replies to cells that were queued behind one that failed.",
    ).tag(config=True)
    shows_silent = Bool(False, help="Publish what a silent request prints.").tag(config=True)
    stores_history = Bool(True, help="Keep the history of cells in a file.").tag(config=True)
    history_file = Unicode("", help="The history file; empty: one per kernel in Jupyter's data folder.").tag(
        config=True
    )

    _plans: ClassVar[Mapping[str, Plan]] = MappingProxyType({})

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._plans = plans_of(cls)

    def __init__(self, outbox: Outbox | None = None, session: Session | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.log = logging.getLogger("wrapperkernel.kernel")
        self.link = Link(session or Session(), outbox or Nowhere(), Interrupts())
        self.iopub = IOPub(self.link, lambda: self.shows_silent)
        self.stdin = Stdin(self.link)
        self.history = History(self._history_file, self.log, self.link.interrupts.check)
        self.bracket = dispatch.Bracket()
        self.execution_count = 0
        self.shell_requests = dict(dispatch.SHELL)
        self.control_requests = dict(dispatch.CONTROL)
        self._caller = Caller(self, self._plans or plans_of(type(self)), self.link.interrupts)
        self.comms = CommManager(self._publish_comm, call=self._caller.run, check=self.link.interrupts.check)

    # -- hooks ----------------------------------------------------------------------------------------
    # The base names ``code`` alone where there is code, then anything: so type checkers accept every
    # short, full and async signature of a subclass.

    def do_start(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare; called once in the main thread, after the sockets are open, before the first request."""

    def do_execute(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Run ``code``, publishing through ``self.iopub``; raise ExecuteError if it fails."""
        raise ExecuteError("NotImplemented", f"{type(self).__name__} has no do_execute")

    def do_complete(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Return ``matches``, ``cursor_start``, ``cursor_end`` (code points) for ``cursor_pos``."""

    def do_inspect(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Return ``found`` and a MIME bundle ``data`` about what is at ``cursor_pos``."""

    def do_is_complete(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Return ``status``: complete, incomplete (with ``indent``), invalid or unknown."""

    def do_history(self, *args: Any, **kwargs: Any) -> Any:
        """Return ``history``: by default what ``self.history`` stored of earlier cells."""
        return {"history": self._entries(*args, **kwargs)}

    def do_evaluate(self, expression: str, *args: Any, **kwargs: Any) -> Any:
        """Return the value of a user expression: anything that ``MimeBundle.of`` can show."""
        raise ExecuteError("NotImplemented", f"{type(self).__name__} evaluates no user expressions")

    def do_interrupt(self, *args: Any, **kwargs: Any) -> Any:
        """React to an interrupt_request, in a thread of its own, after the running hook was interrupted."""

    def do_shutdown(self, *args: Any, **kwargs: Any) -> Any:
        """Put away what the kernel has (a child …); a running hook was interrupted before."""

    # -- what hooks use -------------------------------------------------------------------------------

    @property
    def request(self) -> Request | None:
        """The request that the calling thread handles; keep it for ``self.iopub.under(request)``."""
        return self.link.current

    def page(self, data: Mapping[str, Any], start: int = 0) -> None:
        """Have the frontend show a MIME bundle in its pager, from line ``start``, after the cell."""
        self._add_payload({"source": "page", "data": data, "start": start})

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """Have the frontend put ``text`` into the next cell, or in place of this one (``replace``)."""
        self._add_payload({"source": "set_next_input", "text": text, "replace": replace})

    def ask_exit(self, keepkernel: bool = False) -> None:
        """Have the frontend ask whether to exit, and with it the kernel unless ``keepkernel``."""
        self._add_payload({"source": "ask_exit", "keepkernel": keepkernel})

    # -- what dispatch and the server use -------------------------------------------------------------

    def connect(self, outbox: Outbox, session: Session) -> None:
        """Say everything through ``outbox`` from now on, as ``session``."""
        self.link.outbox = outbox
        self.link.session = session

    def table(self, channel: ChannelName) -> dict[str, dispatch.Entry]:
        """Return the requests that this kernel knows on a channel; entries may be added or replaced."""
        return self.control_requests if channel == "control" else self.shell_requests

    def may_answer_beside(self, msg_type: str) -> bool:
        """Tell whether a request may be answered in another thread while a cell runs."""
        if msg_type not in _HARMLESS_BESIDE:
            return False
        entry = self.shell_requests.get(msg_type)
        if entry is None or entry.hook is None:
            return entry is not None
        overridden = getattr(type(self), entry.hook) is not getattr(Kernel, entry.hook)
        return not overridden or entry.hook in self.beside

    def call(self, hook: str, **offered: Any) -> Any:
        """Call a hook with what it asks for of ``offered``; an interrupt ends it with KeyboardInterrupt."""
        return self._caller.call(hook, offered)

    def come_to_rest(self) -> None:
        """Do what need not hold up a cell; called behind its idle, in the same thread."""

    def evaluate(self, expression: Any) -> dict[str, Any]:
        """Evaluate one user expression; its failure is its own (PROTOCOL E9)."""
        try:
            bundle = self._caller.run(MimeBundle.of, self.call("do_evaluate", expression=str(expression)))
            return replies.expression({"data": bundle.data, "metadata": bundle.metadata})
        except KeyboardInterrupt:
            raise
        except ExecuteError as error:
            return replies.failure(error)
        except BaseException as error:  # also SystemExit, as in dispatch
            self.log.exception("do_evaluate failed in the kernel")
            return replies.failure(error)

    def close(self) -> None:
        """Close the history and the loops of async hooks; the last call that a kernel gets."""
        self.history.close()
        self._caller.close()

    def _add_payload(self, entry: Mapping[str, Any]) -> None:
        """Keep a payload for the reply of the cell that the calling thread runs; no other reply has any."""
        payload = replies.payload(entry)
        request = self.link.current
        if request is None or request.msg_type != "execute_request":
            self.log.warning("dropped a payload (%s): no cell runs in this thread", payload["source"])
        else:
            request.payloads.append(payload)

    def _entries(
        self,
        hist_access_type: str = "tail",
        output: bool = False,
        raw: bool = True,
        session: int = 0,
        start: int = 1,
        stop: int | None = None,
        n: int | None = None,
        pattern: str | None = None,
        unique: bool = False,
    ) -> list[Entry]:
        if hist_access_type == "tail":
            return self.history.tail(n if n is not None else 10, output=output)
        if hist_access_type == "range":
            return self.history.range(session, start, stop, output=output)
        if hist_access_type == "search":
            return self.history.search(pattern or "*", n=n, unique=unique, output=output)
        raise ExecuteError("ValueError", f"hist_access_type {hist_access_type!r} is not known")

    def _history_file(self) -> Path | None:
        if not self.stores_history:
            return None
        return Path(self.history_file) if self.history_file else history_path(self.implementation or "kernel")

    def _publish_comm(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        metadata: Mapping[str, Any] | None,
        buffers: Sequence[Any],
        topic: str,
    ) -> None:
        if msg_type != "comm_close":  # which finalisers send, in any thread, and the kernel at its end
            self.link.outbox.wait_for_room()
        self.link.publish(
            msg_type, content, self.link.parent, metadata=metadata, buffers=buffers, topic=topic
        )
        self.link.interrupts.check()
