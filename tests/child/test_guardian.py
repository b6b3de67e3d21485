"""The guardian at its post: over real processes, and a kernel that is killed with its whole group."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapperkernel.child import guardian as module
from wrapperkernel.child.guardian import Guardian

LIMIT = 30.0  # s, for what is due at once
STUBBORN = "set -m; sleep 1000 & trap '' HUP TERM; sleep 1000 & echo $$ $(jobs -p); wait"
"""A leader, and jobs in groups of their own; the leader and the second job ignore what can be ignored."""

SHELLS = [shell for shell in (["dash"], ["bash", "--posix"], ["busybox", "sh"]) if shutil.which(shell[0])]


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return what it returned."""
    limit = time.monotonic() + LIMIT
    while not (result := condition()):
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.005)  # nothing tells when another process has changed
    return result


def status(pid: int, field: str) -> str:
    """Return a field of a process's status, "" if it has gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return ""
    found = re.search(rf"^{field}:\s*(\S*)", text, re.MULTILINE)
    return found[1] if found else ""


def runs(pid: int) -> bool:
    return status(pid, "State") not in ("", "Z", "X")


def at_its_post(pid: int) -> bool:
    """Say whether a guardian ignores what it should."""
    mask = int(status(pid, "SigIgn") or "0", 16)
    return all(
        mask >> (signum - 1) & 1 for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT)
    )


class Strays(contextlib.ExitStack):
    """What is to be killed at the end. By descriptors: numbers may have gone to others by then."""

    def add(self, *pids: int) -> None:
        for pid in pids:
            descriptor = os.pidfd_open(pid)
            self.callback(os.close, descriptor)
            self.callback(self._kill, descriptor)

    def _kill(self, descriptor: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def start(self, *argv: str) -> tuple[subprocess.Popen[bytes], list[int]]:
        """Start a program in a session of its own, which says the processes that count."""
        process = subprocess.Popen(
            argv, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.enter_context(process)
        self.callback(process.kill)
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        self.add(*pids)
        return process, pids


@pytest.fixture
def strays(no_leaks: None) -> Iterator[Strays]:
    with Strays() as strays:
        yield strays


# --- a kernel that is killed --------------------------------------------------------------------------

KERNEL = """
import os, subprocess, sys
from wrapperkernel.child.guardian import Guardian

