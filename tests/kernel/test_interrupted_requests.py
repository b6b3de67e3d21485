"""An interrupt at every step of a request: one valid reply and one idle, and no other request is touched."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from toys.asynchronous import AsyncKernel
from toys.plain import PlainKernel
from toys.steps import Steps

from wrapperkernel.interrupts import NAMED_SIGNAL
from wrapperkernel.testing.execution import Exchange
from wrapperkernel.testing.harness import KernelHarness


class PlainToy(PlainKernel):
    """The plain toy, which remembers what of the author's code has begun."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begun: list[str] = []

    def do_execute(self, code: str, silent: bool, store_history: bool, allow_stdin: bool) -> Any:
        self.begun.append("do_execute")
        return super().do_execute(code, silent, store_history, allow_stdin)

    def do_evaluate(self, expression: str) -> Any:
        self.begun.append("do_evaluate")
        return super().do_evaluate(expression)

    def do_complete(self, code: str, cursor_pos: int) -> Any:
        self.begun.append("do_complete")
        return super().do_complete(code, cursor_pos)

    def run_say(self, text: str) -> None:
        """Be the callback of a comm."""
        self.begun.append("callback")
        self.iopub.stream(f"{text}\n")
        self.opened[-1].send({"text": text})


class AsyncToy(AsyncKernel):
    """The same with async hooks."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.begun: list[str] = []

    async def do_execute(self, code: str, silent: bool, store_history: bool, allow_stdin: bool) -> Any:  # type: ignore[override]
        self.begun.append("do_execute")
        await asyncio.sleep(0.0001)
        return await super().do_execute(code, silent, store_history, allow_stdin=allow_stdin)

    async def do_evaluate(self, expression: str) -> Any:
        self.begun.append("do_evaluate")
        return await super().do_evaluate(expression)

    async def do_complete(self, code: str, cursor_pos: int) -> Any:
        self.begun.append("do_complete")
        await asyncio.sleep(0)
        return await super().do_complete(code, cursor_pos)

    run_say = PlainToy.run_say


Harness = KernelHarness
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "execute": (
        "execute_request",
        {
            "code": "print a\nask name\nresult x",
            "silent": False,
            "store_history": True,
            "user_expressions": {"a": "x", "b": "y"},
            "allow_stdin": True,
            "stop_on_error": True,
        },
    ),
    "complete": ("complete_request", {"code": "pri", "cursor_pos": 3}),
    "comm_msg": ("comm_msg", {"comm_id": "c1", "data": {"text": "hi"}}),
}


@pytest.fixture(params=[PlainToy, AsyncToy], ids=["plain", "async"])
def toy(request: pytest.FixtureRequest) -> Iterator[KernelHarness]:
    with KernelHarness(request.param, answers=iter(lambda: "Ada", None)) as harness:
        harness.execute("let x 1")
        opened = {"comm_id": "c1", "target_name": "toy.echo", "data": {}}
        harness.request("comm_open", opened)
        comm = harness.kernel.opened[-1]
        comm.on_msg(lambda message: harness.kernel.run_say(message.content["data"]["text"]))
        yield harness


def steps_of(toy: KernelHarness, *, fine: bool = False) -> Steps:
    kernel = toy.kernel
    loop = Path(asyncio.__file__).parent
    return Steps(kernel.link.interrupts, loop, fine=fine, note=lambda: list(kernel.begun))


def judge(exchange: Exchange, *, interrupted: bool) -> None:
    """Check one exchange, which the harness has found valid as a whole."""
    if exchange.reply is None:
        return
    if interrupted:
        assert (exchange.status, exchange.content["ename"]) == ("error", "KeyboardInterrupt")
    else:
        assert exchange.status == "ok"
    is_cell = exchange.reply["msg_type"] == "execute_reply"
    assert len(exchange.contents("error")) == (1 if interrupted and is_cell else 0)


def fire_at(toy: KernelHarness, steps: Steps, targets: set[int], name: str) -> None:
    """Run a request and an ordinary one behind it, with interrupts at these steps of both."""
    begun = toy.kernel.begun
    begun.clear()
    exchanges = []

    def run() -> None:
        exchanges.append(toy.request(*REQUESTS[name]))
        begun.append("the next")
        exchanges.append(toy.request(*REQUESTS["complete"]))

    steps.run(targets, run)
    [shot] = steps.shots or [None]
    hit = shot and shot.request and shot.request.message.msg_id
    for exchange in exchanges:
        judge(exchange, interrupted=exchange.request["header"]["msg_id"] == hit)
    if shot is not None and shot.request is not None:
        first = begun[: begun.index("the next")] if "the next" not in shot.note else begun
        assert first == shot.note, "a hook began after the interrupt"


@pytest.mark.row("E12")
@pytest.mark.parametrize("name", REQUESTS)
def test_an_interrupt_at_every_line(toy: KernelHarness, name: str) -> None:
    steps = steps_of(toy)
    fire_at(toy, steps, set(), name)
    fire_at(toy, steps, set(), name)  # the second time nothing is done for the first time
    total = steps.count
    assert total > 300
    places = set()
    for target in range(1, total + 1):
        fire_at(toy, steps, {target}, name)
        places |= {shot.place for shot in steps.shots}
    assert len(places) > 150
