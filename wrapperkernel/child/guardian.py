"""Leaving nothing behind when the kernel itself is killed and can clean up no more.

A guardian is one ``sh``, out of reach of what is sent to the kernel's process group, blocked on a pipe that
the kernel alone holds open. The system closes that pipe however the kernel ends, and the guardian then ends
the child's session. It is not Python, which would take ten times the memory for the child's whole life.
"""

from __future__ import annotations

import contextlib
import os
import subprocess

# Seconds that a guardian gets to take its leave.
_LIMIT = 1.0

# $1 is the session, $2 the folder. Signals go to groups, as in processes.py, and for the same reason. A name
# in /proc/PID/stat may hold brackets, blanks and newlines, so what counts is in the last line, behind the
# last bracket: $1 state, $3 group, $4 session, $18 threads (a zombie with others than its first lives). The
# last resort is an exit trap because dash gives up when it cannot fork a sleep, maybe due to that session.
_SCRIPT = r"""
session=$1 folder=$2
trap '' HUP INT TERM QUIT
read -r line
[ "$line" = dismissed ] && exit

look() {
    groups=
    for stat in /proc/[0-9]*/stat; do
        line=
        while read -r next; do line=$next; done <"$stat"
        set -- ${line##*) }
        [ "$4" = "$session" ] || continue
        case $1${18} in [ZX][01]) continue ;; esac
        case "$groups " in *" -$3 "*) continue ;; esac
        groups="$groups -$3"
    done
    [ "$groups" ]
}

send() {
    for signal; do kill -s "$signal" -- $groups; done
    sleep 0.1 || sleep 1
}

finish() {
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        look || break
        send KILL
    done
    [ "$folder" ] && rm -rf -- "$folder"
}

trap finish EXIT
look && send HUP CONT
look && send TERM CONT
"""


class Guardian:
    """A guardian at its post, until it is dismissed or the kernel has ended.

    Dismiss it when the child has ended: once nothing is left of a session, its number may be given to
    another one.
    """

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self.pid = process.pid
        self._process = process
        self._pipe = pipe

    @classmethod
    def start(cls, session: int, folder: str) -> Guardian:
        """Start a guardian of a session, and of a folder to remove; "" for none. OSError if that fails.

        Neither end of the pipe is inherited by other children, but a fork of the kernel that executes
        nothing keeps the guardian waiting as long as it lives.
        """
        reading, writing = os.pipe()
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "sh", str(session), folder],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",  # whatever folder the kernel is in may go
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing)

    def dismiss(self) -> None:
        """Tell it that nothing is left to do, and wait until it has gone. May be called twice."""
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            with contextlib.suppress(BrokenPipeError):  # somebody has killed it
                os.write(pipe, b"dismissed\n")
            os.close(pipe)
        try:
            self._process.wait(_LIMIT)
        except subprocess.TimeoutExpired:  # stopped, or not a shell at all
            self._process.kill()
            self._process.wait()


def _environment() -> dict[str, str]:
    """Return what the script needs: where sleep and rm are, and bytes as characters.

    Not the kernel's environment, in which a user's functions and options may be on their way to a bash.
    """
    return {"PATH": f"{os.environ.get('PATH', '')}:{os.defpath}", "LC_ALL": "C"}
