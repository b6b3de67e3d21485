"""Every request from busy to idle, whatever it asks and whatever the hook does with it."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys.asynchronous import AsyncKernel
from toys.plain import MISBEHAVIOUR, PlainKernel
from toys.requests import REQUESTS

from wrapperkernel import ExecuteError, Kernel
from wrapperkernel.interrupts import NAMED_SIGNAL, Interrupts
from wrapperkernel.kernel import dispatch, requests
from wrapperkernel.kernel.outbox import ChannelName
from wrapperkernel.kernel.request import Request
from wrapperkernel.testing.exchange import REPLY_OF
from wrapperkernel.testing.execution import Exchange
from wrapperkernel.testing.harness import KernelHarness

TOYS = [PlainKernel, AsyncKernel]
LIMIT = 60.0  # seconds that an event may take to come

HANGS = {"wait", "spin"}


def ask(harness: KernelHarness, hook: str, channel: ChannelName | None = None) -> Exchange:
    """Send the request that calls a hook; the harness raises unless the exchange is valid as a whole."""
    usual, msg_type, content = REQUESTS[hook]
    return harness.request(msg_type, content, channel=channel or usual)


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


# --- the bracket ------------------------------------------------------------------------------------

COMM = {"comm_id": "c1", "data": {}}
TABLE: list[tuple[ChannelName, str, dict[str, Any]]] = [
    *REQUESTS.values(),
    ("shell", "execute_request", {"code": "raise Error oh"}),
    ("shell", "execute_request", {"code": ""}),
    ("shell", "execute_request", {"code": "print x", "silent": True}),
    ("shell", "execute_request", {}),
    ("shell", "comm_info_request", {}),
    ("shell", "kernel_info_request", {}),
    ("shell", "comm_open", {**COMM, "target_name": "toy.echo"}),
    ("shell", "comm_open", {**COMM, "target_name": "nobody"}),
    ("shell", "comm_msg", COMM),
    ("shell", "comm_close", COMM),
    ("shell", "shutdown_request", {"restart": True}),
    ("control", "kernel_info_request", {}),
    ("control", "debug_request", {"seq": 1, "type": "request", "command": "debugInfo"}),
    ("control", "usage_request", {}),
    ("shell", "frobnicate_request", {}),
    ("control", "frobnicate_request", {}),
]


@pytest.mark.row("R1", file="kernel/dispatch.py", old="kernel.bracket.idle(kernel, request)", new="pass")
@pytest.mark.row("R3")
@pytest.mark.parametrize(
    ("channel", "msg_type", "content"),
    TABLE,
    ids=[f"{row[0]}-{row[1]}-{number}" for number, row in enumerate(TABLE)],
)
def test_every_request_is_answered_between_busy_and_idle(
    toy: KernelHarness, channel: ChannelName, msg_type: str, content: dict[str, Any]
) -> None:
    """The harness complains unless busy is first, idle last, and the one reply is valid and between them."""
    begin = len(toy.sent)
    exchange = toy.request(msg_type, content, channel=channel)
    states = [(m["channel"], m["content"].get("execution_state")) for m in toy.sent[begin:]]
    assert states[0] == ("iopub", "busy")
    assert states[-1] == ("iopub", "idle")
    assert (exchange.reply and exchange.reply["msg_type"]) == REPLY_OF.get(msg_type)


@pytest.mark.row(
    "H8", file="kernel/dispatch.py", old=".get(request.msg_type, UNKNOWN)", new="[request.msg_type]"
)
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_an_unknown_type_gets_busy_and_idle_and_is_logged(
    toy: KernelHarness, channel: ChannelName, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = toy.request("frobnicate_request", {"what": ["ever"]}, channel=channel)
    assert exchange.reply is None
    assert len(exchange.messages) == 2
    assert "frobnicate_request" in caplog.text
    assert toy.execute("print on").stdout == "on\n"


@pytest.mark.row("H8")
def test_a_known_type_on_the_wrong_channel_is_unknown_there(toy: KernelHarness) -> None:
    assert types(send(toy, "control", "execute_request", {"code": "print x"})) == ["status", "status"]


@pytest.mark.row("H8")
def test_unknown_fields_do_no_harm(toy: KernelHarness) -> None:
    content = {"code": "print on", "frobnicate": {"deep": [1]}, "status": "error"}
    assert toy.request("execute_request", content, metadata={"nobody": "knows"}).status == "ok"


@pytest.mark.row(
    "T11",
    file="kernel/dispatch.py",
    old="UNKNOWN = Entry(_nothing, replies=False)",
    new="UNKNOWN = Entry(_nothing)",
)
@pytest.mark.parametrize(
    "msg_type", ["create_subshell_request", "delete_subshell_request", "list_subshell_request"]
)
def test_subshells_are_refused_without_a_reply(
    toy: KernelHarness, caplog: pytest.LogCaptureFixture, msg_type: str
) -> None:
    answer = send(toy, "control", msg_type, {"subshell_id": "s1"})
    assert types(answer) == ["status", "status"]
    assert "ERROR" in caplog.text


@pytest.mark.row("T11")
def test_a_subshell_id_is_ignored_and_comes_back_in_the_parent_header(toy: KernelHarness) -> None:
    answer = send(toy, "shell", "execute_request", {"code": "print on"}, header={"subshell_id": "s1"})
    assert "execute_reply" in types(answer)
    assert {message["parent_header"]["subshell_id"] for message in answer} == {"s1"}
    assert any(message["content"].get("text") == "on\n" for message in answer)


@pytest.mark.row(
    "H3",
    file="kernel/request.py",
    old="return request.header if request is not None else None",
    new="return None",
)
def test_the_parent_header_of_everything_is_the_requests_header(toy: KernelHarness) -> None:
    odd = {
        "subshell_id": None,
        "frobnicate": [1, {"a": "b"}],
        "version": "9.9",
        "date": "yesterday",
        "username": 3,
    }
    code = "print x\ndisplay y\nask z\nresult 1\ncomm t\nclear\nraise E f"
    content = {"code": code, "allow_stdin": True}
    with KernelHarness(type(toy.kernel), answers=["well"]) as harness:
        answer = send(harness, "shell", "execute_request", content, header=odd)
    assert len(answer) == 12
    parents = [message["parent_header"] for message in answer]
    assert parents == [parents[0]] * len(parents)
    assert {**parents[0], **odd} == parents[0]
    assert parents[0]["msg_id"]


@pytest.mark.row("H3")
def test_a_message_without_a_cause_has_an_empty_parent_header(toy: KernelHarness) -> None:
    fresh = KernelHarness(PlainKernel)
    fresh.kernel.iopub.display_data({"text/plain": "early"})
    assert fresh.sent[-1]["parent_header"] == {}
    fresh.close()


@pytest.mark.row(
    "M3",
    file="kernel/dispatch.py",
    old='"comm_msg": Entry(requests.comm_msg, replies=False),',
    new='"comm_msg": Entry(requests.comm_msg),',
)
@pytest.mark.parametrize("data", [{"text": "hi"}, {"raise": True}])
def test_comm_messages_get_busy_and_idle_and_no_reply(toy: KernelHarness, data: dict[str, Any]) -> None:
    opened = toy.request("comm_open", {**COMM, "target_name": "toy.echo"})
    sent = toy.request("comm_msg", {"comm_id": "c1", "data": data})
    closed = toy.request("comm_close", COMM)
    for exchange in (opened, sent, closed):
        assert exchange.reply is None
        states = [content["execution_state"] for content in exchange.contents("status")]
        assert states == ["busy", "idle"]


@pytest.mark.row("M5")
def test_what_a_comm_callback_publishes_belongs_to_its_message(toy: KernelHarness) -> None:
    toy.execute("print earlier")
    toy.request("comm_open", {**COMM, "target_name": "toy.echo"})
    exchange = toy.request("comm_msg", {"comm_id": "c1", "data": {"text": "hi"}})
    assert [content["text"] for content in exchange.contents("stream")] == ["comm says hi\n"]
    (echo,) = (message for message in exchange.messages if message["msg_type"] == "comm_msg")
    assert echo["parent_header"] == exchange.request["header"]


def test_a_failing_comm_callback_is_logged_and_the_comm_lives(
    toy: KernelHarness, caplog: pytest.LogCaptureFixture
) -> None:
    toy.request("comm_open", {**COMM, "target_name": "toy.echo"})
    toy.request("comm_msg", {"comm_id": "c1", "data": {"raise": True}})
    assert "as told" in caplog.text
    assert toy.request("comm_msg", {"comm_id": "c1", "data": {"text": "on"}}).contents("comm_msg")


def test_beside_a_running_cell_its_busy_is_said_again(toy: KernelHarness) -> None:
    """Frontends look at the last status: behind the idle of a request beside the cell, the cell is busy."""
    kernel = toy.kernel
    begin = len(toy.sent)

    def complete() -> None:
        message = toy.session.compose("complete_request", {"code": "", "cursor_pos": 0}, identities=(b"x",))
        dispatch.handle(kernel, Request("shell", message), Interrupts())

    def cell(*args: Any) -> None:
        thread = threading.Thread(target=complete)
        thread.start()
        thread.join()

    kernel.shell_requests["execute_request"] = dispatch.Entry(cell, replies=False)
    message = toy.session.compose("execute_request", {"code": "x"}, identities=(b"x",))
    dispatch.handle(kernel, Request("shell", message), kernel.link.interrupts)
    said = [
        (m["parent_header"]["msg_type"].split("_")[0], m["content"]["execution_state"])
        for m in toy.sent[begin:]
        if m["msg_type"] == "status"
    ]
    assert said == [
        ("execute", "busy"),
        ("complete", "busy"),
        ("complete", "idle"),
        ("execute", "busy"),
        ("execute", "idle"),
    ]


def test_an_entry_of_the_table_may_be_added_or_replaced(toy: KernelHarness) -> None:
    def answer(kernel: Kernel, request: Request) -> dict[str, Any]:
        return {"matches": [request.content["code"] * 2]}

    toy.kernel.shell_requests["complete_request"] = dispatch.Entry(answer)
    assert toy.complete("ab").content["matches"] == ["abab"]
    assert "complete_request" in dispatch.SHELL
    assert dispatch.SHELL["complete_request"].answer is requests.complete  # the table of others is untouched


def send(
    harness: KernelHarness,
    channel: ChannelName,
    msg_type: str,
    content: dict[str, Any],
    *,
    header: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Send a request with a header of its own; return all that came of it, as it came."""
    message = harness.session.compose(msg_type, content, identities=(b"harness",))
    message.header.update(header or {})
    begin = len(harness.sent)
    dispatch.handle(harness.kernel, Request(channel, message), harness.kernel.link.interrupts)
    return harness.sent[begin:]


