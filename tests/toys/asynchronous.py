"""The toy kernel of `plain`, with all hooks `async` and their signatures as of old, every parameter named.

Its waiting commands await, so that an interrupt cancels them. All its hooks may run beside a running cell.
It knows no test. Runnable: `python tests/toys/asynchronous.py -f FILE`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from wrapperkernel import run

try:
    from toys.plain import MISBEHAVIOUR, PlainKernel
except ModuleNotFoundError:  # run as a script: the folder on the path is this one
    from plain import MISBEHAVIOUR, PlainKernel  # type: ignore[import-not-found,no-redef]


async def _for_ever() -> None:
    await asyncio.Event().wait()


ASYNC_MISBEHAVIOUR: Mapping[str, Callable[[], Any]] = {**MISBEHAVIOUR, "wait": _for_ever}


async def result_of(value: Any) -> Any:
    """Return the value, awaited if it can be."""
    return await value if inspect.isawaitable(value) else value


class AsyncKernel(PlainKernel):
    implementation = "async_toy"
    beside = frozenset({"do_complete", "do_inspect", "do_is_complete", "do_history"})

    async def do_start(self) -> Any:
        await asyncio.sleep(0)
        return await result_of(super().do_start())

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> Any:
        self.offered = {
            "silent": silent,
            "store_history": store_history,
            "user_expressions": user_expressions,
            "allow_stdin": allow_stdin,
            "cell_meta": cell_meta,
            "cell_id": cell_id,
        }
        if "do_execute" in self.behaviour:
            return await result_of(self._misbehave("do_execute"))
        returned = None
        for line in code.split("\n"):
            word, _, rest = line.strip("\r").partition(" ")
            if word:
                returned = await result_of(self._command(word)(rest))
        return returned

    async def do_complete(self, code: str, cursor_pos: int) -> Any:
        return await result_of(super().do_complete(code, cursor_pos))

    async def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()
    ) -> Any:
        return await result_of(super().do_inspect(code, cursor_pos, detail_level))

    async def do_is_complete(self, code: str) -> Any:
        return await result_of(super().do_is_complete(code))

    async def do_history(
        self,
        hist_access_type: str,
        output: bool,
        raw: bool,
        session: int = 0,
        start: int = 0,
        stop: int | None = None,
        n: int | None = None,
        pattern: str | None = None,
        unique: bool = False,
    ) -> Any:
        found = super().do_history(
            hist_access_type=hist_access_type,
            output=output,
            raw=raw,
            session=session,
            start=start,
            stop=stop,
            n=n,
            pattern=pattern,
            unique=unique,
        )
        return await result_of(found)

    async def do_evaluate(self, expression: str) -> Any:
        await asyncio.sleep(0)
        return await result_of(super().do_evaluate(expression))

    async def do_interrupt(self) -> Any:
        return await result_of(super().do_interrupt())

    async def do_shutdown(self, restart: bool) -> Any:
        return await result_of(super().do_shutdown(restart))

    async def run_sleep(self, seconds: str) -> Any:
        await asyncio.sleep(float(seconds))

    async def run_misbehave(self, how: str) -> Any:
        return await result_of(ASYNC_MISBEHAVIOUR[how]())

    async def run_stubborn(self, seconds: str) -> Any:
        loop = asyncio.get_running_loop()
        end = loop.time() + float(seconds)
        while loop.time() < end:
            try:
                await asyncio.sleep(max(0.0, end - loop.time()))
            except asyncio.CancelledError:
                self.iopub.stream("not now\n")

    def _misbehave(self, hook: str) -> Any:
        self.seen.append(hook)
        how = self.behaviour.get(hook)
        if how is None:
            return None
        if how == "wait":
            asyncio.get_running_loop().call_soon(self.hanging.set)  # once this task is suspended
        else:
            self.hanging.set()
        return ASYNC_MISBEHAVIOUR[how]()


if __name__ == "__main__":
    run(AsyncKernel)
