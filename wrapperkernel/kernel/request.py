"""One request while it is being handled, and the way by which everything about it is sent.

``Link`` is the only place that composes outgoing messages: it knows whose fault each one is (the
parent), and shields sending from interrupts. It knows no socket: an ``Outbox`` takes the messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

from ..interrupts import Interrupts, shielded
from ..wire import Message, Session
from .outbox import ChannelName, Outbox


def _nothing() -> None:
    """Do nothing."""


class Request:
    """A message that somebody sent to the kernel, and what became of it so far.

    ``arrival`` numbers the cells as they come in. ``silent`` (no output), ``ran`` (code that was not blank),
    ``stored`` (goes into the history, with ``result``), ``error`` (as published), ``payloads``,
    ``stops_queue`` and ``ends_kernel`` are set while it is handled; ``started`` is when its busy was
    published. ``before_stop`` is called before the reply of a failed cell leaves, if queued cells shall not
    run.
    """

    def __init__(
        self, channel: ChannelName, message: Message, before_stop: Callable[[], None] = _nothing
    ) -> None:
        self.channel: ChannelName = channel
        self.message = message
        self.before_stop = before_stop
        self.msg_type = message.msg_type
        # Everything that this request causes has its header as parent header.
        self.header = message.header
        self.content = message.content
        self.started = ""
        self.arrival = 0
        self.execution_count: int | None = None
        self.result: str | None = None
        self.ran = False
        self.stored = False
        self.silent = False
        self.allow_stdin = False
        self.error: dict[str, Any] | None = None
        self.payloads: list[dict[str, Any]] = []
        self.stops_queue = False
        self.ends_kernel = False

    def __repr__(self) -> str:
        return f"<{self.msg_type} {self.header.get('msg_id')}>"


class Link:
    """Sends what a kernel says, with the parent it belongs to."""

    def __init__(self, session: Session, outbox: Outbox, interrupts: Interrupts) -> None:
        self.session = session
        self.outbox = outbox
        self.interrupts = interrupts
        self._current: ContextVar[Request | None] = ContextVar("request", default=None)
        self._latest: Request | None = None
        self._topics: dict[str, tuple[bytes]] = {}

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

    def begin(self, request: Request) -> None:
        """Make ``request`` the current one of this thread."""
        self._current.set(request)

    def end(self) -> None:
        """Let this thread handle no request."""
        self._current.set(None)

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
            parent=_header_of(request),
            metadata=metadata,
            identities=identities,
            buffers=buffers,
        )
        self.outbox.send(channel, message)

    @shielded
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
        message = self.session.compose(
            msg_type,
            content,
            parent=_header_of(request),
            metadata=metadata,
            identities=(topic.encode(),) if topic is not None else self._topic(msg_type),
            buffers=buffers,
        )
        self.outbox.send("iopub", message)

    @shielded
    def publish_together(
        self, request: Request, *parts: tuple[str, Mapping[str, Any]], late: bool = False
    ) -> None:
        """Publish messages (type, content) that belong to ``request``, with nothing between them.

        ``late``: the kernel waits for room in a moment, which is soon enough.
        """
        compose, parent = self.session.compose, request.header

        def messages() -> list[Message]:
            return [
                compose(kind, content, parent=parent, identities=self._topic(kind)) for kind, content in parts
            ]

        if late:
            self.outbox.announce(messages)
        else:
            self.outbox.send("iopub", *messages())

    def _topic(self, msg_type: str) -> tuple[bytes]:
        topic = self._topics.get(msg_type)
        if topic is None:
            topic = self._topics[msg_type] = (f"kernel.{self.session.id}.{msg_type}".encode(),)
        return topic

    def ask(self, request: Request, prompt: str, password: bool, wanted: Callable[[], bool]) -> str:
        """Ask the client of ``request`` for a line; return the answer as it came."""
        message = self.session.compose(
            "input_request",
            {"prompt": prompt, "password": password},
            parent=request.header,
            identities=request.message.identities,
        )
        return self.outbox.ask(message, wanted)


def _header_of(request: Request | None) -> dict[str, Any] | None:
    return request.header if request is not None else None
