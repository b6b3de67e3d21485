"""The hooks of a kernel: which there are, what each may ask for, and how one is called.

A hook gets the parameters it names, out of those that the specification gives it. What a class asks for
is read once, when the class is made, so that a wrong name is an error there and not in the first cell.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..interrupts import Interrupts, interruptible
from .coroutines import Coroutines

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


class Plan(NamedTuple):
    """How one class's hook is called: which values go by position, which by name, and is it ``async``."""

    positional: tuple[str, ...]
    named: tuple[str, ...]
    is_async: bool

    @classmethod
    def of(cls, owner: type, hook: str) -> Plan:
        """Read the signature of ``owner``'s hook; TypeError if it requires what nobody gives it."""
        offered = HOOKS[hook]
        positional: list[str] = []
        named: list[str] = []
        takes_all = False
        parameters = list(inspect.signature(getattr(owner, hook)).parameters.values())
        written = inspect.getattr_static(owner, hook)
        if hasattr(written, "__get__") and not isinstance(written, (staticmethod, classmethod)):
            parameters = parameters[1:]  # self; an object that can be called gets none
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
        return cls(tuple(positional), tuple(named), inspect.iscoroutinefunction(getattr(owner, hook)))


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
        call = partial(
            getattr(self._kernel, hook),
            *[offered[name] for name in plan.positional],
            **{name: offered[name] for name in plan.named},
        )
        if plan.is_async:
            return self._coroutines.run(call)
        result = call()
        if inspect.isawaitable(result):  # of a plain function around an async one
            result = self._coroutines.run(lambda: result)
        return result

    @interruptible
    def run(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call author's code that is no hook (a comm's callback, a value's representation) as one."""
        self._interrupts.check()
        return callback(*args)

    def close(self) -> None:
        """Close the event loops that async hooks had."""
        self._coroutines.close()
