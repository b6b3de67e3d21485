"""``ReplKernel``: a kernel for a program with a prompt, where nothing better is to be had.

One terminal carries everything, so that what the program prints to stderr is on stdout, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from ..kernel.errors import ExecuteError
from .folder import Folder
from .handover import Handover
from .kernel import ChildKernel
from .repl import Repl, ReplHandover
from .terminal import Terminal


class ReplKernel(ChildKernel):
    """A kernel that talks to a program by its prompts.

    Subclasses set ``program`` (with its line editor turned off if that can be), ``prompts``, and what else
    applies. Commands and answers come to the program by the same terminal. So what one of its programs leaves
    unread of an answer is read as a command, and a cell that is typed and sets another prompt is asked for
    what to type there; a ``Handover`` of one's own has neither trouble.
    """

    terminals = 1

    prompts: ClassVar[str]
    """A line that sets the program's prompts to ``{prompt}`` and ``{continuation}``."""
    escape: ClassVar[str] = "\\x{:02x}"
    """How the language writes a control character in those, by its number."""
    load: ClassVar[str] = ""
    """A line that runs the text of ``{file}``; without one, the lines of a cell are typed.

    If it sets the prompt to ``{failed}`` first, and to ``{prompt}`` behind what it runs, then the program
    itself says whether the cell failed; else ``error`` alone does.
    """
    closing: ClassVar[str] = ""
    """The line that ends a block which is still open behind the last line of a cell."""
    error: ClassVar[str] = ""
    r"""A pattern for what the program prints when a cell fails; its groups ``ename`` and ``evalue`` say why.

    It is searched in the last 16 K characters of the output, ``^`` and ``$`` being the ends of any line.
    """

    def make_handover(
        self, folder: Folder, child: str, first: int, terminals: Sequence[Terminal]
    ) -> Handover:
        """Drive the program by its prompts."""
        repl = Repl(self.prompts, self.escape, self.load, self.closing, self.error)
        return ReplHandover(repl, folder, child, first, terminals)

    def failure(self, status: str, code: str) -> ExecuteError | None:
        """Say what the program has reported."""
        ename, _, evalue = status.partition("\n")
        return ExecuteError(ename, evalue) if ename else None
