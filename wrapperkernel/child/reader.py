"""Reading a child always, and looking after it while a cell runs.

Two threads take turns: the main thread reads while it runs a cell, since to wake it for each would cost as
much as a trivial cell itself; at any other time (between cells, and while the user is asked) the thread
``child`` does. What the child prints is published; what happened is kept as news for the main thread: the
cell has ended, the child is ready, somebody asks for input, the child has died. No decision is made here.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

from ..wake import Wake
from . import readers
from .escapes import ControlString, Escapes, Piece
from .framing import Ended, Event, Framing, Place, Prompted, Ready, Text
from .handover import Handover
from .output import Output, quiet
from .proc import program
from .processes import end_session
from .readers import Question, Wait
from .terminal import Terminal

NAMES = ("stdout", "stderr")
# Seconds for which a program may draw a screen before the user is told.
_SCREEN_PATIENCE = 0.2
# Seconds without output before the first look at who waits for what, and between the looks after it.
_FIRST_LOOK = 0.05
_LOOKS = (0.02, 0.04, 0.08, 0.16, 0.25)
# Seconds for which a child may take to become idle after an interrupt, and between two looks.
_SETTLE_LIMIT = 0.05
_GLANCE = 0.002
# Seconds for which the main thread goes on reading behind the end of a cell.
_LINGER = 0.0005
# Seconds in which a child that has ended may still have output on its way.
_LAST_WORDS = 0.02
# Seconds that the end of a dead child's session may take.
_END_LIMIT = 0.3
# How often a child that is idle without having said so is asked again before it is replaced.
_RESCUES = 3
# Seconds for which the end of the thread is waited for.
_STOP_LIMIT = 0.3
# Seconds in which a child may not have taken notice of its cell.
_EARLY = 0.02
# Seconds for which an interrupt waits for output that is just being published.
_PUBLISHING = 0.2


class Asked:
    """A question that somebody below the child waits with; ``wanted`` until it has gone.

    ``stream`` is the name of the one on which the prompt was printed.
    """

    def __init__(self, wait: Wait, kind: Question, terminal: Terminal, stream: str, prompt: str) -> None:
        self.wait = wait
        self.kind = kind
        self.terminal = terminal
        self.stream = stream
        self.prompt = prompt
        self.wanted = True


class FullScreen(NamedTuple):
    """A program draws a whole screen."""

    program: str


class Died(NamedTuple):
    """The child has ended; ``status`` is an exit status, or a negative signal."""

    status: int


class Lost(NamedTuple):
    """The child lives but cannot be driven any more."""

    reason: str


News = Ended | Ready | Died | Lost | Asked | FullScreen


class Reader:
    """Reads the terminals of one child from ``start`` to ``stop`` or its death.

    ``wait_for_room`` is called before anything is read, and ``publish``, with a cell's number, a stream's
    name and text, for what was, ``show`` for what is to be displayed; ``reconsider`` when a question is no
    longer wanted.
    """

    def __init__(
        self,
        child: str,
        pid: int,
        terminals: Sequence[Terminal],
        handover: Handover,
        wait_for_room: Callable[[], None],
        publish: Callable[[int, str, str], None],
        show: Callable[[int, ControlString], None],
        reconsider: Callable[[], None],
        log: logging.Logger,
    ) -> None:
        self._news: deque[News] = deque()
        self._pid = pid
        self._terminals = terminals
        self._framings = [Framing(child) for _ in terminals]
        self._escapes = [Escapes() for _ in terminals]
        self._handover = handover
        self._wait_for_room = wait_for_room
        self._reconsider = reconsider
        self._log = log
        self._output = Output(publish)
        self._show = show
        self._paths = [terminal.path for terminal in terminals]
        self._wake = Wake()
        self._told = Wake()
        self._lock = threading.Lock()  # of the framings, the output and the fields below
        self._stopped = False
        self._runs = False  # a cell has been handed over, and the child is not ready again
        self._steps = 0
        self._ends: list[Ended | None] = []  # as the terminals have told
        self._is_over = False  # and the main thread has been told
        self._has_told_screen = False
        self._screen_since = float("inf")
        self._expected_at = 0.0
        self._was_early = False
        self._rescues = 0
        self._idle_looks = 0
        self._look_at = float("inf")
        self._looks = 0
        self._image: object = None
        self._asked: Asked | None = None
        self._pidfd = os.pidfd_open(pid)
        self._poll = select.poll()  # of the main thread
        self._poll.register(self._told, select.POLLIN)
        self._any = select.epoll()  # what comes from the child, as one descriptor
        for source in (*(terminal.fileno() for terminal in terminals), self._pidfd):
            self._poll.register(source, select.POLLIN)
            self._any.register(source, select.EPOLLIN)
        self._epoll = select.epoll()  # of the thread; what it waits for changes meanwhile
        self._epoll.register(self._wake, select.EPOLLIN)
        self._epoll.register(self._any, select.EPOLLIN)
        self._has_ended = False
        self._thread = threading.Thread(target=self._run, name="child", daemon=True)

    def start(self, cell: int) -> None:
        """Start reading; ``cell`` is the child's own starting."""
        self._expect(cell)
        self._thread.start()

    def stop(self) -> None:
        """Read no more: end the thread, and tell the main thread if it waits."""
        self._stopped = True
        self._wake.set()
        self._thread.join(_STOP_LIMIT)
        if not self._thread.is_alive():  # else it waits for a client, and ends when that is over
            with self._lock:
                self._close()

    def _close(self) -> None:
        """Give up what the system keeps for it, once."""
        if not self._epoll.closed:
            self._epoll.close()
            self._any.close()
            os.close(self._pidfd)
            self._wake.close()
            self._told.close()

    # -- the turns of the main thread -----------------------------------------------------------------

    def take_over(self) -> None:
        """Let the calling thread read from now on, by ``wait`` and ``turn``."""
        self._watch(0)

    def linger(self) -> Ready | None:
        """Read on for a moment, as the child is about to be ready: so the thread need not wake for that.

        Return that news if it is the next.
        """
        until = time.monotonic() + _LINGER
        while not self._news and self._runs and (left := until - time.monotonic()) > 0:
            self._poll.poll(left * 1000)
            self.turn()
        if self._news and isinstance(self._news[0], Ready):
            ready = self._news.popleft()
            assert isinstance(ready, Ready)
            return ready
        return None

    def hand_back(self) -> None:
        """Let the thread ``child`` read again."""
        self._watch(select.EPOLLIN)
        if self._output.due != float("inf") or self._look_at != float("inf"):
            self._wake.set()  # so that it knows

    def _watch(self, events: int) -> None:
        with self._lock:
            if not self._epoll.closed:
                self._epoll.modify(self._any, events)

    def news(self) -> News | None:
        """Return what has happened, piece by piece; None if nothing has, that was not told."""
        return self._news.popleft() if self._news else None

    def wait(self, until: float) -> None:
        """Wait until there is something to read, or to do, or until a moment. An interrupt may end it."""
        self._wait_for_room()
        due = min(self._due(), until)
        limit = None if due == float("inf") else max(0.0, (due - time.monotonic()) * 1000 + 0.5)
        if self._told.fileno() in [descriptor for descriptor, _ in self._poll.poll(limit)]:
            self._told.clear()

    def turn(self) -> None:
        """Read what has come, and do what is due."""
        with self._lock:
            if self._stopped:
                self._tell(Lost("the kernel ends"))
                return
            if not self._read_all() and not self._news and self._has_died():
                self._bury()
            self._attend(time.monotonic())

    def _tell(self, news: News) -> None:
        """Keep news; the main thread may have begun to wait when they come from a last turn of the other."""
        self._news.append(news)
        if threading.get_ident() == self._thread.ident:
            self._told.set()

    def hand_over(self, cell: int, command: Callable[[], None]) -> None:
        """Give the child cell ``cell``, by ``command``; what is read behind that belongs to it.

        The child is at work already while the rest is done; but nobody reads in between.
        """
        with self._lock:
            if not self._stopped and self._any.poll(0):
                self._read_all()  # what is there belongs to the last cell
            for terminal in self._terminals:
                terminal.echoes.forget()
            command()
            self._expect(cell)

    def _expect(self, cell: int) -> None:
        """Follow cell ``cell`` from now on. The caller holds the lock."""
        self._output.begin()
        for framing in self._framings:
            framing.expect(cell)
        self._runs = True
        self._ends = [None] * len(self._terminals)
        self._is_over = self._has_told_screen = False
        self._screen_since = float("inf")
        self._rescues = self._idle_looks = 0
        self._expected_at = time.monotonic()
        self._look_soon(self._expected_at)

    def settle(self) -> None:
        """Wait, shortly, until a child that was interrupted has said all that it says to that."""
        until = time.monotonic() + _SETTLE_LIMIT
        while readers.blocked_on(self._pid) != self._handover.commands and time.monotonic() < until:
            time.sleep(_GLANCE)
        time.sleep(_GLANCE)  # the terminal's own work

    def break_off(self) -> None:
        """An interrupt is about to be sent: what the child says to that on stderr is noise."""
        if self._lock.acquire(timeout=_PUBLISHING):  # else it waits for a client, for whom noise is little
            try:
                now = time.monotonic()
                self._was_early = now - self._expected_at < _EARLY
                self._handover.break_off()
                self._output.break_off(now)
            finally:
                self._lock.release()

    def rescue(self) -> None:
        """Ask the child for its marks again, which is being interrupted; from any thread."""
        with self._lock:
            self._handover.break_off()  # again, for it may not have been told
            self._ask_again()

    def answered(self) -> None:
        """The question that was open has been answered, or will not be."""
        with self._lock:
            self._asked = None
            self._look_soon(time.monotonic())

    # -- the thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._stopped and not self._has_ended:
                self._epoll.poll(self._timeout())
                self._wake.clear()
                self._wait_for_room()
                if not self._stopped:
                    self.turn()
        except Exception as error:
            self._log.exception("the reader of the child failed")
            self._tell(Lost(f"its reader failed: {error}"))
            self._reconsider()

    def _due(self) -> float:
        """Return the moment when something is to be done; infinity while the child is idle."""
        return min(self._output.due, self._look_at)

    def _timeout(self) -> float | None:
        due = self._due()
        return None if due == float("inf") else max(0.0, due - time.monotonic() + 0.0005)

    def _read_all(self) -> bool:
        """Take what the terminals have; tell whether there was something."""
        steps = self._steps
        has_any = self._read(0)
        if self._steps == steps:  # else the other was read with that
            for index in range(1, len(self._terminals)):
                has_any = self._read(index) or has_any
        return has_any

    def _read(self, index: int, *, whole: bool = False) -> bool:
        """Take what a terminal has; tell whether there was something. The caller holds the lock."""
        data = self._terminals[index].read(whole=whole)
        if data:
            self._take(index, self._framings[index].feed(data))
        return bool(data)

    def _take(self, index: int, events: Iterable[Event]) -> None:
        """Follow what a terminal has told. The caller holds the lock."""
        now = time.monotonic()
        if self._runs:
            self._look_soon(now)
        for event in events:
            match event:
                case Text():
                    for piece in self._escapes[index].feed(event.text):
                        self._pass_on(index, event.cell, piece, now)
                case Ended():
                    self._ended(index, event)
                case Ready() if index == 0:
                    self._become_ready(event)
                case Prompted():
                    status = self._handover.prompted(event.value)
                    if status is not None:
                        self._take(index, self._framings[index].end(status))

    def _pass_on(self, index: int, cell: int, piece: Piece, now: float) -> None:
        if isinstance(piece, ControlString):
            self._output.flush()
            self._show(cell, piece)
        elif text := self._handover.printed(self._terminals[index].echoes.without(piece)):
            self._output.add(cell, NAMES[index], text, now)

    def _ended(self, index: int, event: Ended) -> None:
        """A terminal tells that the cell has ended; for the others it is so, too, if nothing broke it off.

        What an interrupted child says comes behind its first mark, perhaps, and before its second: then all
        are waited for, and the cell was broken off if one of them says so.
        """
        self._ends[index] = event
        if index == 0 and not self._rescues:
            self._read_others()
            for each in range(1, len(self._terminals)):
                self._take(each, self._framings[each].step(event))
        elif None in self._ends:
            return
        self._end()

    def _read_others(self) -> None:
        """Read what was written on the other terminals before what was read on the first.

        It has come: a pty delivers late, but to look and find it empty waits for what is under way (Linux 4.7
        and newer; elsewhere nothing is).
        """
        self._steps += 1
        for index in range(1, len(self._terminals)):
            self._read(index, whole=True)

    def _end(self) -> None:
        """The cell has ended; the first terminal has told the status."""
        first = self._ends[0]
        if self._is_over or first is None:
            return
        self._is_over = True
        end = Ended(first.status, any(end.broken for end in self._ends if end is not None))
        self._finish_escapes()
        self._output.end(partial(self._handover.denoised, end=end, early=self._was_early))
        self._withdraw()
        self._tell(end)

    def _finish_escapes(self) -> None:
        """No escape sequence goes on behind a cell."""
        for index, escapes in enumerate(self._escapes):
            if text := escapes.finish():
                self._pass_on(index, self._framings[index].cell, text, time.monotonic())

    def _become_ready(self, ready: Ready) -> None:
        """The child is ready, which it says on the first terminal alone."""
        self._read_others()
        self._end()
        for index in range(1, len(self._terminals)):
            self._take(index, self._framings[index].step(ready))
        self._runs = False
        self._look_at = float("inf")
        if self._image is None:
            self._image = readers.image(self._pid)
        self._tell(ready)

    def _draws_screen(self) -> bool:
        return any(escapes.draws_screen for escapes in self._escapes)

    def _attend(self, now: float) -> None:
        """Pass on what was held for long enough; look after the child when that is due."""
        if self._runs and not self._has_told_screen and self._draws_screen():
            self._screen_since = min(self._screen_since, now)
            if now >= self._screen_since + _SCREEN_PATIENCE:
                self._has_told_screen = True
                self._tell(FullScreen(program(self._terminals[0].foreground)))
        if now >= self._look_at:
            self._look(now)
        if now >= self._output.due:
            for index, framing in enumerate(self._framings):
                if framing.holds:
                    self._take(index, framing.flush())
            self._output.flush_due(now)

    def _has_died(self) -> bool:
        """Tell whether the child has ended and nobody has been told."""
        return not self._has_ended and readers.state(self._pid) in ("", "Z", "X")

    def _bury(self) -> None:
        """The child has ended: end what it left, publish the last words, and tell."""
        self._has_ended = True
        end_session(self._pid, _END_LIMIT)
        poll = select.poll()
        for terminal in self._terminals:
            poll.register(terminal, select.POLLIN)
        while poll.poll(_LAST_WORDS * 1000) and self._read_all():
            continue
        for index, framing in enumerate(self._framings):
            self._take(index, framing.finish())
        self._finish_escapes()
        self._look_at = float("inf")
        self._output.end(quiet)
        self._withdraw()
        self._tell(Died(_status(self._pid)))

    # -- looking after the child ----------------------------------------------------------------------

    def _look_soon(self, now: float) -> None:
        self._looks = 0
        self._look_at = now + _FIRST_LOOK

    def _look(self, now: float) -> None:
        """Find out why nothing comes: who reads, who is stopped, what was lost. The caller holds the lock."""
        self._look_at = now + _LOOKS[min(self._looks, len(_LOOKS) - 1)]
        self._looks += 1
        if readers.state(self._pid) == "T":
            os.kill(self._pid, signal.SIGCONT)
            return
        place = readers.blocked_on(self._pid)
        if place == self._handover.commands and place not in self._paths:
            self._is_idle()
            return
        if place in self._paths and self._framings[0].place is Place.BEHIND:
            self._reopen()
            return
        waits = self._waits()
        if self._handover.is_at_command and any(wait.pid == self._pid for wait in waits):
            self._is_idle()
            return
        if self._asked is not None and self._asked.wait in waits:
            return
        self._withdraw()
        self._find_question(now)

    def _is_idle(self) -> None:
        """The child waits for a command though its cell has no end: the marks were lost, or are under way."""
        self._idle_looks += 1
        if self._idle_looks > 1:  # the first time it may be just about to read its line
            self._idle_looks = 0
            self._ask_again()

    def _ask_again(self) -> None:
        self._rescues += 1
        if self._rescues > _RESCUES:
            self._tell(Lost("it no longer says when a cell has ended"))
            self._look_at = float("inf")
            return
        for framing in self._framings:
            framing.expect_rescue(self._rescues)
        self._handover.rescue(self._framings[0].cell, self._rescues)

    def _reopen(self) -> None:
        """Give the child its FIFO back: it has closed every descriptor, and reads the terminal."""
        self._idle_looks += 1
        if self._idle_looks > 1:
            self._idle_looks = 0
            self._terminals[0].type(self._handover.reopen())

    def _waits(self) -> list[Wait]:
        return readers.waits(self._terminals[0].foreground, self._pid, self._paths)

    def _find_question(self, now: float) -> None:
        """Tell the main thread if somebody waits for input."""
        found = self._question()
        if found is None:
            return
        self._read_all()  # a prompt may have been on its way
        again = self._question()
        if again is None or again[0] != found[0]:
            return
        wait, kind, terminal = again
        if kind is Question.SCREEN:
            return
        if wait.pid == self._pid and self._is_replaced():
            self._tell(Lost("another program has taken its place"))
            self._look_at = float("inf")
            return
        self._asked = Asked(wait, kind, terminal, *self._output.take_prompt())
        self._tell(self._asked)

    def _question(self) -> tuple[Wait, Question, Terminal] | None:
        for wait in self._waits():
            for terminal in self._terminals:
                if terminal.path in wait.terminals and not terminal.unread:
                    kind = readers.classify(
                        wait,
                        canonical=terminal.canonical,
                        echo=terminal.echo,
                        full_screen=self._draws_screen(),
                        unfinished=self._output.unfinished,
                    )
                    if kind is not Question.NONE:
                        return wait, kind, terminal
        return None

    def _is_replaced(self) -> bool:
        return self._image is not None and readers.image(self._pid) != self._image

    def _withdraw(self) -> None:
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.wanted = False
            self._reconsider()


def _status(pid: int) -> int:
    """Return how a child ended: its exit status, or a negative signal."""
    info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    if info is None:
        return 0
    return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status
