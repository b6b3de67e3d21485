"""Every request from busy to idle, whatever it asks and whatever the hook does with it."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys.asynchronous import AsyncKernel
from toys.plain import MISBEHAVIOUR, PlainKernel

from wrapperkernel import ExecuteError, Kernel
from wrapperkernel.interrupts import NAMED_SIGNAL, Interrupts
from wrapperkernel.kernel import dispatch
from wrapperkernel.kernel.request import Request
from wrapperkernel.testing.exchange import REPLY_OF
from wrapperkernel.testing.execution import Exchange
from wrapperkernel.testing.harness import KernelHarness

TOYS = [PlainKernel, AsyncKernel]
LIMIT = 60.0  # seconds that an event may take to come

# Hook -> a request that calls it.
REQUESTS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "do_execute": ("shell", "execute_request", {"code": "none"}),
    "do_complete": ("shell", "complete_request", {"code": "pri", "cursor_pos": 3}),
    "do_inspect": ("shell", "inspect_request", {"code": "print", "cursor_pos": 3, "detail_level": 0}),
    "do_is_complete": ("shell", "is_complete_request", {"code": "print"}),
    "do_history": (
        "shell",
        "history_request",
        {"hist_access_type": "tail", "output": False, "raw": True, "n": 3},
    ),
    "do_evaluate": ("shell", "execute_request", {"code": "none", "user_expressions": {"x": "y"}}),
    "do_interrupt": ("control", "interrupt_request", {}),
    "do_shutdown": ("control", "shutdown_request", {"restart": False}),
}
HANGS = {"wait", "spin"}


def ask(harness: KernelHarness, hook: str, channel: str | None = None) -> Exchange:
    """Send the request that calls a hook; the harness raises unless the exchange is valid as a whole."""
    usual, msg_type, content = REQUESTS[hook]
    return harness.request(msg_type, content, channel=channel or usual)  # type: ignore[arg-type]


def failure(exchange: Exchange, hook: str) -> dict[str, Any]:
    """Return the error content that a hook's failure ended in; a user expression's is its own."""
    if hook == "do_evaluate":
        assert exchange.status == "ok"
        return dict(exchange.content["user_expressions"]["x"])
    return exchange.content


@pytest.fixture(params=TOYS, ids=["plain", "async"])
def toy(request: pytest.FixtureRequest) -> Iterator[KernelHarness]:
    with KernelHarness(request.param) as harness:
        yield harness
        harness.kernel.behaviour = {}


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back the handlers of the two signals that interrupt."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, NAMED_SIGNAL)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


# --- hooks that do what they should not -----------------------------------------------------------


@pytest.mark.row(
    "R2",
    file="kernel/dispatch.py",
    old="except BaseException as error:",
    new="except ArithmeticError as error:",
)
@pytest.mark.row("R3", file="kernel/replies.py", old='"status": "error",', new='"status": "failed",')
@pytest.mark.parametrize("how", sorted(set(MISBEHAVIOUR) - HANGS))
@pytest.mark.parametrize("hook", sorted(REQUESTS))
def test_a_hook_that_misbehaves_gets_one_valid_reply_and_one_idle(
    toy: KernelHarness, hook: str, how: str
) -> None:
    toy.kernel.behaviour = {hook: how}
    exchange = ask(toy, hook)
    if how in ("raise", "fail", "leave", "unkind", "interrupt") and hook != "do_evaluate":
        assert exchange.status == "error"
    toy.kernel.behaviour = {}
    assert toy.execute("print on").stdout == "on\n"


@pytest.mark.parametrize(
    ("how", "ename", "evalue"),
    [
        ("raise", "ValueError", "as told"),
        ("fail", "ToyError", "as told"),
        ("leave", "SystemExit", "3"),
        ("unkind", "Unkind", "as told"),
        ("interrupt", "KeyboardInterrupt", "interrupted"),
        ("text", "ReplyError", "the hook returned str, not a dict of reply content"),
    ],
)
@pytest.mark.parametrize("hook", sorted(set(REQUESTS) - {"do_evaluate"}))
def test_the_reply_names_the_failure(
    toy: KernelHarness, hook: str, how: str, ename: str, evalue: str
) -> None:
    toy.kernel.behaviour = {hook: how}
    content = ask(toy, hook).content
    assert (content["ename"], content["evalue"]) == (ename, evalue)


INTERRUPTERS: dict[str, Callable[[Interrupts, int], None]] = {
    "SIGINT": lambda interrupts, main: signal.pthread_kill(main, signal.SIGINT),
    "interrupt_request": lambda interrupts, main: interrupts.interrupt_running(),
}


@pytest.mark.row("R2")
@pytest.mark.row(
    "E12",
    file="kernel/dispatch.py",
    old="interrupts.begin(request)",
    new="pass",
)
@pytest.mark.parametrize("how", sorted(HANGS))
@pytest.mark.parametrize("interrupter", sorted(INTERRUPTERS))
@pytest.mark.parametrize("hook", sorted(set(REQUESTS) - {"do_interrupt"}))
def test_a_hook_that_hangs_until_interrupted(
    toy: KernelHarness, handlers: None, hook: str, interrupter: str, how: str
) -> None:
    kernel = toy.kernel
    interrupts = kernel.link.interrupts
    interrupts.install()
    kernel.behaviour = {hook: how}
    main = threading.get_ident()

    ended = threading.Event()

    def interrupt() -> None:
        kernel.hanging.wait(LIMIT)
        # More than once: CPython does not notice a signal that comes just before a call that blocks.
        while not ended.wait(0.02):
            INTERRUPTERS[interrupter](interrupts, main)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        # shutdown_request too comes to the main thread when it comes on shell, as old clients send it
        exchange = ask(toy, hook, "shell")
    finally:
        ended.set()
        thread.join()
    assert exchange.content["ename"] == "KeyboardInterrupt"
    kernel.behaviour = {}
    assert toy.execute("print on").stdout == "on\n"


# --- hooks that return or raise anything at all ----------------------------------------------------


class Unprintable:
    """Has neither a form in JSON nor one as text."""

    def __str__(self) -> str:
        raise ValueError("no text")


class UnprintableError(Exception):
    """Fails even to say what it is."""

    def __str__(self) -> str:
        raise ValueError("no text")


class HalfMadeError(ExecuteError):
    """An author's error whose constructor forgot the one of its base."""

    def __init__(self) -> None:
        pass


