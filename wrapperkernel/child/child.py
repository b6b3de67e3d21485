"""One life of a child: its terminals, folder and processes, and the running of cells on it.

The main thread runs cells here. It only waits for what the reader tells; the wait alone can be interrupted,
and an interrupt climbs the ladder until the cell has ended. Nothing here knows a kernel or a message.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from ..interrupts import interruptible, shielded
from ..kernel.errors import InputWithdrawn, StdinNotAllowed
from .escapes import ControlString
from .folder import Folder
from .framing import Ended, Ready
from .guardian import Guardian
from .handover import Handover
from .ladder import Ladder, Step
from .launch import launch
from .processes import children, end_session, group_of, signal_all, started_since
from .reader import Asked, Died, FullScreen, Lost, Reader
from .readers import Question
from .terminal import Terminal

# Seconds that the end of a child's session may take, of those that a shutdown has.
_END_LIMIT = 0.3
# Seconds for which a child may be busy with the line that hands it a cell, and which must not be cut in two.
_BEGIN = 0.004
# How often a program that wants input from nobody is told that there is none, before it is interrupted.
_REFUSALS = 3

_FULL_SCREEN = "{} fills a whole screen, which a page cannot show: interrupt the cell to end it\n"

MakeHandover = Callable[[Folder, str, int, Sequence[Terminal]], Handover]
Ask = Callable[[str, bool, Callable[[], bool]], str]
"""Asks the user: prompt, whether the answer is hidden, whether it is still wanted."""


class Outcome(NamedTuple):
    """How a cell ended: with a ``status``, or without one because the child has gone (``end`` says how)."""

    status: str | None
    interrupted: bool = False
    end: Died | Lost | None = None
    refused: bool = False
    """Somebody wanted input, and could not have it."""


class ChildProcess:
    """A running child. ``start``, ``run`` and ``rest`` are called by one thread.

    ``publish`` is called, by whoever reads (see ``reader``), with a cell's number, ``stdout`` or ``stderr``,
    and text, ``show`` with a cell's number and what is to be displayed; ``wait_for_room`` before anything is
    read; ``reconsider`` when a question that was asked is no longer wanted; ``check`` raises an interrupt
    that was remembered. ``cells`` is the number of the last cell so far; numbers go on in the next child.
    """

    def __init__(
        self,
        handover: MakeHandover,
        program: Sequence[str],
        *,
        cells: int,
        terminals: int,
        directory: str | None,
        environment: Mapping[str, str],
        rows: int,
        columns: int,
        wait_for_room: Callable[[], None],
        publish: Callable[[int, str, str], None],
        show: Callable[[int, ControlString], None],
        reconsider: Callable[[], None],
        check: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self.cells = cells
        self._nonce = os.urandom(8).hex()
        self._program = program
        self._directory = directory
        self._environment = environment
        self._check = check
        self._log = log
        self._terminals = [Terminal(rows, columns) for _ in range(terminals)]
        self._folder = Folder()
        self._handover = handover(self._folder, self._nonce, cells, self._terminals)
        self._wait_for_room = wait_for_room
        self._publish = publish
        self._show = show
        self._reconsider = reconsider
        self.has_started = False
        """Whether it was ever ready for a cell."""
        self._is_ready = False
        self._was_interrupted = False
        self._handed_over = 0.0
        self._before: Sequence[int] = ()  # children of the child that earlier cells have left running
        self._ending = threading.Lock()  # never released
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: Guardian | None = None
        self._reader: Reader | None = None

    @property
    def handover(self) -> Handover:
        """What hands cells to this child."""
        return self._handover

    @property
    def is_idle(self) -> bool:
        """Whether it waits for the next cell."""
        return self._is_ready

    @property
    def pid(self) -> int:
        """The child's process and session id; 0 before it is started."""
        return self._process.pid if self._process is not None else 0

    @shielded
    def start(self, *, personal: bool) -> None:
        """Start the program and hand it what makes it ready, without waiting; OSError if that fails."""
        self._process = launch(
            self._handover.prepare(self._program),
            terminal=self._terminals[0].path,
            commands=self._handover.commands,
            cwd=self._directory,
            env=self._environment,
        )
        self._guardian = Guardian.start(self.pid, self._folder.path)
        self._reader = Reader(
            self._nonce,
            self.pid,
            self._terminals,
            self._handover,
            self._wait_for_room,
            self._publish,
            self._show,
            self._reconsider,
            self._log,
        )
        self._reader.start(self.cells)
        self._handover.start(personal=personal)

    @shielded
    def run(self, code: str, ask: Ask, begun: Callable[[int], None]) -> Outcome:
        """Run a cell to its end, whatever that is. OSError if the code could not be handed over.

        ``begun`` is called with the cell's number when the child has it. An interrupt is in the outcome, not
        raised.
        """
        assert self._reader is not None
        self._reader.take_over()
        if not self._is_ready:
            outcome = self._follow(Ready, _refuse)
            if outcome.end is not None or outcome.interrupted:
                return outcome
        if self._was_interrupted:
            self._was_interrupted = False
            self._reader.settle()
        number = self.cells + 1
        line = self._handover.cell(number, code)

        def command() -> None:
            self._handover.command(line)
            begun(number)

        self._reader.hand_over(number, command)
        self._handed_over = time.monotonic()
        self.cells = number
        self._is_ready = False
        return self._follow(Ended, ask)

    def rest(self) -> None:
        """Behind each ``run``, when nobody waits: put things in order, and let the thread read what comes."""
        if self._reader is None:
            return
        ready = self._reader.linger()
        if ready is not None:
            self._become_ready(ready)
        self._before = children(self.pid)
        for terminal in self._terminals:
            terminal.restore()
        self._reader.hand_back()

    @shielded
    def end(self) -> None:
        """End the child and all of its session; leave nothing behind. May be called twice, by any thread."""
        if not self._ending.acquire(blocking=False):
            return
        if self._process is not None:
            end_session(self.pid, _END_LIMIT)
        if self._reader is not None:
            self._reader.stop()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_LIMIT)
        if self._guardian is not None:
            self._guardian.dismiss()
        for terminal in self._terminals:
            terminal.close()
        self._folder.close()

    # -- following a cell -----------------------------------------------------------------------------

    def _follow(self, last: type[Ended | Ready], ask: Ask) -> Outcome:
        """Do what the reader's news ask for, until ``last``, or the end of the child."""
        assert self._reader is not None
        ladder: Ladder | None = None
        refusals = 0
        while True:
            news = self._reader.news()
            try:
                if news is None:
                    self._wait(ladder.due if ladder is not None else float("inf"))
                    self._reader.turn()
                elif isinstance(news, Asked):
                    self._answer(news, ask)
                elif isinstance(news, FullScreen):
                    self._publish(self.cells, "stderr", _FULL_SCREEN.format(news.program))
            except KeyboardInterrupt:
                ladder = self._climb(ladder)
            except StdinNotAllowed:
                refusals += 1
                if refusals == _REFUSALS:
                    ladder = self._climb(ladder)
            if isinstance(news, Died | Lost):
                return Outcome(None, ladder is not None, news, refusals > 0)
            if isinstance(news, Ready):
                self._become_ready(news)
            if isinstance(news, Ended):
                self._handover.ended(news.status)
                if ladder is not None:
                    self._end_strays()
                if not self.has_started:
                    for terminal in self._terminals:
                        terminal.keep_modes()
            if isinstance(news, last):
                status = news.status if isinstance(news, Ended) else ""
                is_interrupted = ladder is not None and refusals < _REFUSALS
                return Outcome(status, is_interrupted, None, refusals > 0)
            if ladder is not None and not self._interrupt(ladder):
                return Outcome(None, True, Lost("it did not end when interrupted"), refusals > 0)

    def _become_ready(self, ready: Ready) -> None:
        self._is_ready = self.has_started = True
        self._handover.ready(ready.value, noisy=ready.noisy)

    @interruptible
    def _wait(self, until: float) -> None:
        """Wait for news. It carries no data: an interrupt may end it anywhere."""
        assert self._reader is not None
        self._check()
        self._reader.wait(until)

    # -- interrupting ---------------------------------------------------------------------------------

    def _climb(self, ladder: Ladder | None) -> Ladder:
        """The user interrupts: begin the ladder, or hurry."""
        now = time.monotonic()
        self._was_interrupted = True
        if ladder is None:
            return Ladder(max(now, self._handed_over + _BEGIN))
        ladder.hurry(now)
        return ladder

    def _interrupt(self, ladder: Ladder) -> bool:
        """Take the step that is due, if one is; tell whether the child may still be driven."""
        assert self._reader is not None
        match ladder.step(time.monotonic()):
            case Step.INTERRUPT:
                self._reader.break_off()
                self._terminals[0].interrupt()
                if ladder.steps == 1:
                    self._reader.rescue()
            case Step.TERMINATE:
                self._reader.break_off()
                signal_all([self.pid], signal.SIGINT)  # so that it does not go on with the rest of the cell
                signal_all(started_since(self.pid, self._before), signal.SIGTERM)
            case Step.KILL:
                signal_all(started_since(self.pid, self._before), signal.SIGKILL)
            case Step.REPLACE:
                return False
        return True

    def _end_strays(self) -> None:
        """Kill what the interrupted cell left in the child's own process group.

        An interrupt may hit a process between its fork and its own group: such a copy of the child takes
        itself for it, and goes on with the rest of the line.
        """
        left = started_since(self.pid, self._before)
        signal_all([pid for pid in left if group_of(pid) == self.pid], signal.SIGKILL)

    # -- input ----------------------------------------------------------------------------------------

    def _answer(self, asked: Asked, ask: Ask) -> None:
        """Ask the user what somebody below the child asks for, and type the answer."""
        assert self._reader is not None
        self._reader.hand_back()
        try:
            text = self._ask(asked, ask)
            self._reader.take_over()  # what comes next may be the prompt of the next question
            if asked.kind is Question.EDITOR:
                asked.terminal.echoes.expect(text)
            asked.terminal.type(_typed(text, asked.kind))
        except InputWithdrawn:
            return
        except EOFError:
            self._reader.take_over()
            asked.terminal.end_input()
        except StdinNotAllowed:
            self._reader.take_over()
            self._publish(self.cells, asked.stream, asked.prompt)
            asked.terminal.end_input()
            raise
        finally:
            self._reader.take_over()
            self._reader.answered()

    @interruptible
    def _ask(self, asked: Asked, ask: Ask) -> str:
        return ask(asked.prompt, asked.kind is Question.PASSWORD, lambda: asked.wanted)


def _typed(text: str, kind: Question) -> bytes:
    """Return the keys that give ``text`` to a reader."""
    data = text.encode("utf-8", "surrogateescape")
    if kind is Question.KEY:
        return data or b"\n"
    if kind is Question.EDITOR:
        return data + b"\r"
    return data + b"\n"


def _refuse(prompt: str, hidden: bool, wanted: Callable[[], bool]) -> str:
    """Answer to whoever asks while the child starts."""
    raise StdinNotAllowed
