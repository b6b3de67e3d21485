"""The processes below the kernel that share its process group: what else an interrupt is for.

A terminal, and jupyter_client where it interrupts by signal, send SIGINT to the whole group; an
interrupt_request has to do as much. Linux tells who is below whom; elsewhere nobody is found.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator


def interrupt_group() -> None:
    """Send SIGINT to every process of this one's group that is below it.

    One that is in a group or a session of its own gets nothing, as from a terminal.
    """
    group = os.getpgrp()
    for pid in _below(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getpgid(pid) == group:
                os.kill(pid, signal.SIGINT)


def _below(pid: int) -> Iterator[int]:
    """Yield the processes below one, those further down first."""
    for child in _children(pid):
        yield from _below(child)
        yield child


def _children(pid: int) -> list[int]:
    children: list[int] = []
    with contextlib.suppress(OSError):  # it has ended, or the system does not tell
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                children += map(int, file.read().split())
    return children