class Puppet(Kernel):
    """Every hook does what the test says."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.acts: dict[str, Callable[[], Any]] = {}

    def do(self, hook: str) -> Any:
        return self.acts[hook]() if hook in self.acts else None

    def do_execute(self, code: str) -> Any:
        return self.do("do_execute")

    def do_complete(self, code: str) -> Any:
        return self.do("do_complete")

    def do_inspect(self, code: str) -> Any:
        return self.do("do_inspect")

    def do_is_complete(self, code: str) -> Any:
        return self.do("do_is_complete")

    def do_history(self) -> Any:
        return self.do("do_history")

    def do_evaluate(self, expression: str) -> Any:
        return self.do("do_evaluate")

    def do_interrupt(self) -> Any:
        return self.do("do_interrupt")

    def do_shutdown(self) -> Any:
        return self.do("do_shutdown")


class AsyncPuppet(Puppet):
    async def do_execute(self, code: str) -> Any:
        return self.do("do_execute")

    async def do_complete(self, code: str) -> Any:
        return self.do("do_complete")

    async def do_inspect(self, code: str) -> Any:
        return self.do("do_inspect")

    async def do_is_complete(self, code: str) -> Any:
        return self.do("do_is_complete")

    async def do_history(self) -> Any:
        return self.do("do_history")

    async def do_evaluate(self, expression: str) -> Any:
        return self.do("do_evaluate")

    async def do_interrupt(self) -> Any:
        return self.do("do_interrupt")

    async def do_shutdown(self) -> Any:
        return self.do("do_shutdown")


FIELDS = [
    *("status", "ename", "evalue", "traceback", "payload", "user_expressions", "execution_count"),
    *("matches", "cursor_start", "cursor_end", "metadata", "data", "found", "indent", "history", "restart"),
    *("source", "text", "start", "replace", "x", "text/plain", "_jupyter_types_experimental"),
]
WORDS = ["ok", "error", "abort", "aborted", "complete", "incomplete", "invalid", "unknown", "page"]
LEAVES = st.one_of(
    st.sampled_from([None, True, math.nan, math.inf, 2**70, b"\xff", object(), Unprintable(), {1, 2}, int]),
    st.sampled_from(WORDS),
    st.integers(-2, 5),
    st.text(st.characters(), max_size=5),  # lone surrogates too
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner, inner),
        st.dictionaries(st.sampled_from(FIELDS) | st.sampled_from([1, "1", None, b"x"]), inner, max_size=4),
    ),
    max_leaves=12,
)
# Half of all contents are of a status that lets the rest be looked at.
CONTENTS = VALUES | st.builds(
    lambda content, status: {**content, "status": status},
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4),
    st.sampled_from(WORDS),
)
ERRORS = st.one_of(
    st.sampled_from(
        [UnprintableError(), HalfMadeError(), KeyError(Unprintable()), GeneratorExit(), Exception]
    ),
    st.builds(ExecuteError, VALUES, VALUES, st.lists(VALUES, max_size=2)),
    st.builds(ValueError, VALUES),
    st.builds(lambda many: BaseExceptionGroup("many", many), st.lists(st.just(KeyError("x")), min_size=1)),
)


def raising(error: BaseException) -> Callable[[], Any]:
    def act() -> Any:
        raise error

    return act


@pytest.fixture(params=[Puppet, AsyncPuppet], ids=["plain", "async"])
def puppet(request: pytest.FixtureRequest) -> Iterator[KernelHarness]:
    with KernelHarness(request.param) as harness:
        yield harness
        harness.kernel.acts.clear()


SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.row("R2")
@pytest.mark.parametrize("hook", sorted(REQUESTS))
@SETTINGS
@given(value=CONTENTS)
def test_any_returned_value_makes_one_valid_reply(puppet: KernelHarness, hook: str, value: Any) -> None:
    puppet.kernel.acts = {hook: lambda: value}
    ask(puppet, hook)


@pytest.mark.row("R2")
@pytest.mark.parametrize("hook", sorted(REQUESTS))
@SETTINGS
@given(error=ERRORS)
def test_any_error_makes_one_valid_reply(puppet: KernelHarness, hook: str, error: Any) -> None:
    puppet.kernel.acts = {hook: raising(error)}
    assert failure(ask(puppet, hook), hook)["status"] == "error"
