"""The table of requests, and the one bracket around each: busy, handle, reply, idle.

Whatever a hook does (raises, returns nonsense, is interrupted) the client gets exactly one valid reply
and one idle. This is the only place that publishes a status, and the only one that replies.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..interrupts import Interrupts
from . import replies, requests
from .errors import ExecuteError, ExecutionAborted, RequestError
from .request import Request

if TYPE_CHECKING:
    from .kernel import Kernel

Content = dict[str, Any]
# The type and the content of a message.
Part = tuple[str, Mapping[str, Any]]

BUSY: Part = ("status", {"execution_state": "busy"})
IDLE: Part = ("status", {"execution_state": "idle"})


def _as_it_is(kernel: Kernel, request: Request, content: Content) -> Content:
    return content


def _forget(kernel: Kernel, request: Request) -> None:
    """Remember nothing."""


def _say_nothing(kernel: Kernel, request: Request) -> Sequence[Part]:
    return ()


class Entry(NamedTuple):
    """A row of the table: who answers, the hook that is asked (if any), and what is said at the end.

    ``open`` looks at the request before anything else and says what is published with the busy; it does
    not raise. ``conclude`` gets the decided content, also that of a failure; ``remember`` comes behind the
    idle. No interrupt reaches any of the three.
    """

    answer: Callable[[Kernel, Request], Any]
    hook: str | None = None
    replies: bool = True
    open: Callable[[Kernel, Request], Sequence[Part]] = _say_nothing
    conclude: Callable[[Kernel, Request, Content], Content] = _as_it_is
    remember: Callable[[Kernel, Request], None] = _forget


SHELL: Mapping[str, Entry] = {
    "execute_request": Entry(
        requests.execute,
        "do_execute",
        open=requests.open_execute,
        conclude=requests.conclude_execute,
        remember=requests.remember_execute,
    ),
    "complete_request": Entry(requests.complete, "do_complete"),
    "inspect_request": Entry(requests.inspect, "do_inspect"),
    "is_complete_request": Entry(requests.is_complete, "do_is_complete"),
    "history_request": Entry(requests.history, "do_history"),
    "kernel_info_request": Entry(requests.kernel_info),
    "comm_info_request": Entry(requests.comm_info),
    "comm_open": Entry(requests.comm_open, replies=False),
    "comm_msg": Entry(requests.comm_msg, replies=False),
    "comm_close": Entry(requests.comm_close, replies=False),
    # Deprecated on shell since 5.4, and still sent there by old clients.
    "shutdown_request": Entry(requests.shutdown, "do_shutdown", conclude=requests.conclude_shutdown),
}

CONTROL: Mapping[str, Entry] = {
    "interrupt_request": Entry(requests.interrupt, "do_interrupt"),
    "shutdown_request": SHELL["shutdown_request"],
    "kernel_info_request": SHELL["kernel_info_request"],
    "debug_request": Entry(requests.debug),
    "usage_request": Entry(requests.usage),
}

ABORTED = Entry(requests.abort, conclude=requests.conclude_abort)


def _nothing(kernel: Kernel, request: Request) -> None:
    kernel.log.error("a %s on %s: this kernel does not know it", request.msg_type, request.channel)


# Busy and idle, no reply: what the specification asks for types that a kernel does not know.
UNKNOWN = Entry(_nothing, replies=False)


class Bracket:
    """Publishes busy and idle, so that frontends see a busy kernel for as long as a cell runs.

    A request answered beside a running cell ends with an idle of its own; frontends that look at the
    last status only would then take the kernel for idle. So the cell's busy is published once more,
    and never after the cell's own idle: both happen under one lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Request | None = None

    def busy(self, kernel: Kernel, request: Request, first_words: Sequence[Part], *, is_main: bool) -> None:
        """Publish busy and first words of ``request``; ``is_main``: it holds the kernel until its idle."""
        with self._lock:
            if is_main:
                self._running = request
            late = is_main and request.ran and kernel.runs_elsewhere
            kernel.link.publish_together(request, BUSY, *first_words, late=late)

    def idle(self, kernel: Kernel, request: Request) -> None:
        """Publish the idle of ``request``, and again the busy of a cell that still runs."""
        with self._lock:
            if self._running is request:
                self._running = None
            kernel.link.publish_together(request, IDLE)
            if self._running is not None:
                kernel.link.publish_together(self._running, BUSY)


def handle(kernel: Kernel, request: Request, interrupts: Interrupts, entry: Entry | None = None) -> None:
    """Handle one request from busy to idle. Never raises for what a hook or a client does.

    ``interrupts`` are the main ones, or, for requests answered beside, a set of their own that nobody
    fires. ``entry`` overrides the table (``ABORTED``).
    """
    if entry is None:
        entry = kernel.table(request.channel).get(request.msg_type, UNKNOWN)
    link = kernel.link
    interrupts.begin(request)
    link.begin(request)
    request.started = link.session.now()
    first_words = entry.open(kernel, request)
    kernel.bracket.busy(kernel, request, first_words, is_main=interrupts is link.interrupts)
    try:
        content = _conclude(kernel, request, entry, _decide(kernel, request, interrupts, entry))
        if request.stops_queue:
            request.before_stop()
        if entry.replies:
            link.send(
                request.channel,
                request.msg_type.removesuffix("_request") + "_reply",
                content,
                request,
                metadata={"started": request.started, "status": content["status"]},
                identities=request.message.identities,
            )
    finally:
        kernel.bracket.idle(kernel, request)
        link.end()
    entry.remember(kernel, request)


def _decide(kernel: Kernel, request: Request, interrupts: Interrupts, entry: Entry) -> Content:
    """Find out what the reply says. From the last line on, no interrupt reaches this request."""
    try:
        content = _outcome(kernel, request, entry)
    except BaseException as error:  # also SystemExit and CancelledError: a hook cannot leave without a reply
        kernel.log.exception("%s failed in the kernel", request.msg_type)
        content = replies.failure(error)
    if interrupts.decide() and entry.hook is not None:  # without a hook nothing ran that could be ended
        content = replies.failure(KeyboardInterrupt())
    return content


def _outcome(kernel: Kernel, request: Request, entry: Entry) -> Content:
    """Return what the hook makes of the request, or the failure of the language, the user or the client."""
    try:
        return replies.complete(request, entry.answer(kernel, request))
    except (ExecuteError, KeyboardInterrupt, ExecutionAborted) as failure:
        return replies.failure(failure)
    except RequestError as error:
        kernel.log.warning("a %s that cannot be answered: %s", request.msg_type, error)
        return replies.failure(error)


def _conclude(kernel: Kernel, request: Request, entry: Entry, content: Content) -> Content:
    if entry is UNKNOWN:
        return content
    return entry.conclude(kernel, request, content)
