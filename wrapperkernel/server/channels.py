"""A channel: one socket behind a lock, which any thread may send on and one thread receives on.

libzmq tells of arrivals by a descriptor that is edge-triggered: it becomes readable once, and *any* call
on the socket, a send included, may consume that edge. A thread that waits on the descriptor while another
sends would then sleep beside a full queue; that is the best-known hang of ipykernel 7. Hence the rule:
every use of the socket ends with a look at EVENTS, and where something waits the owner is woken.

Knows frames, messages and threads; nothing of requests.
"""

from __future__ import annotations

import contextlib
import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import zmq

from ..interrupts import shielded
from ..wake import Wake
from ..wire import Buffer, Message, Session, WireError
from .logs import MessageLog, OncePerKind

_T = TypeVar("_T")

# Frames at least this long are handed to libzmq without a copy.
_ZERO_COPY = 64 * 1024
# Messages that one channel may give before the others get their turn.
_TURN = 64
# As plain numbers: with pyzmq's enumerations a message costs three times as much to send.
_MORE = int(zmq.SNDMORE)
_LAST = 0
_NOBLOCK = int(zmq.NOBLOCK)
_READABLE = int(zmq.POLLIN)


class Interest:
    """What a thread waits on, where other threads may change it meanwhile.

    Linux's epoll takes changes while a thread waits. Elsewhere ``disable`` does nothing: the thread then
    wakes up for what another has taken, which costs time and nothing else.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._poll = select.poll()

    def add(self, descriptor: int) -> None:
        """Wait for this descriptor to become readable, too; before any thread waits."""
        (self._epoll or self._poll).register(descriptor, select.POLLIN)

    def enable(self, descriptor: int) -> None:
        """Wait for a descriptor again. One that is closed is no error: a late hook finds all closed."""
        self._modify(descriptor, select.POLLIN)

    def disable(self, descriptor: int) -> None:
        """Do not wait for a descriptor until it is enabled again."""
        self._modify(descriptor, 0)

    def _modify(self, descriptor: int, events: int) -> None:
        if self._epoll is not None:
            with contextlib.suppress(OSError):
                self._epoll.modify(descriptor, events)

    def wait(self, seconds: float | None) -> list[int]:
        """Return the descriptors that are readable, after at most ``seconds``."""
        if self._epoll is not None:
            return [descriptor for descriptor, _ in self._epoll.poll(seconds)]
        limit = None if seconds is None else seconds * 1000 + 1
        return [descriptor for descriptor, _ in self._poll.poll(limit)]

    def close(self) -> None:
        """Give up what the system keeps for it."""
        if self._epoll is not None:
            self._epoll.close()


class PlainSocket(zmq.Socket[bytes]):
    """A socket whose messages of many frames cost a third.

    pyzmq's own multipart methods look at an enumeration for each frame; these pass on plain numbers, past
    them, to the methods of the class below. Nothing else is different.
    """

    def put(self, frames: Sequence[Buffer]) -> None:
        """Send all frames of one message; long ones are not copied."""
        send = super(zmq.Socket, self).send
        *first, last = frames
        for frame in first:
            if len(frame) < _ZERO_COPY:
                send(frame, _MORE)
            else:
                send(frame, _MORE, copy=False)
        if len(last) < _ZERO_COPY:
            send(last, _LAST)
        else:
            send(last, _LAST, copy=False)

    def take(self) -> list[bytes]:
        """Receive all frames of one message; zmq.Again if there is none."""
        receive = super(zmq.Socket, self).recv
        frame = receive(_NOBLOCK, False)
        frames = [frame.bytes]
        while frame.more:
            frame = receive(_NOBLOCK, False)
            frames.append(frame.bytes)
        return frames


class Channel:
    """One of the sockets that carry messages.

    ``send`` may be called by any thread, ``receive`` only by the owner, which waits on ``fileno`` and
    on ``wake`` and, when either is ready, receives until there is nothing more.
    """

    def __init__(
        self,
        name: str,
        socket: PlainSocket,
        session: Session,
        wake: Wake,
        message_log: MessageLog,
        malformed: OncePerKind,
    ) -> None:
        self.name = name
        self.socket = socket
        self.session = session
        self.wake = wake
        self._message_log = message_log
        self._malformed = malformed
        self._descriptor = int(socket.getsockopt(zmq.FD))  # once: a closed socket tells it no more
        self._looked_at = [(socket, _READABLE)]
        # Re-entrant: a finaliser (``comm.__del__``) may send between any two steps of a send.
        self._lock = threading.RLock()
        self._user = 0  # the thread that is just using the socket
        self._has_sent = False  # since the last look
        self._behind: deque[Callable[[], None]] = deque()
        self._closed = False

    def fileno(self) -> int:
        """Return the edge-triggered descriptor for the owner's poll set."""
        return self._descriptor

    def send(self, *messages: Message) -> None:
        """Send messages; from any thread. Raises TypeError or ValueError if one cannot be serialized.

        After the channel is closed, and in a forked child, messages are dropped.
        """
        self._submit(self._put_all, self._serialized(messages))

    def offer(self, message: Message) -> bool:
        """Send a message if its client is connected, and tell whether it is; needs ROUTER_MANDATORY."""
        frames = self.session.serialize(message)
        is_connected = True

        def put() -> None:
            nonlocal is_connected
            self._has_sent = True
            try:
                self.socket.put(frames)
            except zmq.ZMQError as error:
                is_connected = error.errno != zmq.EHOSTUNREACH
                return
            self._message_log.sent(self.name, message)  # before the answer can be received

        self._submit(put)
        return is_connected

    def receive(self, take: Callable[[Message], None], *, is_expected: bool = True) -> bool:
        """Give the messages that have come to ``take``; tell whether there may be more. Only the owner calls.

        The owner waits again only after it was told that there are no more. Malformed frames are logged
        (once of each kind, then counted) and dropped.
        """
        # Where one message is expected, taking it tells as much as a look; where none is, a look costs less.
        look = self._take_frames if is_expected else self._take_frames_if_any
        for _ in range(_TURN):
            frames = look()
            if frames is None:
                return False
            message = self._deserialized(frames)
            if message is not None:
                take(message)
            look = self._take_frames_if_any
        return True

    def close(self, linger: int) -> None:
        """Close the socket; what it still has leaves within ``linger`` milliseconds."""
        if not self._lock.acquire(timeout=1.0):
            return  # whoever holds it is stuck; the process is about to end
        try:
            if not self._closed:
                self._closed = True
                self.socket.close(linger=linger)
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Send nothing any more: for a forked child, which must not use its parent's socket."""
        self._closed = True
        self._lock = threading.RLock()  # another thread of the parent may have held it at the fork
        self._user = 0

    def _take_frames(self) -> list[bytes] | None:
        with self._lock:
            return None if self._closed else self._use(self._taken)

    def _taken(self) -> list[bytes] | None:
        try:
            return self.socket.take()
        except zmq.Again:
            return None

    def _take_frames_if_any(self) -> list[bytes] | None:
        with self._lock:
            if self._closed or not self._has_arrivals():
                return None
        return self._take_frames()

    def _deserialized(self, frames: list[bytes]) -> Message | None:
        """Return the message in some frames; log and return None if there is none."""
        try:
            message = self.session.deserialize(frames)
        except WireError as error:
            self._malformed.warning(f"{self.name} {error.kind}", f"dropped a message on {self.name}: {error}")
            return None
        if self._message_log.enabled:
            self._message_log.received(self.name, message)
        return message

    def _has_arrivals(self) -> bool:
        """Look at EVENTS, which also makes libzmq notice what has come; the caller holds the lock."""
        return bool(zmq.zmq_poll(self._looked_at, 0))  # half the cost of pyzmq's look at the option

    @shielded  # an interrupt between two frames, or before the lock is released, would end all sending
    def _submit(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do what may use the socket, with nobody else in between.

        Within a use of the socket by this same thread it is put behind: a message must not be cut in two.
        """
        arrived = False
        with self._lock:
            if self._closed:
                return
            if self._user:
                self._behind.append(partial(work, *arguments))
                return
            self._use(work, *arguments)
            if self._has_sent:
                self._has_sent = False
                arrived = self._has_arrivals()
        if arrived:
            self.wake.set()

    def _use(self, work: Callable[..., _T], *arguments: Any) -> _T:
        """Call ``work``, which uses the socket, then what was put behind it; the caller holds the lock."""
        self._user = threading.get_ident()
        try:
            return work(*arguments)
        finally:
            self._user = 0
            if self._behind:
                self._do_behind()

    def _do_behind(self) -> None:
        while self._behind:
            work = self._behind.popleft()
            self._user = threading.get_ident()
            try:
                work()
            finally:
                self._user = 0
        if self._has_arrivals():
            self.wake.set()

    def _serialized(self, messages: Iterable[Message]) -> list[list[Buffer]]:
        if self._message_log.enabled:
            messages = list(messages)
            for message in messages:
                self._message_log.sent(self.name, message)
        return [self.session.serialize(message) for message in messages]

    def _put_all(self, serialized: Iterable[Sequence[Buffer]]) -> None:
        for frames in serialized:
            self._put(frames)

    def _put(self, frames: Sequence[Buffer]) -> None:
        """Send frames; the caller holds the lock."""
        self._has_sent = True
        try:
            self.socket.put(frames)
        except zmq.Again:
            self._malformed.warning(f"{self.name} full", f"a client of {self.name} takes nothing more")
        except zmq.ZMQError as error:
            # A route that no longer exists, or a socket of a context that ends: the message has no reader.
            self._malformed.warning(f"{self.name} unsent", f"could not send on {self.name}: {error}")
