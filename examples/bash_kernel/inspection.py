"""What a user sees of a name in a tooltip: text, and the same in Markdown."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from typing import Any

from .companion import Answer, Companion
from .words import place

# What ends the name of a variable, and what ends a word.
_NO_NAME = re.compile(r"\W")
_NO_WORD = re.compile(r"[\s;&|<>()`'\"}\]]")
# Seconds that the manual may take.
_LIMIT = 2.0
# Lines of a function or a help text that are shown at detail level 0.
_FEW = 12
_SECTIONS = ("NAME", "SYNOPSIS", "DESCRIPTION")
_ATTRIBUTES = {
    "a": "indexed array",
    "A": "associative array",
    "i": "integer",
    "l": "lower case",
    "n": "reference",
    "r": "read-only",
    "t": "traced",
    "u": "upper case",
    "x": "exported",
}
_DECLARED = re.compile(r"declare -(\S+) ")


def inspect(companion: Companion, code: str, cursor: int, detail: int) -> dict[str, Any]:
    """Return the content of an inspect_reply about the word at the cursor, or else its command."""
    here = place(code, _end(_NO_NAME, code, cursor))
    if here.kind != "variable":
        here = place(code, _end(_NO_WORD, code, cursor))
    names = [here.word]
    if here.kind == "argument":
        names.append(here.words[0])
    for name in names:
        known = companion.describe(name) if name else []
        if here.kind == "variable":
            known = [answer for answer in known if answer[0] == "variable"]
        elif name != here.word or here.kind == "argument":
            known = [answer for answer in known if answer[0] != "variable"]
        if known:
            return _found(name, list(_sections(name, known, detail)))
    return {"found": False, "data": {}, "metadata": {}}


def _end(what: re.Pattern[str], code: str, cursor: int) -> int:
    match = what.search(code, cursor)
    return match.start() if match else len(code)


def _found(name: str, sections: Sequence[tuple[str, str]]) -> dict[str, Any]:
    plain = "\n\n".join(f"{title}\n{text}" for title, text in sections)
    markdown = "\n\n".join(f"**{title}**\n\n```bash\n{text}\n```" for title, text in sections)
    return {"found": True, "data": {"text/plain": plain, "text/markdown": markdown}, "metadata": {}}


def _sections(name: str, known: Sequence[Answer], detail: int) -> Iterator[tuple[str, str]]:
    paths = [text for kind, text in known if kind == "command"]
    for kind, text in known:
        text = text.rstrip("\n")
        if kind == "variable":
            match = _DECLARED.match(text)
            flags = match[1] if match else ""
            attributes = ", ".join(_ATTRIBUTES[flag] for flag in flags if flag in _ATTRIBUTES)
            yield f"{name}: variable" + (f" ({attributes})" if attributes else ""), text
        elif kind != "command":
            yield f"{name}: {kind}", text if detail else _shortened(text)
    if paths:
        yield f"{name}: command", "\n".join(paths)
        manual = _manual(os.path.basename(name), detail)
        if manual:
            yield f"{name}: manual", manual


def _shortened(text: str) -> str:
    lines = text.split("\n")
    return text if len(lines) <= _FEW else "\n".join([*lines[:_FEW], "..."])


def _manual(name: str, detail: int) -> str:
    """Return the page of the manual about a command, or its first sections; nothing if there is none."""
    try:
        run = subprocess.run(
            ["man", "-P", "cat", "--", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**os.environ, "MANWIDTH": "80", "MAN_KEEP_FORMATTING": "", "LC_ALL": "C.UTF-8"},
            timeout=_LIMIT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    text = re.sub(".\b", "", run.stdout.decode("utf-8", "replace"))
    if run.returncode or detail:
        return "" if run.returncode else text.strip("\n")
    return "\n\n".join(section for title in _SECTIONS if (section := _section(text, title)))


def _section(page: str, title: str) -> str:
    """Return one section of a page of the manual; of a long one, the beginning."""
    match = re.search(rf"^{title}\n((?:[ \t].*\n|\n)*)", page, re.MULTILINE)
    return f"{title}\n{_shortened(match[1].strip(chr(10)))}" if match else ""
