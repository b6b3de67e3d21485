"""The bash tour, whose stored outputs bash itself has printed: run by every runner, byte by byte."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from notebooks import LIMIT, command, notebook, outputs
from papermill.exceptions import PapermillExecutionError

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of
from wrapperkernel.testing.waiting import default_limit

TOUR = Path(__file__).parents[2] / "examples" / "notebooks" / "bash-tour.ipynb"
SUCCEEDING = ("echo before", "true", "echo behind")
FAILING = ("echo before", "false", "echo behind")


@pytest.fixture(autouse=True)
def kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register bash where jupyter_client looks."""
    place(spec_of("bash", {}, "bash"), tmp_path / "data" / "kernels")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))


def tour() -> Any:
    return nbformat.read(TOUR, as_version=4)


def code_cells(document: Any) -> list[Any]:
    return [cell for cell in document.cells if cell.cell_type == "code"]


def asks(cell: Any) -> bool:
    return "asks" in cell.metadata.get("tags", [])


def without_outputs() -> Any:
    document = tour()
    for cell in code_cells(document):
        cell.outputs, cell.execution_count = [], None
    return document


def test_it_is_long_enough_to_show_something() -> None:
    assert len(code_cells(tour())) >= 25


# --- what is stored in it -------------------------------------------------------------------------------

# \036 ends what the cell has printed; the status of the cell stands behind it.
MARK = "\x1e"
BEGIN = r"""PS1= PS2= PROMPT_COMMAND=; exec 2>{stderr}
mark() {{ local status=$?; printf '\036%s\036' $status; printf '\036' >&2; return $status; }}
"""
# Printed to who types, and not to a notebook.
NUMBER_OF_A_JOB = re.compile(r"^\[\d+\] \d+\n", re.MULTILINE)


class Typist:
    """Types at an interactive bash on a terminal, with another as its stderr. Uses nothing of the library."""

    def __init__(self, stack: contextlib.ExitStack, home: Path) -> None:
        self._stdout, stdin = self._terminal(stack)
        self._stderr, stderr = self._terminal(stack)
        self._bash = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "--noediting", "-i"],
            stdin=stdin,
            stdout=stdin,
            stderr=stdin,
            cwd=home,
            env={"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color"},
        )
        stack.callback(self._end)
        self.type(BEGIN.format(stderr=os.ttyname(stderr)))

    def _terminal(self, stack: contextlib.ExitStack) -> tuple[int, int]:
        """Open a terminal that shows neither what is typed nor a carriage return before a newline."""
        ours, theirs = pty.openpty()
        stack.callback(os.close, ours)
        stack.callback(os.close, theirs)
        modes: list[Any] = termios.tcgetattr(theirs)
        modes[1] &= ~termios.OPOST
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        return ours, theirs

    def _end(self) -> None:
        self._bash.kill()
        self._bash.wait()

    def type(self, code: str) -> tuple[str, str, int]:
        """Type these lines; return what came on stdout and on stderr, and the status of the last command."""
        os.write(self._stdout, f"{code}\nmark\n".encode())
        printed = {self._stdout: b"", self._stderr: b""}
        while printed[self._stdout].count(b"\x1e") < 2 or b"\x1e" not in printed[self._stderr]:
            ready, _, _ = select.select(list(printed), [], [], default_limit())
            assert ready, printed
            for terminal in ready:
                printed[terminal] += os.read(terminal, 65536)
        stdout, status, _ = printed[self._stdout].decode().split(MARK)
        stderr = printed[self._stderr].decode().removesuffix(MARK)
        return stdout, NUMBER_OF_A_JOB.sub("", stderr), int(status)


def as_typed(cell: Any) -> tuple[str, str, int]:
    """Return what a cell says bash printed, and its status."""
    said = {"stdout": "", "stderr": "", "ExitStatus": "0"}
    for output in cell.outputs:
        name, text = (
            (output.name, output.text) if output.output_type == "stream" else (output.ename, output.evalue)
        )
        said[name] = text
    return said["stdout"], said["stderr"], int(said["ExitStatus"])


