"""Async hooks: each runs to its end in an asyncio event loop of the calling thread.

An interrupt cancels the coroutine; where its code blocks the loop, that code gets KeyboardInterrupt, as in
a plain hook. asyncio is imported with the first async hook. Knows no hook by name, and no request.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ..interrupts import Interrupts, interruptible, shielded

if TYPE_CHECKING:
    import asyncio


class Coroutines:
    """Runs awaitables to their end, in one event loop per thread, made when first needed."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._loops: dict[int, asyncio.AbstractEventLoop] = {}

    @shielded  # as far as it is not author's code: a task left behind here would run in the next request
    def run(self, begin: Callable[[], Awaitable[Any]]) -> Any:
        """Run what ``begin`` returns to its end; return its result, or raise what it raises.

        An interrupt is KeyboardInterrupt here unless the coroutine caught the cancellation. RuntimeError
        if the calling thread runs a coroutine already.
        """
        loop = self._loop()
        if loop.is_running():
            raise RuntimeError("a coroutine cannot wait until another hook has ended")
        course = _Course(loop, begin(), self._interrupts)
        if not self._interrupts.belongs_to_this_thread():
            return course.result()
        self._interrupts.divert(course.interrupt)
        try:
            return course.result()
        finally:
            self._interrupts.divert(None)

    def close(self) -> None:
        """Close every loop that is not running."""
        for loop in self._loops.values():
            if not loop.is_running():
                loop.close()

    def _loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of this thread, a new one if an author has closed it."""
        import asyncio

        me = threading.get_ident()
        loop = self._loops.get(me)
        if loop is None or loop.is_closed():
            loop = self._loops[me] = asyncio.new_event_loop()
            # A task that gives way calls this to be called again; an exception here would stop it for ever.
            shielded(asyncio.BaseEventLoop.call_soon)
        return loop


class _Course:
    """One awaitable on its way to the end, and what interrupts did to it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, awaitable: Awaitable[Any], interrupts: Interrupts
    ) -> None:
        self._loop = loop
        self._interrupts = interrupts
        self._coroutine = awaitable if inspect.iscoroutine(awaitable) else _to_coroutine(awaitable)
        self._task = loop.create_task(self._coroutine)
        self._task.add_done_callback(lambda task: loop.stop())
        self._cancelled = False
        self._missed = False  # there was an interrupt that has not cancelled it

    def result(self) -> Any:
        """Run to the end and return the result, or raise what was raised."""
        escaped: BaseException | None = None
        while not self._task.done():
            try:
                self._run()
            except (KeyboardInterrupt, SystemExit) as error:  # of any task: asyncio lets these two out
                escaped = error
                self._task.cancel()
        if escaped is None and (self._missed or (self._cancelled and self._task.cancelled())):
            escaped = KeyboardInterrupt()
        if escaped is None:
            return self._task.result()
        if not self._task.cancelled():
            self._task.exception()  # seen: asyncio need not warn that nobody has retrieved it
        raise escaped

    @interruptible
    def _run(self) -> None:
        self._interrupts.check()  # while nothing of the coroutine has run yet
        while not self._task.done():  # an earlier course that was interrupted may have left a stop behind
            self._loop.run_forever()

    def interrupt(self) -> None:
        """Cancel, or raise KeyboardInterrupt into the code that runs instead of the loop."""
        import asyncio

        if asyncio.current_task(self._loop) is not None:
            raise KeyboardInterrupt
        self._missed = True
        if inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED:
            self._cancel()  # at once, so that it does not begin
        else:
            self._loop.call_soon_threadsafe(self._cancel)  # later: this may be the middle of a callback

    def _cancel(self) -> None:
        if self._task.cancel():
            self._cancelled = True
            self._missed = False


async def _to_coroutine(awaitable: Awaitable[Any]) -> Any:
    """Make a coroutine of any awaitable, which is what a task wants."""
    return await awaitable
