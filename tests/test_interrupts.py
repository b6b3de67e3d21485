"""Interrupts: which function decides, which request is meant, and that none is lost or comes twice."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from wrapperkernel.interrupts import NAMED_SIGNAL, Interrupts, interruptible, shielded
from wrapperkernel.server import logs

LIMIT = 20.0  # seconds that another thread may take


@pytest.fixture
def interrupts() -> Interrupts:
    return Interrupts()


@pytest.fixture
def installed(interrupts: Interrupts) -> Iterator[Interrupts]:
    """Interrupts that have the signals of this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, NAMED_SIGNAL)}
    interrupts.install()
    yield interrupts
    for number, handler in before.items():
        signal.signal(number, handler)


def ended(call: Callable[..., Any], *args: Any) -> bool:
    """Make a call where interrupts are raised; tell whether one ended it, which would end pytest, too."""
    try:
        open_to(call, *args)
    except KeyboardInterrupt:
        return True
    return False


def fire(interrupts: Interrupts) -> None:
    """Interrupt, as seen from the caller."""
    interrupts.fire(sys._getframe(1))


@interruptible
def open_to(call: Callable[..., Any], *args: Any) -> Any:
    return call(*args)


@shielded
def closed_to(call: Callable[..., Any], *args: Any) -> Any:
    return call(*args)


def elsewhere(work: Callable[[], Any]) -> Any:
    """Call in another thread, and return what that returns."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(LIMIT)
    assert results, "the other thread hangs, or has failed"
    return results[0]


# --- the innermost marked function decides -----------------------------------------------------------


def test_raised_under_an_interruptible_function(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    with pytest.raises(KeyboardInterrupt):
        open_to(lambda: fire(interrupts))
    assert not interrupts.decide()


def test_remembered_under_a_shielded_function(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    open_to(closed_to, fire, interrupts)
    assert interrupts.unsettled
    assert interrupts.decide()
    assert not interrupts.unsettled


def test_remembered_under_no_marked_function(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    fire(interrupts)
    assert interrupts.decide()


def test_the_innermost_of_several_decides(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    with pytest.raises(KeyboardInterrupt):
        open_to(closed_to, open_to, fire, interrupts)
    open_to(closed_to, open_to, closed_to, fire, interrupts)
    assert interrupts.decide()


def test_remembered_twice_is_once(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    fire(interrupts)
    fire(interrupts)
    with pytest.raises(KeyboardInterrupt):
        open_to(interrupts.check)
    open_to(interrupts.check)
    assert not interrupts.decide()


def test_every_interrupt_is_raised_anew(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            open_to(fire, interrupts)
    assert not interrupts.decide()


class Finalized:
    """Interrupts when it goes."""

    def __init__(self, interrupts: Interrupts) -> None:
        self.interrupts = interrupts

    def __del__(self) -> None:
        fire(self.interrupts)


class Referred:
    """Something to hold a weak reference to."""


def test_remembered_in_finalizers_where_python_would_forget_it(
    interrupts: Interrupts, capfd: pytest.CaptureFixture[str]
) -> None:
    def end(finalized: list[Any]) -> None:
        finalized.clear()
        assert interrupts.unsettled
        interrupts.check()

    interrupts.begin("a request")
    referred = Referred()
    weakref.finalize(referred, fire, interrupts)
    for finalized in [Finalized(interrupts)], [referred]:
        referred = Referred()
        with pytest.raises(KeyboardInterrupt):
            open_to(end, finalized)
    assert capfd.readouterr().err == ""


def test_remembered_where_a_weak_set_forgets(
    interrupts: Interrupts, capfd: pytest.CaptureFixture[str]
) -> None:
    """As asyncio's set of all tasks does whenever one goes."""

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if frame.f_code.co_name == "_remove":
            interrupts.fire(frame)

    interrupts.begin("a request")
    referred = [Referred()]
    some = weakref.WeakSet(referred)
    sys.settrace(trace)
    try:
        open_to(referred.clear)
    finally:
        sys.settrace(None)
    assert len(some) == 0
    assert interrupts.unsettled
    assert capfd.readouterr().err == ""


# --- what was remembered -----------------------------------------------------------------------------