def types(messages: list[dict[str, Any]]) -> list[str]:
    return [message["msg_type"] for message in messages]


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
@pytest.mark.row("E12")
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
    st.builds(lambda *given: partial(ExecuteError, *given), VALUES, VALUES, st.lists(VALUES, max_size=2)),
    st.builds(ValueError, VALUES),
    st.builds(lambda many: BaseExceptionGroup("many", many), st.lists(st.just(KeyError("x")), min_size=1)),
)


def raising(error: Any) -> Callable[[], Any]:
    def act() -> Any:
        raise error() if isinstance(error, partial) else error

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


@pytest.mark.parametrize("hook", sorted(set(REQUESTS) - {"do_evaluate"}))
def test_a_hook_at_the_end_of_the_stack(puppet: KernelHarness, hook: str) -> None:
    """It fails somewhere in our code, at any depth of it."""

    def deeper() -> None:
        puppet.kernel.iopub.clear_output()
        deeper()

    puppet.kernel.acts = {hook: deeper}
    assert ask(puppet, hook).status == "error"
    puppet.kernel.acts = {}
    assert puppet.execute("none").status == "ok"


@pytest.mark.row("R2")
@pytest.mark.parametrize("how", sorted(set(MISBEHAVIOUR) - HANGS))
def test_what_a_hook_published_before_it_misbehaved_stays(toy: KernelHarness, how: str) -> None:
    exchange = toy.execute(f"print before\nmisbehave {how}")
    assert exchange.stdout == "before\n"
    assert exchange.status == ("ok" if how == "none" else "error")
    assert len(exchange.errors) == (how != "none")
