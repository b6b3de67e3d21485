"""Which cell the output of one terminal belongs to: marks behind a cell tell where it ends.

    the cell's output | E behind (prompts, traps) F | between …

``E`` ends a cell with a status, ``F`` says that the child is ready for the next. What is read after a cell
was handed over belongs to it; nothing tells the output of a job in the background from its own. A child that
is driven by its prompts prints ``P`` instead, and what that means is decided elsewhere: see ``end``. No I/O.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import NamedTuple

from .scanner import RESCUED, Mark, Scanner


class Place(Enum):
    """Where a child is, as far as one of its terminals has told."""

    INSIDE = "inside"
    BEHIND = "behind"
    BETWEEN = "between"


class Text(NamedTuple):
    """Output that belongs to a cell: printed by it, or after its end by what it has left running."""

    text: str
    cell: int


class Ended(NamedTuple):
    """The cell has ended, with the status that the child told; ``broken``: it was told by a rescue."""

    status: str
    broken: bool = False


class Ready(NamedTuple):
    """The child is ready for the next cell; the value is the language's own.

    ``noisy``: what came behind the cell may be prompts and traces of the framework's own commands.
    """

    value: str
    noisy: bool


class Prompted(NamedTuple):
    """The child waits for a line; what it says by that is the value."""

    value: str


Event = Text | Ended | Ready | Prompted


class Framing:
    """Follows the marks on one terminal, or, by ``step``, those on another.

    What comes between ``E`` and ``F`` is held until it is known whether it is noise; else it is output like
    any other.
    """

    def __init__(self, child: str) -> None:
        self._scanner = Scanner(child)
        self.cell = -1
        self.place = Place.BETWEEN
        self._rescue = 0
        self._behind: list[str] = []

    @property
    def holds(self) -> bool:
        """Whether the scanner holds something back."""
        return self._scanner.holds

    def expect(self, cell: int) -> None:
        """Follow ``cell`` from now on; the earlier one is over, whatever of it may still come."""
        self.cell = cell
        self.place = Place.INSIDE
        self._rescue = 0
        self._behind.clear()

    def expect_rescue(self, number: int) -> None:
        """Take the child for ready only when it says so to the ``number``-th line that asked it again."""
        self._rescue = number

    def end(self, status: str) -> Iterator[Event]:
        """The cell has ended, and the child is ready: so its prompt was understood."""
        self.place = Place.BETWEEN
        yield Ended(status)
        yield Ready("", noisy=False)

    def step(self, event: Ended | Ready) -> Iterator[Event]:
        """Follow a mark that was found on another terminal, when all that came before it here is fed."""
        yield from self.finish()
        if isinstance(event, Ended):
            self.place = Place.BEHIND
        else:
            yield from self._between(is_noisy=event.noisy)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what the bytes tell, in order."""
        for part in self._scanner.feed(data):
            if isinstance(part, str):
                yield from self._text(part)
            elif part.cell == self.cell:  # a late mark of an earlier cell says nothing new
                yield from self._mark(part)

    def flush(self) -> Iterator[Event]:
        """Yield what was held back because it was unfinished, and has waited long enough."""
        if text := self._scanner.flush():
            yield from self._text(text)

    def finish(self) -> Iterator[Event]:
        """Yield all that was held back: nothing more will come of it."""
        if text := self._scanner.finish():
            yield from self._text(text)

    def _text(self, text: str) -> Iterator[Event]:
        if self.place is Place.BEHIND:
            self._behind.append(text)
        else:
            yield Text(text, self.cell)

    def _mark(self, mark: Mark) -> Iterator[Event]:
        if mark.kind == "E" and self.place is Place.INSIDE:
            self.place = Place.BEHIND
            yield Ended(mark.value.removeprefix(RESCUED), mark.value.startswith(RESCUED))
        elif mark.kind == "F":
            number, _, value = mark.value.partition(",")
            if number == str(self._rescue) and self.place is Place.BEHIND:
                is_noisy = value.startswith("!")
                yield Ready(value.removeprefix("!"), is_noisy)
                yield from self._between(is_noisy=is_noisy)
        elif mark.kind == "P" and self.place is Place.INSIDE:
            yield Prompted(mark.value)

    def _between(self, *, is_noisy: bool) -> Iterator[Event]:
        self.place = Place.BETWEEN
        behind = "".join(self._behind)
        self._behind.clear()
        if behind and not is_noisy:
            yield Text(behind, self.cell)
