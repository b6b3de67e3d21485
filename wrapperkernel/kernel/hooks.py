"""The hooks of a kernel: which there are, what each may ask for, and how one is called.

A hook gets the parameters it names, out of those that the specification gives it. What a class asks for
is read once, when the class is made, so that a wrong name is an error there and not in the first cell.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..interrupts import Interrupts, interruptible

if TYPE_CHECKING:
    import asyncio

    from ..wire import Message

# Hook -> the names it may ask for (messaging specification, the contents of the requests).
HOOKS: Mapping[str, tuple[str, ...]] = {
    "do_start": (),
    "do_execute": (
        "code",
        "silent",
        "store_history",
        "user_expressions",
        "allow_stdin",
        "stop_on_error",
        "cell_id",
        "cell_meta",
        "metadata",
    ),
    "do_complete": ("code", "cursor_pos"),
    "do_inspect": ("code", "cursor_pos", "detail_level", "omit_sections"),
    "do_is_complete": ("code",),
    "do_history": (
        "hist_access_type",
        "output",
        "raw",
        "session",
        "start",
        "stop",
        "n",
        "pattern",
        "unique",
    ),
    "do_evaluate": ("expression",),
    "do_interrupt": (),
    "do_shutdown": ("restart",),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How one class's hook is called: which offered values go by position and which by name."""

    positional: tuple[str, ...]
    named: tuple[str, ...]

    @classmethod
    def of(cls, owner: type, hook: str) -> Plan:
        """Read the signature of ``owner``'s hook; TypeError if it requires what nobody gives it."""
        offered = HOOKS[hook]
        positional: list[str] = []
        named: list[str] = []
        takes_all = False
        parameters = list(inspect.signature(getattr(owner, hook)).parameters.values())
        if not isinstance(inspect.getattr_static(owner, hook), (staticmethod, classmethod)):
            parameters = parameters[1:]
        for parameter in parameters:
            if parameter.kind is parameter.VAR_KEYWORD:
                takes_all = True
            elif parameter.kind is parameter.VAR_POSITIONAL:
                continue
            elif parameter.name in offered:
                by_position = parameter.kind is parameter.POSITIONAL_ONLY
                (positional if by_position else named).append(parameter.name)
            elif parameter.default is parameter.empty:
                known = ", ".join(offered) or "nothing"
                raise TypeError(
                    f"{owner.__name__}.{hook} requires {parameter.name!r}, "
                    f"which the specification does not give it; it may ask for: {known}"
                )
        if takes_all:
            named = [name for name in offered if name not in positional]
        return cls(tuple(positional), tuple(named))


def plans_of(owner: type) -> dict[str, Plan]:
    """Make the plan of every hook of a class, inherited ones and those of mixins included."""
    return {hook: Plan.of(owner, hook) for hook in HOOKS}


class Caller:
    """Calls the hooks of one kernel, plain or ``async``, where interrupts may end them."""

    def __init__(self, kernel: object, plans: Mapping[str, Plan], interrupts: Interrupts) -> None:
        self._kernel = kernel
        self._plans = plans
        self._interrupts = interrupts
        self._coroutines = Coroutines(interrupts)

    @interruptible
    def call(self, hook: str, offered: Mapping[str, Any]) -> Any:
        """Call ``hook`` with what it asks for of ``offered``; raise whatever it raises.

        An interrupt that came before this point ends the request without the hook being called.
        """
        self._interrupts.check()
        plan = self._plans[hook]
        result = getattr(self._kernel, hook)(
            *[offered[name] for name in plan.positional],
            **{name: offered[name] for name in plan.named},
        )
        if inspect.isawaitable(result):
            result = self._coroutines.run(result)
        return result

    @interruptible
    def run(self, handler: Callable[[Message], None], message: Message) -> None:
        """Call what handles a message outside of the hooks (comms), where interrupts may end it."""
        self._interrupts.check()
        handler(message)

    def close(self) -> None:
        """Close the event loops that async hooks had."""
        self._coroutines.close()


class Coroutines:
    """Runs awaitables to their end, in one asyncio event loop per thread, made when first needed."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._loops: dict[int, asyncio.AbstractEventLoop] = {}

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """Run to the end and return the result; an interrupt cancels it and is KeyboardInterrupt here.

        Code of the coroutine that blocks the loop gets KeyboardInterrupt itself, as plain code would.
        """
        import asyncio

        me = threading.get_ident()
        loop = self._loops.get(me)
        if loop is None:
            loop = self._loops[me] = asyncio.new_event_loop()
        task = loop.create_task(_to_coroutine(awaitable))
        cancelled = False

        def cancel() -> bool:
            nonlocal cancelled
            if asyncio.current_task(loop) is task:
                return False
            cancelled = True
            loop.call_soon_threadsafe(task.cancel)
            return True

        try:
            self._receive_interrupts(cancel)
            result = loop.run_until_complete(task)
        except asyncio.CancelledError:
            if not cancelled:
                raise
        except KeyboardInterrupt:
            if task.done() and not task.cancelled():
                task.exception()  # seen: asyncio need not warn that nobody retrieved it
            raise
        finally:
            self._receive_interrupts(None)
        if cancelled:
            raise KeyboardInterrupt
        return result

    def close(self) -> None:
        """Close every loop that is not running."""
        for loop in self._loops.values():
            if not loop.is_running():
                loop.close()

    def _receive_interrupts(self, receiver: Callable[[], bool] | None) -> None:
        """Divert interrupts, if this is the thread that runs the interruptible request."""
        if self._interrupts.belongs_to_this_thread():
            self._interrupts.divert(receiver)


async def _to_coroutine(awaitable: Awaitable[Any]) -> Any:
    """Make a coroutine of any awaitable, which is what a task wants."""
    return await awaitable
