"""Finding, signalling and ending processes: real ones, in sessions of their own."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wrapperkernel.child.processes import below, children, end_session, members, signal_all, started_since

LIMIT = 30.0  # s, for what is due at once
SHORT = 0.2  # s for ending a session that will use all of them

pytestmark = pytest.mark.usefixtures("no_leaks")


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


def ignores(pid: int, signum: int) -> bool:
    return bool(int(status(pid, "SigIgn") or "0", 16) >> (signum - 1) & 1)


class Session:
    """A program in a session of its own, which says the processes that count, its own number first.

    All of them are killed at the end, unless their numbers have gone to another session.
    """

    def __init__(self, *argv: str) -> None:
        self.process = subprocess.Popen(
            argv, start_new_session=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.pid = self.process.pid
        assert self.process.stdout is not None
        self.pids = [int(word) for word in self.process.stdout.readline().split()]

    @classmethod
    def bash(cls, script: str) -> Session:
        return cls("bash", "-c", script)

    @classmethod
    def python(cls, script: str) -> Session:
        return cls(sys.executable, "-ISc", script)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        for pid in {*self.pids, *members(self.pid)} - {self.pid}:
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
        with self.process:
            self.process.kill()


@pytest.fixture(params=["by descriptor", "by looking"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for the end of processes in both ways."""

    def refuse(pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    if request.param == "by looking":
        monkeypatch.setattr(os, "pidfd_open", refuse)


# --- members ------------------------------------------------------------------------------------------


def test_members_are_found_in_whatever_group() -> None:
    with Session.bash("set -m; sleep 1000 & sleep 1000 & echo $$ $(jobs -p); wait") as session:
        assert len({os.getpgid(pid) for pid in session.pids}) == 3
        assert sorted(members(session.pid)) == sorted(session.pids)


def test_a_session_within_is_another_one() -> None:
    with (
        Session.bash("setsid sleep 1000 & echo $$ $!; wait") as session,
        contextlib.ExitStack() as at_end,
    ):
        inner = session.pids[1]
        at_end.callback(signal_all, [inner], signal.SIGKILL)
        eventually(lambda: members(inner) == [inner])
        assert members(session.pid) == [session.pid]


def test_zombies_are_not_counted() -> None:
    with Session.bash("echo $$; read -r") as session:
        assert members(session.pid) == [session.pid]
        session.process.stdin.close()  # type: ignore[union-attr]
        eventually(lambda: members(session.pid) == [])
        assert status(session.pid, "State") == "Z"


FIRST_THREAD_GONE = """
import ctypes, os, threading
threading.Thread(target=os.read, args=(0, 1)).start()
print(os.getpid(), flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_without_its_first_thread_is_no_zombie() -> None:
    with Session.python(FIRST_THREAD_GONE) as session:
        eventually(lambda: status(session.pid, "State") == "Z")
        assert members(session.pid) == [session.pid]
        assert end_session(session.pid, LIMIT)
        assert session.process.wait() == -signal.SIGHUP


NAMED = """
import os, sys, time
with open("/proc/self/comm", "wb") as file:
    file.write({name!r})
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize(
    "name", [b") (", b"a) Z 1 1", b"))", b"\xff\xfe \xc3\xa9", b"a\n) S", b"\\) Z 0 0 0\n"]
)
def test_a_name_may_hold_anything(name: bytes) -> None:
    with Session.python(NAMED.format(name=name)) as session:
        assert members(session.pid) == [session.pid]


def test_of_no_session_there_are_no_members() -> None:
    with Session.bash("echo $$; read -r") as session:
        pass
    assert members(session.pid) == []


# --- below and started_since --------------------------------------------------------------------------


def test_those_further_down_come_first() -> None:
    script = "sleep 1000 & a=$!; (sleep 1000 & echo $$ $a $BASHPID $!; wait; :) & wait"
    with Session.bash(script) as session:
        top, beside, middle, bottom = session.pids
        found = below(top)
        assert found[0] == bottom
        assert sorted(found[1:]) == sorted([beside, middle])
        assert below(middle) == [bottom]
        assert below(bottom) == []


def test_below_a_process_of_many_threads() -> None:
    script = """
import os, subprocess, threading
pids = [os.getpid()]
def start():
    pids.append(subprocess.Popen(["sleep", "1000"]).pid)
    if len(pids) == 3:
        print(*pids, flush=True)
    os.read(0, 1)
for _ in range(2):
    threading.Thread(target=start).start()
"""
    with Session.python(script) as session:
        assert sorted(below(session.pid)) == sorted(session.pids[1:])


def test_below_a_process_that_has_gone_is_nobody() -> None:
    with Session.bash("echo $$; read -r") as session:
        pass
    assert below(session.pid) == []


def test_what_was_there_before_was_not_started_since() -> None:
    """Nor was what that has started."""
    script = "(sleep 1000 & wait) & echo $$ $!; read -r; (sleep 1000 & wait) & read -r"
    with Session.bash(script) as session:
        eventually(lambda: len(below(session.pid)) == 2)
        before = children(session.pid)
        assert before == session.pids[1:]
        assert started_since(session.pid, before) == []
        session.process.stdin.write(b"\n")  # type: ignore[union-attr]
        session.process.stdin.flush()  # type: ignore[union-attr]
        eventually(lambda: len(started_since(session.pid, before)) == 2)
        [sleep, subshell] = started_since(session.pid, before)
        assert children(subshell) == [sleep]
        assert set(started_since(session.pid, [])) == set(below(session.pid))


# --- signal_all ---------------------------------------------------------------------------------------


def test_those_that_have_gone_are_passed_over() -> None:
    with Session.bash("echo $$; read -r") as gone:
        pass
    with Session.bash("echo $$; read -r") as session:
        signal_all([gone.pid, session.pid], signal.SIGTERM)
        assert session.process.wait(LIMIT) == -signal.SIGTERM


def test_another_users_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []

    def kill(pid: int, signum: int) -> None:
        sent.append((pid, signum))
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "kill", kill)
    signal_all(iter([4242, 4243]), signal.SIGTERM)
    assert sent == [(4242, signal.SIGTERM), (4243, signal.SIGTERM)]


