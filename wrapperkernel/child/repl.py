"""Handing cells to a program that offers nothing but its prompts: they are set to marks, and lines are typed.

    the line that sets the prompts P line P line P … line P

``P`` says that the program waits for a line; its value may say that what it has is unfinished, or failed. The
prompts are set anew for each cell: so a late mark is never taken for one of this cell, and a cell may change
them. No line is typed before the program has asked for it: so that its own questions get none.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .folder import CELL, Folder
from .handover import Handover
from .scanner import Mark
from .terminal import Terminal

# Values of a mark.
_CONTINUED, _FAILED = "+", "!"
# The status of a cell that ends in the middle of a statement; any that fails has one like it.
_UNFINISHED = "IncompleteInput\nthe cell ends in the middle of a statement"
# Characters at the end of a cell's output in which the report of an error is looked for.
_REPORT = 16384


@dataclass(frozen=True, slots=True)
class Repl:
    """How to talk to a program; the facts are those of ``ReplKernel``."""

    prompts: str
    escape: str
    load: str
    closing: str
    error: str


class ReplHandover(Handover):
    """Hands cells to one program by its prompts.

    A status is empty, or a line with the name of an error and its text behind that.
    """

    def __init__(
        self, repl: Repl, folder: Folder, child: str, first: int, terminals: Sequence[Terminal]
    ) -> None:
        super().__init__(folder, child, first, terminals)
        self._repl = repl
        self._lines: deque[str] = deque()
        self._printed = ""
        self._is_closed = False
        self._is_interrupted = False
        self._is_broken_off = False
        self._drops_late_words = False  # which are about the interrupt of the cell before

    @property
    def commands(self) -> str:
        """It reads lines from its terminal, as it reads answers."""
        return self.stdout

    def command(self, line: str) -> None:
        """Type a line."""
        if not self.terminals[0].canonical:
            self.terminals[0].echoes.expect(line)
        self.terminals[0].type(line.encode("utf-8", "surrogateescape") + b"\n")

    def prepare(self, program: Sequence[str]) -> list[str]:
        """Return the command line."""
        return list(program)

    def start(self, *, personal: bool) -> None:
        """Set the prompts; what comes before is the program's greeting."""
        self.command(self._begin(self.first, ()))

    def cell(self, number: int, code: str) -> str:
        """Keep the lines of the cell, or of what has it loaded; return the one that sets the prompts."""
        if not self._repl.load:
            return self._begin(number, code.split("\n"))
        self.folder.write_cell(code)
        load = self._repl.load.format(file=self.folder.file(CELL), **self._marks(number))
        return self._begin(number, [load])

    def prompted(self, value: str) -> str | None:
        """Type the next line; behind the last one, bring an unfinished statement to an end."""
        self.is_at_command = False
        if value != _CONTINUED:
            status = _UNFINISHED if self._is_interrupted else self._failure(value)
            if status or not self._lines:
                self._lines.clear()
                return status
        if self._lines:
            self.command(self._lines.popleft())
        elif not self._is_closed:
            self._is_closed = True
            self.command(self._repl.closing)
        elif not self._is_interrupted:
            self._is_interrupted = self.is_at_command = True
            self.terminals[0].interrupt()
        return None

    def printed(self, text: str) -> str:
        """Keep what may be the report of an error."""
        if self._drops_late_words and self.is_at_command:
            return ""
        self._printed = (self._printed + text)[-_REPORT:]
        return text

    def ended(self, status: str) -> None:
        """Nothing is kept of a status."""

    def ready(self, value: str, *, noisy: bool) -> None:
        """The program tells nothing."""

    def break_off(self) -> None:
        """Type no more of the cell; the interrupt brings the prompt back."""
        self._lines.clear()
        self._is_broken_off = self.is_at_command = True

    def rescue(self, number: int, attempt: int) -> None:
        """Set the prompts again: a late interrupt of the last cell may have ended the line that did."""
        if attempt > 1 or not self._is_broken_off:
            self.command(self._prompts(number))

    def reopen(self) -> bytes:
        """It has lost nothing: what it reads is its terminal."""
        return b""

    def _failure(self, value: str) -> str:
        """Return the status at a prompt."""
        has_failed = value == _FAILED
        if not has_failed and "{failed}" in self._repl.load:
            return ""
        match = re.search(self._repl.error, self._printed, re.MULTILINE) if self._repl.error else None
        if match is None:
            return "Error" if has_failed else ""
        groups = match.groupdict()
        return f"{groups.get('ename') or 'Error'}\n{groups.get('evalue') or ''}"

    def _begin(self, number: int, lines: Sequence[str]) -> str:
        self._lines = deque(lines)
        self._printed = ""
        self._drops_late_words = self._is_broken_off
        self._is_closed = self._is_interrupted = self._is_broken_off = False
        self.is_at_command = True  # until it has said so itself
        return self._prompts(number)

    def _prompts(self, number: int) -> str:
        return self._repl.prompts.format(**self._marks(number))

    def _marks(self, number: int) -> dict[str, str]:
        """Return the prompts of a cell, as the language writes them."""
        values = {"prompt": "", "continuation": _CONTINUED, "failed": _FAILED}
        return {
            name: "".join(
                character if character.isprintable() else self._repl.escape.format(ord(character))
                for character in Mark(number, "P", value).printed(self.child).decode()
            )
            for name, value in values.items()
        }
