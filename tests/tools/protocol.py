"""Print each row of the protocol, the tests that show it, and whether they passed (`make protocol`).

Reads what the last run of the tests recorded; exits with 1 if a row has no passing test or a failing one.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.rows import ROWS
from tests.tools.marks import by_row, read


def result(outcomes: Sequence[str]) -> str:
    """Return one word for all cases of a test: the worst of them."""
    for worst in ("failed", "skipped"):
        if worst in outcomes:
            return worst
    return "passed" if outcomes else "not run"


def report(path: Path) -> int:
    """Print the table; return how many rows are not shown."""
    marks, outcomes = read(path)
    results: Mapping[str, str] = {mark.test: result(outcomes.get(mark.test, ())) for mark in marks}
    missing = []
    for row, its_marks in by_row(marks).items():
        tests = list(dict.fromkeys(mark.test for mark in its_marks))
        for test in tests or ["no test"]:
            print(f"{row:4} {test}  {results.get(test, 'missing')}")
        words = {results[test] for test in tests}
        if "passed" not in words or "failed" in words:
            missing.append(row)
    print(f"{len(ROWS) - len(missing)} of {len(ROWS)} rows are shown by passing tests")
    if missing:
        print("not shown:", *missing)
    return len(missing)


if __name__ == "__main__":
    sys.exit(bool(report(Path(sys.argv[1]))))
