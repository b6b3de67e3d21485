"""One pseudo-terminal: the master that the kernel holds, the slave that the child has, and its modes.

Output post-processing is off, so that the bytes that come out are the bytes that were written. What is typed
is whole lines, edited and shown elsewhere; EXTPROC says so (tty_ioctl(4), RFC 1184): nothing is echoed, no
character is special, and yet programs find the modes of any terminal. The kernel keeps the slave open too:
for the modes, and because a terminal that nobody has open has ended.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import signal
import struct
import sys
import termios
import time

from pexpect.fdpexpect import fdspawn

from .echo import Echoes

# Bytes that are read at a time before anything else is looked at, and of one piece: a pty gives no more.
_TURN = 256 * 1024
_PIECE = 4096
# A shorter piece is most likely all that there is, and to ask would cost as much as to wait.
_SHORT = 1024
# Bytes that can be typed at once. The rest of a longer line must wait for its reader: for so many seconds at
# most, with so many between two looks.
_QUEUE = 4095
_UNREAD_LIMIT = 2.0
_GLANCE = 0.001

_OUTPUT_MODES, _LOCAL_MODES, _CHARACTERS = 1, 3, 6
# Python's termios has no name for these.
_EXTPROC = 0o200000 if sys.platform == "linux" else 0x800
_TIOCSIG = 0x40045436 if sys.platform == "linux" else 0x2000745F


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
        modes[_LOCAL_MODES] |= _EXTPROC
        termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        self._modes = termios.tcgetattr(self.slave)
        self._was_typed_at = False
        self.echoes = Echoes()

    def fileno(self) -> int:
        """Return the master, to wait on."""
        return int(self._spawn.child_fd)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size that programs find."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, *, whole: bool = False) -> bytes:
        """Return what has come, at most about 256 KB; empty if nothing has.

        ``whole``: all that was written before this call, of which a pty never keeps that much.
        """
        pieces = []
        size = 0
        with contextlib.suppress(BlockingIOError):
            while size < _TURN:
                piece = os.read(self.fileno(), _PIECE)
                pieces.append(piece)
                size += len(piece)
                if len(piece) < _SHORT and not whole:
                    break
        return b"".join(pieces)

    def type(self, data: bytes) -> None:
        """Type ``data``, which is not shown. More than 4 KB waits for its reader, for 2 s at most."""
        self._set_local(_EXTPROC, True)
        if len(data) <= _QUEUE:
            self._send(data)
        else:
            self._send_slowly(data)

    def end_input(self) -> None:
        """Let who reads find the end of the input, when all that was typed has been read."""
        self._set_local(_EXTPROC, False)
        self._send(bytes(termios.tcgetattr(self.slave)[_CHARACTERS][termios.VEOF]))

    def interrupt(self) -> None:
        """Send SIGINT to who has the terminal, whoever's they are, as its interrupt character would."""
        with contextlib.suppress(OSError):  # nobody has it
            fcntl.ioctl(self.fileno(), _TIOCSIG, int(signal.SIGINT))

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

    def keep_modes(self) -> None:
        """Take the modes as they are for those of this child: of its line editor, or its start-up file."""
        self._modes = termios.tcgetattr(self.slave)

    def restore(self) -> None:
        """Drop what nobody has read, and put the modes back to those of the child."""
        with contextlib.suppress(
            termios.error
        ):  # the child has been ended meanwhile, and its terminal closed
            if self._was_typed_at:
                self._was_typed_at = False
                termios.tcflush(self.slave, termios.TCIFLUSH)
            if termios.tcgetattr(self.slave) != self._modes:
                termios.tcsetattr(self.slave, termios.TCSANOW, self._modes)

    def close(self) -> None:
        """Close both ends; what still has the terminal open finds it hung up."""
        self._spawn.close()
        os.close(self.slave)

    def _send(self, data: bytes) -> bytes:
        """Send as much as goes, and return the rest."""
        self._was_typed_at = True
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[self._spawn.send(data) :]
        return data

    def _send_slowly(self, data: bytes) -> None:
        """Send more than the queue takes, which would drop what is too much if it kept whole lines."""
        was_canonical = self._set_local(termios.ICANON, False)
        until = time.monotonic() + _UNREAD_LIMIT
        while (data or self.unread) and time.monotonic() < until:
            rest = self._send(data)
            if len(rest) < len(data):
                until = time.monotonic() + _UNREAD_LIMIT
            data = rest
            time.sleep(_GLANCE)  # there is no event for "all of it was read"
        self._set_local(termios.ICANON, was_canonical)

    def _set_local(self, mode: int, on: bool) -> bool:
        """Set a local mode, and return whether it was set; a program may have changed any."""
        modes = termios.tcgetattr(self.slave)
        was_on = bool(modes[_LOCAL_MODES] & mode)
        if was_on is not on:
            modes[_LOCAL_MODES] ^= mode
            termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        return was_on

    def _local_modes(self) -> int:
        return int(termios.tcgetattr(self.slave)[_LOCAL_MODES])