# --- end_session --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("waiting")
def test_a_session_ends_at_the_first_request() -> None:
    with Session.bash("set -m; sleep 1000 & echo $$ $!; wait") as session:
        # Its leader stays a zombie, which must not be waited for: the limit is far away.
        assert end_session(session.pid, LIMIT)
        assert status(session.pid, "State") == "Z"
        assert members(session.pid) == []
        assert session.process.wait() == -signal.SIGHUP


@pytest.mark.usefixtures("waiting")
def test_who_ignores_hup_gets_term() -> None:
    with Session.bash("nohup sleep 1000 >/dev/null & trap '' HUP; echo $$ $!; wait") as session:
        eventually(lambda: ignores(session.pids[1], signal.SIGHUP))
        assert end_session(session.pid, 3 * SHORT)
        assert members(session.pid) == []
        assert session.process.wait() == -signal.SIGTERM


@pytest.mark.usefixtures("waiting")
def test_who_ignores_all_is_killed() -> None:
    with Session.bash("trap '' HUP TERM; set -m; sleep 1000 & echo $$ $!; wait") as session:
        assert end_session(session.pid, 3 * SHORT)
        assert members(session.pid) == []
        assert session.process.wait() == -signal.SIGKILL


def test_who_ends_late_is_given_time() -> None:
    script = "trap 'read -r; exit 3' HUP; echo $$; while :; do sleep 0.01; done"
    with Session.bash(script) as session:
        session.process.stdin.write(b"\n")  # type: ignore[union-attr]
        session.process.stdin.flush()  # type: ignore[union-attr]
        assert end_session(session.pid, LIMIT)
        assert session.process.wait() == 3


def test_the_stopped_notice_it_too() -> None:
    script = "set -m; sleep 1000 & kill -STOP $!; echo $$ $!; kill -STOP $$"
    with Session.bash(script) as session:
        eventually(lambda: [status(pid, "State") for pid in session.pids] == ["T", "T"])
        assert end_session(session.pid, LIMIT)
        assert members(session.pid) == []
        assert session.process.wait() == -signal.SIGHUP


def test_what_a_leader_starts_at_its_end_is_ended() -> None:
    last = "set -m; nohup sleep 1000 >/dev/null 2>&1 & exit"
    script = f"trap '{last}' HUP; echo $$; while :; do sleep 0.01; done"
    with Session.bash(script) as session:
        assert end_session(session.pid, 3 * SHORT)
        assert members(session.pid) == []
        assert session.process.wait() == 0


def test_others_are_left_alone() -> None:
    with Session.bash("echo $$; read -r") as other, Session.bash("echo $$; read -r") as session:
        assert end_session(session.pid, LIMIT)
        assert members(other.pid) == [other.pid]
        assert other.process.poll() is None


def test_without_a_session_there_is_nothing_to_end() -> None:
    with Session.bash("echo $$; read -r") as session:
        pass
    assert end_session(session.pid, LIMIT)


def test_what_cannot_be_ended_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def killpg(group: int, signum: int) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    with Session.bash("echo $$; read -r") as session:
        monkeypatch.setattr(os, "killpg", killpg)
        assert not end_session(session.pid, 0.01)
        assert members(session.pid) == [session.pid]


@pytest.mark.parametrize("session", [-1, 0, 1, os.getsid(0)])
def test_some_are_not_to_be_ended(session: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("it was signalled"))
    with pytest.raises(ValueError, match="not one to end"):
        end_session(session, LIMIT)
