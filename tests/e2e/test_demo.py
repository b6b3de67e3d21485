"""``make demo`` in the environment of these tests: the page it leaves, what it says, and when it fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from notebooks import LIMIT, outputs

ROOT = Path(__file__).parents[2]
TOUR = "examples/notebooks/bash-tour.ipynb"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")

Demo = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "pages" / "tour.html"


@pytest.fixture
def demo(tmp_path: Path, page: Path) -> Demo:
    """Return a function that runs ``make demo``, with kernels and page in a folder of the test.

    The environment is this one, and is said to be up to date: nothing is installed.
    """
    (tmp_path / "installed").touch()
    settings = {
        "BIN": Path(sys.executable).parent,
        "STAMP": tmp_path / "installed",
        "PAGE": page,
        "WHERE": f"--prefix {tmp_path / 'prefix'}",
    }
    # A make above, as in `make test`, says here what its own arguments were.
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))
    }
    environment["JUPYTER_PATH"] = str(tmp_path / "prefix" / "share" / "jupyter")

    def run(**others: object) -> subprocess.CompletedProcess[str]:
        variables = [f"{name}={value}" for name, value in {**settings, **others}.items()]
        return subprocess.run(
            ["make", "demo", *variables],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )

    return run


class Page(HTMLParser):
    """Finds the outputs of each code cell in a page made by nbconvert, each as its MIME type and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[list[tuple[str, str]]] = []
        self._mime_type = ""
        self._is_output = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        classes = (attributes.get("class") or "").split()
        if "jp-CodeCell" in classes:
            self.cells.append([])
        if "jp-OutputArea-output" in classes:
            self._mime_type = attributes.get("data-mime-type") or ""
        if tag == "pre" and self._mime_type:
            self._is_output = True
            self.cells[-1].append((self._mime_type, ""))

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre" and self._is_output:
            self._mime_type, self._is_output = "", False
            mime_type, text = self.cells[-1].pop()
            # Browsers, too, leave out a newline that comes first.
            self.cells[-1].append((mime_type, text.removeprefix("\n")))

    def handle_data(self, data: str) -> None:
        if self._is_output:
            mime_type, text = self.cells[-1].pop()
            self.cells[-1].append((mime_type, text + data))


def as_read(name: str, *said: Any) -> tuple[str, str]:
    """Return what the page shows of one output: no escape sequences, each line as it was last rewritten."""
    if name == "stdout":
        text = re.sub(r"[^\n]*\r(?!\n)", "", said[0])
        return "text/plain", COLOURS.sub("", text)
    if name == "stderr":
        return "application/vnd.jupyter.stderr", said[0]
    return "application/vnd.jupyter.stderr", "\n".join(said[1])


def test_its_page_shows_what_bash_has_printed(demo: Demo, page: Path) -> None:
    made = demo()
    assert made.returncode == 0, made.stderr
    expected = outputs(nbformat.read(ROOT / TOUR, as_version=4))
    assert Page(page.read_text("utf-8")).cells == [[as_read(*output) for output in cell] for cell in expected]
    assert f" {page}\n" in made.stdout
    assert made.stdout.endswith(f"/jupyter lab {TOUR}\n")


def test_again_it_only_says_where_the_page_is(demo: Demo, page: Path) -> None:
    page.parent.mkdir()
    page.write_text("as it was")
    made = demo()
    assert made.returncode == 0, made.stderr
    assert page.read_text() == "as it was"
    assert [line.rpartition(" ")[2] for line in made.stdout.splitlines()] == [str(page), TOUR]


@pytest.mark.parametrize(
    ("stored", "changed", "said"),
    [
        (
            "Hello, Ada Lovelace!",
            "Hello, Lord Byron!",
            ["cell 4", "'Hello, Ada Lovelace!", "'Hello, Lord Byron!"],
        ),
        ("raises-exception", "another-tag", ["cat no-such-file", "ExitStatus: 1"]),
    ],
)
def test_it_fails_where_something_else_is_shown(
    demo: Demo, page: Path, tmp_path: Path, stored: str, changed: str, said: list[str]
) -> None:
    text = (ROOT / TOUR).read_text("utf-8")
    assert stored in text
    (tmp_path / "tour.ipynb").write_text(text.replace(stored, changed), "utf-8")
    made = demo(TOUR=tmp_path / "tour.ipynb")
    assert made.returncode != 0
    assert [words for words in said if words not in made.stderr] == []
    assert "Traceback" not in made.stderr
    assert not page.exists()


def test_a_start_up_file_of_the_user_changes_nothing(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("alias echo='echo My own words:'\n")
    made = demo(HOME=tmp_path)  # make exports it
    assert made.returncode == 0, made.stderr
