"""The tools of the Makefile that decide something: which packages are missing, which mutations are sound."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ["make", "python3-venv", "octave", "gnuplot-nox", "chromium", "tmux"]


@pytest.fixture
def bare_machine(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a machine with no command but apt-get, which writes down what it is told."""
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >>{tmp_path}/asked\n')
    apt.chmod(0o755)
    return {"PATH": str(tmp_path)}


def packages(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["/bin/sh", str(ROOT / "tests" / "tools" / "packages.sh"), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_missing_packages_are_named_in_one_line(bare_machine: dict[str, str], tmp_path: Path) -> None:
    run = packages(bare_machine)
    assert run.stderr.count("\n") == 1
    assert set(PACKAGES) < set(run.stderr.split())
    assert not (tmp_path / "asked").exists()


def test_missing_packages_are_installed_without_questions(
    bare_machine: dict[str, str], tmp_path: Path
) -> None:
    packages(bare_machine, "install")
    update, install = (tmp_path / "asked").read_text().splitlines()
    assert update.split()[:2] == ["noninteractive", "update"]
    assert {"install", "-y", "--no-install-recommends", *PACKAGES} <= set(install.split())


def test_nothing_is_said_where_nothing_is_missing(bare_machine: dict[str, str], tmp_path: Path) -> None:
    for command in ("make", "python3", "octave-cli", "gnuplot", "chromium", "tmux"):
        (tmp_path / command).symlink_to("/bin/true")
    said = packages(bare_machine).stderr
    assert set(PACKAGES).isdisjoint(said.split())


def protocol(tmp_path: Path, records: list[dict[str, object]]) -> str:
    results = tmp_path / "results.jsonl"
    results.write_text("".join(json.dumps(record) + "\n" for record in records))
    command = [sys.executable, "-m", "tests.tools.protocol", str(results)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_the_table_of_rows_tells_the_worst_result_of_a_test(tmp_path: Path) -> None:
    table = protocol(
        tmp_path,
        [
            {"test": "a.py::test_a[1]", "marks": [{"rows": ["C1"]}]},
            {"test": "a.py::test_a[2]", "marks": [{"rows": ["C1"]}]},
            {"test": "a.py::test_b", "marks": [{"rows": ["C2", "C1"]}]},
            {"test": "a.py::test_c", "marks": [{"rows": ["C3"]}]},
            {"test": "a.py::test_a[1]", "outcome": "failed"},
            {"test": "a.py::test_a[2]", "outcome": "passed"},
            {"test": "a.py::test_b", "outcome": "passed"},
        ],
    ).splitlines()
    assert table[:4] == [
        "C1   a.py::test_a  failed",
        "C1   a.py::test_b  passed",
        "C2   a.py::test_b  passed",
        "C3   a.py::test_c  not run",
    ]
    assert "C4   no test  missing" in table
    assert table[-2].startswith("1 of ")
    assert "C1" in table[-1].split()
    assert "C2" not in table[-1].split()


SUITE = """
import pytest

@pytest.mark.row("C1")
@pytest.mark.parametrize("n", [1, 2])
def test_row(n): pass

@pytest.mark.repeat(3)
def test_repeated(): pass

@pytest.mark.soak
def test_soak(): pass

def test_skipped(): pytest.skip("no such program")
"""


@pytest.mark.parametrize(
    ("ci", "arguments", "outcome"),
    [
        ("", [], {"passed": 3, "skipped": 1, "deselected": 1}),
        ("", ["--soak"], {"passed": 6, "skipped": 1}),
        ("true", [], {"passed": 3, "failed": 1, "deselected": 1}),
    ],
)
def test_marks_and_skips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ci: str, arguments: list[str], outcome: dict[str, int]
) -> None:
    """Run a small suite under the same conftest and settings."""
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "conftest.py").write_bytes((ROOT / "tests" / "conftest.py").read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setenv("CI", ci)
    command = [sys.executable, "-m", "pytest", str(tmp_path), "--results=results.jsonl", *arguments]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    summary = run.stdout.splitlines()[-1]
    for word, times in outcome.items():
        assert f"{times} {word}" in summary
    records = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert [r["marks"] for r in records if "marks" in r] == [[{"rows": ["C1"]}]] * 2
