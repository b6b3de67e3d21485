"""A channel: one socket behind a lock, which any thread may send on and one thread receives on.

libzmq tells of arrivals by a descriptor that is edge-triggered: it becomes readable once, and *any* call
on the socket, a send included, may consume that edge. A thread that waits on the descriptor while another
sends would then sleep beside a full queue; that is the best-known hang of ipykernel 7. Hence the rule:
every use of the socket ends with a look at EVENTS, and where something waits the owner is woken.

Knows frames, messages and threads; nothing of requests.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import zmq

from ..wire import Buffer, Message, Session, WireError
from .logs import MessageLog, OncePerKind

# Frames at least this long are handed to libzmq without a copy.
_ZERO_COPY = 64 * 1024
# As plain numbers: with pyzmq's enumerations a message costs three times as much to send.
_MORE = int(zmq.SNDMORE)
_LAST = 0
_NOBLOCK = int(zmq.NOBLOCK)
_READABLE = int(zmq.POLLIN)


class Wake:
    """A descriptor that any thread, or a signal handler, makes readable for the one that waits on it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._reader

    @property
    def writer(self) -> int:
        """The other end, for ``signal.set_wakeup_fd``."""
        return self._writer

    def set(self, byte: bytes = b"\0") -> None:
        """Make the descriptor readable. A full pipe is readable already."""
        try:
            os.write(self._writer, byte)
        except BlockingIOError:
            return

    def clear(self) -> bytes:
        """Make it unreadable again; return the bytes that were set."""
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Close both ends."""
        os.close(self._reader)
        os.close(self._writer)


class Channel:
    """One of the sockets that carry messages.

    ``send`` may be called by any thread, ``receive`` only by the owner, which waits on ``fileno`` and
    on ``wake`` and, when either is ready, receives until there is nothing more.
    """

    def __init__(
        self,
        name: str,
        socket: zmq.Socket[bytes],
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
        self._lock = threading.Lock()
        self._holder = 0
        self._behind: deque[Callable[[], None]] = deque()
        self._closed = False
        self._pid = os.getpid()

    def fileno(self) -> int:
        """Return the edge-triggered descriptor for the owner's poll set."""
        return int(self.socket.getsockopt(zmq.FD))

    def send(self, message: Message) -> None:
        """Send a message; from any thread. Raises TypeError or ValueError if it cannot be serialized.

        After the channel is closed, and in a forked child, messages are dropped.
        """
        self._message_log.sent(self.name, message)
        self._submit(partial(self._put, self.session.serialize(message)))

    def receive(self) -> Message | None:
        """Return the next good message, or None when there is none now. Only the owner may call.

        Malformed frames are logged (once of each kind, then counted) and dropped.
        """
        while (frames := self._receive_frames()) is not None:
            try:
                message = self.session.deserialize(frames)
            except WireError as error:
                self._malformed.warning(
                    f"{self.name} {error.kind}", f"dropped a message on {self.name}: {error}"
                )
                continue
            self._message_log.received(self.name, message)
            return message
        return None

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

    def _receive_frames(self) -> list[bytes] | None:
        with self._lock:
            if self._closed:
                return None
            self._holder = threading.get_ident()
            try:
                return self.socket.recv_multipart(_NOBLOCK) if self._has_arrivals() else None
            except zmq.Again:
                return None
            finally:
                self._holder = 0

    def _has_arrivals(self) -> bool:
        """Look at EVENTS, which also makes libzmq notice what has come; the caller holds the lock."""
        return bool(self.socket.get(zmq.EVENTS) & _READABLE)  # type: ignore[operator]  # a number

    def _submit(self, work: Callable[[], None]) -> None:
        """Do what uses the socket under the lock, or behind what this same thread is just doing there.

        The latter happens when a finaliser (``comm.__del__``) sends within a send: to wait for the lock
        would be to wait for itself.
        """
        if os.getpid() != self._pid:
            return
        if self._holder == threading.get_ident():
            self._behind.append(work)
            return
        with self._lock:
            if self._closed:
                return
            self._holder = threading.get_ident()
            try:
                work()
                while self._behind:
                    self._behind.popleft()()
                arrived = self._has_arrivals()
            finally:
                self._holder = 0
        if arrived:
            self.wake.set()
        if self._behind:  # came after the last look, while this thread still counted as the holder
            self._submit(self._behind.popleft())

    def _put(self, frames: Sequence[Buffer]) -> None:
        """Send frames; the caller holds the lock."""
        send = self.socket.send
        *first, last = frames
        try:
            for frame in first:
                send(frame, _MORE, copy=len(frame) < _ZERO_COPY)
            send(last, _LAST, copy=len(last) < _ZERO_COPY)
        except zmq.Again:
            self._malformed.warning(f"{self.name} full", f"a client of {self.name} takes nothing more")
        except zmq.ZMQError as error:
            # A route that no longer exists, or a socket of a context that ends: the message has no reader.
            self._malformed.warning(f"{self.name} unsent", f"could not send on {self.name}: {error}")
