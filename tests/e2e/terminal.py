"""A real terminal with a program in it, driven as a person drives it: tmux, without anybody's settings.

It answers what programs ask their terminal (the cursor's position, colours), and tells what is on the screen.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

LIMIT = 60.0  # seconds; only what is broken needs them
SIZE = ("-x", "100", "-y", "50")
# Runs a program, which alone gets interrupts, writes down its status, and keeps the terminal open. (tmux now
# and then loses the status of what it started itself.)
KEEP = """trap : INT; "$@"; echo $? >"$0.new"; mv "$0.new" "$0"; exec sleep 1000000"""


class Terminal:
    """One terminal, 100 by 50; made by `terminal`."""

    def __init__(self, folder: Path) -> None:
        self._tmux = ("tmux", "-S", str(folder / "socket"), "-f", "/dev/null")
        self._status = folder / "status"

    def start(self, argv: Sequence[str]) -> None:
        """Start a program; its last screen stays when it has ended."""
        self.ask("new-session", "-d", *SIZE, "sh", "-c", KEEP, str(self._status), *argv)

    def type(self, text: str) -> None:
        """Type text as it stands."""
        self.ask("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys: ``Enter``, ``Tab``, ``C-c`` …"""
        self.ask("send-keys", *keys)

    def enter(self, text: str) -> None:
        """Type a line and press Enter."""
        self.type(text)
        self.press("Enter")

    @property
    def screen(self) -> str:
        """Return all that was shown, also what has left the screen, without blanks at the ends of lines."""
        return self.ask("capture-pane", "-p", "-S", "-")

    @property
    def status(self) -> int | None:
        """Return the status with which the program has ended, None while it runs."""
        return int(self._status.read_text()) if self._status.exists() else None

    def until(self, what: str) -> str:
        """Wait until a text is shown; return the screen."""
        return self._until(lambda: what in self.screen, repr(what))

    def until_ended(self) -> str:
        """Wait until the program has ended; return its last screen."""
        return self._until(lambda: self.status is not None, "the end")

    def ask(self, *command: str) -> str:
        """Run a command of tmux and return what it prints."""
        run = subprocess.run([*self._tmux, *command], capture_output=True, text=True, timeout=LIMIT)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def _until(self, there: Callable[[], bool], what: str) -> str:
        deadline = time.monotonic() + LIMIT
        while not there():
            assert time.monotonic() < deadline, f"waited for {what} on the screen:\n{self.screen.rstrip()}"
            time.sleep(0.05)  # a screen tells nobody that it has changed
        return self.screen


@contextlib.contextmanager
def terminal(*argv: str) -> Iterator[Terminal]:
    """Start a program in a terminal of its own; end both."""
    folder = Path(tempfile.mkdtemp(prefix="wk-tmux-"))  # short: the path of a socket has a limit
    there = Terminal(folder)
    there.start(argv)
    try:
        yield there
    finally:
        there.ask("kill-server")
        shutil.rmtree(folder, ignore_errors=True)