def test_bash_itself_prints_what_is_stored(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        typist = Typist(stack, tmp_path)
        for cell in code_cells(tour()):
            if asks(cell):
                # In braces, or the answer would be the second line of the cell.
                typed = typist.type(f"{{ {cell.source}\n}}\nGrace")
                assert typed == ("Hello, Grace\n", "Who are you? ", 0)
            else:
                assert typist.type(cell.source) == as_typed(cell), cell.source


# --- with nobody to ask ---------------------------------------------------------------------------------


def test_by_nbclient() -> None:
    document = NotebookClient(without_outputs(), kernel_name="bash", timeout=LIMIT).execute()
    assert outputs(document) == outputs(tour())


def test_by_nbconvert(tmp_path: Path) -> None:
    file = tmp_path / "in.ipynb"
    nbformat.write(without_outputs(), file)
    run = command("nbconvert", "--execute", "--to=notebook", file, "--output", "out")
    assert run.returncode == 0, run.stderr
    assert outputs(nbformat.read(tmp_path / "out.ipynb", as_version=4)) == outputs(tour())


def test_by_papermill(tmp_path: Path) -> None:
    """Which runs every cell, and in the end takes an error for a failure also where the cell is tagged."""
    file = tmp_path / "in.ipynb"
    nbformat.write(without_outputs(), file)
    with pytest.raises(PapermillExecutionError, match="ExitStatus: "):
        papermill.execute_notebook(file, tmp_path / "out.ipynb", kernel_name="bash", progress_bar=False)
    assert outputs(nbformat.read(tmp_path / "out.ipynb", as_version=4)) == outputs(tour())


def by_nbclient(file: Path, out: Path) -> str:
    """Execute a notebook; return the error that has stopped it, or nothing."""
    document = nbformat.read(file, as_version=4)
    try:
        NotebookClient(document, kernel_name="bash", timeout=LIMIT).execute()
    except CellExecutionError as error:
        return str(error)
    finally:
        nbformat.write(document, out)
    return ""


def by_papermill(file: Path, out: Path) -> str:
    run = command("papermill", "--no-progress-bar", file, out)
    return run.stderr if run.returncode else ""


def by_nbconvert(file: Path, out: Path) -> str:
    run = command("nbconvert", "--execute", "--to=notebook", file, "--output", out)
    return run.stderr if run.returncode else ""


@pytest.mark.parametrize("execute", [by_nbclient, by_papermill, by_nbconvert])
def test_only_a_failing_cell_stops_it(tmp_path: Path, execute: Callable[[Path, Path], str]) -> None:
    file, out = tmp_path / "in.ipynb", tmp_path / "out.ipynb"
    nbformat.write(notebook("bash", *SUCCEEDING), file)
    assert execute(file, out) == ""
    assert outputs(nbformat.read(out, as_version=4)) == [
        [("stdout", "before\n")],
        [],
        [("stdout", "behind\n")],
    ]
    out.unlink()

    nbformat.write(notebook("bash", *FAILING), file)
    assert "ExitStatus: 1" in execute(file, out)
    if out.exists():  # nbconvert writes only what has succeeded
        shown = outputs(nbformat.read(out, as_version=4))
        assert shown[-3:] == [[("stdout", "before\n")], [("ExitStatus", "1", ["ExitStatus: 1"])], []]


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


def nothing() -> None:
    pass


def run(
    client: Any,
    code: str,
    *,
    answers: Mapping[str, str] = {},
    when_it_prints: Callable[[], None] = nothing,
) -> list[Any]:
    """Run a cell as a frontend does, answer its questions, and return its outputs as a notebook has them."""
    shown: list[Any] = []

    def show(message: Any) -> None:
        if message["msg_type"] in ("stream", "error", "display_data", "execute_result"):
            shown.append(nbformat.v4.output_from_msg(message))
        if message["msg_type"] == "stream":
            when_it_prints()

    def answer(message: Any) -> None:
        client.input(answers[message["content"]["prompt"]])

    client.execute_interactive(
        code, allow_stdin=True, output_hook=show, stdin_hook=answer, timeout=default_limit()
    )
    cell = nbformat.v4.new_code_cell(code, outputs=shown)
    return outputs(nbformat.v4.new_notebook(cells=[cell]))[0]


def test_with_an_answer(client: tuple[KernelManager, Any]) -> None:
    for cell, expected in zip(code_cells(tour()), outputs(tour()), strict=True):
        if asks(cell):
            expected = [("stdout", "Hello, Grace\n")]
        answers = {"Who are you? ": "Grace"}
        assert run(client[1], cell.source, answers=answers) == expected, cell.source


def test_an_interrupted_cell(client: tuple[KernelManager, Any]) -> None:
    manager, blocking = client
    assert run(blocking, "kept=here") == []
    code = "inside=too; echo begun; sleep 60; echo 'not reached'"
    [printed, (name, _, _)] = run(blocking, code, when_it_prints=manager.interrupt_kernel)
    assert (printed, name) == (("stdout", "begun\n"), "KeyboardInterrupt")
    assert run(blocking, "echo $kept $inside") == [("stdout", "here too\n")]
