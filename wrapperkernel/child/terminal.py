"""One pseudo-terminal: the master that the kernel holds, the slave that the child has, and its modes.

Output post-processing is off, so that the bytes that come out are the bytes that were written. The kernel
keeps the slave open too: for the modes, and because a terminal that nobody has open has ended.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import struct
import termios
from typing import Any

from pexpect.fdpexpect import fdspawn

# Bytes that are read at a time before anything else is looked at, and of one piece: a pty gives no more.
_TURN = 256 * 1024
_PIECE = 4096
# A shorter piece is most likely all that there is, and to ask would cost as much as to wait.
_SHORT = 1024

_INPUT_MODES, _OUTPUT_MODES, _LOCAL_MODES, _CHARACTERS = 0, 1, 3, 6


class Terminal:
    """A terminal of ``rows`` lines and ``columns`` columns; ``path`` is where the child opens it."""

    def __init__(self, rows: int, columns: int) -> None:
        master, self.slave = os.openpty()
        os.set_blocking(master, False)
        self._spawn = fdspawn(master, timeout=None)
        self._spawn.delaybeforesend = None  # pexpect would sleep before each send
        self.path = os.ttyname(self.slave)
        self.resize(rows, columns)
        modes = termios.tcgetattr(self.slave)
        modes[_OUTPUT_MODES] &= ~termios.OPOST
        termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        self._modes = termios.tcgetattr(self.slave)
        self._shown: list[Any] | None = None  # the modes before echo was turned off for an answer
        self._was_typed_at = False

    def fileno(self) -> int:
        """Return the master, to wait on."""
        return int(self._spawn.child_fd)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size that programs find."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> bytes:
        """Return what has come, at most about 256 KB; empty if nothing has."""
        pieces = []
        size = 0
        with contextlib.suppress(BlockingIOError):
            while size < _TURN:
                piece = os.read(self.fileno(), _PIECE)
                pieces.append(piece)
                size += len(piece)
                if len(piece) < _SHORT:
                    break
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Type ``data``. What does not fit into the terminal's queue (4 KB) is dropped."""
        self._was_typed_at = True
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[self._spawn.send(data) :]

    @property
    def foreground(self) -> int:
        """The process group that has the terminal; 0 if there is none."""
        try:
            return os.tcgetpgrp(self.fileno())
        except OSError:
            return 0

    # -- modes ----------------------------------------------------------------------------------------

    @property
    def canonical(self) -> bool:
        """Whether programs get whole lines."""
        return bool(self._local_modes() & termios.ICANON)

    @property
    def echo(self) -> bool:
        """Whether what is typed is shown."""
        return bool(self._local_modes() & termios.ECHO)

    @property
    def unread(self) -> int:
        """Bytes that were typed and that nobody has read."""
        count = array.array("i", [0])
        fcntl.ioctl(self.slave, termios.FIONREAD, count)
        return count[0]

    def end_of_file(self) -> bytes:
        """Return what is typed to end the input."""
        return bytes(termios.tcgetattr(self.slave)[_CHARACTERS][termios.VEOF])

    def interrupt_character(self) -> bytes:
        """Return what is typed to interrupt."""
        return bytes(termios.tcgetattr(self.slave)[_CHARACTERS][termios.VINTR])

    def hide_echo(self) -> None:
        """Do not show what is typed next, until ``show_echo``."""
        modes = termios.tcgetattr(self.slave)
        if modes[_LOCAL_MODES] & termios.ECHO:
            self._shown = termios.tcgetattr(self.slave)
            modes[_LOCAL_MODES] &= ~(termios.ECHO | termios.ECHONL)
            termios.tcsetattr(self.slave, termios.TCSANOW, modes)

    def show_echo(self) -> None:
        """Undo ``hide_echo``, unless the program has set modes of its own meanwhile."""
        if self._shown is None:
            return
        shown, self._shown = self._shown, None
        hidden = [*shown]
        hidden[_LOCAL_MODES] &= ~(termios.ECHO | termios.ECHONL)
        if termios.tcgetattr(self.slave) == hidden:
            termios.tcsetattr(self.slave, termios.TCSANOW, shown)

    def restore(self) -> None:
        """Drop what nobody has read, and put the modes back to what they were at the start."""
        self._shown = None
        if self._was_typed_at:
            self._was_typed_at = False
            termios.tcflush(self.slave, termios.TCIFLUSH)
        if termios.tcgetattr(self.slave) != self._modes:
            termios.tcsetattr(self.slave, termios.TCSANOW, self._modes)

    def close(self) -> None:
        """Close both ends; what still has the terminal open finds it hung up."""
        self._spawn.close()
        os.close(self.slave)

    def _local_modes(self) -> int:
        return int(termios.tcgetattr(self.slave)[_LOCAL_MODES])
