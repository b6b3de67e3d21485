"""The layer below is not shaped by bash: Python driven by its prompts, and other programs with a prompt."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from bashes import begin
from traitlets import List

import wrapperkernel.examples.python_repl
from wrapperkernel import ReplKernel
from wrapperkernel.examples.python_repl import PythonRepl
from wrapperkernel.testing import KernelClient, KernelHarness, KernelProcess, start_kernel


class TypedPython(PythonRepl):
    """Its lines are typed, as a person types them."""

    load = ""
    error = r"^(?P<ename>\w*Error|KeyboardInterrupt)(?:: (?P<evalue>.*))?\n\Z"


class Shell(ReplKernel):
    """A bash that is known by its prompts alone."""

    implementation = "shell"
    implementation_version = "1.0"
    banner = "A shell"
    language_info: ClassVar[dict[str, Any]] = {
        "name": "sh",
        "mimetype": "text/x-sh",
        "file_extension": ".sh",
    }
    program = List(["bash", "--norc", "--noediting", "-i"])
    escape = "\\{:03o}"
    prompts = " PS1='{prompt}' PS2='{continuation}'"
    error = r"^bash: (?P<evalue>.*)\n\Z"


def harness_of(kernel: type[ReplKernel]) -> Iterator[KernelHarness]:
    with KernelHarness(kernel, answers=itertools.repeat("Ada")) as harness:
        yield harness


@pytest.fixture(scope="module")
def python() -> Iterator[KernelHarness]:
    yield from harness_of(PythonRepl)


@pytest.fixture(scope="module")
def typed() -> Iterator[KernelHarness]:
    yield from harness_of(TypedPython)


@pytest.fixture(scope="module")
def shell() -> Iterator[KernelHarness]:
    yield from harness_of(Shell)


@pytest.fixture
def kernel_and_client() -> Iterator[tuple[KernelProcess, KernelClient]]:
    argv = [sys.executable, "-m", "wrapperkernel.examples.python_repl"]
    with start_kernel(argv) as kernel, kernel.client() as client:
        client.wait_ready()
        yield kernel, client


def test_it_is_short() -> None:
    lines = Path(wrapperkernel.examples.python_repl.__file__).read_text().splitlines()
    assert len(lines) <= 25


@pytest.mark.parametrize(
    ("code", "stdout"),
    [
        ("1 + 1", "2\n"),
        ("def f(x):\n    y = x\n\n    return y\nprint(f(3))\nf(4)", "3\n4\n"),
        ("for i in range(2): i", "0\n1\n"),
        ("print('no newline', end='')", "no newline"),
        ("# nothing\n", ""),
        ("x = '''a\n  b'''\nx", "'a\\n  b'\n"),
        ("import os, sys; (sys.stdin.isatty(), os.get_terminal_size().columns)", "(True, 80)\n"),
        ("print('e', file=sys.stderr); print('o')", "e\no\n"),
        ("os.system('echo sub')", "sub\n0\n"),
        ("len('" + "x" * 10_000 + "')", "10000\n"),
        ("print('\\x1b]7770;000ff.1;P;\\x07')", "\n"),
        ("print('Traceback (most recent call last):\\n  x\\nError: y\\n')", None),
        ("print('x' * 300_000)", "x" * 300_000 + "\n"),
        ("sorted(name for name in globals() if name[0] != '_')", "['f', 'i', 'os', 'sys', 'x']\n"),
    ],
)
def test_a_cell(python: KernelHarness, code: str, stdout: str | None) -> None:
    execution = python.execute(code)
    assert (execution.status, execution.stderr) == ("ok", "")
    assert stdout is None or execution.stdout == stdout


@pytest.mark.parametrize(
    ("code", "ename", "evalue"),
    [
        ("1/0", "ZeroDivisionError", "division by zero"),
        ("print('before')\nnope\nprint('after')", "NameError", None),
        ("if", "SyntaxError", "invalid syntax"),
        ("'''a", "SyntaxError", None),
        ("raise ValueError('two\\nlines')", "ValueError", "two\nlines"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", ""),
    ],
)
def test_a_cell_that_fails(python: KernelHarness, code: str, ename: str, evalue: str | None) -> None:
    execution = python.execute(code)
    error = execution.errors[0]
    assert error["ename"] == ename
    assert evalue is None or error["evalue"] == evalue
    assert "after" not in execution.stdout
    assert python.execute("'next'").stdout == "'next'\n"


def test_its_questions(python: KernelHarness) -> None:
    asked = len(python.questions)
    assert python.execute("import getpass; len(getpass.getpass('PW: '))").stdout == "\n3\n"
    assert python.execute("print('line? ', end='', flush=True); sys.stdin.readline()").stdout == "'Ada\\n'\n"
    assert python.questions[asked:] == [
        {"prompt": "PW: ", "password": True},
        {"prompt": "line? ", "password": False},
    ]
    assert python.execute("x = input('name? ')").stdout == ""  # though it is a line editor that reads it
    assert python.questions[-1]["prompt"] == "name? "
    assert python.execute("x").stdout == "'Ada'\n"
    error = python.execute("input('name? ')", allow_stdin=False).errors[0]
    assert error["ename"] == "EOFError"


def test_one_that_ends(python: KernelHarness) -> None:
    error = python.execute("exit(3)").errors[0]
    assert error["ename"] == "ChildDied"
    assert "status 3" in error["evalue"]
    assert python.execute("'x' in globals()").stdout == "False\n"
    python.execute("import os, sys")


def test_prompts_that_a_cell_changes_are_set_again(python: KernelHarness) -> None:
    assert python.execute("sys.ps1 = 'mine> '\n3").stdout == "3\n"
    assert python.execute("4").stdout == "4\n"


@pytest.mark.parametrize(
    ("code", "stdout", "ename"),
    [
        ("1 + 1\nprint('two')", "2\ntwo\n", None),
        ("def f():\n  return 3\n\nf()", "3\n", None),
        ("if True:\n  f()", "3\n", None),
        ("print('" + "x" * 9_000 + "')", "x" * 9_000 + "\n", None),
        ("nope\nprint('not reached')", None, "NameError"),
        ("(1,", None, "IncompleteInput"),
        ("'''a", None, "IncompleteInput"),
    ],
)
def test_lines_that_are_typed(typed: KernelHarness, code: str, stdout: str | None, ename: str | None) -> None:
    execution = typed.execute(code)
    assert [error["ename"] for error in execution.errors] == ([ename] if ename else [])
    assert stdout is None or execution.stdout == stdout
    assert "not reached" not in execution.stdout
    assert typed.execute("'next'").stdout == "'next'\n"


@pytest.mark.parametrize(
    ("code", "stdout", "error"),
    [
        ("echo one; echo two >&2\necho three", "one\ntwo\nthree\n", None),
        ("cat <<X\na b\nX\nf() {\n  echo in f\n}\nf", "a b\nin f\n", None),
        ("read -p 'n? ' x; echo $x", "Ada\n", None),
        ("read -s -p 'n? ' x; echo $x", "Ada\n", None),
        ("echo " + "x" * 9_000 + " | wc -c", "9001\n", None),
        ("nosuch\necho not reached", None, ("Error", "nosuch: command not found")),
        ("echo 'a", None, ("IncompleteInput", "the cell ends in the middle of a statement")),
        ("if true; then", None, ("IncompleteInput", "the cell ends in the middle of a statement")),
        ("stty raw -echo; echo raw", "raw\n", None),
    ],
)
def test_another_program(
    shell: KernelHarness, code: str, stdout: str | None, error: tuple[str, str] | None
) -> None:
    execution = shell.execute(code)
    assert [(each["ename"], each["evalue"]) for each in execution.errors] == ([error] if error else [])
    assert stdout is None or execution.stdout == stdout
    assert "not reached" not in execution.stdout
    assert shell.execute("echo next").stdout == "next\n"


# The sleeps are what is interrupted: the cells of a user who has had enough. None of them runs to its end.
@pytest.mark.parametrize(
    "code",
    [
        "print('on')\nimport time; time.sleep(600)",
        "print('on')\nwhile True: pass",
        "print('on')\nimport os; os.system('sleep 600')",
        "import signal; signal.signal(2, signal.SIG_IGN); print('on')\nimport time; time.sleep(600)",
    ],
)
def test_an_interrupt(kernel_and_client: tuple[KernelProcess, KernelClient], code: str) -> None:
    """One that is not heeded costs the program, and another is started."""
    kernel, client = kernel_and_client
    client.execute("kept = 1")
    cell = begin(client, code)
    kernel.interrupt()
    assert client.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
    heeded = "SIG_IGN" not in code
    assert client.execute("'kept' in globals()").stdout == f"{heeded}\n"


@pytest.mark.repeat(50)
def test_interrupts_at_any_moment(kernel_and_client: tuple[KernelProcess, KernelClient]) -> None:
    kernel, client = kernel_and_client
    for number in range(40):
        cell = client.execute_request(f"for i in range({number * 20}): pass\nprint('end {number}')")
        client.iopub_until(cell, lambda message: message["msg_type"] == "execute_input", "its begin")
        kernel.interrupt()
        reply = client.reply(cell)["content"]
        printed = [message["content"].get("text") for message in client.iopub_until_idle(cell)]
        if reply["status"] == "ok":
            assert f"end {number}\n" in printed
        else:
            assert reply["ename"] == "KeyboardInterrupt"
        after = client.execute(f"{number}")
        assert (after.stdout, after.status) == (f"{number}\n", "ok")


def test_it_says_what_it_prints_while_it_runs(
    kernel_and_client: tuple[KernelProcess, KernelClient],
) -> None:
    _, client = kernel_and_client
    cell = begin(client, "print('first'); import sys; sys.stdin.readline()", allow_stdin=True)
    client.answer(client.receive("stdin"), "second")
    assert client.reply(cell)["content"]["status"] == "ok"


def test_nothing_is_left(kernel_and_client: tuple[KernelProcess, KernelClient]) -> None:
    kernel, client = kernel_and_client
    begin(client, "print('on')\nimport os; os.system('trap \"\" HUP TERM; sleep 600')")
    kernel.terminate()
    assert kernel.wait() == 0
    assert not kernel.children()
