"""What is known about a name, and what a word may become: asked of a second bash, beside the first.

It is told what the shell knew when it was last idle (the snapshot that ``handover`` has it write), so it
answers while a cell runs, and nothing that it does touches the shell. Of the user's text it gets words, as
arguments; what it runs are completion functions, which get words that mean nothing more than themselves.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any

from .words import Place, place

_SCRIPT = os.path.join(os.path.dirname(__file__), "companion.sh")
# Seconds that an answer may take.
_LIMIT = 1.0
# What readline takes for the end of a word beside blanks, in words that a completion function gets.
_BREAKS = "=:"
_OURS = "_wk_"
# Characters of a file's name that bash would take for something else.
_SPECIAL = frozenset(" \t\n'\"\\$`!*?[]{}()<>|&;#~^")

Answer = tuple[str, str]  # a type and a text


class Companion:
    """Answers for a shell whose process is ``pid``, from the file ``snapshot``."""

    def __init__(self, bash: str, snapshot: str, pid: int) -> None:
        self._bash = bash
        self._snapshot = snapshot
        self._directory = f"/proc/{pid}/cwd" if os.path.isdir(f"/proc/{pid}/cwd") else "."

    def complete(self, code: str, cursor: int) -> dict[str, Any]:
        """Return the content of a complete_reply: matches, their types, and what they replace."""
        here = place(code, cursor)
        answers, start = self._answers(here)
        matches: dict[str, str] = {}
        for kind, text in answers:
            if not text.startswith(_OURS):
                kind, text = self._as_path(kind, text)
                matches.setdefault(_quoted(text, here), kind)
        start = min(here.start + start, cursor)
        types = [
            {"start": start, "end": cursor, "text": text, "type": kind} for text, kind in matches.items()
        ]
        return {
            "matches": list(matches),
            "cursor_start": start,
            "cursor_end": cursor,
            "metadata": {"_jupyter_types_experimental": types},
        }

    def describe(self, name: str) -> list[Answer]:
        """Return what is known about a name: aliases, functions, builtins, commands (paths), a variable."""
        return self._ask("describe", name)

    def _answers(self, here: Place) -> tuple[list[Answer], int]:
        """Return what may stand at a place, and how much of the word before the cursor stays as it is."""
        word = here.word
        if here.kind == "none":
            return [], 0
        if here.kind == "variable":
            end = "}" if here.brace else ""
            return [(kind, text + end) for kind, text in self._ask("variable", word)], 0
        if word.startswith("~") and "/" not in word and not here.quote:
            return self._ask("user", word[1:]), 1
        if here.kind != "argument" or not here.is_plain:
            kind = "command" if here.kind == "command" else "file"
            return self._ask(kind, word), 0
        broken = _broken([*here.words, word])
        answers = self._ask("argument", str(len(broken) - 1), *broken)
        return answers, len(word) - len(broken[-1])

    def _as_path(self, kind: str, text: str) -> Answer:
        """Tell files from folders, which end with a slash."""
        if kind in ("path", "file", "directory"):
            path = os.path.join(self._directory, os.path.expanduser(text))
            if os.path.isdir(path):
                return "directory", text.rstrip("/") + "/"
            return "file", text
        return kind, text

    def _ask(self, question: str, *words: str) -> list[Answer]:
        """Ask one question; nothing is answered when that takes too long."""
        try:
            run = subprocess.run(
                [self._bash, "--norc", "--noprofile", _SCRIPT, self._snapshot, question, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self._directory,
                timeout=_LIMIT,
                start_new_session=True,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired):
            return []
        parts = run.stdout.decode("utf-8", "surrogateescape").split("\0")
        return list(zip(parts[::2], parts[1::2], strict=False))


def _broken(words: Sequence[str]) -> list[str]:
    """Break words where readline does, as completion functions expect."""
    broken: list[str] = []
    for word in words:
        piece = ""
        for char in word:
            if char in _BREAKS:
                broken += [piece, char] if piece else [char]
                piece = ""
            else:
                piece += char
        broken.append(piece)
    return broken


def _quoted(text: str, here: Place) -> str:
    """Quote a match as the quotes that are open want it."""
    if here.kind in ("variable", "none"):
        return text
    if here.quote == "'":
        return text.replace("'", "'\\''")
    if here.quote == '"':
        return "".join("\\" + char if char in '"$`\\' else char for char in text)
    escaped = "".join("\\" + char if char in _SPECIAL else char for char in text)
    return "~" + escaped[2:] if text.startswith("~") else escaped
