"""The processes below the kernel that share its process group: what else an interrupt is for.

A terminal, and jupyter_client where it interrupts by signal, send SIGINT to the whole group; an
interrupt_request has to do as much. Linux tells who is below whom; elsewhere nobody is found.
"""

from __future__ import annotations

import contextlib
import os
import signal


def interrupt_group() -> None:
    """Send SIGINT to every process of this one's group that is below it.

    One that is in a group or a session of its own gets nothing, as from a terminal.
    """
    me = os.getpid()
    group = os.getpgid(me)
    parents = {pid: parent for pid, parent, its_group in _processes() if its_group == group}
    for pid in parents:
        if _is_below(pid, me, parents):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGINT)


def _is_below(pid: int, above: int, parents: dict[int, int]) -> bool:
    for _ in parents:
        pid = parents.get(pid, 0)
        if pid == above:
            return True
    return False


def _processes() -> list[tuple[int, int, int]]:
    """Return process id, parent and group of every process that can be seen."""
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(f"/proc/{int(name)}/stat", "rb") as file:
                # The name of the program, in brackets, may itself hold brackets and blanks.
                _, parent, group = file.read().rpartition(b")")[2].split()[:3]
            found.append((int(name), int(parent), int(group)))
    return found
