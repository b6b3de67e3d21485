"""The private folder by which a child is handed its code: mode 0700, removed at the end.

In memory where the system has a place for that: for each cell a few small files are written and read.
"""

from __future__ import annotations

import contextlib
import os
import shutil

CELL = "cell"
"""The file of the cell that is handed over."""
_IN_MEMORY = "/dev/shm"
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Folder:
    """A folder of files and a FIFO of commands, which the child reads as its standard input."""

    def __init__(self) -> None:
        self.path = _make()
        self.fifo = self.file("commands")
        os.mkfifo(self.fifo, 0o600)
        self._cell = os.open(self.file(CELL), _WRITE, 0o600)
        # For reading too: so that opening never blocks, and the child never finds the end of it.
        self._commands = os.open(self.fifo, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def file(self, name: str) -> str:
        """Return the path of a file here."""
        return f"{self.path}/{name}"

    def write_cell(self, text: str) -> None:
        """Write the file of the cell, which stays open here: each cell is written to it."""
        data = text.encode("utf-8", "surrogateescape")
        os.ftruncate(self._cell, 0)
        place = 0
        while place < len(data):
            place += os.pwrite(self._cell, data[place:] if place else data, place)

    def write(self, name: str, text: str) -> None:
        """Write a file; OSError on a full or read-only disk."""
        data = text.encode("utf-8", "surrogateescape")
        descriptor = os.open(self.file(name), _WRITE, 0o600)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
        finally:
            os.close(descriptor)

    def read(self, name: str) -> str | None:
        """Return the text of a file that the child has written; None if there is none."""
        try:
            with open(self.file(name), encoding="utf-8", errors="surrogateescape", newline="") as file:
                return file.read()
        except OSError:
            return None

    def take(self, name: str) -> str | None:
        """Return the text of a file that the child has written, and remove it; None if there is none."""
        text = self.read(name)
        if text is not None:
            with contextlib.suppress(OSError):
                os.unlink(self.file(name))
        return text

    def command(self, line: str) -> None:
        """Have the child run a line. A pipe takes 4 KB at once, and lines are far shorter."""
        os.write(self._commands, line.encode("utf-8", "surrogateescape"))

    def close(self) -> None:
        """Remove the folder; the child finds the end of its commands."""
        os.close(self._commands)
        os.close(self._cell)
        shutil.rmtree(self.path, ignore_errors=True)


def _make() -> str:
    """Make the folder in memory, or else where temporary files are."""
    path = f"{_IN_MEMORY}/wk-{os.urandom(8).hex()}"
    try:
        os.mkdir(path, 0o700)
    except OSError:  # no such place, or read-only, full, not ours
        import tempfile  # here, because it is slow to import, and seldom needed

        path = tempfile.mkdtemp(prefix="wk-")
    return path
