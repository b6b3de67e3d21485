"""An interrupt becomes KeyboardInterrupt only where that is safe.

KeyboardInterrupt can appear between any two bytecodes: between taking a message from a queue and
handling it, or in the middle of a send, where it would lose a reply or leave a lock held. A flag that
says "raise now" does not help, because setting and clearing it are bytecodes too. So the answer is read
off the stack: the innermost *marked* function decides. ``@interruptible`` marks functions under which
an author's hook runs or code waits; ``@shielded`` marks those that send, keep books or work on a child.
Whoever runs under neither is shielded, and so are finalizers. Entering and leaving a function is atomic,
hence no gap.

An interrupt belongs to the request that is running: between ``begin`` and ``decide`` it ends that
request; at any other time it does nothing; it never reaches the next one. One that comes while shielded
is remembered, and raised by the next ``check`` under an interruptible function, or found by ``decide``.
Where neither comes soon (an author's hook that goes on to compute after it has sent something), another
thread, which is woken, has to ``knock``.

This module knows no message, no socket and no kernel.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType, FrameType
from typing import TypeVar

_F = TypeVar("_F", bound=Callable[..., object])

# Filled by the two decorators while modules are imported and never changed after.
_INTERRUPTIBLE: set[CodeType] = set()
_SHIELDED: set[CodeType] = set()

# A request on the control channel must stop Python code in the main thread, also code that blocks in a
# system call; only a signal does that. SIGINT itself will not do: one from outside that arrives in
# between would be taken for this one, and this one would then hit the next request. SIGURG is ignored
# by default, so that a stray one harms nobody.
NAMED_SIGNAL = signal.SIGURG


def interruptible(function: _F) -> _F:
    """Mark a function under which an interrupt may raise KeyboardInterrupt."""
    _INTERRUPTIBLE.add(function.__code__)
    return function


def shielded(function: _F) -> _F:
    """Mark a function under which an interrupt is only remembered."""
    _SHIELDED.add(function.__code__)
    return function


class Interrupts:
    """Which request an interrupt belongs to, and whether one is waiting to be raised.

    ``begin``, ``decide`` and ``check`` are called by the thread that runs the request; ``fire`` in that
    same thread by a signal handler (or a test) at any moment; ``interrupt_running`` and ``knock`` by other
    threads.
    """

    def __init__(self) -> None:
        self._running: object | None = None
        self._thread = 0
        self._pending = False
        self._named: object | None = None
        self._unheard = False
        self._receiver: Callable[[], None] | None = None
        self._remembered: Callable[[], None] = _nothing

    @property
    def running(self) -> object | None:
        """The request that an interrupt would end now."""
        return self._running

    def begin(self, request: object) -> None:
        """Let interrupts belong to ``request`` from here on."""
        self._pending = False
        self._thread = threading.get_ident()
        self._running = request  # last: from this assignment on an interrupt counts

    def decide(self) -> bool:
        """Close the request to interrupts; tell whether one came that nobody has seen."""
        self._running = None  # first: what comes now is too late
        pending, self._pending = self._pending, False
        return pending

    def fire(self, frame: FrameType | None) -> None:
        """Interrupt the running request, as seen from ``frame``: raise, divert or remember."""
        if self._running is None:
            return
        self._pending = True
        while frame is not None:
            if frame.f_code in _SHIELDED or _is_finalizer(frame):
                break
            if frame.f_code in _INTERRUPTIBLE:
                self._deliver()
                return
            frame = frame.f_back
        self._remembered()

    def check(self) -> None:
        """Raise an interrupt that was remembered, if the caller runs under an interruptible function."""
        if self._pending and self.belongs_to_this_thread():
            self.fire(sys._getframe(1))

    def belongs_to_this_thread(self) -> bool:
        """Tell whether the running request runs in the calling thread."""
        return self._thread == threading.get_ident()

    def divert(self, receiver: Callable[[], None] | None) -> None:
        """Let ``receiver`` (of an event loop) have the interrupts, or raise KeyboardInterrupt itself."""
        self._receiver = receiver

    def interrupt_running(self) -> object | None:
        """From another thread: interrupt the request that is running now, and no later one; return it."""
        running = self._running
        if running is not None:
            self._named = running
            self.knock()
        return running

    def knock(self) -> None:
        """From another thread: have the one that runs the request notice its signals, if it can by now."""
        if self._running is not None:
            self._unheard = True
            signal.pthread_kill(self._thread, NAMED_SIGNAL)

    @property
    def unsettled(self) -> bool:
        """Whether somebody should knock again, in a moment.

        Because an interrupt is remembered; or because nobody has answered the last knock: a signal that
        comes when Python is about to make a system call does not end that call, and is noticed after it.
        """
        return self._running is not None and (self._pending or self._unheard)

    def when_remembered(self, call: Callable[[], None]) -> None:
        """Have ``call`` called, by a signal handler, whenever an interrupt could only be remembered."""
        self._remembered = call

    def on_signal(self, signum: int, frame: FrameType | None) -> None:
        """Handle SIGINT: whatever runs is meant."""
        self.fire(frame)

    def on_named_signal(self, signum: int, frame: FrameType | None) -> None:
        """Handle the signal of ``interrupt_running``, which means the request that it saw, and once."""
        self._unheard = False
        named, self._named = self._named, None
        if self._pending or (named is not None and named is self._running):
            self.fire(frame)

    def install(self) -> None:
        """Become the process's handler of both signals; call once, in the main thread."""
        signal.signal(signal.SIGINT, self.on_signal)
        signal.signal(NAMED_SIGNAL, self.on_named_signal)

    def _deliver(self) -> None:
        self._pending = False
        if self._receiver is None:
            raise KeyboardInterrupt
        self._receiver()


def _is_finalizer(frame: FrameType) -> bool:
    """Tell whether Python calls this function by itself, and forgets what it raises."""
    return frame.f_code.co_name == "__del__" or frame.f_globals.get("__name__") in ("weakref", "_weakrefset")


def _nothing() -> None:
    """Do nothing."""
