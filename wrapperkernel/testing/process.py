"""Start a kernel's process for a test, and never leave one behind.

Knows connection files, signals and /proc; knows no message. Linux is the reference: `KernelProcess.children`
is empty elsewhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from .client import KernelClient
from .waiting import NothingCame, default_limit

_PORTS = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")


class KernelProcess:
    """A kernel in a process of its own, in a process group of its own; use it in a ``with`` statement.

    Made by `start_kernel`. The connection file and the output live in a directory that is removed at the end.

    Attributes:
        argv: the command, with the path of the connection file filled in.
        connection_file: the path of it.
        limit: how many seconds each wait may take.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        connection: Mapping[str, Any] | None = None,
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        limit: float | None = None,
    ) -> None:
        """Keep the settings; `start` starts. See `start_kernel` for their meaning."""
        self.limit = default_limit() if limit is None else limit
        self._directory: Path | None = None
        self._template = list(argv)
        self._settings = dict(connection or {})
        self._env = {**os.environ, "JPY_PARENT_PID": str(os.getpid()), **(env or {})}
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None
        self._mark = f"WRAPPERKERNEL_TEST_KERNEL={secrets.token_hex(8)}"

    # ---- starting and ending ---------------------------------------------------------------------------

    def start(self) -> KernelProcess:
        """Write the connection file, start the process and wait until it has said its ports."""
        self._directory = Path(tempfile.mkdtemp(prefix="kernel-"))
        try:
            self._write_connection_file()
            self._spawn()
        except BaseException:
            self.close()
            raise
        return self

    def restart(self) -> None:
        """Wait for the end of the process and start it again with the same connection file, as managers do.

        A client that was connected may go on; its `KernelClient.wait_ready` is for fresh ones.
        """
        self.wait()
        self._spawn()

    def close(self) -> None:
        """Kill the process and all that it started, and remove its directory."""
        self.kill()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self) -> KernelProcess:
        """Return itself: it has been started."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    # ---- what a test asks ------------------------------------------------------------------------------

    @property
    def directory(self) -> Path:
        """Return the directory of the connection file and the outputs."""
        assert self._directory is not None, "the kernel was not started"
        return self._directory

    @property
    def connection_file(self) -> Path:
        """Return the path of the connection file."""
        return self.directory / "connection.json"

    @property
    def argv(self) -> list[str]:
        """Return the command with the path of the connection file filled in, or added as ``-f PATH``."""
        path = str(self.connection_file)
        filled = [word.replace("{connection_file}", path) for word in self._template]
        return filled if filled != self._template else [*filled, "-f", path]

    @property
    def connection(self) -> dict[str, Any]:
        """Return what stands in the connection file now."""
        return dict(json.loads(self.connection_file.read_text(encoding="utf-8")))

    @property
    def pid(self) -> int:
        """Return the process id, which is that of its group too."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """Return what the process has written to stdout."""
        return (self.directory / "stdout").read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self) -> str:
        """Return what the process has written to stderr."""
        return (self.directory / "stderr").read_text(encoding="utf-8", errors="replace")

    def client(self, **settings: Any) -> KernelClient:
        """Return a client of this kernel that is not open yet; ``settings`` are those of `KernelClient`."""
        return KernelClient(self.connection, **{"limit": self.limit, "process": self, **settings})

    def running(self) -> bool:
        """Tell whether the process lives."""
        return self._popen is not None and self._popen.poll() is None

    def report(self) -> str:
        """Return how the process stands and the end of its stderr, for the text of a failure."""
        state = (
            "runs"
            if self.running()
            else f"ended with {self._popen.returncode if self._popen else 'no start'}"
        )
        return f"{' '.join(self.argv)} {state}; its stderr:\n{self.stderr[-4000:] or '(nothing)'}"

    def children(self) -> list[int]:
        """Return the process ids of everything that the kernel has started and that lives (Linux).

        Also what has outlived the kernel, and what is in a session of its own: it is known by a variable in
        its environment, unless that was emptied on purpose.
        """
        return sorted(pid for pid in _descendants(self.pid) | _marked(self._mark) if pid != self.pid)

    # ---- what a test does to it ------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Send SIGINT to the process group, as jupyter_client does."""
        os.killpg(self.pid, signal.SIGINT)

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        self._process.terminate()

    def wait(self, limit: float | None = None) -> int:
        """Wait for the end of the process and return its status, negative for a signal."""
        seconds = self.limit if limit is None else limit
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise NothingCame(f"waited {seconds:g} s for the kernel's end\n{self.report()}") from None

    def kill(self) -> None:
        """Kill the process, its group, and whatever it started in other groups; wait until it is gone."""
        if self._popen is None:
            return
        children = self.children()  # before the kill: afterwards nothing tells whose they were
        self._popen.kill()
        self._popen.wait()
        deadline = time.monotonic() + self.limit
        while children := [pid for pid in {*children, *self.children()} if is_alive(pid)]:
            for pid in children:
                _kill(pid)
            if time.monotonic() > deadline:
                raise NothingCame(f"killed in vain: {children}\n{self.report()}")
            time.sleep(0.005)

    # ---- how it is done --------------------------------------------------------------------------------

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self._popen is not None, "the kernel was not started"
        return self._popen

    def _write_connection_file(self) -> None:
        transport = self._settings.get("transport", "tcp")
        content = {
            "transport": transport,
            "ip": "127.0.0.1" if transport == "tcp" else str(self.directory / "ipc"),
            **dict.fromkeys(_PORTS, 0),
            "key": secrets.token_hex(16),
            "signature_scheme": "hmac-sha256",
            **self._settings,
        }
        with os.fdopen(
            os.open(self.connection_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as file:
            json.dump(content, file)

    def _spawn(self) -> None:
        with (self.directory / "stdout").open("ab") as out, (self.directory / "stderr").open("ab") as err:
            self._popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env=self._environment(),
                cwd=self._cwd,
                start_new_session=True,
            )
        assert self._popen.stdin is not None
        self._popen.stdin.close()  # kernels get a closed pipe from jupyter_client
        self._wait_for_ports()

    def _environment(self) -> dict[str, str]:
        name, _, value = self._mark.partition("=")
        return {**{key: text for key, text in self._env.items() if text is not None}, name: value}

    def _wait_for_ports(self) -> None:
        """Poll the connection file until every port stands in it: a kernel tells them in no other way."""
        deadline = time.monotonic() + self.limit
        while not self._has_ports():
            if not self.running():
                raise NothingCame(f"the kernel ended before it said its ports\n{self.report()}")
            if time.monotonic() > deadline:
                raise NothingCame(
                    f"waited {self.limit:g} s for ports in the connection file\n{self.report()}"
                )
            time.sleep(0.005)

    def _has_ports(self) -> bool:
        try:
            return all(int(self.connection[name]) for name in _PORTS)
        except ValueError:  # being written
            return False


def start_kernel(
    argv: Sequence[str],
    *,
    connection: Mapping[str, Any] | None = None,
    env: Mapping[str, str | None] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    limit: float | None = None,
) -> KernelProcess:
    """Start a kernel and return it once its ports stand in the connection file.

    ::

        with start_kernel([sys.executable, "-m", "my_kernel"]) as kernel, kernel.client() as client:
            client.wait_ready()

    Args:
        argv: the command; ``{connection_file}`` is replaced, else ``-f PATH`` is added.
        connection: entries of the connection file that differ from: tcp, 127.0.0.1, ports 0 (the kernel
            chooses), a fresh key, hmac-sha256. With ``{"transport": "ipc"}`` the sockets are made in the
            directory of the connection file.
        env: changes to the environment; ``None`` removes a variable.
        cwd: the directory to start in.
        limit: how many seconds each wait may take; default: see `default_limit`.

    Raises `NothingCame`, with the kernel's stderr, when it ends or says no ports within the limit.
    """
    return KernelProcess(argv, connection=connection, env=env, cwd=cwd, limit=limit).start()


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and is not merely waiting to be reaped (Linux)."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in "ZX"


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the state on; empty when there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()  # the name before it may hold blanks and brackets


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _descendants(pid: int) -> set[int]:
    """Return every living process below one."""
    parents = {
        each: int(fields[1]) for each in _processes() if (fields := _stat(each)) and fields[0] not in "ZX"
    }
    family = {pid}
    while more := {each for each, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {pid}


def _marked(mark: str) -> set[int]:
    """Return every living process with this entry in its environment."""
    found = set()
    for pid in _processes():
        with contextlib.suppress(OSError):  # gone, or another user's
            if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found
