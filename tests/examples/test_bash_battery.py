"""Many cells of bash, which must do in the kernel what they do in bash on a terminal.

See tests/battery/README.md. The expectations are bash's own, made anew in each run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from wrapperkernel.examples.bash_kernel import BashKernel
from wrapperkernel.testing import KernelHarness

BATTERY = Path(__file__).parents[1] / "battery"
# Seconds; a cell takes a few thousandths of one.
LIMIT = 60


class Done(NamedTuple):
    """What a cell has done."""

    stdout: str
    stderr: str
    status: int


def cells() -> dict[str, str]:
    """Return the cells of all themes by their names."""
    found = {}
    for file in sorted(BATTERY.glob("*.sh")):
        for title, code in re.findall(r"^## (.*)\n((?:(?!## ).*\n)*)", file.read_text("utf-8"), re.MULTILINE):
            found[f"{file.stem}: {title}"] = code
    return found


CELLS = cells()


def terminal() -> tuple[int, int]:
    """Open a terminal as the kernel has it: bytes come out as they go in."""
    master, slave = os.openpty()
    modes = termios.tcgetattr(slave)
    modes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    termios.tcsetwinsize(slave, (24, 80))
    return master, slave


def in_bash(code: str, folder: Path) -> Done:
    """Run a cell in a fresh interactive bash, whose stdout and stderr are terminals."""
    (out, out_slave), (err, err_slave) = terminal(), terminal()
    (folder / ".cell").write_text(code, "utf-8")
    lines = (
        f" exec 2<>{os.ttyname(err_slave)}\n"
        f" . ./.cell <{os.ttyname(out_slave)}; echo $? >.status; kill -9 $$\n"
    )
    kernel = BashKernel()
    bash = subprocess.Popen(
        ["bash", "--norc", "--noprofile", "--noediting", "+o", "history", "-i"],
        stdin=subprocess.PIPE,
        stdout=out_slave,
        stderr=out_slave,
        env={**kernel._environment(), "PS1": "", "HISTFILE": "/dev/null"},
        cwd=folder,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
    )
    assert bash.stdin is not None
    bash.stdin.write(lines.encode())
    bash.stdin.flush()
    read = {out: b"", err: b""}
    while bash.poll() is None:
        drain(read)
    drain(read)
    bash.stdin.close()
    for descriptor in (out, out_slave, err, err_slave):
        os.close(descriptor)
    texts = [data.decode("utf-8", "replace") for data in read.values()]
    status = int((folder / ".status").read_text())
    for name in (".cell", ".status"):
        (folder / name).unlink()
    return Done(texts[0], texts[1], status)


def drain(read: dict[int, bytes]) -> None:
    for master in read:
        os.set_blocking(master, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(master, 65536):
                read[master] += data


def in_kernel(harness: KernelHarness, code: str) -> Done:
    execution = harness.execute(code)
    status = 0
    if execution.status != "ok":
        (error,) = execution.errors
        assert error["ename"] == "ExitStatus", error
        status = int(error["evalue"].partition(":")[0])
    return Done(execution.stdout, execution.stderr, status)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    """What bash does with each cell."""
    folder = tmp_path_factory.mktemp("reference")
    return {name: in_bash(code, folder) for name, code in CELLS.items()}


@contextlib.contextmanager
def session(folder: Path) -> Iterator[KernelHarness]:
    environment = {"HISTFILE": "/dev/null"}  # else there is what other tests have left in theirs
    with KernelHarness(
        BashKernel, runs_startup_file=False, directory=str(folder), environment=environment
    ) as harness:
        yield harness


def test_the_battery_is_large() -> None:
    assert len(CELLS) >= 250


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_in_a_fresh_session(name: str, expected: dict[str, Done], tmp_path: Path) -> None:
    with session(tmp_path) as harness:
        assert in_kernel(harness, CELLS[name]) == expected[name]


@pytest.mark.parametrize("order", ["as written", pytest.param("random", marks=pytest.mark.repeat(50))])
def test_all_in_one_session(order: str, expected: dict[str, Done], tmp_path: Path) -> None:
    names = list(CELLS)
    if order == "random":
        seed = random.randrange(1 << 30)
        print("seed", seed)
        random.Random(seed).shuffle(names)
    with session(tmp_path) as harness:
        for name in names:
            assert in_kernel(harness, CELLS[name]) == expected[name], name
            probe = harness.execute("printf 'probe\\n'; printf 'err\\n' >&2; (exit 7)")
            assert (probe.stdout, probe.stderr) == ("probe\n", "err\n"), name
            assert probe.errors[0]["evalue"] == "7", name
