"""The watch on the parent: whom it believes, what it tells, over real processes."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import sys
import threading
import time

import pytest

from wrapperkernel.server.parent import ParentWatch, PidfdWatch, watch_parent

LIMIT = 20  # s, for what is due at once

# Says whom it watches, then "gone" when that process has. A line on stdin asks how things are meanwhile.
WATCHER = """
import os, select, sys
from wrapperkernel.server.parent import PidfdWatch, watch_parent

if "without pidfd" in sys.argv:
    del os.pidfd_open
watch = watch_parent(os.environ)
print(os.getpid(), type(watch).__name__, flush=True)
if watch is None:
    sys.exit()
poll = select.poll()
poll.register(0, select.POLLIN)
if isinstance(watch, PidfdWatch):
    poll.register(watch, select.POLLIN)
while not watch.gone():
    for descriptor, _ in poll.poll(None if watch.interval is None else watch.interval * 1000):
        if descriptor == 0:
            sys.stdin.readline()
            print("there", flush=True)
            if not watch.gone() and isinstance(watch, PidfdWatch):
                assert not select.select([watch], [], [], 0)[0]
print("gone", flush=True)
watch.close()
"""


LAUNCHER = 'JPY_PARENT_PID=${CLAIMED:-$$} "$0" -c "$@"; :'
"""A shell that starts the watcher, and does not become it."""


class Watcher:
    """A watcher, started by a launcher that is killed at the end, and the watcher with it."""

    def __init__(self, *argv: str, **environ: str) -> None:
        self.launcher = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=os.environ | environ
        )
        self.last = self.read_line()
        self.pid, self.kind = self.last.split()

    @classmethod
    def by_shell(cls, *options: str, **environ: str) -> Watcher:
        return cls("sh", "-c", LAUNCHER, sys.executable, WATCHER, *options, **environ)

    def ask(self) -> str:
        assert self.launcher.stdin is not None
        self.launcher.stdin.write(b"\n")
        return self.read_line()

    def read_line(self) -> str:
        assert self.launcher.stdout is not None
        assert select.select([self.launcher.stdout], [], [], LIMIT)[0], "nothing was said"
        self.last = self.launcher.stdout.readline().decode().strip()
        return self.last

    def kill_launcher(self) -> None:
        self.launcher.kill()
        self.launcher.wait()

    def __enter__(self) -> Watcher:
        return self

    def __exit__(self, *_: object) -> None:
        if self.last != "gone" and self.kind != "NoneType":
            os.kill(int(self.pid), signal.SIGKILL)
        with self.launcher:
            self.launcher.kill()


@pytest.mark.row("O5", file="server/parent.py", old="return os.getppid() != self.pid", new="return False")
def test_the_death_of_the_parent_is_noticed() -> None:
    with Watcher.by_shell() as watcher:
        assert watcher.kind == "PidfdWatch"
        assert watcher.ask() == "there"
        watcher.kill_launcher()
        assert watcher.read_line() == "gone"


def test_without_pidfd_it_is_noticed_by_asking() -> None:
    with Watcher.by_shell("without pidfd") as watcher:
        assert watcher.kind == "ParentWatch"
        assert watcher.ask() == "there"
        watcher.kill_launcher()
        assert watcher.read_line() == "gone"


def test_the_end_of_the_thread_that_started_us_is_nothing() -> None:
    started: list[Watcher] = []
    threads: list[int] = []

    def start() -> None:
        threads.append(threading.get_native_id())
        started.append(Watcher(sys.executable, "-c", WATCHER, JPY_PARENT_PID=str(os.getpid())))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    limit = time.monotonic() + LIMIT
    while os.path.exists(f"/proc/self/task/{threads[0]}"):
        assert time.monotonic() < limit
    with started[0] as watcher:
        assert watcher.kind == "PidfdWatch"
        assert watcher.ask() == "there"


def test_started_through_a_shell_the_launcher_is_not_our_parent() -> None:
    with Watcher.by_shell(CLAIMED=str(os.getpid())) as watcher:
        assert watcher.kind == "NoneType"


# --- whom it believes ---------------------------------------------------------------------------------


PARENT = 4242


@pytest.fixture
def parents(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What getppid says, one time after the other; the last again and again."""
    answers = [PARENT]
    monkeypatch.setattr(os, "getppid", lambda: answers.pop(0) if len(answers) > 1 else answers[0])
    monkeypatch.setattr(os, "pidfd_open", lambda pid: os.open(os.devnull, os.O_RDONLY))
    return answers


@pytest.mark.parametrize(
    "said", ["", "0", "1", "-4242", "4242.0", "0x1092", "4_242", "४२४२", "the server", "4243", "9" * 5000]
)
@pytest.mark.usefixtures("parents", "no_leaks")
def test_others_are_not_believed(said: str) -> None:
    assert watch_parent({"JPY_PARENT_PID": said}) is None


@pytest.mark.parametrize("pid", [0, 1])
def test_process_1_is_nobodys_launcher(parents: list[int], pid: int) -> None:
    parents[:] = [pid]
    assert watch_parent({"JPY_PARENT_PID": str(pid)}) is None


@pytest.mark.usefixtures("parents")
def test_without_the_variable_nobody_is_watched() -> None:
    assert watch_parent({}) is None


@pytest.mark.usefixtures("parents", "no_leaks")
def test_the_real_parent_is_watched() -> None:
    watch = watch_parent({"JPY_PARENT_PID": str(PARENT)})
    assert isinstance(watch, PidfdWatch)
    assert watch.interval is None
    assert watch.fileno() >= 0
    assert not watch.gone()
    watch.close()
    watch.close()
    assert watch.fileno() == -1


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.ESRCH])
def test_without_a_descriptor_it_is_watched_by_asking(
    parents: list[int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(pid: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    watch = watch_parent({"JPY_PARENT_PID": str(PARENT)})
    assert type(watch) is ParentWatch
    assert watch.interval == 1.0
    assert not watch.gone()
    parents[:] = [1]
    assert watch.gone()
    watch.close()


@pytest.mark.usefixtures("no_leaks")
def test_a_parent_that_dies_at_that_moment_is_gone_at_once(parents: list[int]) -> None:
    parents[:] = [PARENT, 1]
    watch = watch_parent({"JPY_PARENT_PID": str(PARENT)})
    assert type(watch) is ParentWatch  # not a stranger's descriptor
    assert watch.gone()
