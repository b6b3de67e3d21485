"""The bash kernel: what it is, and what a status means."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from traitlets import Bool, List, Unicode

from wrapperkernel import ExecuteError
from wrapperkernel._version import __version__
from wrapperkernel.child import ChildKernel

from .handover import BashHandover

if TYPE_CHECKING:
    from .companion import Companion

# What bash tells by its status when it cannot parse a text; but that may mean something else.
_SYNTAX = frozenset({"1", "2"})
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
    beside = frozenset({"do_complete", "do_inspect", "do_is_complete"})

    program = List(Unicode(), ["bash"], help="The bash to run, and its arguments.").tag(config=True)
    fails_on_status = Bool(
        True, help="Whether a cell fails when its last command has a status other than 0."
    ).tag(config=True)

    def do_complete(self, code: str, cursor_pos: int, *args: Any, **kwargs: Any) -> Any:
        """Say what a word may become, also while a cell runs."""
        companion = self._companion()
        return companion.complete(code, cursor_pos) if companion is not None else None

    def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0, *args: Any, **kwargs: Any) -> Any:
        """Say what is known about the word at the cursor, also while a cell runs."""
        from .inspection import inspect  # late, as are all that most sessions do not need

        companion = self._companion()
        return inspect(companion, code, cursor_pos, detail_level) if companion is not None else None

    def do_is_complete(self, code: str, *args: Any, **kwargs: Any) -> Any:
        """Have bash's parser say whether the code is whole, also while a cell runs."""
        from .completeness import completeness, indent  # late: the first cell need not wait for it

        status = completeness(code, self.program)
        return {"status": status, "indent": indent(code)} if status == "incomplete" else {"status": status}

    def failure(self, status: str, code: str) -> Any:
        """Make an error of a status other than 0, which a shell has for a reason."""
        if status in _SYNTAX:
            from .completeness import syntax_error

            error = syntax_error(code, self.program)
            if error is not None:
                return ExecuteError("SyntaxError", str(error), error.shown_in(code))
        if status == "0" or not self.fails_on_status:
            return None
        meaning = _meaning(int(status))
        return ExecuteError("ExitStatus", f"{status}: {meaning}" if meaning else status)

    def _companion(self) -> Companion | None:
        """Return who answers for the shell; None if there is none."""
        child = self.child
        if child is None or not isinstance(child.handover, BashHandover):
            return None
        from .companion import Companion

        return Companion(self.program[0], child.handover.known(is_idle=child.is_idle), child.pid)


def _meaning(status: int) -> str:
    """Say what bash tells by a status, if it is one of those that say something."""
    if status > 128:
        try:
            return signal.Signals(status - 128).name
        except ValueError:
            return ""
    return _MEANINGS.get(status, "")