def test_check_raises_only_where_an_interrupt_would(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    fire(interrupts)
    interrupts.check()
    open_to(closed_to, interrupts.check)
    assert interrupts.unsettled
    with pytest.raises(KeyboardInterrupt):
        open_to(interrupts.check)
    assert not interrupts.unsettled


def test_check_without_an_interrupt_does_nothing(interrupts: Interrupts) -> None:
    open_to(interrupts.check)
    interrupts.begin("a request")
    open_to(interrupts.check)
    assert not interrupts.decide()


def test_check_is_for_the_thread_of_the_request(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    fire(interrupts)
    assert elsewhere(lambda: (open_to(interrupts.check), interrupts.belongs_to_this_thread())) == (
        None,
        False,
    )
    assert interrupts.belongs_to_this_thread()
    assert interrupts.decide()


def test_who_wants_to_know_is_told_what_is_remembered(interrupts: Interrupts) -> None:
    told: list[bool] = []
    interrupts.when_remembered(lambda: told.append(interrupts.unsettled))
    fire(interrupts)
    interrupts.begin("a request")
    with pytest.raises(KeyboardInterrupt):
        open_to(fire, interrupts)
    assert told == []
    fire(interrupts)
    assert told == [True]


def test_what_was_remembered_is_raised_at_a_knock(installed: Interrupts) -> None:
    installed.begin("a request")
    installed.knock()
    assert not installed.unsettled
    fire(installed)
    assert installed.unsettled
    closed_to(installed.knock)
    assert installed.unsettled
    with pytest.raises(KeyboardInterrupt):
        open_to(installed.knock)
    assert not installed.unsettled
    open_to(installed.knock)  # it was one interrupt, hence it is raised once
    assert not installed.decide()


def test_nobody_needs_to_knock_when_the_request_has_ended(installed: Interrupts) -> None:
    installed.begin("a request")
    fire(installed)
    assert installed.decide()
    assert not installed.unsettled
    open_to(installed.knock)


def test_who_knocks_learns_whether_he_was_heard(installed: Interrupts) -> None:
    installed.begin("a request")
    signal.pthread_sigmask(signal.SIG_BLOCK, [NAMED_SIGNAL])  # as in a function that does not look
    try:
        elsewhere(installed.interrupt_running)
        assert installed.unsettled
        elsewhere(installed.knock)
    finally:
        with pytest.raises(KeyboardInterrupt):
            open_to(signal.pthread_sigmask, signal.SIG_UNBLOCK, [NAMED_SIGNAL])
    assert not installed.unsettled
    assert not installed.decide()


# --- which request is meant --------------------------------------------------------------------------


def test_no_request_no_interrupt(interrupts: Interrupts) -> None:
    open_to(fire, interrupts)
    interrupts.begin("a request")
    assert not interrupts.decide()
    open_to(fire, interrupts)
    interrupts.begin("the next")
    open_to(interrupts.check)
    assert not interrupts.decide()


def test_what_is_running(interrupts: Interrupts) -> None:
    request = object()
    assert interrupts.running is None
    interrupts.begin(request)
    assert interrupts.running is request
    interrupts.decide()
    assert interrupts.running is None


def test_an_interrupt_that_was_missed_does_not_reach_the_next_request(interrupts: Interrupts) -> None:
    interrupts.begin("a request")
    fire(interrupts)
    interrupts.begin("the next")  # even if the first has never been decided
    open_to(interrupts.check)
    assert not interrupts.decide()


@pytest.mark.row("T6", file="interrupts.py", old="named is not None and named is self._running", new="True")
def test_a_named_interrupt_does_not_reach_the_next_request(installed: Interrupts) -> None:
    assert installed.interrupt_running() is None
    signal.raise_signal(NAMED_SIGNAL)
    first = object()
    installed.begin(first)
    signal.pthread_sigmask(signal.SIG_BLOCK, [NAMED_SIGNAL])
    try:
        assert elsewhere(installed.interrupt_running) is first
        installed.decide()
        installed.begin("the next")
    finally:
        reached = ended(signal.pthread_sigmask, signal.SIG_UNBLOCK, [NAMED_SIGNAL])  # here it arrives
    assert not reached
    assert not installed.decide()


def test_a_named_interrupt_comes_once(installed: Interrupts) -> None:
    installed.begin("a request")
    with pytest.raises(KeyboardInterrupt):
        open_to(installed.interrupt_running)
    open_to(signal.raise_signal, NAMED_SIGNAL)  # a stray one
    with pytest.raises(KeyboardInterrupt):
        open_to(installed.interrupt_running)
    assert not installed.decide()


def test_an_interrupt_from_outside(installed: Interrupts) -> None:
    open_to(os.kill, os.getpid(), signal.SIGINT)
    installed.begin("a request")
    with pytest.raises(KeyboardInterrupt):
        open_to(signal.raise_signal, signal.SIGINT)
    closed_to(os.kill, os.getpid(), signal.SIGINT)
    assert installed.decide()
    open_to(os.kill, os.getpid(), signal.SIGINT)


# --- a receiver in between (an event loop) -----------------------------------------------------------


def test_a_receiver_takes_interrupts(interrupts: Interrupts) -> None:
    taken: list[str] = []
    interrupts.begin("a request")
    interrupts.divert(lambda: taken.append("taken"))
    open_to(fire, interrupts)
    assert taken == ["taken"]
    open_to(closed_to, fire, interrupts)
    assert taken == ["taken"]
    open_to(interrupts.check)
    assert taken == ["taken", "taken"]
    interrupts.divert(None)
    with pytest.raises(KeyboardInterrupt):
        open_to(fire, interrupts)
    assert not interrupts.decide()


def test_a_receiver_may_raise(interrupts: Interrupts) -> None:
    def raise_it() -> None:
        raise KeyboardInterrupt

    interrupts.begin("a request")
    interrupts.divert(raise_it)
    with pytest.raises(KeyboardInterrupt):
        open_to(fire, interrupts)
    assert not interrupts.decide()


# --- what hooks use and other threads too ------------------------------------------------------------


@contextmanager
def only_our_handler() -> Iterator[None]:
    """Let the library's log go to its own handler alone, which writes to memory; no fixture: pytest looks."""
    logger = logging.getLogger("wrapperkernel")
    before = logger.handlers[:], logger.level, logger.propagate
    logger.handlers.clear()
    logs.configure(logging.INFO, io.StringIO())
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def test_logging_holds_no_lock_when_it_is_interrupted(interrupts: Interrupts) -> None:
    with only_our_handler():
        steps = interrupt_every_step_of_logging(interrupts)
    assert steps > 80


def interrupt_every_step_of_logging(interrupts: Interrupts) -> int:
    """Interrupt a hook at one step after another; log in another thread each time; return how many."""
    step = left = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename != logging.__file__:
            return None
        left -= 1
        if left == 0:
            interrupts.fire(frame)
        return trace

    def log_in_a_hook() -> None:
        child = logging.getLogger(f"wrapperkernel.{step}.{threading.get_ident()}")
        child.info("step %d", step)

    while left <= 0:  # until there is no such step
        left = step = step + 1
        interrupts.begin("a request")
        sys.settrace(trace)
        try:
            open_to(log_in_a_hook)
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        elsewhere(log_in_a_hook)
    return step
