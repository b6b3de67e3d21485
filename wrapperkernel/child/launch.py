"""Starting a child: in a session of its own, on a terminal that controls it.

By ``subprocess``, because the kernel has threads: nothing of Python may run between fork and exec. A line of
``sh`` opens the terminal, which makes it the controlling one, places the descriptors and becomes the program.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

# $1 is the terminal, $2 what the child reads its commands from; the rest is the program.
_SCRIPT = 'exec <>"$1" >&0 2>&0 && exec <"$2" && shift 2 && exec "$@"'


def launch(
    argv: Sequence[str], *, terminal: str, commands: str, cwd: str | None, env: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start ``argv`` with stdout and stderr on ``terminal`` and stdin on ``commands`` (paths).

    SIGPIPE is back at its default, and SIGINT is because the kernel handles it. OSError if ``sh`` or ``cwd``
    is missing; a program that is, ends the child with status 127 or 126.
    """
    return subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "sh", terminal, commands, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=cwd,
        env=dict(env),
        start_new_session=True,
    )
