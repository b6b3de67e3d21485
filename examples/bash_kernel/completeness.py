"""Whether a text is a whole piece of bash, and what is wrong with it: as bash says, which runs nothing."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

# Seconds that bash may take; a frontend waits for one.
_LIMIT = 0.8
# What it says to a text that ends too early, in the C locale.
_TOO_EARLY = (
    "unexpected end of file",
    "unexpected EOF while looking for matching",
    "delimited by end-of-file",
)
_ERROR = re.compile(r"^\S+: line (\d+): ((?:syntax error|unexpected EOF).*)$", re.MULTILINE)
# The end of a line behind which a block goes on.
_OPENS = re.compile(r"(?:\b(?:then|do|else|in)|[{(]|\))\s*$")
_INDENT = "    "
# Lines of the code that are shown before and behind the one with an error.
_AROUND = 2


def completeness(code: str, program: Sequence[str]) -> str:
    """Return ``complete``, ``incomplete`` or ``invalid``; ``unknown`` if bash cannot be asked.

    Pathnames are as in an interactive session that uses extended patterns; aliases that open a block are not
    known here.
    """
    parsed = _parsed(code, program)
    return "unknown" if parsed is None else judge(code, *parsed)


def indent(code: str) -> str:
    """Return what the line behind an incomplete text should begin with."""
    last = code.rstrip("\n").rpartition("\n")[2]
    own = last[: len(last) - len(last.lstrip())]
    return own + _INDENT if _OPENS.search(last) else own


class BashSyntaxError(NamedTuple):
    """What bash's parser says to a text, and about which of its lines."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"

    def shown_in(self, code: str) -> list[str]:
        """Return the lines of a traceback: the message, and the lines of the code around it."""
        lines = code.rstrip("\n").split("\n")
        at = min(self.line, len(lines))
        shown = range(max(1, at - _AROUND), min(len(lines), at + _AROUND) + 1)
        width = len(str(shown[-1]))
        return [
            f"SyntaxError: {self}",
            *(f"{'---->' if each == at else '':5} {each:{width}} {lines[each - 1]}" for each in shown),
        ]


def syntax_error(code: str, program: Sequence[str]) -> BashSyntaxError | None:
    """Return what is wrong with a text; None if nothing is, or bash cannot be asked."""
    parsed = _parsed(code, program)
    match = _ERROR.search(parsed[1]) if parsed is not None else None
    return BashSyntaxError(int(match[1]), match[2]) if match else None


def _parsed(code: str, program: Sequence[str]) -> tuple[int, str] | None:
    """Have a text parsed; return the status and what bash has said."""
    try:
        run = subprocess.run(
            [program[0], "-O", "extglob", "-n", "/dev/stdin"],
            input=code.encode("utf-8", "surrogateescape"),
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_LIMIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.returncode, run.stderr.decode(errors="replace")


def judge(code: str, status: int, message: str) -> str:
    """Judge by what ``bash -n`` has said to a text."""
    if any(text in message for text in _TOO_EARLY):
        return "incomplete"
    if status != 0:
        return "invalid"
    backslashes = len(code) - len(code.rstrip("\\"))
    return "incomplete" if backslashes % 2 else "complete"
