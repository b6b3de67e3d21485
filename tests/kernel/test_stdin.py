"""Asking the user: who may be asked, what is sent, and the ways in which it ends."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from toys.asynchronous import AsyncKernel
from toys.plain import PlainKernel

from wrapperkernel import Kernel
from wrapperkernel.interrupts import NAMED_SIGNAL, interruptible
from wrapperkernel.testing.harness import KernelHarness
from wrapperkernel.wire import Message

LIMIT = 20.0  # seconds that an event may take to come


@pytest.fixture(params=[PlainKernel, AsyncKernel], ids=["plain", "async"])
def toy(request: pytest.FixtureRequest) -> Iterator[KernelHarness]:
    with KernelHarness(request.param, answers=["Ada", "secret", ""]) as harness:
        yield harness


@pytest.mark.row(
    "N3",
    file="kernel/request.py",
    old='{"prompt": prompt, "password": password}',
    new='{"prompt": prompt, "password": False}',
)
def test_a_question_is_asked_and_its_answer_returned(toy: KernelHarness) -> None:
    exchange = toy.execute("ask name?\npassword word?\nask ")
    assert exchange.stdout == "answer: Ada\nletters: 6\nanswer: \n"
    assert [message["content"] for message in exchange.prompts] == [
        {"prompt": "name?", "password": False},
        {"prompt": "word?", "password": True},
        {"prompt": "", "password": False},
    ]
    assert toy.questions == [message["content"] for message in exchange.prompts]


def test_a_question_goes_to_the_client_of_the_cell(toy: KernelHarness) -> None:
    exchange = toy.execute("ask name?")
    (prompt,) = exchange.prompts
    assert exchange.reply is not None
    assert prompt["identities"] == exchange.reply["identities"] == [b"harness"]
    assert prompt["parent_header"] == exchange.request["header"]


@pytest.mark.row("N1", file="kernel/stdin.py", old="or not request.allow_stdin:", new="or False:")
@pytest.mark.parametrize("fields", [{}, {"allow_stdin": False}, {"allow_stdin": None}])
@pytest.mark.parametrize("command", ["ask", "password"])
def test_a_cell_that_may_not_ask_is_told_so(toy: KernelHarness, fields: dict[str, Any], command: str) -> None:
    exchange = toy.request("execute_request", {"code": f"{command} name?", **fields})
    assert exchange.prompts == []
    assert exchange.content["ename"] == "StdinNotAllowed"
    assert "cannot be asked" in exchange.content["evalue"]
    assert toy.execute("ask name?").stdout == "answer: Ada\n"  # each cell for itself


class AskingInComplete(Kernel):
    def do_execute(self, code: str) -> None:
        pass

    def do_complete(self, code: str) -> Any:
        return {"matches": [self.stdin.input("?")]}


@pytest.mark.row("N1")
def test_only_a_cell_may_ask() -> None:
    with KernelHarness(AskingInComplete) as harness:
        harness.execute("x", allow_stdin=True)
        exchange = harness.complete("x")
    assert exchange.prompts == []
    assert exchange.content["ename"] == "StdinNotAllowed"


@pytest.mark.row("N1")
def test_a_kernel_without_a_request_cannot_ask() -> None:
    with KernelHarness(PlainKernel) as harness, pytest.raises(Exception, match="cannot be asked"):
        harness.kernel.stdin.input("?")


@pytest.mark.row("N6")
@pytest.mark.parametrize("command", ["ask", "password"])
def test_the_end_of_input_is_an_eof_error(command: str) -> None:
    with KernelHarness(PlainKernel, answers=["\x04"]) as harness:
        exchange = harness.execute(f"{command} name?")
    assert exchange.content["ename"] == "EOFError"


def test_a_prompt_of_another_type_is_shown_as_text() -> None:
    class Asking(Kernel):
        def do_execute(self, code: str) -> None:
            self.stdin.input(3)  # type: ignore[arg-type]

    with KernelHarness(Asking, answers=["x"]) as harness:
        (prompt,) = harness.execute("x").prompts
    assert prompt["content"]["prompt"] == "3"


# --- interrupted while waiting --------------------------------------------------------------------------


class Unanswered(KernelHarness):
    """A frontend that never answers; it tells when it was asked."""

    def __init__(self, kind: type[Kernel]) -> None:
        self.asked = threading.Event()
        super().__init__(kind)

    @interruptible
    def ask(self, message: Message, wanted: Callable[[], bool]) -> str:
        self._keep_question(message)
        self.asked.set()
        until = time.monotonic() + LIMIT
        while time.monotonic() < until:  # short waits: a signal just before a long one would go unnoticed
            signal.sigtimedwait([], 0.01)
        return "nobody has interrupted"


@pytest.fixture
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, NAMED_SIGNAL)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.row(
    "N5",
    file="interrupts.py",
    old="            raise KeyboardInterrupt",
    new="            return",
)
@pytest.mark.parametrize("kind", [PlainKernel, AsyncKernel])
@pytest.mark.parametrize("how", ["signal", "request"])
def test_waiting_for_an_answer_can_be_interrupted(kind: type[Kernel], how: str, handlers: None) -> None:
    harness = Unanswered(kind)
    interrupts = harness.kernel.link.interrupts
    interrupts.install()
    main = threading.get_ident()

    def interrupt() -> None:
        harness.asked.wait(LIMIT)
        if how == "signal":
            signal.pthread_kill(main, signal.SIGINT)
        else:
            interrupts.interrupt_running()

    thread = threading.Thread(target=interrupt)
    thread.start()
    exchange = harness.execute("ask name?")
    thread.join()
    assert exchange.content["ename"] == "KeyboardInterrupt"
    assert len(exchange.prompts) == 1
    assert exchange.stdout == ""
    assert harness.execute("print on").stdout == "on\n"
    harness.close()


@pytest.mark.row("N5")
def test_a_hook_may_go_on_after_an_interrupted_question() -> None:
    class Patient(Kernel):
        def do_execute(self, code: str) -> None:
            try:
                self.stdin.input("?")
            except KeyboardInterrupt:
                self.iopub.stream("never mind")

    class Interrupting(KernelHarness):
        def ask(self, message: Message, wanted: Callable[[], bool]) -> str:
            self._keep_question(message)
            self.interrupt()
            return "too late"

    with Interrupting(Patient) as harness:
        exchange = harness.execute("x")
    assert (exchange.status, exchange.stdout) == ("ok", "never mind")
