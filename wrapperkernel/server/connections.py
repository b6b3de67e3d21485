"""The connections behind a bound socket of libzmq: which of them take nothing, and how to end one.

libzmq shows neither its connections nor their queues; the system does. Knows no message and no subscription.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import struct
import termios
import threading

from ..interrupts import shielded


class Connections:
    """The connections of this process to the clients of one endpoint. Any thread may call any method."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._progress = 0
        self._unchanged: dict[int, tuple[int, float]] = {}  # descriptor → bytes in its queue, since when

    @shielded
    def stuck(self, progress: int, now: float, *, patience: float, pause: float) -> dict[int, int]:
        """Return those that took nothing for ``patience`` seconds: descriptor → bytes in the system's queue.

        For that their queue must have been the same at every look, no two of them more than ``pause`` seconds
        apart, and so must ``progress``: a queue that is filled up as it is emptied looks the same.
        Each is returned once; if it is still there, again after as long.
        """
        if not self._lock.acquire(blocking=False):
            return {}  # another thread looks; or this one does, and a finaliser has come in between
        try:
            if progress != self._progress or now - self._looked > pause:
                self._unchanged.clear()
            self._progress, self._looked = progress, now
            return self._stuck(now, patience)
        finally:
            self._lock.release()

    def _stuck(self, now: float, patience: float) -> dict[int, int]:
        found = {}
        before, self._unchanged = self._unchanged, {}
        for descriptor, size in self.queues().items():
            known, since = before.get(descriptor, (size, now))
            if known != size:
                since = now
            elif now - since >= patience:
                found[descriptor] = size
                since = now
            self._unchanged[descriptor] = (size, since)
        return found

    @shielded
    def queues(self) -> dict[int, int]:
        """Return the bytes in each connection's send queue, by descriptor, where there are any."""
        found = {}
        for descriptor in _descriptors():
            with contextlib.suppress(OSError), _opened(descriptor) as connection:
                if self._is_ours(connection):
                    size = struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0\0\0\0"))[0]
                    if size > 0:
                        found[descriptor] = size
        return found

    @shielded
    def end(self, descriptor: int) -> None:
        """End a connection; libzmq notices that, and forgets it."""
        with contextlib.suppress(OSError), _opened(descriptor) as connection:
            connection.shutdown(socket.SHUT_RDWR)

    def _is_ours(self, connection: socket.socket) -> bool:
        """Tell whether a socket is this side of a connection to the endpoint. OSError if it is a listener."""
        connection.getpeername()
        address = connection.getsockname()
        if isinstance(address, tuple):
            return self._endpoint.startswith("tcp:") and self._endpoint.rpartition(":")[2] == str(address[1])
        return self._endpoint == f"ipc://{address}"


def _descriptors() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/dev/fd")]
    except OSError:  # there is not one descriptor left to look with
        return []


def _opened(descriptor: int) -> socket.socket:
    """Return a socket for what a descriptor leads to, to be closed; OSError if that is no socket."""
    copy = os.dup(descriptor)
    try:
        return socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
