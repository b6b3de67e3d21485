"""How a child is given its cells: the part of driving it that each language writes for itself.

The child reads lines of commands from a FIFO; each line makes it read a file of the private folder. What the
line makes it print are the marks of ``framing``, on terminals that are opened by their path each time: ``E``
behind the cell on stdout's, and after ``break_off`` on stderr's, too; ``F`` on stdout's when it is ready.

A child that cannot be told to print them prints ``P`` as its prompt; see ``repl``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from .folder import Folder
from .framing import Ended
from .terminal import Terminal


class Handover(ABC):
    """Hands cells to one child. A language implements what is abstract.

    ``child`` is the first part of every mark's nonce, the number of the cell the second. Of two terminals
    the first is stdout's, and the child's controlling one; a single one carries both.
    """

    is_at_command = False
    """Whether a child that reads its terminal wants a command there, and no answer from the user."""

    def __init__(self, folder: Folder, child: str, first: int, terminals: Sequence[Terminal]) -> None:
        self.folder = folder
        self.child = child
        self.first = first
        self.terminals = terminals
        self.stdout, self.stderr = terminals[0].path, terminals[-1].path

    @property
    def commands(self) -> str:
        """The path of what the child has as its standard input."""
        return self.folder.fifo

    def command(self, line: str) -> None:
        """Give the child a line that ``cell`` has returned."""
        self.folder.command(line)

    @abstractmethod
    def prepare(self, program: Sequence[str]) -> list[str]:
        """Write the files that the child needs, and return its command line; it reads commands from stdin."""

    @abstractmethod
    def start(self, *, personal: bool) -> None:
        """Command what makes it ready, as cell ``first``; ``personal``: with the user's start-up file."""

    @abstractmethod
    def cell(self, number: int, code: str) -> str:
        """Write the files of cell ``number``; return the line that has it run. OSError without room."""

    def prompted(self, value: str) -> str | None:
        """``P`` was read. Return the cell's status if it has ended; else do what brings it on, and None."""
        return None

    def printed(self, text: str) -> str:
        """Output was read; return what of it is the cell's."""
        return text

    @abstractmethod
    def ended(self, status: str) -> None:
        """Take note of a cell's status."""

    @abstractmethod
    def ready(self, value: str, *, noisy: bool) -> None:
        """Take note of what the child told when it became ready."""

    def break_off(self) -> None:
        """The cell is about to be interrupted: what of it was not handed over yet, never shall be.

        May be called several times.
        """
        return

    @abstractmethod
    def rescue(self, number: int, attempt: int) -> None:
        """Command the marks of a cell that was broken off: ``E`` (``!STATUS``) and ``F`` (``ATTEMPT,…``).

        The value of ``F`` goes on with ``!`` if something of the framework's own may have been printed.
        A later attempt tries harder; the child is replaced when the last one has not helped.
        """

    @abstractmethod
    def reopen(self) -> bytes:
        """Return what is typed on the terminal to a child that has lost its FIFO and reads commands there."""

    def denoised(self, text: str, end: Ended, *, early: bool) -> tuple[str, str]:
        """Return what came on stderr between an interrupt and the end, without what the child says to it.

        And that noise, if it may come again. ``early``: the interrupt may have come before the child had read
        the line of the cell.
        """
        return text, ""
