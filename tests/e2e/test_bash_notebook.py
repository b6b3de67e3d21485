"""The bash tour, whose stored outputs bash itself has printed: run by every runner, byte by byte."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import papermill
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebooks import LIMIT, command, notebook, outputs

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of
from wrapperkernel.testing.waiting import default_limit

TOUR = Path(__file__).parents[2] / "examples" / "notebooks" / "bash-tour.ipynb"
FAILING = ("echo before", "false", "echo behind")


@pytest.fixture(autouse=True)
def kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register bash where jupyter_client looks."""
    place(spec_of("bash", {}, "bash"), tmp_path / "data" / "kernels")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))


def tour() -> Any:
    return nbformat.read(TOUR, as_version=4)


def without_outputs() -> Any:
    document = tour()
    for cell in document.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return document


def test_it_is_long_enough_to_show_something() -> None:
    assert sum(cell.cell_type == "code" for cell in tour().cells) >= 25


def test_by_nbclient() -> None:
    document = NotebookClient(without_outputs(), kernel_name="bash", timeout=LIMIT).execute()
    assert outputs(document) == outputs(tour())


def test_by_papermill(tmp_path: Path) -> None:
    """Which takes every error for a failure, also where a cell is tagged: so without those cells."""
    expected, document = tour(), without_outputs()
    for each in (expected, document):
        each.cells = [cell for cell in each.cells if "raises-exception" not in cell.metadata.get("tags", [])]
    file = tmp_path / "in.ipynb"
    nbformat.write(document, file)
    papermill.execute_notebook(file, tmp_path / "out.ipynb", kernel_name="bash", progress_bar=False)
    shown = outputs(nbformat.read(tmp_path / "out.ipynb", as_version=4))
    ended = [("stdout", "the cell before ended with 2\n")], [("stdout", "the cell before ended with 0\n")]
    assert shown == [ended[1] if output == ended[0] else output for output in outputs(expected)]


def test_by_nbconvert(tmp_path: Path) -> None:
    file = tmp_path / "in.ipynb"
    nbformat.write(without_outputs(), file)
    run = command("nbconvert", "--execute", "--to=notebook", file, "--output", "out")
    assert run.returncode == 0, run.stderr
    assert outputs(nbformat.read(tmp_path / "out.ipynb", as_version=4)) == outputs(tour())


def test_a_failing_cell_stops_each_of_them(tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="ExitStatus: 1"):
        NotebookClient(notebook("bash", *FAILING), kernel_name="bash", timeout=LIMIT).execute()
    file = tmp_path / "in.ipynb"
    nbformat.write(notebook("bash", *FAILING), file)
    for words in (
        ("papermill", "--no-progress-bar", file, tmp_path / "out.ipynb"),
        ("nbconvert", "--execute", "--to=notebook", file, "--output", "out"),
    ):
        run = command(*words)
        assert run.returncode != 0
        assert "ExitStatus" in run.stderr
    shown = outputs(nbformat.read(tmp_path / "out.ipynb", as_version=4))
    assert [("stdout", "behind\n")] not in shown


# --- with somebody to ask -------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[tuple[KernelManager, Any]]:
    """A kernel, and a blocking client of jupyter_client that is ready."""
    manager = KernelManager(kernel_name="bash")
    manager.start_kernel(env={**os.environ})
    blocking = manager.client()
    blocking.start_channels()
    blocking.wait_for_ready(timeout=default_limit())
    try:
        yield manager, blocking
    finally:
        blocking.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


def run(client: Any, code: str, answers: dict[str, str]) -> list[Any]:
    """Run a cell as a frontend does, answer its questions, and return its outputs as a notebook has them."""
    shown: list[Any] = []

    def show(message: Any) -> None:
        if message["msg_type"] in ("stream", "error", "display_data", "execute_result"):
            shown.append(nbformat.v4.output_from_msg(message))

    def answer(message: Any) -> None:
        client.input(answers[message["content"]["prompt"]])

    client.execute_interactive(
        code, allow_stdin=True, output_hook=show, stdin_hook=answer, timeout=default_limit()
    )
    cell = nbformat.v4.new_code_cell(code, outputs=shown)
    return outputs(nbformat.v4.new_notebook(cells=[cell]))[0]


def test_with_an_answer(client: tuple[KernelManager, Any]) -> None:
    for cell, expected in zip(
        [cell for cell in tour().cells if cell.cell_type == "code"], outputs(tour()), strict=True
    ):
        if "asks" in cell.metadata.get("tags", []):
            expected = [("stdout", "Hello, Grace\n")]
        assert run(client[1], cell.source, {"Who are you? ": "Grace"}) == expected, cell.source


def test_an_interrupted_cell(client: tuple[KernelManager, Any]) -> None:
    manager, blocking = client
    run(blocking, "kept=here", {})
    cell = blocking.execute("echo on; sleep 600; echo 'not run'")
    limit = time.monotonic() + default_limit()
    while time.monotonic() < limit:
        try:
            message = blocking.get_iopub_msg(timeout=1)
        except Empty:
            continue
        if message["msg_type"] == "stream":
            break
    manager.interrupt_kernel()
    reply = blocking.get_shell_msg(timeout=default_limit())
    assert reply["parent_header"]["msg_id"] == cell
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert run(blocking, "echo $kept", {}) == [("stdout", "here\n")]