child = subprocess.Popen(
    ["bash", "-c", sys.argv[2]], start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
)
pids = child.stdout.readline().decode().split()
guardian = Guardian.start(child.pid, sys.argv[1])
# One more that outlives us, and inherits all that can be inherited.
bystander = subprocess.Popen(["sleep", "1000"], start_new_session=True, close_fds=False)
print(guardian.pid, bystander.pid, *pids, flush=True)
sys.stdin.read()
"""


def test_when_the_kernel_is_killed_nothing_is_left(strays: Strays, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    (folder / "within").mkdir(parents=True)
    (folder / "within" / "file").write_text("")
    kernel, (guardian, bystander, *session) = strays.start(
        sys.executable, "-c", KERNEL, str(folder), STUBBORN
    )
    assert len(session) == 3
    assert all(map(runs, [guardian, bystander, *session]))
    os.killpg(kernel.pid, signal.SIGKILL)
    assert kernel.wait(LIMIT) == -signal.SIGKILL
    eventually(lambda: not any(map(runs, session)))
    eventually(lambda: not runs(guardian))
    assert not folder.exists()
    assert list(tmp_path.iterdir()) == []
    assert runs(bystander)


def test_a_kernel_that_ends_without_a_word_counts_as_killed(strays: Strays, tmp_path: Path) -> None:
    kernel, (guardian, _, *session) = strays.start(sys.executable, "-c", KERNEL, "", STUBBORN)
    assert kernel.stdin is not None
    kernel.stdin.close()
    eventually(lambda: not any(map(runs, [guardian, *session])))


# --- at its post --------------------------------------------------------------------------------------


@pytest.mark.parametrize("signum", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_it_stays_when_signalled(strays: Strays, tmp_path: Path, signum: int) -> None:
    _, session = strays.start("bash", "-c", STUBBORN)
    guardian = Guardian.start(session[0], str(tmp_path))
    strays.callback(guardian.dismiss)
    eventually(lambda: at_its_post(guardian.pid))
    os.kill(guardian.pid, signum)
    assert runs(guardian.pid)
    assert os.getsid(guardian.pid) == guardian.pid
    assert all(map(runs, session))
    assert tmp_path.exists()


def test_dismissed_it_does_nothing(strays: Strays, tmp_path: Path) -> None:
    _, session = strays.start("bash", "-c", STUBBORN)
    guardian = Guardian.start(session[0], str(tmp_path))
    guardian.dismiss()
    assert status(guardian.pid, "State") == ""  # reaped, too
    guardian.dismiss()
    assert all(map(runs, session))
    assert tmp_path.exists()


def test_one_that_is_stopped_is_killed(
    strays: Strays, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LIMIT", 0.05)
    _, session = strays.start("bash", "-c", STUBBORN)
    guardian = Guardian.start(session[0], str(tmp_path))
    os.kill(guardian.pid, signal.SIGSTOP)
    eventually(lambda: status(guardian.pid, "State") == "T")
    guardian.dismiss()
    assert status(guardian.pid, "State") == ""
    assert all(map(runs, session))
    assert tmp_path.exists()


def test_one_that_was_killed_can_be_dismissed(strays: Strays) -> None:
    _, session = strays.start("bash", "-c", STUBBORN)
    guardian = Guardian.start(session[0], "")
    os.kill(guardian.pid, signal.SIGKILL)
    eventually(lambda: status(guardian.pid, "State") == "Z")
    guardian.dismiss()
    guardian.dismiss()
    assert all(map(runs, session))


@pytest.mark.usefixtures("no_leaks")
def test_where_it_cannot_be_started_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise FileNotFoundError("/bin/sh")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    with pytest.raises(FileNotFoundError):
        Guardian.start(4242, "")


# --- what it does, in each shell there is -------------------------------------------------------------


def watch_over(shell: list[str], session: int, folder: str, word: bytes = b"") -> bytes:
    """Have a shell do what a guardian does once the kernel has said this and gone; return its complaints."""
    ran = subprocess.run(
        [*shell, "-c", module._SCRIPT, "sh", str(session), folder],
        input=word,
        capture_output=True,
        start_new_session=True,
        timeout=LIMIT,
    )
    assert ran.stdout == b""
    return ran.stderr


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    shell: list[str] = request.param
    return shell


def test_each_shell_ends_a_session(strays: Strays, tmp_path: Path, shell: list[str]) -> None:
    _, session = strays.start("bash", "-c", STUBBORN)
    folder = tmp_path / "-r f"
    folder.mkdir()
    watch_over(shell, session[0], str(folder))
    assert not any(map(runs, session))
    assert list(tmp_path.iterdir()) == []


def test_each_shell_can_be_dismissed(strays: Strays, tmp_path: Path, shell: list[str]) -> None:
    _, session = strays.start("bash", "-c", STUBBORN)
    assert watch_over(shell, session[0], str(tmp_path), b"dismissed\n") == b""
    assert all(map(runs, session))
    assert tmp_path.exists()


def test_no_request_is_firmer_than_needed(strays: Strays, shell: list[str]) -> None:
    process, [pid] = strays.start("bash", "-c", "echo $$; kill -STOP $$; read -r")
    eventually(lambda: status(pid, "State") == "T")
    watch_over(shell, pid, "")
    assert process.wait(LIMIT) == -signal.SIGHUP


def test_who_ignores_hup_gets_term(strays: Strays, shell: list[str]) -> None:
    process, [pid] = strays.start("bash", "-c", "trap '' HUP; trap 'exit 3' TERM; echo $$; read -r")
    watch_over(shell, pid, "")
    assert process.wait(LIMIT) == 3


NAMED = """
import os, sys
with open("/proc/self/comm", "wb") as file:
    file.write(sys.argv[1].encode("utf-8", "surrogateescape"))
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "name", [") (", "a) Z 1 1", "))", "\udcff\udcfe é", "a\n) S", "\\) Z 0 0 0\n", "* ) *"]
)
def test_a_name_may_hold_anything(strays: Strays, shell: list[str], name: str) -> None:
    process, [pid] = strays.start(sys.executable, "-ISc", NAMED, name)
    watch_over(shell, pid, "")
    assert process.wait(LIMIT) == -signal.SIGHUP


def test_a_name_puts_nobody_into_the_session(strays: Strays, shell: list[str]) -> None:
    process, [pid] = strays.start("bash", "-c", "echo $$; read -r")
    bystander, [other] = strays.start(sys.executable, "-ISc", NAMED, f") S 1 1 {pid} (")
    watch_over(shell, pid, "")
    assert process.wait(LIMIT) == -signal.SIGHUP
    assert runs(other)
    assert bystander.poll() is None


def test_without_a_session_the_folder_is_removed(strays: Strays, tmp_path: Path, shell: list[str]) -> None:
    process, [pid] = strays.start("bash", "-c", "echo $$")
    process.wait(LIMIT)
    watch_over(shell, pid, str(tmp_path))
    assert not tmp_path.exists()


def test_without_sleep_no_time_is_given(strays: Strays, shell: list[str]) -> None:
    process, [pid] = strays.start("bash", "-c", "trap '' HUP TERM; echo $$; read -r")
    lost = [shutil.which("env") or "env", "PATH=/nonexistent", shutil.which(shell[0]) or shell[0], *shell[1:]]
    watch_over(lost, pid, "")
    assert process.wait(LIMIT) == -signal.SIGKILL
