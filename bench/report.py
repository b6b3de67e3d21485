"""Arithmetic and tables: samples in, markdown out.

It measures nothing and reads no clock; it needs nothing but the standard library.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

#: The samples of one contestant in the order of the rounds; None for a round in which it was not measured.
Samples = Sequence[float | None]

#: By contestant, then by the key of a measure.
Results = Mapping[str, Mapping[str, Samples]]

BEGIN = "<!-- bench: begin, written by python -m bench --write -->"
END = "<!-- bench: end -->"

#: What stands for a figure that was not measured.
NOTHING = "-"


class Row(Protocol):
    """What a table needs to know of a measure."""

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def digits(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Spread:
    """The minimum, median and maximum of some numbers."""

    minimum: float
    median: float
    maximum: float

    @classmethod
    def of(cls, numbers: Samples) -> Spread | None:
        """Return the spread of the numbers that are there, None if none is."""
        present = [number for number in numbers if number is not None]
        if not present:
            return None
        return cls(min(present), statistics.median(present), max(present))


@dataclass(frozen=True, slots=True)
class Target:
    """A figure to reach: a measure of a contestant, alone or as a ratio to that of another contestant.

    Met when the median is; the table shows the minimum and the maximum beside it.
    """

    label: str
    measure: str
    contestant: str
    limit: float
    at_least: bool = False  # else at most
    against: str | None = None

    def met(self, spread: Spread) -> bool:
        """Tell whether the median is on the right side of the limit."""
        return spread.median >= self.limit if self.at_least else spread.median <= self.limit

    @property
    def aim(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g}{'' if self.against is None else ' times'}"


def ratios(ours: Samples, theirs: Samples) -> list[float]:
    """Divide round by round: what was measured in the same round shared the same noise."""
    return [a / b for a, b in zip(ours, theirs, strict=True) if a is not None and b]


def spread_of(target: Target, results: Results) -> Spread | None:
    """Return the spread of a target's figure, None if it was not measured."""
    ours = results.get(target.contestant, {}).get(target.measure, ())
    if target.against is None:
        return Spread.of(ours)
    theirs = results.get(target.against, {}).get(target.measure, ())
    return Spread.of(ratios(ours, theirs)) if len(ours) == len(theirs) else None


def targets_table(targets: Sequence[Target], results: Results) -> str:
    """Return a table of the targets: minimum, median, maximum, and whether the median is good enough."""
    rows = [["target", "aim", "min", "median", "max", "met"]]
    for target in targets:
        spread = spread_of(target, results)
        if spread is None:
            rows.append([target.label, target.aim, *[NOTHING] * 3, "not measured"])
            continue
        numbers = [
            f"{number:.2f}" if number == 0 or number >= 0.1 else f"{number:.4f}"
            for number in (spread.minimum, spread.median, spread.maximum)
        ]
        rows.append([target.label, target.aim, *numbers, "yes" if target.met(spread) else "**no**"])
    return table(rows)


def ratios_table(measures: Sequence[Row], contestants: Sequence[str], base: str, results: Results) -> str:
    """Return a table of each contestant's measures divided by those of ``base``."""
    others = [name for name in contestants if name != base and name in results]
    rows = [["measure", *others]]
    for measure in measures:
        bases = results.get(base, {}).get(measure.key, ())
        cells = []
        for name in others:
            theirs = results[name].get(measure.key, ())
            spread = Spread.of(ratios(theirs, bases)) if len(theirs) == len(bases) else None
            cells.append(_cell(spread, 2))
        if any(cell != NOTHING for cell in cells):
            rows.append([measure.label, *cells])
    return table(rows)


def figures_table(measures: Sequence[Row], contestants: Sequence[str], results: Results) -> str:
    """Return a table of what was measured: median (minimum to maximum) of each measure and contestant."""
    names = [name for name in contestants if name in results]
    rows = [["measure", *names]]
    for measure in measures:
        spreads = [Spread.of(results[name].get(measure.key, ())) for name in names]
        rows.append([measure.label, *(_cell(spread, measure.digits) for spread in spreads)])
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return a markdown table; the first row is its head, the first column text, the others numbers."""
    head, *body = rows
    ruler = ["---", *("---:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ruler, *body))


def insert(page: str, text: str) -> str:
    """Return the page with the text between its two markers, in place of what was there.

    Raises ValueError when the page has not exactly one pair of markers, in their order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise ValueError(f"the page needs the lines {BEGIN!r} and {END!r}, once each")
    return f"{before}{BEGIN}\n{text.strip()}\n{END}{after}"


def write(file: Path, text: str) -> None:
    """Put the text between the markers of a page."""
    file.write_text(insert(file.read_text(encoding="utf-8"), text), encoding="utf-8")


def _cell(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return NOTHING
    low, middle, high = (f"{number:.{digits}f}" for number in (spread.minimum, spread.median, spread.maximum))
    return middle if low == high else f"{middle} ({low} to {high})"
