"""The iopub channel: an XPUB socket that greets, coalesces streams and bounds what waits to be sent.

Greeting: receiving a subscription, letting it through and sending the welcome are one step under the
lock, because XPUB_MANUAL applies to the event *last received*; so the welcome is the first message that a
new client sees, even in a flood.

Floods: nothing is ever dropped in the middle, so what clients do not take piles up in libzmq's queues,
whose size nobody tells. But libzmq tells when it has let go of a message: about every megabyte one is sent
*tracked*; since every queue is first in, first out, all before it has then gone too, to every client.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import zmq

from ..interrupts import shielded
from ..wake import Wake
from ..wire import DELIMITER, Buffer, Message, Session
from .channels import Channel, PlainSocket
from .connections import Connections
from .logs import MessageLog, OncePerKind
from .streams import LARGEST, StreamBuffer, may_be_joined

# Bytes between two tracked messages: how exactly the backlog is known.
_MARK = 1 << 20
# Bytes that a frame costs libzmq besides its own, about: what waits is counted as the memory that it takes.
_FRAME = 100
# How often a backlog, and every connection, are looked at while somebody waits for it, in seconds.
_GLANCE = 0.02
_LOOK = 0.5


class IOPubChannel(Channel):
    """iopub. Any thread may send; the owner calls ``greet`` and ``flush_due``.

    ``limit`` is the number of bytes that may wait to be sent, ``patience`` the seconds for which a client
    that takes nothing may hold up the others.
    """

    def __init__(
        self,
        socket: PlainSocket,
        session: Session,
        wake: Wake,
        message_log: MessageLog,
        malformed: OncePerKind,
        *,
        limit: int,
        patience: float,
    ) -> None:
        super().__init__("iopub", socket, session, wake, message_log, malformed)
        self._limit = limit
        self._patience = patience
        self._connections = Connections(socket.getsockopt_string(zmq.LAST_ENDPOINT))
        self._streams = StreamBuffer()
        self._first_words: Message | None = None
        self._announced: Callable[[], Sequence[Message]] | None = None
        self._sent = 0
        self._gone = 0
        self._marks: deque[tuple[zmq.MessageTracker, int]] = deque()

    # -- sending --------------------------------------------------------------------------------------

    def send(self, *messages: Message) -> None:
        """Publish; stream text may leave a moment later, joined with what follows."""
        if len(messages) == 1 and may_be_joined(messages[0]):
            self._submit(self._hold, messages[0])
        else:
            self._submit(self._put_behind_streams, self._serialized(messages))

    def announce(self, compose: Callable[[], Sequence[Message]]) -> None:
        """Publish before anything else is, or when room is waited for, whichever comes first."""
        self._submit(self._keep, compose)

    def say_first(self, message: Message) -> None:
        """Keep ``message`` for the first subscriber; once anything else was published it is too late."""
        self._first_words = message

    def flush(self) -> None:
        """Send all that is held back."""
        self._submit(self._put_held)

    def flush_due(self) -> float | None:
        """Send stream text that is due; return the seconds until more is, None if none is held."""
        wait = self._streams.due - time.monotonic()
        if wait <= 0:
            self._submit(self._put_streams)
            return None
        return None if wait == float("inf") else wait

    def wait_for_room(self) -> None:
        """Return when more output may come. The wait carries no data: an interrupt may end it anywhere."""
        if self._announced:
            self._submit(self._put_announced)
        while self._streams.size >= LARGEST and self._can_wait():
            wait = self.flush_due()
            if wait is not None:
                time.sleep(wait)  # the pace of streams, not a wait for anything to happen
        if self._sent - self._gone > self._limit and self._can_wait():
            self._wait_for_clients()

    def _can_wait(self) -> bool:
        """Tell whether anything would change meanwhile: not when closed, nor in the middle of a send."""
        return not self._closed and self._user != threading.get_ident()

    def _keep(self, compose: Callable[[], Sequence[Message]]) -> None:
        self._put_announced()
        self._announced = compose

    def _hold(self, message: Message) -> None:
        if self._announced:
            self._put_announced()
        was_empty = not self._streams
        at_once = self._streams.add(message, time.monotonic())
        if at_once:
            self._put_all(self._serialized(at_once))
        elif was_empty:
            self.wake.set()  # the owner learns when they are due

    def _put_behind_streams(self, serialized: Iterable[Sequence[Buffer]]) -> None:
        self._first_words = None
        if self._announced:
            self._put_announced()
        if self._streams:
            self._put_streams()
        self._put_all(serialized)

    def _put_announced(self) -> None:
        announced, self._announced = self._announced, None
        if announced is not None:
            self._put_behind_streams(self._serialized(announced()))

    def _put_held(self) -> None:
        self._put_announced()
        self._put_streams()

    def _put_streams(self) -> None:
        self._put_all(self._serialized(self._streams.take(time.monotonic())))

    def _put(self, frames: Sequence[Buffer]) -> None:
        self._sent += sum(map(len, frames)) + _FRAME * len(frames)
        if self._sent - (self._marks[-1][1] if self._marks else self._gone) < _MARK:
            super()._put(frames)
            return
        self._forget_gone()
        self._has_sent = True
        *first, last = frames
        tracked = zmq.Frame(last, track=True, copy=False, copy_threshold=0)
        assert tracked.tracker is not None
        try:
            self.socket.send_multipart(first, zmq.SNDMORE, copy=False)
            self.socket.send(tracked, copy=False)
        except zmq.ZMQError as error:
            self._malformed.warning("iopub unsent", f"could not publish: {error}")
            return
        self._marks.append((tracked.tracker, self._sent))

    # -- floods ---------------------------------------------------------------------------------------

    @property
    @shielded
    def backlog(self) -> int:
        """Bytes that wait to be sent to the slowest client, at most a megabyte too many."""
        with self._lock:
            self._forget_gone()
            return self._sent - self._gone

    def _forget_gone(self) -> None:
        """Find out how far every client has come; the caller holds the lock."""
        while self._marks and self._marks[0][0].done:
            self._gone = self._marks.popleft()[1]

    def _wait_for_clients(self) -> None:
        """Wait until the backlog is below the limit; drop clients that take nothing for ``patience``."""
        while self.backlog > self._limit and not self._closed:
            now = time.monotonic()
            for connection, size in self._connections.stuck(
                self._gone, now, patience=self._patience, pause=3 * _LOOK
            ).items():
                logging.getLogger("wrapperkernel.server").warning(
                    "iopub: dropped the subscription of a client that took nothing for %g s (%d bytes in its "
                    "queue alone, %d for all)",
                    self._patience,
                    size,
                    self._sent - self._gone,
                )
                self._connections.end(connection)
            oldest = self._oldest()
            if oldest is None:
                return
            until = now + min(_LOOK, max(_GLANCE, self._patience))
            while not oldest.done and time.monotonic() < until:
                # Not ``oldest.wait``: an interrupt there may leave a lock held that libzmq's thread needs.
                time.sleep(_GLANCE)

    @shielded
    def _oldest(self) -> zmq.MessageTracker | None:
        with self._lock:
            return self._marks[0][0] if self._marks else None

    # -- greeting -------------------------------------------------------------------------------------

    def greet(self) -> bool:
        """Handle one subscription event; tell whether there was one. Only the owner may call."""
        with self._lock:
            if self._closed or not self._has_arrivals():
                return False
            return self._use(self._greet)

    def _greet(self) -> bool:
        try:
            event, *_ = self.socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._handle_event(event)
        return True

    def _handle_event(self, event: bytes) -> None:
        """Let a subscription through, then welcome who made it; the caller holds the lock."""
        topic = event[1:]
        if event[:1] == b"\x01":
            self.socket.setsockopt(zmq.SUBSCRIBE, topic)
            self._welcome(topic)
            first = self._first_words
            if first is not None and first.identities[0].startswith(topic):
                self._first_words = None
                self._put_all(self._serialized([first]))
        elif event[:1] == b"\x00":
            self.socket.setsockopt(zmq.UNSUBSCRIBE, topic)

    def _welcome(self, topic: bytes) -> None:
        try:
            content = {"subscription": topic.decode()}
        except UnicodeDecodeError:
            return  # no JSON text can name it
        if topic == DELIMITER:
            return  # all who subscribed to everything would see a message that begins in its middle
        self._put_all(self._serialized([self.session.compose("iopub_welcome", content, identities=(topic,))]))
