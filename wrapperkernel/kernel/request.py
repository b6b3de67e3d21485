"""One request while it is being handled, and the way by which everything about it is sent.

``Link`` is the only place that composes outgoing messages: it knows whose fault each one is (the
parent), and shields sending from interrupts. It knows no socket: an ``Outbox`` takes the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from ..interrupts import Interrupts, shielded
from ..wire import Message, Session
from .outbox import ChannelName, Outbox


def _nothing() -> None:
    """Do nothing."""


class Request:
    """A message that somebody sent to the kernel, and what became of it so far.

    ``arrival`` numbers the cells as they come in. ``silent`` (no output), ``ran`` (code that was not blank),
    ``stored`` (goes into the history, with ``result``), ``error`` (as published), ``stops_queue`` and
    ``ends_kernel`` are set meanwhile.
    ``before_stop`` is called before the reply of a failed cell leaves, if queued cells shall not run.
    """

    def __init__(
        self, channel: ChannelName, message: Message, before_stop: Callable[[], None] = _nothing
    ) -> None:
        self.channel: ChannelName = channel
        self.message = message
        self.before_stop = before_stop
        self.started = datetime.now(UTC)
        self.arrival = 0
        self.execution_count: int | None = None
        self.result: str | None = None
        self.ran = False
        self.stored = False
        self.silent = False
        self.allow_stdin = False
        self.error: dict[str, Any] | None = None
        self.stops_queue = False
        self.ends_kernel = False

    def __repr__(self) -> str:
        return f"<{self.msg_type} {self.message.header.get('msg_id')}>"

    @property
    def msg_type(self) -> str:
        """The message type, such as ``execute_request``."""
        return self.message.msg_type

    @property
    def header(self) -> dict[str, Any]:
        """The header, which is the parent header of everything that this request causes."""
        return self.message.header

    @property
    def content(self) -> dict[str, Any]:
        """The content as the client sent it."""
        return self.message.content


class Link:
    """Sends what a kernel says, with the parent it belongs to."""

    def __init__(self, session: Session, outbox: Outbox, interrupts: Interrupts) -> None:
        self.session = session
        self.outbox = outbox
        self.interrupts = interrupts
        self._current: ContextVar[Request | None] = ContextVar("request", default=None)
        self._latest: Request | None = None

    @property
    def current(self) -> Request | None:
        """The request that this thread (or asyncio task) is handling, if any."""
        return self._current.get()

    @property
    def parent(self) -> Request | None:
        """The request that output belongs to: the current one, else the latest cell.

        A thread that outlives its cell has no request of its own; the specification leaves open where
        its output goes, and users expect it under the cell that ran last.
        """
        return self._current.get() or self._latest

    @contextmanager
    def handling(self, request: Request) -> Iterator[None]:
        """Make ``request`` the current one of this thread."""
        token = self._current.set(request)
        try:
            yield
        finally:
            self._current.reset(token)

    def adopt_output(self, request: Request) -> None:
        """Let output that has no request of its own belong to ``request`` from now on."""
        self._latest = request

    @shielded
    def send(
        self,
        channel: ChannelName,
        msg_type: str,
        content: Mapping[str, Any],
        request: Request | None,
        *,
        metadata: Mapping[str, Any] | None = None,
        identities: tuple[bytes, ...] = (),
        buffers: Sequence[Any] = (),
    ) -> None:
        """Compose a message whose parent is ``request`` and send it, untouched by interrupts."""
        message = self.session.compose(
            msg_type,
            content,
            parent=request.header if request is not None else None,
            metadata=metadata,
            identities=identities,
            buffers=buffers,
        )
        self.outbox.send(channel, message)

    def publish(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        request: Request | None,
        *,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        topic: str | None = None,
    ) -> None:
        """Publish on iopub, at once; the default topic is ``kernel.<session>.<msg_type>``."""
        name = topic if topic is not None else f"kernel.{self.session.id}.{msg_type}"
        self.send(
            "iopub",
            msg_type,
            content,
            request,
            metadata=metadata,
            identities=(name.encode(),),
            buffers=buffers,
        )

    def ask(self, request: Request, prompt: str, password: bool) -> str:
        """Ask the client of ``request`` for a line; return the answer as it came."""
        message = self.session.compose(
            "input_request",
            {"prompt": prompt, "password": password},
            parent=request.header,
            identities=request.message.identities,
        )
        return self.outbox.ask(message)
