"""nbclient, nbconvert and papermill run notebooks on echo and on a toy, encrypted or not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebooks import LIMIT, command, notebook, outputs
from traitlets.config import Config

pytestmark = pytest.mark.usefixtures("kernels")

ENCRYPTION = pytest.mark.parametrize(
    ("mode", "encrypted"), [("disabled", False), ("auto", True), ("required", True)]
)
WHOLE = (
    "print one\nerr two\nprint three",
    "png",
    "display first\nupdate second",
    "result 42",
    "repeat 300 line",
)
FAILING = ("print before", "raise ToyError as told", "print behind")
ERROR = ("ToyError", "as told", ["ToyError: as told"])


def check_whole(document: Any) -> None:
    """Check what a toy answers to WHOLE."""
    assert [cell.execution_count for cell in document.cells] == [1, 2, 3, 4, 5]
    assert outputs(document) == [
        [("stdout", "one\n"), ("stderr", "two\n"), ("stdout", "three\n")],
        [("display_data", ["image/png", "text/plain"], "<image/png, 67 bytes>")],
        [("display_data", ["text/plain"], "second")],
        [("execute_result", ["text/plain"], "42")],
        [("stdout", "".join(f"line {number}\n" for number in range(300)))],
    ]
    assert document.metadata.language_info.file_extension == ".toy"


def convert(file: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a notebook by nbconvert, into ``out.ipynb`` beside it."""
    return command("nbconvert", "--execute", "--to=notebook", *words, file, "--output", "out")


# --- nbclient -------------------------------------------------------------------------------------------


@ENCRYPTION
@pytest.mark.parametrize("kernel", ["echo", "plain-toy"])
def test_nbclient(kernel: str, mode: str, encrypted: bool) -> None:
    files: list[dict[str, Any]] = []

    def look(**about: Any) -> None:
        files.append(json.loads(Path(client.km.connection_file).read_text()))

    codes = ("hello", "world") if kernel == "echo" else WHOLE
    config = Config({"KernelManager": {"transport_encryption": mode}})
    client: Any = NotebookClient(
        notebook(kernel, *codes), kernel_name=kernel, timeout=LIMIT, config=config, on_cell_executed=look
    )
    document = client.execute()
    assert ["curve_publickey" in file for file in files] == [encrypted] * len(codes)
    if kernel == "echo":
        assert outputs(document) == [[("stdout", "hello")], [("stdout", "world")]]
    else:
        check_whole(document)


def test_a_failing_cell_ends_nbclient() -> None:
    document = notebook("plain-toy", *FAILING)
    with pytest.raises(CellExecutionError, match="ToyError: as told"):
        NotebookClient(document, kernel_name="plain-toy", timeout=LIMIT).execute()
    assert outputs(document) == [
        [("stdout", "before\n")],
        [ERROR],
        [],
    ]


def test_a_failing_cell_that_may_fail_does_not() -> None:
    document = notebook("plain-toy", *FAILING)
    document.cells[1].metadata["tags"] = ["raises-exception"]
    NotebookClient(document, kernel_name="plain-toy", timeout=LIMIT).execute()
    assert outputs(document)[2] == [("stdout", "behind\n")]


def test_a_cell_that_takes_too_long_is_interrupted() -> None:
    document = notebook("plain-toy", "sleep 1000", "print behind")
    client = NotebookClient(
        document, kernel_name="plain-toy", timeout=1, interrupt_on_timeout=True, allow_errors=True
    )
    client.execute()
    assert outputs(document)[1] == [("stdout", "behind\n")]


def test_a_question_that_nobody_can_answer_fails_at_once() -> None:
    document = notebook("plain-toy", "ask Who?", "print behind")
    with pytest.raises(CellExecutionError, match="this cell cannot be asked for input"):
        NotebookClient(document, kernel_name="plain-toy", timeout=LIMIT).execute()
    [[(name, _, lines)], _] = outputs(document)
    assert (name, len(lines)) == ("StdinNotAllowed", 1)


# --- nbconvert ------------------------------------------------------------------------------------------


@ENCRYPTION
def test_nbconvert(tmp_path: Path, mode: str, encrypted: bool) -> None:
    file = tmp_path / "in.ipynb"
    nbformat.write(notebook("plain-toy", *WHOLE), file)
    encryption = f"--KernelManager.transport_encryption={mode}"
    run = convert(file, encryption)
    assert run.returncode == 0, run.stderr
    check_whole(nbformat.read(tmp_path / "out.ipynb", 4))


def test_nbconvert_stops_at_a_failing_cell(tmp_path: Path) -> None:
    file = tmp_path / "in.ipynb"
    nbformat.write(notebook("plain-toy", *FAILING), file)
    run = convert(file)
    assert run.returncode != 0
    assert "ToyError: as told" in run.stderr
    assert not (tmp_path / "out.ipynb").exists()
    run = convert(file, "--allow-errors")
    assert run.returncode == 0, run.stderr
    assert outputs(nbformat.read(tmp_path / "out.ipynb", 4))[2] == [("stdout", "behind\n")]


@pytest.mark.parametrize(("kernel", "extension"), [("echo", "txt"), ("plain-toy", "toy")])
def test_a_notebook_that_was_run_becomes_a_script_of_its_language(
    tmp_path: Path, kernel: str, extension: str
) -> None:
    document = notebook(kernel, "print one", "print two")
    NotebookClient(document, kernel_name=kernel, timeout=LIMIT).execute()
    nbformat.write(document, tmp_path / "in.ipynb")
    run = command("nbconvert", "--to=script", tmp_path / "in.ipynb")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / f"in.{extension}").read_text().split() == ["print", "one", "print", "two"]


# --- papermill ------------------------------------------------------------------------------------------

# papermill's command line knows nothing of kernel managers, its function hands on what nbclient takes.
PAPERMILL = """
import sys
from papermill import execute_notebook
from traitlets.config import Config

mode, source, target = sys.argv[1:]
config = Config({"KernelManager": {"transport_encryption": mode}})
execute_notebook(source, target, kernel_name="plain-toy", progress_bar=False, config=config)
"""


@ENCRYPTION
def test_papermill(tmp_path: Path, mode: str, encrypted: bool) -> None:
    nbformat.write(notebook("plain-toy", *WHOLE), tmp_path / "in.ipynb")
    files = [str(tmp_path / name) for name in ("in.ipynb", "out.ipynb")]
    argv = [sys.executable, "-c", PAPERMILL, mode, *files]
    run = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT)
    assert run.returncode == 0, run.stderr
    check_whole(nbformat.read(tmp_path / "out.ipynb", 4))


def test_papermill_stops_at_a_failing_cell(tmp_path: Path) -> None:
    nbformat.write(notebook("plain-toy", *FAILING), tmp_path / "in.ipynb")
    run = command("papermill", "--no-progress-bar", tmp_path / "in.ipynb", tmp_path / "out.ipynb")
    assert run.returncode != 0
    assert "ToyError: as told" in run.stderr
    document = nbformat.read(tmp_path / "out.ipynb", 4)
    assert outputs(document)[-3:] == [[("stdout", "before\n")], [ERROR], []]
