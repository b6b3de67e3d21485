"""A descriptor by which one thread, or a signal handler, wakes another that waits on descriptors."""

from __future__ import annotations

import os


class Wake:
    """A descriptor that any thread, or a signal handler, makes readable for the one that waits on it."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

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
