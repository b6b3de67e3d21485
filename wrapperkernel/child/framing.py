"""Which cell the output of one terminal belongs to: the marks around a cell cut it out of what comes.

    between | B the cell's output E | behind (prompts, traps) F | between …

``B`` begins a cell, ``E`` ends it with a status, ``F`` says that the child is ready for the next. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from .scanner import Mark, Scanner


class Place(Enum):
    """Where a child is, as far as one of its terminals has told."""

    BETWEEN = "between"
    INSIDE = "inside"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Text:
    """Output that belongs to a cell: printed by it, or after its end by what it has left running."""

    text: str
    cell: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The cell has ended, with the status that the child told; ``broken``: it was told by a rescue."""

    status: str
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Ready:
    """The child is ready for the next cell; the value is the language's own."""

    value: str


Event = Text | Ended | Ready


class Framing:
    """Follows the marks on one terminal.

    What comes between ``E`` and ``F`` is held until ``F`` tells whether it may be prompts and traces of the
    framework's own commands (``is_noise``); else it is output like any other.
    """

    def __init__(self, child: str) -> None:
        self._scanner = Scanner(child)
        self.cell = -1
        self.place = Place.BETWEEN
        self._is_told = False
        self._rescue = 0
        self._behind: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether the scanner holds something back."""
        return self._scanner.holds

    def expect(self, cell: int) -> None:
        """Follow ``cell`` from now on; the earlier one is over, whatever of it may still come."""
        self.cell = cell
        self.place = Place.BETWEEN
        self._is_told = False
        self._rescue = 0
        self._behind.clear()

    def expect_rescue(self, number: int) -> None:
        """Take the child for ready only when it says so to the ``number``-th line that asked it again."""
        self._rescue = number

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what the bytes tell, in order."""
        for part in self._scanner.feed(data):
            if isinstance(part, str):
                yield from self._text(part)
            elif part.cell == self.cell:  # a late mark of an earlier cell says nothing new
                yield from self._mark(part)

    def flush(self) -> Iterator[Event]:
        """Yield what was held back because it was unfinished."""
        if text := self._scanner.flush():
            yield from self._text(text)

    def _text(self, text: str) -> Iterator[Event]:
        if self.place is Place.BEHIND:
            self._behind.append(text)
        else:
            is_earlier = self.place is Place.BETWEEN and not self._is_told
            yield Text(text, self.cell - 1 if is_earlier else self.cell)

    def _mark(self, mark: Mark) -> Iterator[Event]:
        if mark.kind == "B" and self.place is Place.BETWEEN and not self._is_told:
            self.place = Place.INSIDE
        elif mark.kind == "E" and not self._is_told:
            self.place = Place.BEHIND
            self._is_told = True
            yield Ended(mark.value.removeprefix("!"), mark.value.startswith("!"))
        elif mark.kind == "F":
            number, _, value = mark.value.partition(",")
            if number == str(self._rescue) and self.place is not Place.BETWEEN:
                yield from self._ready(value)

    def _ready(self, value: str) -> Iterator[Event]:
        self.place = Place.BETWEEN
        behind = "".join(self._behind)
        self._behind.clear()
        yield Ready(value)
        if behind and not is_noise(value):
            yield Text(behind, self.cell)


def is_noise(value: str) -> bool:
    """Tell whether a child that is ready so may have printed something on its own behind the cell."""
    return value.startswith("!")
