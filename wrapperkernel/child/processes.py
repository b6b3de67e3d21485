"""Finding the processes of a session and those below a process, signalling them, and ending a session.

All of it reads ``/proc``, one look at a time: processes come and go meanwhile, and what vanishes during a
look is left out. Knows neither terminals nor what any of the processes runs.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from .proc import read

# What is sent to a session that shall end, firmer each time. CONT, because a stopped process notices nothing.
_REQUESTS = ((signal.SIGHUP, signal.SIGCONT), (signal.SIGTERM, signal.SIGCONT))
# Seconds between the looks at processes for which there is no descriptor to wait on.
_GLANCE = 0.002


def members(session: int) -> list[int]:
    """Return the processes of a session, in whatever group they are. Zombies are not counted."""
    return list(_groups(session))


def below(pid: int) -> list[int]:
    """Return the processes below one, those further down first.

    One whose parent has ended is below that no more, and a sibling that ends during the look may hide one.
    """
    found = [pid]
    for each in found:  # which grows: level by level, with no limit on the depth
        found += _children(each)
    return found[:0:-1]


def children(pid: int) -> list[int]:
    """Return the processes right below one."""
    return _children(pid)


def started_since(root: int, before: Collection[int]) -> list[int]:
    """Return the processes below `root` but for its children that were there `before`, deepest first.

    What those have below them is theirs, whenever it has begun.
    """
    found = [pid for pid in _children(root) if pid not in before]
    for each in found:
        found += _children(each)
    return found[::-1]


def group_of(pid: int) -> int:
    """Return the process group of a process; 0 if it has ended."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def signal_all(pids: Iterable[int], signum: int) -> None:
    """Send a signal to each process, but those that have gone or are another user's."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)


def end_session(session: int, seconds: float) -> bool:
    """End all processes of a session, within about `seconds`; say whether nothing of it is left.

    HUP, TERM and KILL, each for those that the one before has left or that have come meanwhile. Nobody
    waits for a zombie, so that the leader need not be reaped first. ValueError for the caller's own session
    and those that are nobody's to end.
    """
    if session <= 1 or session == os.getsid(0):
        raise ValueError(f"session {session} is not one to end")
    seen: set[int] = set()
    for signals in _REQUESTS:
        if not (found := _groups(session)):
            break
        seen.update(found.values())
        _signal_groups(found.values(), *signals)
        _wait(found, time.monotonic() + seconds / 3)
    until = time.monotonic() + seconds / 3
    while found := _groups(session):
        if time.monotonic() > until:
            return False
        seen.update(found.values())
        _signal_groups(found.values(), signal.SIGKILL)
        _wait(found, until)
    # A process that forks and ends while we look hides its child, but never the group of the two.
    _signal_groups(seen, signal.SIGKILL)
    return True


# --- looking ------------------------------------------------------------------------------------------


def _groups(session: int) -> Mapping[int, int]:
    """Return the processes of a session, and the group of each."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdecimal():
            continue
        pid = int(name)
        with contextlib.suppress(OSError):  # it has ended, or is not to be asked about
            # getsid first: reading the stat of every process of a machine takes ten times as long.
            if os.getsid(pid) == session and (group := _living(pid, session)):
                found[pid] = group
    return found


def _living(pid: int, session: int) -> int:
    """Return the group of a process of this session; 0 if it has ended or is in another."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()  # the name may hold blanks and brackets
    if not fields or int(fields[3]) != session:
        return 0
    # A process whose first thread alone has ended looks like a zombie, but has other threads.
    has_ended = fields[0] in b"ZX" and int(fields[17]) <= 1
    return 0 if has_ended else int(fields[2])


def _children(pid: int) -> list[int]:
    children: list[int] = []
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except OSError:  # it has ended, or the system does not tell
        return children
    for task in tasks:
        children += map(int, read(f"/proc/{pid}/task/{task}/children").split())
    return children


# --- signalling and waiting ---------------------------------------------------------------------------


def _signal_groups(groups: Iterable[int], *signals: int) -> None:
    """Send signals to groups: nobody escapes by forking, as from a list of processes.

    A group is of one session, so that this reaches nobody else.
    """
    for group in frozenset(groups):
        for signum in signals:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signum)


def _wait(pids: Collection[int], until: float) -> None:
    """Wait until all of these have ended, zombies included, but not beyond a moment."""
    descriptors: list[int] = []
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                descriptors.append(os.pidfd_open(pid))
        _wait_by_descriptor(descriptors, until)
    except (AttributeError, OSError):  # an old or a walled-in system, or more than we may open
        _wait_by_looking(pids, until)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _wait_by_descriptor(descriptors: Sequence[int], until: float) -> None:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    left = len(descriptors)
    while left and (limit := until - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(limit * 1000):  # in milliseconds, rounded up
            poll.unregister(descriptor)
            left -= 1


def _wait_by_looking(pids: Collection[int], until: float) -> None:
    while time.monotonic() < until and any(map(_runs, pids)):
        time.sleep(_GLANCE)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _living(pid, os.getsid(pid)) > 0
    return False
