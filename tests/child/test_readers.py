"""Who is found waiting for a terminal, over real processes on real terminals; and what that asks for."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapperkernel.child import readers
from wrapperkernel.child.readers import Question, Wait, blocked_on, classify, image, state, waits

LIMIT = 30  # s, for what is due at once
LOOKS = 20  # at somebody who must never be found

# A session whose leader opens the first terminal, which makes it the controlling one.
SESSION = 'first=$1 second=$2; shift 2; exec "$@" <"$first" >"$first" 2<>"$second"'


def eventually(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return what it returned."""
    limit = time.monotonic() + LIMIT
    while not (result := condition()):
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.005)  # nothing tells when another process blocks
    return result


class Session:
    """A program in a session of its own, with one terminal as stdin and stdout and one as stderr."""

    def __init__(self, *argv: str) -> None:
        self.masters, self.slaves = zip(os.openpty(), os.openpty(), strict=True)
        self.terminals = [os.ttyname(slave) for slave in self.slaves]
        self.output = b""
        command = ["sh", "-c", SESSION, "sh", *self.terminals, *argv]
        self.process = subprocess.Popen(command, start_new_session=True)
        self.pid = self.process.pid

    def waits(self) -> list[Wait]:
        try:
            group = os.tcgetpgrp(self.masters[0])
        except OSError:  # the terminal is nobody's yet
            return []
        return waits(group, self.pid, self.terminals)

    def wait(self) -> Wait:
        """Return the one wait that there is, when there is one."""
        [found] = eventually(self.waits)
        return found

    def question(self, wait: Wait, *, full_screen: bool = False, unfinished: bool = False) -> Question:
        [terminal] = wait.terminals
        modes = termios.tcgetattr(self.masters[self.terminals.index(terminal)])[3]
        return classify(
            wait,
            canonical=bool(modes & termios.ICANON),
            echo=bool(modes & termios.ECHO),
            full_screen=full_screen,
            unfinished=unfinished,
        )

    def read_until(self, text: bytes) -> bytes:
        """Wait until the program has written this, and return all that it has written."""
        limit = time.monotonic() + LIMIT
        while text not in self.output:
            assert select.select([self.masters[0]], [], [], limit - time.monotonic())[0], self.output
            self.output += os.read(self.masters[0], 4096)
        return self.output

    def write(self, text: bytes) -> None:
        os.write(self.masters[0], text)

    def nobody_waits(self) -> None:
        """Look again and again, the first time when the program sleeps."""
        eventually(lambda: state(self.pid) == "S")
        for _ in range(LOOKS):
            assert self.waits() == []

    def end(self) -> None:
        self.process.kill()
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(int(name)) == self.pid:
                    os.kill(int(name), signal.SIGKILL)
        self.process.wait()
        for descriptor in self.masters + self.slaves:
            os.close(descriptor)


Start = Callable[..., Session]


@pytest.fixture
def start(no_leaks: None) -> Iterator[Start]:
    """Start a program in a session of its own."""
    sessions: list[Session] = []

    def start(*argv: str) -> Session:
        sessions.append(Session(*argv))
        return sessions[-1]

    yield start
    for session in sessions:
        session.end()


def bash(code: str) -> tuple[str, ...]:
    return "bash", "--norc", "-c", code


def job_control(code: str) -> tuple[str, ...]:
    """Run each command in a group of its own, for which bash wants the controlling terminal as fd 2."""
    return "bash", "--norc", "-c", 'exec bash --norc -c "set -m; $0" 2>/dev/tty', code


def python(code: str) -> tuple[str, ...]:
    return sys.executable, "-I", "-S", "-c", code


# --- who waits ----------------------------------------------------------------------------------------

