"""What a child printed, on its way to the frontend: the unfinished last line waits for a moment.

A prompt is the unfinished line that was printed last when somebody begins to read. It goes into the input
request and not also into a stream; so such a line is held back shortly. No I/O, no clock: the time is given.
"""

from __future__ import annotations

from collections.abc import Callable

PATIENCE = 0.05
"""Seconds for which an unfinished line is held back."""
_BROKEN_PATIENCE = 0.3
# Characters that a prompt may have; longer unfinished lines are output.
_LONGEST = 4096

Publish = Callable[[int, str, str], None]
"""Called with the number of a cell, the stream's name and text."""


Denoise = Callable[[str], tuple[str, str]]
"""Called with what came since an interrupt; returns the part of it that is output, and the noise."""


class Output:
    """Passes text on in the order in which it came, whole lines at once."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish
        self._cell = 0
        self._name = "stdout"
        self._held = ""
        self._since = 0.0
        self._suspect: list[str] | None = None  # what came on stderr since the cell was broken off
        self._suspect_cell = 0
        self._noise: str | None = None  # what may come again, behind a cell that was interrupted
        self._broken_at = 0.0
        self.unfinished = False
        """Whether the line that was printed last has no end yet, gone out or not."""

    @property
    def due(self) -> float:
        """The moment when what is held goes out; infinity when nothing is held."""
        line = self._since + PATIENCE if self._held else float("inf")
        return min(line, self._broken_at + _BROKEN_PATIENCE) if self._suspect else line

    def add(self, cell: int, name: str, text: str, now: float) -> None:
        """Take text of a stream that belongs to a cell."""
        if self._noise is not None and name == "stderr":
            text = self._without_noise(text)
            if not text:
                return
        self.unfinished = not text.endswith("\n")
        if self._suspect is not None and name == "stderr":
            self._suspect.append(text)
            self._suspect_cell = cell
            return
        if (cell, name) != (self._cell, self._name):
            self.flush()
            self._cell, self._name = cell, name
        if not self._held:
            self._since = now
        whole, newline, rest = (self._held + text).rpartition("\n")
        if len(rest) > _LONGEST:
            whole, newline, rest = whole + newline + rest, "", ""
        if whole or newline:
            self._since = now
            self._publish(cell, name, whole + newline)
        self._held = rest

    def flush_due(self, now: float) -> None:
        """Pass on what has been held for long enough."""
        if self._held and now >= self._since + PATIENCE:
            self.flush()
        if self._suspect and now >= self._broken_at + _BROKEN_PATIENCE:
            self._acquit(quiet)

    def flush(self) -> None:
        """Pass on what is held."""
        held, self._held = self._held, ""
        if held:
            self._publish(self._cell, self._name, held)

    def take_prompt(self) -> tuple[str, str]:
        """Return the stream of the unfinished line, and the line instead of passing it on."""
        prompt, self._held = self._held, ""
        return self._name, prompt

    def begin(self) -> None:
        """A cell begins: what comes now is output."""
        self._noise = None

    def break_off(self, now: float) -> None:
        """The cell is being interrupted: what the child says to that on stderr may be noise, so hold it."""
        self.flush()
        self._suspect = self._suspect or []
        self._broken_at = now

    def end(self, denoised: Denoise) -> None:
        """The cell has ended: pass on all of it, but what came on stderr since an interrupt ``denoised``.

        Who is interrupted while it writes may write again: until the next cell begins, noise is dropped.
        """
        self.flush()
        if self._suspect is not None:
            self._noise = self._acquit(denoised)
            self._suspect = None

    def _without_noise(self, text: str) -> str:
        """Drop newlines and noise at the beginning of a text."""
        assert self._noise is not None
        while text:
            if text.startswith("\n"):
                text = text[1:]
            elif self._noise and text.startswith(self._noise):
                text = text.removeprefix(self._noise)
            else:
                self._noise = None
                return text
        return text

    def _acquit(self, denoised: Denoise) -> str:
        text, noise = denoised("".join(self._suspect or ()))
        self._suspect = []
        if text:
            self._publish(self._suspect_cell, "stderr", text)
        return noise


def quiet(text: str) -> tuple[str, str]:
    """Find no noise in a text."""
    return text, ""
