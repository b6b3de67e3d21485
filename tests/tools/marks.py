"""The row marks of the tests, as pytest collects them; run as a module, says what is wrong with them.

`python -m tests.tools.marks` prints nothing when every row of tests/rows.py has a test, every MUST row a
mutation, and every mutation a line to change that stands in the library exactly once.
It runs no test: protocol.py reports results, mutate.py applies the mutations.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.rows import MUST, ROWS

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Mutation:
    """A change of one line of the library, meant to break what a row asks for."""

    file: str  # relative to the package
    old: str
    new: str

    def applied(self, source: str) -> str:
        """Return the source with the line changed; ValueError if there is no such line, or more than one."""
        if "\n" in self.old:
            raise ValueError("old is more than one line")
        if self.old == self.new:
            raise ValueError("new is old")
        if (times := source.count(self.old)) != 1:
            raise ValueError(f"old stands {times} times in {self.file}: {self.old}")
        return source.replace(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Mark:
    """One `@pytest.mark.row(…)` on one test function (its parameters are not told apart)."""

    test: str
    rows: tuple[str, ...]
    mutation: Mutation | None


def function(nodeid: str) -> str:
    """Return the ID of a test function, without the parameters of the case."""
    return nodeid.partition("[")[0]


def read(results: Path) -> tuple[list[Mark], dict[str, list[str]]]:
    """Read a results file (conftest.py): the marks, and the outcomes of each function's cases."""
    marks: dict[Mark, None] = {}  # a set that keeps the order of the tests
    outcomes: dict[str, list[str]] = {}
    for line in results.read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        test = function(record["test"])
        for mark in record.get("marks", ()):
            rows = tuple(mark.pop("rows"))
            marks[Mark(test, rows, Mutation(**mark) if mark else None)] = None
        if "outcome" in record:
            outcomes.setdefault(test, []).append(record["outcome"])
    return list(marks), outcomes


def collect(arguments: Sequence[str] = ()) -> list[Mark]:
    """Let pytest collect the tests and return their marks; exit with its words if it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.jsonl")
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", f"--results={results}", *arguments]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"pytest cannot collect the tests:\n{run.stdout}{run.stderr}")
        return read(results)[0]


def by_row(marks: Sequence[Mark]) -> Mapping[str, list[Mark]]:
    """Return the marks of each row, for every row of the table."""
    return {row: [mark for mark in marks if row in mark.rows] for row in ROWS}


def complaints(marks: Sequence[Mark]) -> Iterator[str]:
    """Say what is missing or stale, a line for each."""
    for mark in marks:
        for row in mark.rows:
            if row not in ROWS:
                yield f"{mark.test}: no row {row} in tests/rows.py"
        if mark.mutation is not None:
            try:
                mark.mutation.applied(
                    (ROOT / "wrapperkernel" / mark.mutation.file).read_text(encoding="utf-8")
                )
            except (OSError, ValueError) as error:
                yield f"{mark.test}: {', '.join(mark.rows)}: {error}"
    for row, its_marks in by_row(marks).items():
        if not its_marks:
            yield f"row {row} has no test: {ROWS[row].title}"
        elif ROWS[row].level == MUST and not any(mark.mutation for mark in its_marks):
            yield f"row {row} is a MUST, and no test of it names a mutation"


if __name__ == "__main__":
    found = list(complaints(collect()))
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(bool(found))