# What is run, its call, whether it waits for the terminal alone, and what it asks for behind a finished line.
LINE, PASSWORD, KEY, EDITOR, NONE = (Question[n] for n in ("LINE", "PASSWORD", "KEY", "EDITOR", "NONE"))
READERS = {
    "cat": (("cat",), "read", True, LINE),
    "read": (bash("read x"), "read", True, LINE),
    "read -s": (bash("read -s x"), "read", True, PASSWORD),
    "read -t": (bash("read -t 600 x"), "select", True, LINE),
    "read -n1": (bash("read -n1 x"), "read", True, KEY),
    "read -s -n1": (bash("read -s -n1 x"), "read", True, KEY),
    "read -d": (bash("read -d x x"), "read", True, KEY),
    "read -e": (bash("read -e x"), "select", True, EDITOR),
    "select": (bash("select x in a b; do :; done"), "read", True, LINE),
    "/dev/tty": (bash("read x </dev/tty"), "read", True, LINE),
    "subshell": (bash("(:; (:; read x); :); :"), "read", True, LINE),
    "input()": (python("input('Name? ')"), "read", True, LINE),
    "getpass": (python("import getpass; getpass.getpass()"), "read", True, PASSWORD),
    "readv": (python("import os; os.readv(0, [bytearray(9)])"), "read", True, LINE),
    "select, also for errors": (
        python("import select; select.select([0], [], [0])"),
        "select",
        True,
        LINE,
    ),
    "select with a pipe": (
        python("import os, select; select.select([os.pipe()[0], 0], [], [])"),
        "select",
        False,
        NONE,
    ),
    "select with a full pipe": (
        python(
            "import os, select; r, w = os.pipe(); os.set_blocking(w, False); os.write(w, bytes(1 << 16));"
            "select.select([0], [w], [])"
        ),
        "select",
        False,
        NONE,
    ),
    "select with a pipe for errors": (
        python("import os, select; select.select([0], [], [os.pipe()[0]])"),
        "select",
        False,
        NONE,
    ),
    "select of a high number": (
        python("import os, select; os.dup2(0, 200); select.select([200], [], [])"),
        "select",
        True,
        LINE,
    ),
    "poll": (
        python("import select; p = select.poll(); p.register(0, select.POLLIN); p.poll()"),
        "poll",
        True,
        LINE,
    ),
    "poll with a pipe": (
        python(
            "import os, select; p = select.poll(); p.register(os.pipe()[0], 0); p.register(0, 1); p.poll()"
        ),
        "poll",
        False,
        NONE,
    ),
    "epoll": (
        python("import select; p = select.epoll(); p.register(0, select.EPOLLIN); p.poll()"),
        "epoll",
        True,
        LINE,
    ),
    "epoll with a pipe": (
        python(
            "import os, select; p = select.epoll(); p.register(os.pipe()[0], 1); p.register(0, 1); p.poll()"
        ),
        "epoll",
        False,
        NONE,
    ),
    "a raw editor in epoll": (
        python(
            "import os, select, termios, tty; tty.setcbreak(0); p = select.epoll();"
            "p.register(os.pipe()[0], 1); p.register(0, 1); p.poll()"
        ),
        "epoll",
        False,
        EDITOR,
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_a_reader_is_found(start: Start, name: str) -> None:
    argv, call, alone, question = READERS[name]
    session = start(*argv)
    wait = session.wait()
    assert (wait.call, wait.alone) == (call, alone)
    assert wait.terminals == {session.terminals[0]}
    assert session.question(wait) is question
    if question is NONE:
        assert session.question(wait, unfinished=True) is LINE


def test_the_process_that_waits_is_named(start: Start) -> None:
    session = start(*bash("echo $$; cat; :"))
    wait = session.wait()
    assert session.read_until(b"\n").split() == [b"%d" % session.pid]
    assert wait.pid != session.pid
    assert image(wait.pid)[0] == b"cat\0"


def test_it_is_gone_when_it_was_answered(start: Start) -> None:
    session = start(*bash("read x; echo got; exec sleep 600"))
    session.wait()
    session.write(b"yes\n")
    session.read_until(b"got")
    session.nobody_waits()


def test_stderrs_terminal_counts(start: Start) -> None:
    session = start(*bash("exec cat <&2"))
    assert session.wait().terminals == {session.terminals[1]}


def test_both_terminals_count(start: Start) -> None:
    session = start(*python("import select; select.select([0, 2], [], [])"))
    wait = session.wait()
    assert wait.terminals == set(session.terminals)
    assert wait.alone


def test_a_terminal_that_was_not_given_does_not_count(start: Start) -> None:
    session = start(*python("import select; select.select([0, 2], [], [])"))
    session.wait()
    [wait] = waits(session.pid, session.pid, session.terminals[1:])
    assert wait.terminals == {session.terminals[1]}
    assert not wait.alone
    assert waits(session.pid, session.pid, []) == []


def test_any_thread_counts(start: Start) -> None:
    reading = "threading.Thread(target=os.read, args=(0, 9)).start()"
    session = start(*python(f"import os, threading; {reading}; threading.Event().wait()"))
    assert session.wait().call == "read"
    assert blocked_on(session.pid) == ""  # the main thread is not


def test_the_main_thread_may_have_ended(start: Start) -> None:
    code = """if True:
        import ctypes, os, select, threading
        threading.Thread(target=select.select, args=([0], [], [])).start()
        ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[os.uname().machine], 0)  # this thread alone
    """
    session = start(*python(code))
    eventually(lambda: state(session.pid) == "Z")
    assert session.wait().call == "select"


def test_two_may_wait(start: Start) -> None:
    session = start(*bash("cat <&2 | cat /dev/tty; :"))
    found = eventually(lambda: len(found := session.waits()) == 2 and found)
    assert {terminal for wait in found for terminal in wait.terminals} == set(session.terminals)
    assert len({wait.pid for wait in found}) == 2


def test_below_a_shell_with_job_control_the_foreground_counts(start: Start) -> None:
    session = start(*job_control("sleep 600 & (sleep 600; :) & cat; :"))
    wait = session.wait()
    assert wait.pid == os.tcgetpgrp(session.masters[0]) != session.pid
    assert waits(session.pid, session.pid, session.terminals) == []


def test_the_leader_of_the_group_need_not_be_below_the_root(start: Start) -> None:
    root, session = start("sleep", "600"), start("cat")
    session.wait()
    [wait] = waits(session.pid, root.pid, session.terminals)
    assert wait.pid == session.pid
    assert waits(root.pid, root.pid, session.terminals) == []


# Calls that neither bash nor Python makes on our systems, made by their number.
RAW = """if True:
    import ctypes, os, select, sys, time
    call = lambda *arguments: ctypes.CDLL(None).syscall(*map(ctypes.c_void_p, map(int, arguments)))
    at = ctypes.addressof(words := (ctypes.c_uint64 * 128)(1))
    array = ctypes.addressof(entries := (ctypes.c_uint32 * 256)(0, select.POLLIN, 2**32 - 1, select.POLLIN))
    epoll = select.epoll()
    epoll.register(0, select.EPOLLIN)
    numbers = dict(zip(("x86_64", "aarch64"), map(int, sys.argv[1:]), strict=True))
    number = numbers[os.uname().machine]
"""
CALLS = {
    "select": ("23 72", "call(number, 1, at, 0, 0, 0)", "select"),
    "pselect6": ("270 72", "call(number, 1, at, 0, 0, 0, 0)", "select"),
    "ppoll": ("271 73", "call(number, array, 2, 0, 0, 8)", "poll"),
    "epoll_pwait": ("281 22", "call(number, epoll.fileno(), at, 1, -1, 0, 8)", "epoll"),
    "epoll_pwait2": ("441 441", "call(number, epoll.fileno(), at, 1, 0, 0, 8)", "epoll"),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_such_call_is_known(start: Start, name: str) -> None:
    numbers, code, call = CALLS[name]
    wait = start(*python(f"{RAW}    {code}"), *numbers.split()).wait()
    assert (wait.call, wait.alone) == (call, True)


def test_a_futex_that_was_continued_is_no_poll(start: Start) -> None:
    # Its word is 0 and what follows is 1, so that its memory is an array of pollfd for stdin.
    code = "words[:2] = (1 << 32, 600); print('ready', flush=True); call(number, at, 128, 0, at + 8, 0, 0)"
    session = start(*python(f"{RAW}    {code}"), "202", "98")
    session.read_until(b"ready")
    session.nobody_waits()
    os.kill(session.pid, signal.SIGSTOP)
    eventually(lambda: state(session.pid) == "T")
    os.kill(session.pid, signal.SIGCONT)
    eventually(lambda: state(session.pid) != "T")
    session.nobody_waits()


def test_a_poll_that_was_continued_waits_still(start: Start) -> None:
    session = start(*python("import select; p = select.poll(); p.register(0, 1); p.poll()"))
    wait = session.wait()
    os.kill(session.pid, signal.SIGSTOP)
    eventually(lambda: state(session.pid) == "T")
    assert session.waits() == []
    os.kill(session.pid, signal.SIGCONT)
    assert session.wait() == wait


# --- who does not --------------------------------------------------------------------------------------

OTHERS = {
    "sleep": bash("echo ready; exec sleep 600"),
    "a pipeline": bash("echo ready; sleep 600 | cat; :"),
    "read from a pipe": bash("echo ready; read x < <(sleep 600)"),
    "wait": bash("sleep 600 & echo ready; wait"),
    "a question alone": bash("echo ready; printf 'Password: '; stty -echo; sleep 600; :"),
    "select on a pipe": python(
        "import os, select; print('ready', flush=True); select.select([os.pipe()[0]], [], [])"
    ),
    "select to sleep": python("import select; print('ready', flush=True); select.select([], [], [], 600)"),
    "poll for hanging up": python(
        "import select; p = select.poll(); p.register(0, 0); print('ready', flush=True); p.poll()"
    ),
    "poll for nothing": python("import select; print('ready', flush=True); select.poll().poll(600000)"),
    "epoll for errors": python(
        "import select; p = select.epoll(); p.register(0, 0); print('ready', flush=True); p.poll()"
    ),
    "a lock": python("import threading; print('ready', flush=True); threading.Event().wait()"),
    "a pipe of its own": python("import os; print('ready', flush=True); os.read(os.pipe()[0], 1)"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_who_waits_for_something_else_is_no_reader(start: Start, name: str) -> None:
    session = start(*OTHERS[name])
    session.read_until(b"ready")
    session.nobody_waits()


def test_who_computes_is_no_reader(start: Start) -> None:
    session = start(*bash("echo ready; while :; do :; done"))
    session.read_until(b"ready")
    for _ in range(LOOKS):
        assert session.waits() == []


def test_the_background_is_no_reader(start: Start) -> None:
    # In select: a read would stop it, and that is another reason.
    code = """if True:
        import os, select, time
        if os.fork() == 0:
            os.setpgid(0, 0)
            print(os.getpid(), flush=True)
            select.select([0], [], [])
        time.sleep(600)
    """
    session = start(*python(code))
    background = int(session.read_until(b"\n"))
    [wait] = eventually(lambda: waits(background, session.pid, session.terminals))
    assert wait.pid == background
    session.nobody_waits()


def test_a_background_reader_is_stopped_and_no_reader(start: Start) -> None:
    session = start(*job_control("cat & echo $!; sleep 600; :"))
    reader = int(session.read_until(b"\n"))
    eventually(lambda: state(reader) == "T")
    assert session.waits() == []
    assert waits(reader, session.pid, session.terminals) == []


def test_who_is_stopped_is_no_reader(start: Start) -> None:
    session = start("cat")
    session.wait()
    assert blocked_on(session.pid) == session.terminals[0]
    os.kill(session.pid, signal.SIGSTOP)
    eventually(lambda: state(session.pid) == "T")
    assert session.waits() == []
    assert blocked_on(session.pid) == ""
    os.kill(session.pid, signal.SIGCONT)
    session.wait()


def test_who_has_ended_is_no_reader(start: Start) -> None:
    session = start(*bash("read x"))
    session.wait()
    session.write(b"\n")
    os.waitid(os.P_PID, session.pid, os.WEXITED | os.WNOWAIT)
    assert state(session.pid) == "Z"
    assert waits(session.pid, session.pid, session.terminals) == []
    session.process.wait()
    assert waits(session.pid, session.pid, session.terminals) == []
    assert state(session.pid) == ""
    assert blocked_on(session.pid) == ""
    assert image(session.pid) == (b"", "", b"")


@pytest.mark.parametrize("unreadable", ["syscall", "mem", "stat", "children", "task", "fd"])
def test_what_cannot_be_read_is_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch, unreadable: str
) -> None:
    session = start(*bash("(:; read -t 600 x); :"))
    session.wait()

    def refusing(real: Callable[..., Any]) -> Callable[..., Any]:
        def refuse(path: Any, *rest: Any) -> Any:
            if unreadable in str(path).rpartition("/task/")[2].split("/") or str(path).endswith(unreadable):
                raise PermissionError(path)
            return real(path, *rest)

        return refuse

    for name in ("open", "listdir", "readlink"):
        monkeypatch.setattr(readers.os, name, refusing(getattr(os, name)))
    found = session.waits()
    monkeypatch.undo()
    assert found == []


def test_of_an_unknown_machine_nobody_is_found(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    session = start("cat")
    session.wait()
    uname = os.uname_result(("Linux", "here", "6.1", "#1", "riscv64"))
    monkeypatch.setattr(readers.os, "uname", lambda: uname)
    assert session.waits() == []
    assert blocked_on(session.pid) == ""


# --- one process ----------------------------------------------------------------------------------------


def test_a_shell_waits_for_its_commands(start: Start, tmp_path: Path) -> None:
    commands = tmp_path / "commands"
    os.mkfifo(commands)
    descriptor = os.open(commands, os.O_RDWR | os.O_CLOEXEC)
    try:
        session = start(*bash(f'exec bash --norc --noediting -i 0<"{commands}" 2>&1'))
        eventually(lambda: blocked_on(session.pid) == str(commands))
        assert session.waits() == []
        os.write(descriptor, b"read x <%s\n" % os.fsencode(session.terminals[0]))
        assert session.wait().pid == session.pid
        assert blocked_on(session.pid) == session.terminals[0]
        session.write(b"\n")
        eventually(lambda: blocked_on(session.pid) == str(commands))
    finally:
        os.close(descriptor)


def test_the_image_changes_at_exec(start: Start) -> None:
    again = python("import os, sys; input(); os.execv(sys.executable, sys.orig_argv)")
    session = start(*again)
    session.wait()
    before = image(session.pid)
    assert before[0].decode().split("\0")[:-1] == list(again)
    assert before[1] == os.path.realpath(sys.executable)
    assert image(session.pid) == before
    session.write(b"\n")
    eventually(lambda: image(session.pid) not in ((b"", "", b""), before))
    session.wait()
    assert image(session.pid)[:2] == before[:2]


def test_a_name_may_look_like_a_state(start: Start, tmp_path: Path) -> None:
    program = tmp_path / ") Z 1 (2 "
    program.symlink_to("/bin/cat")
    session = start(str(program))
    assert session.wait().pid == session.pid
    assert state(session.pid) == "S"


# --- what is asked ----------------------------------------------------------------------------------------


def waiting(call: readers.Call, *, alone: bool = True) -> Wait:
    return Wait(4242, call, frozenset({"/dev/pts/3"}), alone)


READ, SELECT, POLL, EPOLL = (waiting(call) for call in ("read", "select", "poll", "epoll"))
AMONG = waiting("select", alone=False)
ON, OFF = True, False


@pytest.mark.parametrize("unfinished", [False, True])
@pytest.mark.parametrize(
    ("wait", "canonical", "echo", "screen", "question"),
    [
        (READ, ON, ON, OFF, Question.LINE),
        (SELECT, ON, ON, OFF, Question.LINE),
        (READ, ON, OFF, OFF, Question.PASSWORD),
        (SELECT, ON, OFF, OFF, Question.PASSWORD),
        (READ, OFF, ON, OFF, Question.KEY),
        (SELECT, OFF, ON, OFF, Question.KEY),
        (READ, OFF, OFF, OFF, Question.KEY),
        (SELECT, OFF, OFF, OFF, Question.EDITOR),
        (POLL, OFF, OFF, OFF, Question.EDITOR),
        (EPOLL, OFF, OFF, OFF, Question.EDITOR),
        (AMONG, OFF, OFF, OFF, Question.EDITOR),
        (READ, OFF, OFF, ON, Question.SCREEN),
        (SELECT, OFF, OFF, ON, Question.SCREEN),
        (AMONG, OFF, OFF, ON, Question.SCREEN),
        (READ, OFF, ON, ON, Question.SCREEN),
        (READ, ON, ON, ON, Question.LINE),  # a shell command of vi, say: the screen is on, the modes are back
        (READ, ON, OFF, ON, Question.PASSWORD),
    ],
)
def test_the_modes_tell_what_is_asked(
    wait: Wait, canonical: bool, echo: bool, screen: bool, question: Question, unfinished: bool
) -> None:
    asked = classify(wait, canonical=canonical, echo=echo, full_screen=screen, unfinished=unfinished)
    assert asked is question


@pytest.mark.parametrize("call", ["select", "poll", "epoll"])
@pytest.mark.parametrize(
    ("canonical", "echo", "question"),
    [(ON, ON, Question.LINE), (ON, OFF, Question.PASSWORD), (OFF, ON, Question.KEY)],
)
def test_a_wait_among_others_asks_only_behind_an_unfinished_line(
    call: readers.Call, canonical: bool, echo: bool, question: Question
) -> None:
    wait = waiting(call, alone=False)
    for unfinished, expected in ((True, question), (False, Question.NONE)):
        asked = classify(wait, canonical=canonical, echo=echo, full_screen=False, unfinished=unfinished)
        assert asked is expected


@pytest.mark.parametrize("modes", range(16))
def test_where_nobody_waits_nobody_asks(modes: int) -> None:
    asked = classify(
        None,
        canonical=bool(modes & 1),
        echo=bool(modes & 2),
        full_screen=bool(modes & 4),
        unfinished=bool(modes & 8),
    )
    assert asked is Question.NONE
