"""The bytes of one terminal, in any chunks, become text and marks.

A mark is what a child prints to say where it is, and nobody else sees: ``ESC ] 7770 ; NONCE ; KIND ; VALUE
BEL``. The nonce begins with the child's own (so that no text of a user is taken for a mark) and ends with the
cell's number. It knows no cell and does no I/O.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import NamedTuple

RESCUED = "!"
"""What the value of a mark begins with that is printed again, because an interrupt may have cut the first."""

_BEGIN = b"\x1b]7770;"
_REST = re.compile(rb"([0-9a-f]+)\.([0-9]+);([A-Z]);([^\x07\x1b\n]{0,255})\x07")
# What can still become a mark when more comes.
_UNFINISHED_REST = re.compile(rb"[0-9a-f]{0,32}(\.[0-9]{0,20}(;([A-Z](;[^\x07\x1b\n]{0,255})?)?)?)?\Z")
# A mark whose printing was interrupted: as much of it as came, if that is enough to know it for one of ours.
# What follows is something else.
_CUT_REST = re.compile(rb"[0-9a-f]{6,}(\.[0-9]*(;([A-Z](;[0-9A-Za-z,!]{0,40})?)?)?)?")
# The same where too little came: it is known by the whole mark that follows at once.
_FIRST_OF_CUT = re.compile(r"\x1b(\](7(7(7(0(;[0-9a-f]{0,5})?)?)?)?)?)?\Z")
_LONGEST_OF_CUT = len(_BEGIN) + 5


class Mark(NamedTuple):
    """What a child says about itself: the ``cell`` that it means, a ``kind`` (a capital letter), a value."""

    cell: int
    kind: str
    value: str = ""

    def printed(self, child: str) -> bytes:
        """Return the mark as the child with the nonce ``child`` prints it."""
        return b"%s%s.%d;%s;%s\x07" % (
            _BEGIN,
            child.encode(),
            self.cell,
            self.kind.encode(),
            self.value.encode(),
        )


class Scanner:
    """Tells text from the marks of one child; feed it what its terminal brings.

    Text is decoded as UTF-8 (``errors="replace"``). Half a code point and half a mark are held back until the
    rest comes; ``flush`` and ``finish`` give up waiting.
    """

    def __init__(self, child: str) -> None:
        self._child = child.encode()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._bytes = b""  # perhaps the beginning of a mark
        self._text = ""  # perhaps the beginning of a mark that was cut
        self._is_within = False  # a code point, or what may be such a mark

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return bool(self._bytes or self._text)

    def feed(self, data: bytes) -> Iterator[str | Mark]:
        """Yield the text and the marks that are complete by now, in order; no empty text."""
        if self._bytes:
            data = self._bytes + data
            self._bytes = b""
        begin = behind = 0
        while (at := data.find(_BEGIN, behind)) >= 0:
            rest = at + len(_BEGIN)
            match = _REST.match(data, rest)
            if match is not None and match[1] == self._child:
                before = data[begin:at]
                if before or self._is_within:
                    text = self._decoded(before, ends=True)
                    if match[4].startswith(RESCUED.encode()):  # then the mark before may have been cut
                        text = self._uncut(text)
                    if text:
                        yield text
                yield Mark(int(match[2]), match[3].decode(), match[4].decode("utf-8", "replace"))
                begin = behind = match.end()
                continue
            if _UNFINISHED_REST.match(data, rest):
                break
            cut = _CUT_REST.match(data, rest)
            behind = rest
            if cut is not None and self._child.startswith(cut[0].partition(b".")[0]):
                if text := self._decoded(data[begin:at]):
                    yield text
                begin = behind = cut.end()
        if begin == len(data):
            return
        if at < 0:
            at = len(data) - _overlap(data[max(begin, len(data) - len(_BEGIN)) :], _BEGIN)
        self._bytes = data[at:]
        if text := self._decoded(data[begin:at]):
            yield text

    def flush(self) -> str:
        """Return what is held back, but for half a code point, of which the rest must come."""
        held, self._bytes = self._bytes, b""
        text = self._decoded(held)
        cut, self._text = self._text, ""
        return text + cut

    def finish(self) -> str:
        """Return all that is held back: nothing more will come."""
        held, self._bytes = self._bytes, b""
        return self._decoded(held, ends=True)

    def _decoded(self, data: bytes, *, ends: bool = False) -> str:
        text = self._text + self._decoder.decode(data, final=ends)
        self._text = ""
        self._is_within = False
        if not ends:
            self._is_within = bool(self._decoder.getstate()[0])
            at = text.rfind("\x1b", max(0, len(text) - _LONGEST_OF_CUT))
            if at >= 0 and _FIRST_OF_CUT.match(text, at):
                self._text = text[at:]
                self._is_within = True
                return text[:at]
        return text

    def _uncut(self, text: str) -> str:
        """Drop the first characters of a mark that was cut, and at once followed by a whole one."""
        mark = _BEGIN + self._child
        return text[: len(text) - _overlap(text[-len(mark) :].encode(), mark)]


def _overlap(data: bytes, mark: bytes) -> int:
    """Return how many bytes at the end of ``data`` are the first ones of ``mark``."""
    for size in range(min(len(mark), len(data)), 0, -1):
        if data.endswith(mark[:size]):
            return size
    return 0
