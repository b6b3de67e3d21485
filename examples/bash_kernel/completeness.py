"""Whether a text is a whole piece of bash: bash's own parser decides, and runs nothing."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

# Seconds that bash may take; a frontend waits for one.
_LIMIT = 0.8
# What it says to a text that ends too early, in the C locale.
_TOO_EARLY = (
    "unexpected end of file",
    "unexpected EOF while looking for matching",
    "delimited by end-of-file",
)


def completeness(code: str, program: Sequence[str]) -> str:
    """Return ``complete``, ``incomplete`` or ``invalid``; ``unknown`` if bash cannot be asked.

    Pathnames are as in an interactive session that uses extended patterns; aliases that open a block are not
    known here.
    """
    try:
        run = subprocess.run(
            [program[0], "-O", "extglob", "-n"],
            input=code.encode("utf-8", "surrogateescape"),
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_LIMIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return judge(code, run.returncode, run.stderr.decode(errors="replace"))


def judge(code: str, status: int, message: str) -> str:
    """Judge by what ``bash -n`` has said to a text."""
    if any(text in message for text in _TOO_EARLY):
        return "incomplete"
    if status != 0:
        return "invalid"
    backslashes = len(code) - len(code.rstrip("\\"))
    return "incomplete" if backslashes % 2 else "complete"
