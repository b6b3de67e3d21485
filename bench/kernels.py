"""Who is measured: how each kernel is started, and what its cells are called in its language.

It starts nothing. A kernel that is not installed becomes a line of the report.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

LINES = 20_000
BLOCKS = 763  # of 64 KiB: 50 MB (10**6 bytes)
STREAM_BYTES = BLOCKS * 65536

ECHO = "echo"
BASH = "bash"
ECHO_WITHOUT_ORJSON = "echo, no orjson"
BARE = "bare server"
XEUS = "xeus-python"
XEUS_RAW = "xeus-python raw"
BASH_KERNEL = "bash_kernel"
METAKERNEL_BASH = "metakernel bash"

_WITHOUT_ORJSON = (
    "import sys, runpy; sys.modules['orjson'] = None;"
    "runpy.run_module('wrapperkernel.examples.echo_kernel', run_name='__main__', alter_sys=True)"
)


@dataclass(frozen=True, slots=True)
class Cells:
    """The cells of a language: a trivial one, one that prints LINES lines, one that prints BLOCKS blocks."""

    trivial: str
    lines: str
    stream: str


PYTHON_CELLS = Cells(
    trivial="pass",
    # In functions: xeus-python raw prints nothing from a loop at the top of a cell.
    lines=f"def lines():\n    for i in range({LINES}): print(i)\nlines()",
    stream=f"def blocks():\n    for i in range({BLOCKS}): print('x' * 65536, end='')\nblocks()",
)
BASH_CELLS = Cells(trivial=":", lines=f"seq {LINES}", stream=f"head -c {STREAM_BYTES} /dev/zero | tr '\\0' x")
LOOP_CELLS = Cells(trivial="pass", lines=f"lines {LINES}", stream=f"blocks {BLOCKS}")


@dataclass(frozen=True, slots=True)
class Contestant:
    """A kernel to measure."""

    name: str
    argv: tuple[str, ...]  # with {connection_file}
    programs: Path  # the directory that comes first in PATH
    cells: Cells = PYTHON_CELLS
    publishes: bool = True  # False: no iopub, a server that only replies
    loop_argv: tuple[str, ...] | None = (
        None  # the process for cells.lines and cells.stream, if it can do them
    )


def ours(python: Path) -> list[Contestant]:
    """Return the echo kernel with and without orjson, and the bare server, in one environment."""

    def command(*arguments: str) -> tuple[str, ...]:
        return (str(python), *arguments, "-f", "{connection_file}")

    loop = command(str(HERE / "loop_kernel.py"))
    echo = command("-m", "wrapperkernel.examples.echo_kernel")
    without = command("-c", _WITHOUT_ORJSON)
    bare = command(str(HERE / "bare_server.py"))
    bash = command("-m", "wrapperkernel.examples.bash_kernel")
    return [
        Contestant(ECHO, echo, python.parent, LOOP_CELLS, loop_argv=loop),
        Contestant(ECHO_WITHOUT_ORJSON, without, python.parent, LOOP_CELLS),
        Contestant(BARE, bare, python.parent, LOOP_CELLS, publishes=False),
        Contestant(BASH, bash, python.parent, BASH_CELLS, loop_argv=bash),
    ]


def peers(environment: Path) -> tuple[list[Contestant], list[str]]:
    """Return the other kernels found in a virtual environment, and a line for each that is missing."""
    programs = environment / "bin"
    found, missing = [], []
    for name, kernelspec in (
        (XEUS, "xpython"),
        (XEUS_RAW, "xpython-raw"),
        ("akernel", "akernel"),
        ("ipykernel", "python3"),
    ):
        file = environment / "share" / "jupyter" / "kernels" / kernelspec / "kernel.json"
        if file.exists():
            argv = tuple(json.loads(file.read_text())["argv"])
            found.append(Contestant(name, argv, programs, loop_argv=argv))
        else:
            missing.append(f"{name}: not installed, {file} is missing")
    for name, package in ((BASH_KERNEL, "bash_kernel"), (METAKERNEL_BASH, "metakernel_bash")):
        if any(environment.glob(f"lib/*/site-packages/{package}*")):
            # They take longer for what the floods print than a bench may last.
            argv = ("python", "-m", package, "-f", "{connection_file}")
            found.append(Contestant(name, argv, programs, BASH_CELLS))
        else:
            missing.append(f"{name}: not installed")
    if any(each.name == "ipykernel" for each in found):
        wrapper = ("python", str(HERE / "ipykernel_echo.py"), "-f", "{connection_file}")
        found.append(Contestant("ipykernel echo", wrapper, programs, LOOP_CELLS, loop_argv=wrapper))
    return found, missing
