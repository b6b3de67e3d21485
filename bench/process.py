"""Start and end one kernel, and read what Linux counts about it: CPU time, memory, wake-ups.

Numbers of Linux only (``/proc``). It knows nothing of messages.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


def new_connection() -> dict[str, Any]:
    """Make up a connection file's content: loopback, five free ports, a random key."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in CHANNELS]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = {f"{name}_port": each.getsockname()[1] for name, each in zip(CHANNELS, sockets, strict=True)}
    return {
        "transport": "tcp",
        "ip": "127.0.0.1",
        "key": secrets.token_hex(16),
        "signature_scheme": "hmac-sha256",
        **ports,
    }


def clean_environment(home: Path, programs: Path) -> dict[str, str]:
    """Return the environment of a newcomer: an empty home, the programs of one virtual environment first."""
    return {
        "HOME": str(home),
        "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        # What jupyter_client sets for each kernel; ipykernel polls its parent only with it.
        "JPY_PARENT_PID": str(os.getpid()),
    }


class KernelProcess:
    """A kernel's process, from ``start`` to ``stop``; what it writes goes into a directory of its own."""

    def __init__(self, argv: Sequence[str], programs: Path, connection: Mapping[str, Any]) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="bench-"))
        home = self._directory / "home"
        home.mkdir()
        connection_file = self._directory / "connection.json"
        connection_file.write_text(json.dumps(connection))
        self._environment = clean_environment(home, programs)
        # The program is looked up before the clock runs: a frontend has its path too.
        program = shutil.which(argv[0], path=self._environment["PATH"]) or argv[0]
        self._argv = [
            program,
            *(part.replace("{connection_file}", str(connection_file)) for part in argv[1:]),
        ]
        self._log = (self._directory / "log").open("w+")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process."""
        self._process = subprocess.Popen(
            self._argv,
            env=self._environment,
            cwd=self._environment["HOME"],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    def stop(self, patience: float = 5.0) -> None:
        """Wait for the process to end by itself, end it if it does not, and remove what it left."""
        if self._process is not None:
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._log.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def printed(self) -> list[str]:
        """Return the lines that the process has printed so far, without empty ones."""
        self._log.seek(0)
        return [line for line in self._log.read().splitlines() if line.strip()]

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    # ---- what Linux counts

    def cpu(self) -> float:
        """Return the seconds of CPU time of all threads so far, ended ones too, children excluded."""
        # The process's CPU clock (CPUCLOCK_SCHED) in nanoseconds; /proc/PID/stat counts in steps of 10 ms.
        return time.clock_gettime((~self.pid << 3) | 2)

    def wake_ups(self) -> int:
        """Return the number of voluntary context switches of the living threads so far."""
        return sum(wakes for _, wakes in self.threads().values())

    def threads(self) -> dict[str, tuple[float, int]]:
        """Return the seconds of CPU time and the voluntary context switches of each living thread.

        By name and number; Python before 3.14 names none to Linux, but the main thread comes first.
        """
        found = {}
        for task in sorted((self._proc / "task").iterdir()):
            name = f"{(task / 'comm').read_text().strip()} ({task.name})"
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
            found[name] = seconds, _field(task / "status", "voluntary_ctxt_switches")
        return found

    def rss(self) -> float:
        """Return the resident memory in MB (2**20 bytes)."""
        return _field(self._proc / "smaps_rollup", "Rss") / 1024

    def pss(self) -> float:
        """Return the resident memory in MB, shared pages divided by the number of their users."""
        return _field(self._proc / "smaps_rollup", "Pss") / 1024

    def peak_rss(self) -> float:
        """Return the highest resident memory in MB since ``forget_peak``."""
        return _field(self._proc / "status", "VmHWM") / 1024

    def forget_peak(self) -> None:
        """Make the present resident memory the highest."""
        (self._proc / "clear_refs").write_text("5")

    @property
    def _proc(self) -> Path:
        return Path("/proc") / str(self.pid)


def cpu_of_program(argv: Sequence[str], programs: Path) -> float:
    """Run a program to its end, in an empty home, and return its seconds of CPU time."""
    with tempfile.TemporaryDirectory(prefix="bench-") as home:
        process = subprocess.Popen(argv, env=clean_environment(Path(home), programs), cwd=home)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def _field(file: Path, name: str) -> int:
    for line in file.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise LookupError(f"{file} has no {name}")
