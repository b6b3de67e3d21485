"""Noticing that the process which started the kernel has died.

A launcher says in ``JPY_PARENT_PID`` who it is. It is believed only when it is our real parent: started
through a shell or another wrapper, the kernel has a parent that says nothing about the launcher, and a
process id may have been given to somebody else. Knows neither signals nor how a kernel ends.

Not PR_SET_PDEATHSIG, which fires when the *thread* that started us ends; jupyter_client starts kernels
from helper threads.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

VARIABLE = "JPY_PARENT_PID"


class ParentWatch:
    """Tell that the parent has gone to whoever asks, every ``interval`` seconds."""

    interval: float | None = 1.0

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def gone(self) -> bool:
        """Say whether the parent has died: then the system has given us another one."""
        return os.getppid() != self.pid

    def close(self) -> None:
        """End the watch. May be called twice."""


class PidfdWatch(ParentWatch):
    """Tell it by a descriptor that becomes readable: nobody need ask, and ``interval`` is None."""

    interval = None

    def __init__(self, pid: int, descriptor: int) -> None:
        super().__init__(pid)
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Return the descriptor, for a poll set; -1 after ``close``."""
        return self._descriptor

    def close(self) -> None:
        """Close the descriptor. May be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def watch_parent(environ: Mapping[str, str]) -> ParentWatch | None:
    """Watch the parent that ``JPY_PARENT_PID`` in `environ` names; None if it is not to be believed.

    0 and 1 are not: process 1 is nobody's launcher, or ends with everything else in its container. The
    watch is a PidfdWatch but on systems without pidfd, and for a parent that died this very moment.
    """
    pid = os.getppid()
    if pid <= 1 or environ.get(VARIABLE) != str(pid):
        return None
    try:
        watch = PidfdWatch(pid, os.pidfd_open(pid))
    except (AttributeError, OSError):  # not Linux, an old or a walled-in one; or the parent has just died
        return ParentWatch(pid)
    if watch.gone():  # it died between the two looks, and the descriptor may be a stranger's
        watch.close()
        return ParentWatch(pid)
    return watch
