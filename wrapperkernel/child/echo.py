"""What a line editor shows of a line that is typed at it, which is no output. No I/O.

A terminal need not show what is typed, but an editor (readline, say) does, and ends it with a newline.
"""

from __future__ import annotations

import re
from collections import deque

# A line is shown behind sequences that switch something; what is behind its beginning may be redrawn.
_SWITCHES = re.compile(r"(\x1b\[\?[0-9]+[hl]|\r)*")
_BEGINNING = 20


class Echoes:
    """The lines that were typed at an editor, and not shown yet."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._held = ""  # perhaps the beginning of one

    def expect(self, line: str) -> None:
        """A line, without its newline, is about to be typed at an editor."""
        self._lines.append(line)

    def forget(self) -> None:
        """Expect nothing any more."""
        self._lines.clear()
        self._held = ""

    def without(self, text: str) -> str:
        """Return output without what shows the lines; the beginning of one is held back."""
        text, self._held = self._held + text, ""
        shown = []
        while self._lines and text:
            line, newline, text = text.partition("\n")
            if not _shows(line, self._lines[0], whole=bool(newline)):  # but comes before
                shown.append(line + newline)
            elif newline:
                self._lines.popleft()
            else:
                self._held = line
        return "".join(shown) + text


def _shows(shown: str, line: str, *, whole: bool) -> bool:
    """Tell whether a line is being shown: all of it, or as far as it has come."""
    beginning = _SWITCHES.sub("", shown, count=1)[:_BEGINNING]
    expected = line[:_BEGINNING]
    return beginning == expected if whole else expected.startswith(beginning)
