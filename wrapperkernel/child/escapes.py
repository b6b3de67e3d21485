r"""Escape sequences in a child's output, sorted by what a notebook page can do with them.

Colours, links and what moves the cursor stay in the text, for frontends to show or to ignore. Control strings
that carry something to display are taken out whole, in order with the text. All others are dropped, because
a page would print them; so is what is drawn on the alternate screen, which is gone when the program leaves
it. The sequences are those of ECMA-48 and of xterm ("XTerm Control Sequences"). No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from typing import NamedTuple

LARGEST = 64 * 1024 * 1024
"""Characters of the largest control string that can be displayed."""
# Characters of the longest of the other sequences: what is longer is none.
_LONGEST = 4096

_CONTROL = re.compile(r"\x1b\[([0-?]*)[ -/]*([@-~])")
_UNFINISHED = re.compile(r"\x1b(\[[0-?]*)?[ -/]*\Z")
_SHORT = re.compile(r"\x1b(?!\[)[ -/]*[0-~]")
_LINK = re.compile(r"\x1b\]8;[^;]*;")
_STRINGS = frozenset("]P_^X")
_DISPLAYED = re.compile(r"\x1b(\](7771;|1337;(File=|MultipartFile=|FilePart=|FileEnd))|P[0-9;]*q|_G)")
# What no control string to display holds; and none of the others, which are short.
_NOT_IN_DISPLAYED = re.compile(r"[^!-~\r\n]")
_NOT_IN_OTHERS = re.compile(r"[\x00-\x1f\x7f]")
_ALTERNATE_SCREENS = frozenset({"47", "1047", "1049"})
# Questions to the terminal, which nobody answers, and what is done to its window.
_OTHERS = frozenset("cnt")
# To place the cursor elsewhere than at the beginning of the screen, where it is put when that is cleared.
_PLACES = frozenset("Hf")
_HOME = re.compile("[01]?(;[01]?)?")


class ControlString(NamedTuple):
    """Something to display: the character that introduces it (``]`` OSC, ``P`` DCS, ``_`` APC) and the rest.

    Of one that is too large the rest is empty.
    """

    kind: str
    body: str


Piece = str | ControlString


class Escapes:
    """Sorts the text of one terminal, in any chunks."""

    def __init__(self) -> None:
        self._held = ""  # an unfinished sequence
        self._kind = ""  # of the control string to display that is unfinished
        self._parts: list[str] = []
        self._size = 0
        self.is_alternate = False
        """Whether the alternate screen is on, whose text is dropped."""
        self._has_addressed = False

    @property
    def draws_screen(self) -> bool:
        """Whether a full-screen program is at work: on the alternate screen, or anywhere on this one."""
        return self.is_alternate or self._has_addressed

    def feed(self, text: str) -> Iterator[Piece]:
        """Yield text and what is to be displayed, in order; no empty text."""
        if not self._held and not self._kind and "\x1b" not in text:
            if text and not self.is_alternate:
                yield text
            return
        shown: list[str] = []
        for piece in self._sorted(self._held + text):
            if isinstance(piece, str):
                if not self.is_alternate:
                    shown.append(piece)
                continue
            if shown:
                yield "".join(shown)
                shown.clear()
            yield piece
        if shown:
            yield "".join(shown)

    def finish(self) -> str:
        """Return the text that was held back, and start anew: the cell has ended."""
        held = "" if self._kind or self.is_alternate else self._held
        self._held = self._kind = ""
        self._parts.clear()
        self.is_alternate = self._has_addressed = False
        return held

    def _sorted(self, text: str) -> Iterator[Piece]:
        self._held = ""
        at = 0
        while at < len(text):
            if self._kind:
                at = yield from self._inside(text, at)
                continue
            escape = text.find("\x1b", at)
            if escape < 0:
                yield text[at:]
                return
            if escape > at:
                yield text[at:escape]
            if text[escape + 1 : escape + 2] in _STRINGS:
                at = yield from self._string(text, escape)
            else:
                at = yield from self._short(text, escape)

    # Each of these looks at what is at a place, and returns the place behind it.

    def _short(self, text: str, at: int) -> Generator[Piece, None, int]:
        """Sort a sequence that is no string."""
        if control := _CONTROL.match(text, at):
            if not self._switches(control[1], control[2]):
                yield control[0]
            return control.end()
        if len(text) - at <= _LONGEST and _UNFINISHED.match(text, at):
            self._held = text[at:]
            return len(text)
        if short := _SHORT.match(text, at):
            return short.end()
        yield "\x1b"
        return at + 1

    def _switches(self, parameters: str, final: str) -> bool:
        """Follow a control sequence that switches or asks something; tell whether it is one of those."""
        if parameters.startswith("?") and final in "hl":
            if _ALTERNATE_SCREENS.intersection(parameters[1:].split(";")):
                self.is_alternate = final == "h"
            return True
        if final in _PLACES and not _HOME.fullmatch(parameters):
            self._has_addressed = True
        return parameters[:1] in ("?", "<", "=", ">") or final in _OTHERS

    def _string(self, text: str, at: int) -> Generator[Piece, None, int]:
        """Sort a control string from its beginning."""
        if _DISPLAYED.match(text, at):
            self._kind, self._size = text[at + 1], 0
            return at + 2
        end = _NOT_IN_OTHERS.search(text, at + 2)
        behind = _terminator(text, end.start(), text[at + 1]) if end else 0
        if behind == 0 and len(text) - at <= _LONGEST:
            self._held = text[at:]
            return len(text)
        if behind <= 0:
            yield "\x1b"
            return at + 1
        if _LINK.match(text, at):
            yield text[at:behind]
        return behind

    def _inside(self, text: str, at: int) -> Generator[Piece, None, int]:
        """Go on with a control string to display."""
        end = _NOT_IN_DISPLAYED.search(text, at)
        until = end.start() if end else len(text)
        self._size += until - at
        if self._size <= LARGEST:
            self._parts.append(text[at:until])
        behind = _terminator(text, until, self._kind) if end else 0
        if behind == 0:
            self._held = text[until:]
            return len(text)
        kind, self._kind = self._kind, ""
        body = "".join(self._parts) if self._size <= LARGEST else ""
        self._parts.clear()
        if behind < 0:  # it was broken off, as by an interrupt
            return until
        yield ControlString(kind, body)
        return behind


def visible(text: str) -> str:
    """Return what ``Escapes`` leaves of a whole text."""
    escapes = Escapes()
    return "".join(piece for piece in escapes.feed(text) if isinstance(piece, str)) + escapes.finish()


def _terminator(text: str, at: int, kind: str) -> int:
    """Return the place behind the terminator at a place; 0 if it is unfinished, -1 if there is none."""
    if text[at] == "\x07" and kind == "]":
        return at + 1
    if text[at] != "\x1b":
        return -1
    if at + 1 == len(text):
        return 0
    return at + 2 if text[at + 1] == "\\" else -1
