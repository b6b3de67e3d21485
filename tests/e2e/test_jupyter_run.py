"""jupyter run: files and standard input executed by a kernel that is started for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("kernels")

LIMIT = 120  # seconds; only a broken kernel needs them


def jupyter_run(*words: object, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``jupyter run`` with the toy to its end."""
    argv = [sys.executable, "-m", "jupyter_client.runapp", "--kernel=plain-toy", *map(str, words)]
    return subprocess.run(argv, input=given, capture_output=True, text=True, timeout=LIMIT)


def test_files(tmp_path: Path) -> None:
    """The names of the files are also handed to the kernel, on its command line."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"print {name}\nerr from {name}")
    run = jupyter_run(tmp_path / "one", tmp_path / "two")
    assert (run.returncode, run.stdout, run.stderr) == (0, "one\ntwo\n", "from one\nfrom two\n")


def test_standard_input() -> None:
    run = jupyter_run(given="print one\nresult 42")
    assert (run.returncode, run.stdout, run.stderr) == (0, "one\n42", "")


def test_a_failure(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("raise Toy error")
    run = jupyter_run(tmp_path / "bad")
    assert run.returncode != 0
    assert "Toy: error" in run.stderr
