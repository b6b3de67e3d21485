"""The end of a bash kernel: quick, whatever bash does, and nothing of its session is left behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bashes import ARGV, bash, begin
from situations import SECOND, left_in, wait_for_end

from wrapperkernel.testing import KernelClient, KernelProcess
from wrapperkernel.testing.process import is_alive
from wrapperkernel.testing.waiting import default_limit

CELLS = {
    "idle": "",
    "sleep": "echo on; sleep 600",
    "loop": "echo on; while :; do :; done",
    "input": "read -p 'name? ' x",
    "flood": "yes on",
    "stubborn": "trap '' HUP INT TERM; echo on; while :; do sleep 600; done",
    "jobs": "(trap '' HUP TERM; exec sleep 600) & nohup sleep 600 >/dev/null 2>&1 & disown -a; echo on",
}


def bring_into(client: KernelClient, situation: str) -> None:
    """Have bash do something."""
    code = CELLS[situation]
    if situation == "jobs":
        client.execute(code)
    elif situation == "input":
        client.execute_request(code, allow_stdin=True)
        client.receive("stdin")
    elif code:
        begin(client, code)


def wait_until_gone(kernel: KernelProcess, pids: list[int]) -> None:
    limit = time.monotonic() + default_limit()
    while alive := [pid for pid in {*pids, *kernel.children()} if is_alive(pid)]:
        assert time.monotonic() < limit, alive
        time.sleep(0.01)


def folder_of(children: list[int]) -> Path:
    """Return the folder by which a bash is handed its cells: its command line tells it."""
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in children]
    [rcfile] = {
        *re.findall(r"--rcfile\0(.*?)\0", "".join(commands))
    }  # a copy may be about to become a program
    return Path(rcfile).parent


@pytest.mark.parametrize("situation", CELLS)
@pytest.mark.parametrize("way", ["shutdown", "restart", "SIGTERM"])
def test_a_kernel_that_is_told_to_end(situation: str, way: str) -> None:
    with bash() as (kernel, client):
        bring_into(client, situation)
        children = kernel.children()
        assert len(children) >= 2  # bash and its guardian
        folder = folder_of(children)
        assert folder.is_dir()
        since = time.monotonic()
        if way == "SIGTERM":
            kernel.terminate()
        else:
            client.request("control", "shutdown_request", {"restart": way == "restart"})
        wait_for_end(kernel, since, SECOND)
        wait_until_gone(kernel, children)
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]
        assert not folder.exists()
        if way == "restart":
            kernel.restart()
            with kernel.client() as again:
                again.wait_ready()
                assert again.execute("echo new").stdout == "new\n"


@pytest.mark.parametrize("situation", CELLS)
def test_a_kernel_that_is_killed(situation: str) -> None:
    """Its guardian does what it cannot do any more, also for those that ignore HUP."""
    with bash() as (kernel, client):
        bring_into(client, situation)
        children = kernel.children()
        folder = folder_of(children)
        os.killpg(kernel.pid, signal.SIGKILL)
        assert kernel.wait() == -signal.SIGKILL
        wait_until_gone(kernel, children)
        assert not folder.exists()


def test_a_parent_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import os, subprocess, sys, time\n"
        "kernel = subprocess.Popen(sys.argv[1:], env={**os.environ, 'JPY_PARENT_PID': str(os.getpid())})\n"
        "print(kernel.pid, flush=True)\n"
        "time.sleep(600)"
    )
    ports = dict.fromkeys(("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"), 0)
    connection = tmp_path / "connection.json"
    connection.write_text(json.dumps({"key": "", "transport": "tcp", "ip": "127.0.0.1", **ports}))
    argv = [sys.executable, "-c", code, *ARGV, "-f", str(connection)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        limit = time.monotonic() + default_limit()
        children: list[int] = []
        while len(children) < 2:
            assert time.monotonic() < limit
            children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        parent.kill()
        while alive := [each for each in (pid, *children) if is_alive(each)]:
            assert time.monotonic() < limit, alive
            time.sleep(0.01)
