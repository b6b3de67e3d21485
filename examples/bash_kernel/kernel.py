"""The bash kernel: what it is, and what a status means."""

from __future__ import annotations

import signal
from typing import Any

from traitlets import Bool, List, Unicode

from wrapperkernel import ExecuteError
from wrapperkernel._version import __version__
from wrapperkernel.child import ChildKernel

from .completeness import completeness
from .handover import BashHandover

_MEANINGS = {
    126: "found, but not executable",
    127: "command not found",
}


class BashKernel(ChildKernel):
    """Runs cells in bash, as lines typed at an interactive one."""

    implementation = "bash_kernel"
    implementation_version = __version__
    banner = "bash: cells run in one interactive shell, whose variables, functions and directory stay"
    language_info = {
        "name": "bash",
        "version": "5",
        "mimetype": "text/x-sh",
        "file_extension": ".sh",
        "pygments_lexer": "bash",
        "codemirror_mode": "shell",
    }
    help_links = ({"text": "Bash manual", "url": "https://www.gnu.org/software/bash/manual/bash.html"},)
    handover = BashHandover
    beside = frozenset({"do_is_complete"})

    program = List(Unicode(), ["bash"], help="The bash to run, and its arguments.").tag(config=True)
    fails_on_status = Bool(
        True, help="Whether a cell fails when its last command has a status other than 0."
    ).tag(config=True)

    def do_is_complete(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Have bash's parser say whether the code is whole, also while a cell runs."""
        return {"status": completeness(code, self.program)}

    def failure(self, status: str) -> Any:
        """Make an error of a status other than 0, which a shell has for a reason."""
        if status == "0" or not self.fails_on_status:
            return None
        meaning = _meaning(int(status))
        return ExecuteError("ExitStatus", f"{status}: {meaning}" if meaning else status)


def _meaning(status: int) -> str:
    """Say what bash tells by a status, if it is one of those that say something."""
    if status > 128:
        try:
            return signal.Signals(status - 128).name
        except ValueError:
            return ""
    return _MEANINGS.get(status, "")
