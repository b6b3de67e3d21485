"""Whether somebody is blocked reading a terminal, and what kind of answer that reader wants.

Linux tells what each thread is blocked in (``/proc/PID/task/TID/syscall``, see proc(5)); the descriptors of a
select or a poll are read from the thread's memory, those of an epoll from ``fdinfo``. What cannot be read is
nobody waiting: a process that ends meanwhile, another user's, another kind of processor. Knows no terminal
modes but those it is told, writes nothing, and keeps nothing between two looks.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Literal, NamedTuple, cast

from .proc import link, read

Call = Literal["read", "select", "poll", "epoll"]


class Wait(NamedTuple):
    """What one thread is blocked in: a system call, and the terminals that it would read from."""

    pid: int
    call: Call
    terminals: frozenset[str]
    alone: bool  # it waits for nothing but terminals: a plain read, or a select on just one descriptor


class Question(Enum):
    """What is asked of the user."""

    NONE = auto()
    LINE = auto()
    PASSWORD = auto()  # a line that is not shown
    KEY = auto()  # keys, with no newline of ours behind them
    EDITOR = auto()  # a line, in an editor that shows it and redraws it itself
    SCREEN = auto()  # what a full-screen program wants, which no line of text can answer


def classify(
    wait: Wait | None, *, canonical: bool, echo: bool, full_screen: bool, unfinished: bool
) -> Question:
    """Tell what a waiting thread asks for, by the modes of the terminal that it reads.

    `full_screen`: a program draws a whole one. `unfinished`: the last line of output has no newline yet.
    """
    if wait is None:
        return Question.NONE
    if not canonical and full_screen:
        return Question.SCREEN
    editor = not canonical and not echo
    if not (wait.alone or unfinished or editor):  # a server, say, that would also notice a line from us
        return Question.NONE
    if canonical:
        return Question.LINE if echo else Question.PASSWORD
    # An editor looks after signals and timers too, and so selects; who wants a key just reads it.
    return Question.EDITOR if editor and wait.call != "read" else Question.KEY


# --- looking at processes -----------------------------------------------------------------------------

# Those that can wait for a terminal; the rest of a machine's numbers is of no interest. A poll that was
# stopped and continued goes on as restart_syscall, with the registers of the poll.
_CALLS: Mapping[str, Mapping[int, str]] = {
    "x86_64": {
        0: "read",
        19: "read",  # readv
        23: "select",
        270: "select",  # pselect6
        7: "poll",
        271: "poll",  # ppoll
        219: "restart",
        232: "epoll",  # epoll_wait
        281: "epoll",  # epoll_pwait
        441: "epoll",  # epoll_pwait2
    },
    "aarch64": {63: "read", 65: "read", 72: "select", 73: "poll", 22: "epoll", 441: "epoll"},
}
_POLLFD = struct.Struct("=iHH")  # descriptor, awaited events, events that came
_READABLE = 0x41  # POLLIN and POLLRDNORM; EPOLLIN and EPOLLRDNORM are the same numbers
_MOST = 1 << 16  # descriptors; who gives a larger number has set it as a limit, not counted
_MOST_RESTARTED = 128  # a futex is restarted, too, and has 128 and more where a poll has their number
_INT = 0xFFFF_FFFF  # an int in a register: what is above may be anything
_ADDRESS = 0x00FF_FFFF_FFFF_FFFF  # without the tag that aarch64 allows in the topmost byte


def waits(group: int, root: int, terminals: Sequence[str]) -> list[Wait]:
    """Return who of the foreground group waits to read from one of the terminals.

    Looks at `root`, the process `group` and all below them. Terminals are given by their device path; the
    first is the controlling one, which ``/dev/tty`` means. A stopped process waits for nothing but SIGCONT.
    """
    calls = _calls()
    devices = {path: path for path in terminals}
    if not calls or not devices:
        return []
    devices["/dev/tty"] = terminals[0]
    found: list[Wait] = []
    pending, seen = [group, root], set[int]()
    while pending:
        pid = pending.pop()
        if pid in seen:
            continue
        seen.add(pid)
        tasks = _tasks(pid)
        for task in tasks:
            pending += map(int, read(f"{task}/children").split())
        letter, its_group = _stat(pid)
        if its_group == group and letter not in "Tt":
            found += [wait for task in tasks if (wait := _wait(pid, task, calls, devices))]
    return found


def state(pid: int) -> str:
    """Return the state of a process as ``/proc/PID/stat`` has it (R S D T Z …), "" if there is none."""
    return _stat(pid)[0]


def blocked_on(pid: int) -> str:
    """Return the target of the descriptor that a process's main thread is blocked reading, or "".

    Of a fifo or a terminal that is its path; read alone counts, neither select nor poll. A stopped process
    is blocked in nothing.
    """
    call, arguments = _blocked(read(f"/proc/{pid}/syscall"), _calls())
    if call != "read" or state(pid) in "Tt":
        return ""
    return _target(f"/proc/{pid}", arguments[0] & _INT)


def image(pid: int) -> tuple[bytes, str, bytes]:
    """Return what tells the program in a process from the one before: it changes at exec.

    The command line, the executable, and the auxiliary vector, whose addresses are other ones even where
    a program executes itself again. Each is empty if it cannot be read.
    """
    return read(f"/proc/{pid}/cmdline"), link(f"/proc/{pid}/exe"), read(f"/proc/{pid}/auxv")


def _wait(pid: int, task: str, calls: Mapping[int, str], devices: Mapping[str, str]) -> Wait | None:
    """Return what a thread waits for if a terminal is among it."""
    line = read(f"{task}/syscall")
    call, arguments = _blocked(line, calls)
    if not call:
        return None
    readable, others = _descriptors(task, call, arguments)
    targets = {_target(task, descriptor) for descriptor in readable}
    terminals = frozenset(devices[target] for target in targets & devices.keys())
    if not terminals:
        return None
    if read(f"{task}/syscall") != line:  # it went on; what was read meanwhile need not belong together
        return None
    targets |= {_target(task, descriptor) for descriptor in others}
    name = "poll" if call == "restart" else call
    return Wait(pid, cast(Call, name), terminals, alone=targets - {""} <= devices.keys())


def _descriptors(task: str, call: str, arguments: list[int]) -> tuple[set[int], set[int]]:
    """Return the descriptors that a thread waits to read from, and what else it waits for."""
    first, second = arguments[0], arguments[1] & _INT
    if call == "read":
        return {first & _INT}, set()
    if call == "select":
        readable, writable, exceptional = (_bits(task, at, first & _INT) for at in arguments[1:4])
        return readable, writable | exceptional
    if call == "epoll":
        entries = list(_epoll_entries(task, first & _INT))
    elif call == "restart" and second >= _MOST_RESTARTED:
        entries = []
    else:
        entries = list(_poll_entries(task, first, second))
    return {fd for fd, events in entries if events & _READABLE}, {fd for fd, _ in entries}


def _bits(task: str, address: int, count: int) -> set[int]:
    """Return the members of an fd_set. The words of both our machines have the low bit first."""
    count = min(count, _MOST)
    bits = int.from_bytes(_memory(task, address, (count + 7) // 8), "little") & ((1 << count) - 1)
    members = set()
    while bits:
        lowest = bits & -bits
        members.add(lowest.bit_length() - 1)
        bits ^= lowest
    return members


def _poll_entries(task: str, address: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield descriptor and awaited events of an array of pollfd. A negative descriptor leads nowhere."""
    array = _memory(task, address, min(count, _MOST) * _POLLFD.size)
    for descriptor, events, _ in _POLLFD.iter_unpack(array[: len(array) // _POLLFD.size * _POLLFD.size]):
        yield descriptor, events


def _epoll_entries(task: str, descriptor: int) -> Iterator[tuple[int, int]]:
    """Yield descriptor and awaited events of an epoll: ``tfd: 5 events: 19 data: …``, the events in hex."""
    for line in read(f"{task}/fdinfo/{descriptor}").splitlines():
        if line.startswith(b"tfd:"):
            fields = line.split()
            yield int(fields[1]), int(fields[3], 16)


# --- files of /proc, where nothing is an error --------------------------------------------------------


def _calls() -> Mapping[int, str]:
    return _CALLS.get(os.uname().machine, {})


def _blocked(line: bytes, calls: Mapping[int, str]) -> tuple[str, list[int]]:
    """Return name and arguments of a call that can wait for a terminal; ("", []) if it is none."""
    fields = line.split()
    if len(fields) < 9:  # "running", or blocked outside of any system call
        return "", []
    call = calls.get(int(fields[0]))
    return (call, [int(field, 16) for field in fields[1:7]]) if call else ("", [])


def _stat(pid: int) -> tuple[str, int]:
    """Return state and process group; ("", 0) if there is no such process."""
    # What is before the last parenthesis is the program's name, which may look like anything.
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split(maxsplit=3)
    return (fields[0].decode(), int(fields[2])) if len(fields) > 2 else ("", 0)


def _tasks(pid: int) -> list[str]:
    """Return the directories of a process's threads.

    What the threads share is looked up there as well: the process's own directory shows neither memory
    nor descriptors once its main thread has ended.
    """
    folder = f"/proc/{pid}/task"
    try:
        return [f"{folder}/{name}" for name in os.listdir(folder)]
    except OSError:
        return []


def _target(task: str, descriptor: int) -> str:
    return link(f"{task}/fd/{descriptor}")


def _memory(task: str, address: int, size: int) -> bytes:
    """Return memory of a thread, less than asked for where it ends; b"" at NULL."""
    if not address or not size:
        return b""
    try:
        descriptor = os.open(f"{task}/mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.pread(descriptor, size, address & _ADDRESS)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
