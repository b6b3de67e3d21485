"""A kernel's process in a test: started, watched, ended, and never left behind.

Most of these kernels are a few lines that only fill in the ports, so that each way to go wrong can be shown.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from wrapperkernel.testing.client import NothingCame
from wrapperkernel.testing.process import KernelProcess, is_alive, start_kernel

PORTS = """
import json, os, signal, subprocess, sys, time
path = sys.argv[sys.argv.index("-f") + 1]
connection = json.load(open(path))
def tell():
    for name in ("shell", "iopub", "stdin", "control", "hb"):
        connection[name + "_port"] = connection[name + "_port"] or 9
    with open(path + ".new", "w") as file:
        json.dump(connection, file)
    os.replace(path + ".new", path)
"""


def start(
    source: str, limit: float | None = None, env: Mapping[str, str | None] | None = None
) -> KernelProcess:
    """Start a kernel that consists of a few lines."""
    return start_kernel([sys.executable, "-c", PORTS + source], limit=limit, env=env)


def test_the_connection_file(no_leaks: None) -> None:
    with start(
        "tell(); print('out'); print('err', file=sys.stderr); sys.stdout.flush(); signal.pause()"
    ) as kernel:
        assert all(kernel.connection[f"{name}_port"] == 9 for name in ("shell", "hb"))
        assert kernel.connection["transport"] == "tcp"
        assert len(kernel.connection["key"]) == 32
        assert kernel.argv[-2:] == ["-f", str(kernel.connection_file)]
        assert stat.S_IMODE(kernel.directory.stat().st_mode) == 0o700
        directory = kernel.directory
        assert kernel.running()
        assert f"{sys.executable} " in kernel.report()
    assert not directory.exists()
    assert not kernel.running()


def test_the_file_is_for_the_user_alone_from_the_start() -> None:
    mode = "print(oct(os.stat(path).st_mode & 0o777), flush=True); tell(); signal.pause()"
    with start(mode) as kernel:
        assert kernel.stdout == "0o600\n"


def test_the_place_of_the_path_may_be_chosen() -> None:
    argv = [
        sys.executable,
        "-c",
        "import sys; sys.exit(repr(sys.argv[1:]))",
        "--at={connection_file}",
        "last",
    ]
    with pytest.raises(NothingCame, match=r"\['--at=/.+/connection\.json', 'last'\]"):
        start_kernel(argv)


def test_entries_of_the_connection_file_may_be_given() -> None:
    ports = {f"{name}_port": 7 for name in ("shell", "iopub", "stdin", "control", "hb")}
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    with start_kernel(argv, connection={**ports, "key": "", "extra": [1]}) as kernel:
        connection = json.loads(kernel.connection_file.read_text())
        assert (connection["key"], connection["extra"], connection["hb_port"]) == ("", [1], 7)


def test_a_kernel_that_ends_at_once_shows_its_stderr(no_leaks: None) -> None:
    with pytest.raises(NothingCame, match="ended with 3") as caught:
        start("sys.exit(print('no such language', file=sys.stderr) or 3)")
    assert "no such language" in str(caught.value)


def test_a_kernel_that_says_no_ports_is_ended(no_leaks: None) -> None:
    with pytest.raises(NothingCame, match=r"waited 0\.5 s for ports"):
        start("signal.pause()", limit=0.5)


def test_a_client_notices_that_the_kernel_has_ended(no_leaks: None) -> None:
    with start("tell(); sys.exit(print('it broke', file=sys.stderr))") as kernel:
        with kernel.client() as client, pytest.raises(NothingCame, match="the kernel has ended") as caught:
            client.receive("shell")
        assert "it broke" in str(caught.value)


def test_interrupt_terminate_and_wait() -> None:
    source = """
signal.signal(signal.SIGINT, lambda *_: (print("interrupted", file=sys.stderr, flush=True), os._exit(5)))
tell()
while True: signal.pause()
"""
    with start(source) as kernel:
        with pytest.raises(NothingCame, match="for the kernel's end"):
            kernel.wait(limit=0.01)
        kernel.interrupt()
        assert kernel.wait() == 5
        assert kernel.stderr == "interrupted\n"
    with start("tell(); signal.pause()") as kernel:
        kernel.terminate()
        assert kernel.wait() == -signal.SIGTERM


def test_restart_uses_the_same_connection_file() -> None:
    with start("tell(); print(os.getpid(), flush=True); signal.pause()") as kernel:
        first, connection = kernel.pid, kernel.connection
        kernel.terminate()
        kernel.restart()
        assert kernel.pid != first
        assert kernel.connection == connection


def test_the_environment_may_be_changed(tmp_path: Path) -> None:
    source = (
        f"open({str(tmp_path / 'env')!r}, 'w').write(json.dumps(dict(os.environ))); tell(); signal.pause()"
    )
    with start(source, env={"HOME": None, "LANGUAGE": "xx"}):
        seen = json.loads((tmp_path / "env").read_text())
    assert "HOME" not in seen
    assert seen["LANGUAGE"] == "xx"
    assert seen["JPY_PARENT_PID"] == str(os.getpid())


def test_stdin_is_at_its_end() -> None:
    with start("print(repr(sys.stdin.read()), flush=True); tell(); signal.pause()") as kernel:
        assert kernel.stdout == "''\n"


CHILDREN = """
child = [sys.executable, "-c", "import signal, subprocess, sys; signal.pause()"]
inner = subprocess.Popen(child)
outer = subprocess.Popen(child, start_new_session=True)
"""


def test_children_are_found_and_killed_whatever_their_session() -> None:
    with start(CHILDREN + "tell(); signal.pause()") as kernel:
        children = kernel.children()
        assert len(children) == 2
        assert all(is_alive(pid) for pid in children)
    assert not any(is_alive(pid) for pid in children)


def test_children_that_outlive_the_kernel_are_found_and_killed() -> None:
    with start(CHILDREN + "tell(); os._exit(0)") as kernel:
        kernel.wait()
        children = kernel.children()
        assert len(children) == 2
    assert not any(is_alive(pid) for pid in children)


def test_other_processes_are_left_alone() -> None:
    other = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
    try:
        with start("tell(); signal.pause()") as kernel:
            assert kernel.children() == []
        assert is_alive(other.pid)
    finally:
        other.kill()
        other.wait()
    assert not is_alive(other.pid)


def test_the_examples_of_the_page_work(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
    sources = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(sources) == page.count("```python")
    for number, source in enumerate(sources):
        calls = "".join(f"\n{name}()\n" for name in re.findall(r"^def (test_\w+)\(\)", source, re.MULTILINE))
        (tmp_path / f"example_{number}.py").write_text(source + calls, encoding="utf-8")
        run = subprocess.run(
            [sys.executable, f"example_{number}.py"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert (run.returncode, run.stderr) == (0, "")
