"""The marks of the tests against the table of rows: nothing missing, nothing stale."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_every_row_has_a_test_and_every_must_a_mutation() -> None:
    command = [sys.executable, "-m", "tests.tools.marks"]
    run = subprocess.run(command, cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert run.stdout + run.stderr == ""
    assert run.returncode == 0
