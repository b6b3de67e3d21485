"""An interrupt at every step of a request: one valid reply and one idle, and no other request is touched."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import pytest
from toys.plain import PlainKernel
from toys.steps import Step, Steps, named

from wrapperkernel import ExecuteError, Kernel
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


# --- at random, by real signals ----------------------------------------------------------------------

STRIKES = 1500  # for each of four storms here; as many come over sockets (tests/server)


@pytest.fixture
def signals(toy: KernelHarness) -> Iterator[None]:
    """Let the toy have the signals of this process.

    There is no garbage collection meanwhile: Hypothesis is told of each by Python, which forgets what is
    raised there.
    """
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, NAMED_SIGNAL)}
    toy.kernel.link.interrupts.install()
    gc.disable()
    yield
    gc.enable()
    for number, handler in before.items():
        signal.signal(number, handler)


@contextmanager
def storm(strike: Callable[[], None], strikes: int, seed: int) -> Iterator[threading.Event]:
    """Strike so often from another thread, at random moments, some in bursts; set the event at the end."""
    random, over = Random(seed), threading.Event()

    def work() -> None:
        left = strikes
        while left > 0:
            time.sleep(random.expovariate(1 / 0.0006))  # a request takes about as long
            for _ in range(min(left, random.choice((1, 1, 1, 1, 2, 5)))):
                strike()
                left -= 1
        over.set()

    thread = threading.Thread(target=work)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)  # else Python holds the other thread up for 5 ms, ten times a request
    thread.start()
    try:
        yield over
    finally:
        sys.setswitchinterval(interval)
        over.wait(60)
        thread.join()


def answer_all(toy: KernelHarness, over: threading.Event) -> list[Exchange]:
    """Make requests, the next as soon as one is answered, until the storm is over; return them."""
    names = list(REQUESTS)
    exchanges = []
    while not over.is_set():
        exchanges.append(toy.request(*REQUESTS[names[len(exchanges) % len(names)]]))
        toy.sent.clear()
    return exchanges


def was_interrupted(exchange: Exchange) -> bool:
    return exchange.content.get("ename") == "KeyboardInterrupt"


def test_thousands_of_signals_at_random(
    toy: KernelHarness, signals: None, capfd: pytest.CaptureFixture[str]
) -> None:
    main = threading.get_ident()
    with storm(lambda: signal.pthread_kill(main, signal.SIGINT), STRIKES, seed=1) as over:
        exchanges = answer_all(toy, over)
    for exchange in exchanges:
        judge(exchange, interrupted=was_interrupted(exchange))
    assert sum(map(was_interrupted, exchanges)) > STRIKES / 50
    assert sum(not was_interrupted(exchange) for exchange in exchanges) > STRIKES / 50
    judge(toy.request(*REQUESTS["execute"]), interrupted=False)
    assert capfd.readouterr().err == ""


def test_thousands_of_named_interrupts_hit_only_what_they_saw(
    toy: KernelHarness, signals: None, capfd: pytest.CaptureFixture[str]
) -> None:
    interrupts, seen = toy.kernel.link.interrupts, []
    with storm(lambda: seen.append(interrupts.interrupt_running()), STRIKES, seed=2) as over:
        exchanges = answer_all(toy, over)
    for exchange in exchanges:
        judge(exchange, interrupted=was_interrupted(exchange))
    meant = {request.message.msg_id for request in seen if request is not None}
    hit = {exchange.request["header"]["msg_id"] for exchange in exchanges if was_interrupted(exchange)}
    assert hit <= meant
    assert len(hit) > STRIKES / 50
    assert len(meant) < len(exchanges)
    judge(toy.request(*REQUESTS["execute"]), interrupted=False)
    assert capfd.readouterr().err == ""


# --- what else an author's code does -----------------------------------------------------------------


class Showy:
    """A value that is interrupted while it represents itself."""

    def __init__(self, harness: KernelHarness) -> None:
        self.went_on = False
        self._harness = harness

    def _repr_html_(self) -> str:
        self._harness.interrupt()
        self.went_on = True
        return "late"


class SmallKernel(Kernel):
    """Does in a cell what the test says."""

    cell: Callable[[Any], Any] = print
    value: Any = None

    def do_execute(self, code: str) -> Any:
        return self.cell()

    def do_evaluate(self, expression: str) -> Any:
        return self.value


@pytest.fixture
def small() -> Iterator[KernelHarness]:
    with KernelHarness(SmallKernel) as harness:
        yield harness


def test_the_representation_of_a_user_expression_is_authors_code(small: KernelHarness) -> None:
    small.kernel.value = Showy(small)
    assert was_interrupted(small.execute("x", user_expressions={"a": "b"}))
    assert not small.kernel.value.went_on


@pytest.mark.parametrize(
    "call",
    [
        lambda kernel: kernel.iopub.stream("x"),
        lambda kernel: kernel.iopub.display("x"),
        lambda kernel: kernel.comms.open("t"),
        lambda kernel: kernel.comms.open("t").send({"x": 1}),
        lambda kernel: kernel.comms.open("t").close(),
        lambda kernel: kernel.history.tail(5),
        lambda kernel: kernel.stdin.input("?"),
    ],
    ids=["stream", "display", "comm_open", "comm_msg", "comm_close", "history", "input"],
)
def test_what_interrupts_a_call_of_the_library_is_raised_behind_it(
    small: KernelHarness, call: Callable[[Kernel], Any]
) -> None:
    """Else a hook that goes on to compute would go on for long."""

    def cell() -> None:
        call(small.kernel)
        went_on.append(True)

    went_on: list[bool] = []
    small.kernel.cell = cell
    steps = Steps(small.kernel.link.interrupts, note=lambda: bool(went_on))
    for target in steps_seen(small, steps):
        went_on.clear()
        steps.on(target)
        try:
            execution = small.execute("x")
        finally:
            steps.off()
        if steps.shot is not None and steps.shot.request is not None and not steps.shot.note:
            assert was_interrupted(execution)
            assert not went_on, steps.shot.place


def test_an_error_that_a_hook_publishes_is_published_once_whenever_it_is_interrupted(
    small: KernelHarness,
) -> None:
    def cell() -> Any:
        small.kernel.iopub.error("Own", "error")
        return {"status": "error", "ename": "Own", "evalue": "error", "traceback": []}

    small.kernel.cell = cell
    steps = Steps(small.kernel.link.interrupts)
    enames = set()
    for target in [None, *steps_seen(small, steps)]:
        steps.on(target)
        try:
            execution = small.execute("x")  # raises unless reply and published error are the same
        finally:
            steps.off()
        assert len(execution.contents("error")) == 1
        enames.add(execution.contents("error")[0]["ename"])
    assert enames == {"Own", "KeyboardInterrupt"}


def steps_seen(small: KernelHarness, steps: Steps) -> list[Step]:
    """Return the steps of a cell."""
    for _ in range(2):
        steps.seen.clear()
        steps.on(None)
        small.execute("x")
        steps.off()
    return list(steps.seen)


def test_a_hook_may_answer_an_interrupt_itself(small: KernelHarness) -> None:
    def cell() -> Any:
        try:
            small.interrupt()
        except KeyboardInterrupt:
            raise ExecuteError("Stopped", "as you wish") from None

    small.kernel.cell = cell
    execution = small.execute("x")
    assert (execution.content["ename"], execution.content["evalue"]) == ("Stopped", "as you wish")


def test_a_hook_that_swallows_an_interrupt_gets_the_second_too(small: KernelHarness) -> None:
    def cell() -> Any:
        with suppress(KeyboardInterrupt):
            small.interrupt()
        small.kernel.iopub.stream("going on\n")
        small.interrupt()

    small.kernel.cell = cell
    execution = small.execute("x")
    assert execution.stdout == "going on\n"
    assert was_interrupted(execution)


# --- async hooks -------------------------------------------------------------------------------------


class AsyncKernel(SmallKernel):
    async def do_execute(self, code: str) -> Any:
        return await self.cell()


@pytest.fixture
def loop() -> Iterator[KernelHarness]:
    """A kernel whose cells are coroutines."""
    with KernelHarness(AsyncKernel) as harness:
        yield harness


def interrupt_later(harness: KernelHarness) -> None:
    """Interrupt as soon as the coroutines have given way."""
    asyncio.get_running_loop().call_soon(harness.interrupt)


def test_a_coroutine_is_cancelled_where_it_waits(loop: KernelHarness) -> None:
    async def cell() -> None:
        interrupt_later(loop)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            loop.kernel.iopub.stream("cancelled\n")
            raise

    loop.kernel.cell = cell
    execution = loop.execute("x")
    assert execution.stdout == "cancelled\n"
    assert was_interrupted(execution)


def test_a_coroutine_may_answer_its_cancellation_itself(loop: KernelHarness) -> None:
    async def cell() -> Any:
        interrupt_later(loop)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ExecuteError("Stopped", "as you wish") from None

    async def polite() -> Any:
        interrupt_later(loop)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return {"status": "ok"}

    loop.kernel.cell = cell
    assert loop.execute("x").content["ename"] == "Stopped"
    loop.kernel.cell = polite
    assert loop.execute("x").status == "ok"


def test_a_coroutine_that_swallows_an_interrupt_gets_the_second_too(loop: KernelHarness) -> None:
    async def cell() -> Any:
        interrupt_later(loop)
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        interrupt_later(loop)
        await asyncio.Event().wait()

    loop.kernel.cell = cell
    assert was_interrupted(loop.execute("x"))


def test_a_coroutine_that_blocks_the_loop_is_interrupted_there(loop: KernelHarness) -> None:
    async def cell() -> Any:
        loop.interrupt()
        went_on.append(True)

    went_on: list[bool] = []
    loop.kernel.cell = cell
    assert was_interrupted(loop.execute("x"))
    assert not went_on


def test_another_task_that_blocks_the_loop_is_interrupted_and_the_hook_ends_with_it(
    loop: KernelHarness,
) -> None:
    async def block() -> None:
        loop.interrupt()
        went_on.append("the task")

    async def cell() -> None:
        tasks.append(asyncio.create_task(block()))
        try:
            await asyncio.Event().wait()
        finally:
            went_on.append("cleaned up")

    tasks: list[asyncio.Task[None]] = []
    went_on: list[str] = []
    loop.kernel.cell = cell
    assert was_interrupted(loop.execute("x"))
    assert went_on == ["cleaned up"]
    with pytest.raises(KeyboardInterrupt):
        tasks[0].result()
    loop.kernel.cell = lambda: asyncio.sleep(0)
    assert loop.execute("x").status == "ok"
    assert went_on == ["cleaned up"]


def test_an_interrupt_that_comes_too_late_to_cancel_ends_the_request_all_the_same(
    loop: KernelHarness,
) -> None:
    async def cell() -> Any:
        interrupt_later(loop)  # which comes when this has returned
        return {"status": "ok"}

    loop.kernel.cell = cell
    assert was_interrupted(loop.execute("x"))
    loop.kernel.cell = lambda: asyncio.sleep(0)
    assert loop.execute("x").status == "ok"


def test_a_coroutine_that_cancels_itself_has_failed(loop: KernelHarness) -> None:
    async def cell() -> None:
        raise asyncio.CancelledError

    loop.kernel.cell = cell
    assert loop.execute("x").content["ename"] == "CancelledError"


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_a_task_beside_the_hook_raises_ends_the_hook(
    loop: KernelHarness, error: type[BaseException]
) -> None:
    async def leave() -> None:
        raise error

    async def cell() -> None:
        task = asyncio.create_task(leave())
        try:
            await asyncio.Event().wait()
        finally:
            task.exception()

    loop.kernel.cell = cell
    assert loop.execute("x").content["ename"] == error.__name__
    loop.kernel.cell = lambda: asyncio.sleep(0)
    assert loop.execute("x").status == "ok"


def test_a_loop_that_an_author_closes_is_replaced(loop: KernelHarness) -> None:
    async def cell() -> None:
        loops.append(asyncio.get_running_loop())

    loops: list[asyncio.AbstractEventLoop] = []
    loop.kernel.cell = cell
    assert loop.execute("x").status == "ok"
    loops[0].close()
    assert loop.execute("x").status == "ok"
    assert loops[0] is not loops[1]


def test_a_hook_that_calls_an_async_one_from_a_coroutine_is_told(loop: KernelHarness) -> None:
    async def cell() -> None:
        loop.kernel.call("do_execute", code="again")

    loop.kernel.cell = cell
    assert loop.execute("x").content["ename"] == "RuntimeError"
    loop.kernel.cell = lambda: asyncio.sleep(0)
    assert loop.execute("x").status == "ok"


# --- requests that run nothing of an author's --------------------------------------------------------


@pytest.mark.parametrize("msg_type", ["kernel_info_request", "comm_info_request"])
def test_a_request_without_a_hook_is_answered_whatever_comes(small: KernelHarness, msg_type: str) -> None:
    """A client that gets no kernel_info is lost, and nothing runs that one could mean to end."""
    steps = Steps(small.kernel.link.interrupts)
    steps.on(None)
    small.request(msg_type)
    steps.off()
    for target in list(steps.seen):
        steps.on(target)
        try:
            exchange = small.request(msg_type)
        finally:
            steps.off()
        assert exchange.status == "ok"
