"""An interrupt at every step of a request: one valid reply and one idle, and no other request is touched."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from toys.plain import PlainKernel
from toys.steps import Step, Steps, named

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


class AsyncToy(PlainToy):
    """The same with async hooks."""

    async def do_execute(self, code: str, silent: bool, store_history: bool, allow_stdin: bool) -> Any:
        self.begun.append("do_execute")
        await asyncio.sleep(0.0001)
        returned = PlainKernel.do_execute(self, code, silent, store_history, allow_stdin)
        await asyncio.sleep(0)
        return returned

    async def do_evaluate(self, expression: str) -> Any:
        self.begun.append("do_evaluate")
        return PlainKernel.do_evaluate(self, expression)

    async def do_complete(self, code: str, cursor_pos: int) -> Any:
        self.begun.append("do_complete")
        await asyncio.sleep(0)
        return PlainKernel.do_complete(self, code, cursor_pos)


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


def fire_at(toy: KernelHarness, steps: Steps, target: Step | None, names: Sequence[str]) -> None:
    """Make requests one after another, with an interrupt at this step, and check all of them."""
    begun = toy.kernel.begun
    begun.clear()
    exchanges = []
    steps.on(target)
    try:
        for name in names:
            begun.append(name)
            exchanges.append(toy.request(*REQUESTS[name]))
    finally:
        steps.off()
    hit = steps.shot.request if steps.shot else None
    for exchange in exchanges:
        judge(exchange, interrupted=hit is not None and exchange.request["header"] == hit.header)
    if hit is not None:
        then = begun[len(steps.shot.note) :]
        assert not then or then[0] in names, "a hook began after the interrupt"


def fire_at_every_step(toy: KernelHarness, steps: Steps, names: Sequence[str]) -> None:
    """Interrupt these requests at each of their steps, one at a time; an ordinary request comes between."""
    fire_at(toy, steps, None, names)
    steps.seen.clear()
    fire_at(toy, steps, None, names)  # the second time nothing is done for the first time
    missed = []
    for step in steps.seen:
        fire_at(toy, steps, step, names)
        if steps.shot is None:
            missed.append(named(step))
        judge(toy.request(*REQUESTS["complete"]), interrupted=False)
    assert len(steps.seen) > 400
    assert len(missed) < len(steps.seen) / 50, missed  # what is done once a second


@pytest.mark.parametrize("name", REQUESTS)
def test_an_interrupt_at_every_line(toy: KernelHarness, name: str) -> None:
    fire_at_every_step(toy, steps_of(toy), [name])


def test_an_interrupt_at_every_line_of_two_requests(toy: KernelHarness) -> None:
    fire_at_every_step(toy, steps_of(toy), ["complete", "complete"])


@pytest.mark.soak
# Between the instructions that make a coroutine and that await it, Python never calls a signal handler.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("name", REQUESTS)
def test_an_interrupt_at_every_instruction(toy: KernelHarness, name: str) -> None:
    fire_at_every_step(toy, steps_of(toy, fine=True), [name])
