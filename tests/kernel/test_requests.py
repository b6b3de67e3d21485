"""What each request means, by its rows of the protocol; that every reply is valid is the harness's to say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from toys.asynchronous import AsyncKernel
from toys.plain import PlainKernel

from wrapperkernel import ExecuteError, Kernel
from wrapperkernel.interrupts import Interrupts
from wrapperkernel.kernel import dispatch
from wrapperkernel.kernel.request import Request
from wrapperkernel.testing.execution import Execution
from wrapperkernel.testing.harness import KernelHarness


@pytest.fixture(params=[PlainKernel, AsyncKernel], ids=["plain", "async"])
def toy(request: pytest.FixtureRequest) -> Iterator[KernelHarness]:
    with KernelHarness(request.param) as harness:
        yield harness
        harness.kernel.behaviour = {}


def given_to(harness: KernelHarness, code: str = "none", **more: Any) -> dict[str, Any]:
    """Run a cell of a minimal request; return what the hook was given."""
    harness.request("execute_request", {"code": code, **more})
    return dict(harness.kernel.offered)


# --- execute: the fields of the request -------------------------------------------------------------


@pytest.mark.row("E1")
def test_fields_that_are_missing_have_the_defaults_of_the_specification(toy: KernelHarness) -> None:
    offered = given_to(toy)
    assert (offered["silent"], offered["store_history"], offered["allow_stdin"]) == (False, True, False)
    exchange = toy.request("execute_request", {"code": "raise Error oh"})
    assert exchange.status == "error"
    assert last_request(toy, {"code": "raise Error oh"}).stops_queue  # stop_on_error


@pytest.mark.row("E1")
def test_store_history_defaults_to_not_silent(toy: KernelHarness) -> None:
    assert given_to(toy, silent=True)["store_history"] is False
    assert given_to(toy, silent=True, store_history=True)["store_history"] is False
    assert toy.kernel.execution_count == 0


@pytest.mark.row("R6")
@pytest.mark.parametrize(
    ("msg_type", "content"),
    [
        ("execute_request", {}),
        ("execute_request", {"code": 5}),
        ("execute_request", {"code": "print x", "user_expressions": ["x"]}),
        ("complete_request", {}),
        ("complete_request", {"cursor_pos": 1}),
        ("inspect_request", {"code": None, "cursor_pos": 1}),
        ("inspect_request", {"code": "print", "cursor_pos": 1, "omit_sections": 3}),
        ("is_complete_request", {}),
        ("history_request", {}),
        ("history_request", {"hist_access_type": "sideways", "output": False, "raw": True}),
        ("history_request", {"hist_access_type": "tail", "output": False, "raw": True, "n": "three"}),
        ("history_request", {"hist_access_type": "range", "output": False, "raw": True, "session": "x"}),
    ],
)
def test_a_request_without_its_fields_gets_an_error_reply(
    toy: KernelHarness, msg_type: str, content: dict[str, Any]
) -> None:
    reply = toy.request(msg_type, content).content
    assert reply["status"] == "error"
    assert reply["evalue"]
    assert toy.kernel.offered == {}
    assert toy.execute("print on").stdout == "on\n"


@pytest.mark.row("R6")
def test_a_malformed_request_is_not_the_fault_of_the_kernel(
    toy: KernelHarness, caplog: pytest.LogCaptureFixture
) -> None:
    toy.request("execute_request", {})
    assert "the request has no text 'code'" in caplog.text
    assert "Traceback" not in caplog.text


# --- execute: silent and counted cells -----------------------------------------------------------------

EVERYTHING = "print a\nerr b\ndisplay c\nupdate d\nhtml e\nresult f\nclear\nclear wait\nthread g\npng"


@pytest.mark.row("E2", file="kernel/iopub.py", old="and request.silent and not", new="and False and not")
def test_a_silent_cell_publishes_nothing_but_busy_and_idle(toy: KernelHarness) -> None:
    exchange = toy.execute(EVERYTHING, silent=True)
    assert exchange.status == "ok"
    assert [message["msg_type"] for message in exchange.messages] == ["status", "status"]
    assert toy.execute(EVERYTHING).display  # and was none of the code's fault


@pytest.mark.row("E2")
def test_a_silent_failure_is_only_replied(toy: KernelHarness) -> None:
    exchange = toy.execute("raise Error oh", silent=True)
    assert exchange.content["ename"] == "Error"
    assert [message["msg_type"] for message in exchange.messages] == ["status", "status"]
    assert not last_request(toy, {"code": "raise Error oh", "silent": True}).stops_queue


def test_what_silent_cells_print_can_be_shown_by_a_setting() -> None:
    harness = KernelHarness(PlainKernel, shows_silent=True)
    message = harness.session.compose("execute_request", {"code": "print a", "silent": True})
    dispatch.handle(harness.kernel, Request("shell", message), harness.kernel.link.interrupts)
    assert [m["content"]["text"] for m in harness.sent if m["msg_type"] == "stream"] == ["a\n"]
    assert "execute_input" not in [m["msg_type"] for m in harness.sent]


@pytest.mark.row(
    "E3",
    file="kernel/requests.py",
    old='and bool(content.get("store_history", True))',
    new="",
)
def test_the_count_rises_for_cells_that_store_history_and_only_then(toy: KernelHarness) -> None:
    counts = [
        toy.execute("count"),  # 1
        toy.execute("count", store_history=False),
        toy.execute("count", silent=True, store_history=True),
        toy.execute("raise Error oh"),  # 2
        toy.execute("count"),  # 3
        toy.execute(" \n\t"),
        toy.execute("count", store_history=False),
    ]
    assert [each.content["execution_count"] for each in counts] == [1, 1, 1, 2, 3, 3, 3]
    assert [each.stdout for each in counts] == ["1\n", "1\n", "", "", "3\n", "", "3\n"]
    inputs = [content["execution_count"] for each in counts for content in each.contents("execute_input")]
    assert inputs == [1, 1, 2, 3, 3]


@pytest.mark.row("E3")
def test_before_the_first_cell_the_count_is_zero(toy: KernelHarness) -> None:
    assert toy.execute("none", store_history=False).content["execution_count"] == 0


@pytest.mark.row("E13")
@pytest.mark.parametrize("code", ["", " ", "\n\n", "\t \r\n"])
def test_blank_code_is_ok_and_uncounted(toy: KernelHarness, code: str) -> None:
    toy.execute("print x")
    toy.kernel.offered = {}
    exchange = toy.execute(code, user_expressions={"x": "nothing"})
    assert exchange.status == "ok"
    assert exchange.content["execution_count"] == 1
    assert exchange.content["user_expressions"]["x"]["ename"] == "NameError"
    assert [message["msg_type"] for message in exchange.messages] == ["status", "status"]
    assert toy.kernel.offered == {}
    assert toy.execute("count").stdout == "2\n"


@pytest.mark.row(
    "E4",
    file="kernel/requests.py",
    old='"execute_input", {"code": code',
    new='"execute_inputs", {"code": code',
)
def test_the_input_is_published_before_any_output(toy: KernelHarness) -> None:
    exchange = toy.execute("print x")
    assert [message["msg_type"] for message in exchange.messages] == [
        *("status", "execute_input", "stream", "status")
    ]
    assert exchange.contents("execute_input") == [{"code": "print x", "execution_count": 1}]


# --- execute: the reply -------------------------------------------------------------------------------

ENDS = ["none", "raise Error oh", "misbehave raise", "misbehave interrupt", "misbehave text", "", "return {}"]


@pytest.mark.row(
    "E5",
    file="kernel/requests.py",
    old='content["execution_count"] = kernel.execution_count if count is None else count',
    new='content["status"] == "ok" and content.update(execution_count=count)',
)
@pytest.mark.parametrize("code", ENDS)
@pytest.mark.parametrize("silent", [False, True])
def test_every_reply_has_a_count(toy: KernelHarness, code: str, silent: bool) -> None:
    assert type(toy.execute(code, silent=silent).content["execution_count"]) is int


@pytest.mark.row("E5")
@pytest.mark.row("E11")
@pytest.mark.parametrize("status", ["error", "aborted"])
def test_an_aborted_cell_has_a_count_and_the_status_of_the_setting(status: str) -> None:
    with KernelHarness(PlainKernel, abort_status=status) as harness:
        harness.execute("none")
        reply = aborted(harness, {"code": "print x"})
        assert (reply["status"], reply["execution_count"]) == (status, 1)
        assert "stream" not in [message["msg_type"] for message in harness.sent[-3:]]


@pytest.mark.row("E5")
def test_a_malformed_request_has_a_count_too(toy: KernelHarness) -> None:
    toy.execute("none")
    assert toy.request("execute_request", {}).content["execution_count"] == 1


@pytest.mark.row(
    "E6", file="kernel/replies.py", old='_field(content, "user_expressions", dict, {})', new="{}"
)
@pytest.mark.parametrize("code", ["none", "", 'return {"payload": null, "user_expressions": null}'])
def test_an_ok_reply_has_payload_and_user_expressions(toy: KernelHarness, code: str) -> None:
    content = toy.execute(code).content
    assert (content["status"], content["payload"], content["user_expressions"]) == ("ok", [], {})


@pytest.mark.row(
    "E7",
    file="kernel/requests.py",
    old='kernel.link.publish("error", error, request)',
    new="pass",
)
@pytest.mark.parametrize(
    "code",
    [
        "raise Error oh",
        "misbehave raise",
        "misbehave text",
        'return {"status": "error", "ename": "Error", "evalue": "oh", "traceback": ["a", "b"]}',
        'return {"status": "abort"}',
    ],
)
def test_an_error_is_published_once_and_replied_alike(toy: KernelHarness, code: str) -> None:
    exchange = toy.execute("print before\n" + code)
    (error,) = exchange.errors
    assert error == {name: exchange.content[name] for name in ("ename", "evalue", "traceback")}
    assert exchange.status == "error"


class Publishing(Kernel):
    """Publishes its error itself, as old kernels do, and then says another, or none."""

    def do_execute(self, code: str) -> Any:
        self.iopub.error("Old", "way", "line 1\nline 2")  # type: ignore[arg-type]
        if code == "raise":
            raise ExecuteError("New", "way")
        return json.loads(code)


@pytest.mark.row("E7")
@pytest.mark.parametrize(
    "code",
    ["raise", '{"status": "error"}', '{"status": "error", "ename": ""}', "{}", "null", '{"status": "ok"}'],
)
def test_an_error_that_the_hook_has_published_is_replied_and_not_published_again(code: str) -> None:
    with KernelHarness(Publishing) as harness:
        exchange = harness.execute(code)
    (error,) = exchange.errors
    assert error == {"ename": "Old", "evalue": "way", "traceback": ["line 1", "line 2"]}
    assert {name: exchange.content[name] for name in error} == error


@pytest.mark.row("E7")
def test_one_error_is_published_however_often_the_hook_says_one() -> None:
    class Complaining(Kernel):
        def do_execute(self, code: str) -> None:
            self.iopub.error("First", "1")
            self.iopub.error("Second", "2")
            self.iopub.stream("on")

    with KernelHarness(Complaining) as harness:
        exchange = harness.execute("x")
    (error,) = exchange.errors
    assert (error["ename"], exchange.content["ename"], exchange.stdout) == ("First", "First", "on")


@pytest.mark.row(
    "E8",
    file="kernel/replies.py",
    old="lines = lines.splitlines()",
    new="lines = lines",
)
@pytest.mark.parametrize(
    ("returned", "ename", "lines"),
    [
        ({"ename": "E", "traceback": "one\ntwo"}, "E", ["one", "two"]),
        ({"ename": "", "traceback": None}, "Error", []),
        ({"ename": None}, "Error", []),
        ({"ename": 5, "evalue": 6, "traceback": [7, None]}, "5", ["7", "None"]),
        ({"traceback": {"line": 1}}, "Error", ["{'line': 1}"]),
    ],
)
def test_a_traceback_is_a_list_of_text_and_an_error_has_a_name(
    toy: KernelHarness, returned: dict[str, Any], ename: str, lines: list[str]
) -> None:
    code = "return " + json.dumps({"status": "error", **returned})
    for silent in (False, True):
        content = toy.execute(code, silent=silent).content
        assert (content["ename"], content["traceback"]) == (ename, lines)


@pytest.mark.row(
    "E9",
    file="kernel/requests.py",
    old="for name, text in expressions.items()",
    new="for name, text in list(expressions.items())[:1]",
)
@pytest.mark.parametrize("silent", [False, True])
def test_user_expressions_each_have_a_result_or_an_error_of_their_own(
    toy: KernelHarness, silent: bool
) -> None:
    asked = {"good": "x", "bad": "y", "": "x"}
    content = toy.execute("let x 5", silent=silent, user_expressions=asked).content
    results = content["user_expressions"]
    assert content["status"] == "ok"
    assert results["good"] == {"status": "ok", "data": {"text/plain": "5"}, "metadata": {}}
    assert results[""] == results["good"]
    assert (results["bad"]["status"], results["bad"]["ename"]) == ("error", "NameError")


@pytest.mark.row("E9")
@pytest.mark.parametrize("code", ["raise Error oh", 'return {"status": "error"}', "misbehave interrupt"])
def test_user_expressions_are_not_evaluated_after_a_failure(toy: KernelHarness, code: str) -> None:
    content = toy.execute(f"let x 5\n{code}", user_expressions={"x": "x"}).content
    assert "x" not in content.get("user_expressions", {})
    assert "do_evaluate" not in toy.kernel.seen


@pytest.mark.row("E9")
def test_expressions_that_the_hook_has_answered_are_not_evaluated(toy: KernelHarness) -> None:
    answered = {"status": "ok", "data": {"text/plain": "mine"}, "metadata": {}}
    code = "let x 5\nreturn " + json.dumps({"status": "ok", "user_expressions": {"x": answered}})
    results = toy.execute(code, user_expressions={"x": "x", "y": "y"}).content["user_expressions"]
    assert results["x"] == answered
    assert results["y"]["ename"] == "NameError"


class Rich:
    def _repr_html_(self) -> str:
        return "<b>rich</b>"

    def _repr_png_(self) -> bytes:
        return b"\x89PNG"

    def __repr__(self) -> str:
        return "rich"


class Unsayable:
    def _repr_json_(self) -> Any:
        return {"x": object()}


class Showing(Kernel):
    def do_execute(self, code: str) -> None:
        pass

    def do_evaluate(self, expression: str) -> Any:
        return Unsayable() if expression == "bad" else Rich()


@pytest.mark.row("E9")
def test_a_user_expression_is_shown_as_rich_as_it_is() -> None:
    with KernelHarness(Showing) as harness:
        results = harness.execute("x", user_expressions={"good": "good", "bad": "bad"}).content[
            "user_expressions"
        ]
    assert results["good"]["data"] == {
        "text/html": "<b>rich</b>",
        "image/png": "iVBORw==",
        "text/plain": "rich",
    }
    assert results["bad"]["status"] == "error"


@pytest.mark.row("E14")
def test_payloads_are_in_the_reply_in_order(toy: KernelHarness) -> None:
    content = toy.execute("page help\nnext print 1\nreplace print 2\nquit\nquit keep").content
    assert content["payload"] == [
        {"source": "page", "data": {"text/plain": "help"}, "start": 0},
        {"source": "set_next_input", "text": "print 1", "replace": False},
        {"source": "set_next_input", "text": "print 2", "replace": True},
        {"source": "ask_exit", "keepkernel": False},
        {"source": "ask_exit", "keepkernel": True},
    ]
    assert toy.execute("none").content["payload"] == []


@pytest.mark.row("E14")
@pytest.mark.parametrize("code", ["raise Error oh", "misbehave raise", 'return {"status": "error"}'])
def test_payloads_are_in_error_replies_too(toy: KernelHarness, code: str) -> None:
    (payload,) = toy.execute(f"page help\n{code}").content["payload"]
    assert payload["source"] == "page"


@pytest.mark.row("E14")
def test_payloads_that_the_hook_returns_come_first_and_are_completed(toy: KernelHarness) -> None:
    mine = [{"source": "page", "data": {"text/html": "<p>"}}, {"source": "set_next_input", "text": "x"}]
    content = toy.execute("next y\nreturn " + json.dumps({"payload": mine})).content
    page, following, last = content["payload"]
    assert page == {
        "source": "page",
        "data": {"text/html": "<p>", "text/plain": ""},
        "start": 0,
    }
    assert following == {"source": "set_next_input", "text": "x", "replace": False}
    assert last["text"] == "y"


class Suggesting(Kernel):
    """Has payloads where there is no reply for them."""

    def do_execute(self, code: str) -> None:
        self.set_next_input(code)

    def do_complete(self, code: str) -> None:
        self.page({"text/plain": "of a completion"})


@pytest.mark.row("E14")
def test_a_payload_is_in_the_reply_of_its_own_cell_and_nowhere_else() -> None:
    with KernelHarness(Suggesting) as harness:
        harness.kernel.page({"text/plain": "of nothing"})
        harness.complete("x")
        assert harness.execute(" ").content["payload"] == []
        (payload,) = harness.execute("y").content["payload"]
        assert payload["text"] == "y"
        assert harness.execute(" ").content["payload"] == []


class Paging(Kernel):
    def do_execute(self, code: str) -> None:
        self.page({"text/plain": object()})


@pytest.mark.row("E14")
def test_a_payload_that_cannot_be_sent_is_an_error_where_it_is_made() -> None:
    with KernelHarness(Paging) as harness:
        content = harness.execute("x").content
    assert content["ename"] == "ReplyError"
    assert any("do_execute" in line for line in content["traceback"])


# --- execute: interrupted, aborted ------------------------------------------------------------------


class Interrupted(Kernel):
    """Interrupts itself as a signal would."""

    def do_execute(self, code: str) -> None:
        if code == "interrupt":
            self.link.interrupts.fire(None)  # as in code that is shielded: remembered
            self.iopub.stream("x")


class AsyncInterrupted(Kernel):
    async def do_execute(self, code: str) -> None:
        if code == "interrupt":
            self.link.interrupts.fire(None)
            self.iopub.stream("x")


@pytest.mark.row(
    "E12",
    file="kernel/requests.py",
    old="request.stops_queue = not request.silent and",
    new="request.stops_queue = request.silent and",
)
@pytest.mark.parametrize("kind", [Interrupted, AsyncInterrupted])
def test_an_interrupted_cell_is_an_error_and_its_queue_is_aborted(kind: type[Kernel]) -> None:
    with KernelHarness(kind) as harness:
        request = last_request(harness, {"code": "interrupt"})
        assert request.stops_queue
        sent = {message["msg_type"]: message["content"] for message in harness.sent}
        assert sent["execute_reply"]["status"] == "error"
        assert sent["execute_reply"]["ename"] == sent["error"]["ename"] == "KeyboardInterrupt"
        assert harness.execute("none").status == "ok"  # it never reaches the next request


@pytest.mark.row("E10", file="kernel/dispatch.py", old="request.before_stop()", new="pass")
@pytest.mark.parametrize(
    ("fields", "stops"),
    [
        ({}, True),
        ({"stop_on_error": True}, True),
        ({"stop_on_error": False}, False),
        ({"silent": True}, False),
        ({"silent": True, "stop_on_error": True}, False),
    ],
)
def test_which_failures_stop_the_queue(toy: KernelHarness, fields: dict[str, Any], stops: bool) -> None:
    called: list[str] = []
    message = toy.session.compose("execute_request", {"code": "raise E f", **fields})
    request = Request("shell", message, before_stop=lambda: called.append(toy.sent[-1]["msg_type"]))
    dispatch.handle(toy.kernel, request, toy.kernel.link.interrupts)
    assert request.stops_queue is stops
    assert called == (["error"] if stops else [])  # before the reply leaves, after all else
    assert not last_request(toy, {"code": "none"}).stops_queue


@pytest.mark.row("E10")
def test_an_aborted_cell_is_answered_without_running(toy: KernelHarness) -> None:
    reply = aborted(toy, {"code": "print x\nnext y"})
    assert (reply["status"], reply["ename"]) == ("error", "ExecutionAborted")
    assert toy.kernel.offered == {}
    assert toy.kernel.execution_count == 0


def last_request(harness: KernelHarness, content: dict[str, Any]) -> Request:
    """Handle a cell and return its request, for what became of it."""
    request = Request("shell", harness.session.compose("execute_request", content))
    dispatch.handle(harness.kernel, request, harness.kernel.link.interrupts)
    return request


def aborted(harness: KernelHarness, content: dict[str, Any]) -> dict[str, Any]:
    """Abort a queued cell as the server does; return the reply's content."""
    begin = len(harness.sent)
    message = harness.session.compose("execute_request", content)
    dispatch.handle(
        harness.kernel, Request("shell", message), harness.kernel.link.interrupts, dispatch.ABORTED
    )
    assert [m["msg_type"] for m in harness.sent[begin:]] == ["status", "execute_reply", "status"]
    return dict(harness.sent[-2]["content"])


# --- execute: odd code and results -------------------------------------------------------------------


class Telling(Kernel):
    """Publishes its code in all the ways there are."""

    async def do_execute(self, code: str) -> None:
        self.iopub.stream(code)
        self.iopub.display(code)
        self.iopub.execute_result({"text/plain": code})
        self.page({"text/plain": code})


def assert_told(exchange: Execution, code: str) -> None:
    assert exchange.status == "ok"
    assert exchange.stdout == code
    assert exchange.contents("execute_input")[0]["code"] == code
    assert exchange.display[0]["data"]["text/plain"] == code
    assert exchange.results[0]["data"]["text/plain"] == code
    assert exchange.content["payload"][0]["data"]["text/plain"] == code


@pytest.mark.row(
    "E17",
    file="kernel/iopub.py",
    old="for start in range(0, len(text), PIECE):",
    new="for start in range(0, len(text) - 1, PIECE):",
)
@pytest.mark.parametrize(
    "code",
    [
        "a\r\nb\r\n",
        "\tx\ty",
        "a\0b",
        "x",
        "no newline",
        "x\n" * 500_000,
        "\x1b[31mred",
        "\u2028é\U0001d41a\U0010ffff",
    ],
    ids=["crlf", "tab", "nul", "letter", "plain", "megabyte", "escape", "unicode"],
)
def test_code_of_any_shape_arrives_as_it_is(tmp_path: Path, code: str) -> None:
    with KernelHarness(Telling, stores_history=True, history_file=str(tmp_path / "history")) as harness:
        assert_told(harness.execute(code), code)
        content = {"hist_access_type": "tail", "output": True, "raw": True, "n": 1}
        (entry,) = harness.request("history_request", content).content["history"]
        assert entry[2] == [code, code]


@pytest.mark.row("E17")
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(code=st.text(min_size=1).filter(lambda text: text.strip()))
def test_any_code_arrives_as_it_is(telling: KernelHarness, code: str) -> None:
    assert_told(telling.execute(code), code)


@pytest.fixture
def telling() -> Iterator[KernelHarness]:
    with KernelHarness(Telling) as harness:
        yield harness


@pytest.mark.row("E17")
def test_half_a_surrogate_pair_in_code_harms_nothing(tmp_path: Path) -> None:
    with KernelHarness(Telling, stores_history=True, history_file=str(tmp_path / "history")) as harness:
        assert harness.execute("a\ud800b").stdout == "a\ufffdb"
        assert harness.execute("on").stdout == "on"


@pytest.mark.row(
    "E15",
    file="kernel/iopub.py",
    old='content = {"execution_count": count or 0, "data"',
    new='content = {"execution_counts": count or 0, "data"',
)
def test_a_result_has_text_and_the_count_of_its_cell(toy: KernelHarness) -> None:
    toy.execute("none")
    exchange = toy.execute("result 7\nresult 8")
    assert [content["data"] for content in exchange.results] == [{"text/plain": "7"}, {"text/plain": "8"}]
    assert [content["execution_count"] for content in exchange.results] == [2, 2]
    topics = {m["identities"][0] for m in exchange.messages if m["msg_type"] == "execute_result"}
    assert {topic.rpartition(b".")[2] for topic in topics} == {b"execute_result"}


# --- metadata -----------------------------------------------------------------------------------------


@pytest.mark.row("H6")
@pytest.mark.parametrize("code", ["none", "raise Error oh", ""])
def test_replies_say_in_their_metadata_when_they_were_started(toy: KernelHarness, code: str) -> None:
    exchange = toy.execute(code)
    assert exchange.reply is not None
    started = datetime.fromisoformat(exchange.reply["metadata"]["started"])
    asked = datetime.fromisoformat(exchange.request["header"]["date"])
    replied = datetime.fromisoformat(exchange.reply["header"]["date"])
    assert started.tzinfo is not None
    assert asked <= started <= replied
    assert exchange.reply["metadata"]["status"] == exchange.status


@pytest.mark.row("H7")
def test_the_cells_id_reaches_the_hook_that_names_it(toy: KernelHarness) -> None:
    toy.execute("none", metadata={"cellId": "1f-2e", "more": [1]})
    assert toy.kernel.offered["cell_id"] == "1f-2e"
    if isinstance(toy.kernel, AsyncKernel):
        assert toy.kernel.offered["cell_meta"] == {"cellId": "1f-2e", "more": [1]}
    toy.execute("none")
    assert toy.kernel.offered["cell_id"] is None


# --- complete, inspect, is_complete --------------------------------------------------------------------


class Cursor(Kernel):
    """Says where the cursor is, and completes the word before it as told."""

    returned: dict[str, Any] | None = None

    def do_complete(self, code: str, cursor_pos: int) -> Any:
        self.cursor = cursor_pos
        return self.returned

    def do_inspect(self, code: str, cursor_pos: int, detail_level: int) -> Any:
        self.cursor = cursor_pos
        return {"data": {"text/plain": str(detail_level)}}


@pytest.mark.row(
    "Q1",
    file="kernel/replies.py",
    old='end = _field(content, "cursor_end", int, position)',
    new='end = content["cursor_end"] = len(code)',
)
@pytest.mark.parametrize(
    ("code", "cursor", "whole"),
    [
        ("pri", 3, "print"),
        ("print x\nrepl and more", 12, "print x\nreplace and more"),
        ("\U0001d41a pri", 5, "\U0001d41a print"),
    ],
)
def test_a_match_replaces_what_is_between_the_cursors(
    toy: KernelHarness, code: str, cursor: int, whole: str
) -> None:
    content = toy.complete(code, cursor).content
    assert content["status"] == "ok"
    (match,) = content["matches"]
    assert code[: content["cursor_start"]] + match + code[content["cursor_end"] :] == whole


@pytest.mark.row("Q1")
def test_a_reply_to_complete_is_filled_in_at_the_cursor() -> None:
    with KernelHarness(Cursor) as harness:
        for returned in (None, {}, {"matches": None, "cursor_start": None}):
            harness.kernel.returned = returned
            content = harness.complete("abc", 2).content
            assert content == {
                "status": "ok",
                "matches": [],
                "cursor_start": 2,
                "cursor_end": 2,
                "metadata": {},
            }


@pytest.mark.row("Q1")
@pytest.mark.parametrize(("start", "end"), [(-1, 2), (2, 1), (0, 4), (4, 4), (0.0, 1), (True, 1), ("0", 1)])
def test_cursors_outside_of_the_code_are_an_error(start: Any, end: Any) -> None:
    with KernelHarness(Cursor) as harness:
        harness.kernel.returned = {"matches": ["x"], "cursor_start": start, "cursor_end": end}
        assert harness.complete("abc").content["ename"] == "ReplyError"


@pytest.mark.row(
    "Q2",
    file="kernel/replies.py",
    old='end = len(content["code"])',
    new='end = len(content["code"].encode())',
)
@pytest.mark.parametrize("hook", ["complete", "inspect"])
def test_the_cursor_counts_code_points(hook: str) -> None:
    with KernelHarness(Cursor) as harness:
        content = {"code": "\U0001d41aé\u0301x", "cursor_pos": 1, "detail_level": 0}
        harness.request(f"{hook}_request", content)
        assert harness.kernel.cursor == 1
        harness.request(f"{hook}_request", {**content, "cursor_pos": 99})
        assert harness.kernel.cursor == 4


@pytest.mark.row("Q3")
@pytest.mark.parametrize("hook", ["complete", "inspect"])
@pytest.mark.parametrize(
    ("given_cursor", "cursor"),
    [(None, 3), (99, 3), (-1, 0), (0, 0), ("2", 3), (True, 3), (1.0, 3), (2**70, 3)],
)
def test_a_cursor_that_is_missing_or_out_of_range(hook: str, given_cursor: Any, cursor: int) -> None:
    with KernelHarness(Cursor) as harness:
        harness.request(f"{hook}_request", {"code": "abc", "cursor_pos": given_cursor})
        assert harness.kernel.cursor == cursor
        harness.request(f"{hook}_request", {"code": "abc"})
        assert harness.kernel.cursor == 3


@pytest.mark.row("Q4")
def test_the_types_of_completions(toy: KernelHarness) -> None:
    toy.execute("let printer 1")
    content = toy.complete("prin").content
    kinds = content["metadata"]["_jupyter_types_experimental"]
    assert [(kind["text"], kind["type"]) for kind in kinds] == [("print", "command"), ("printer", "variable")]
    assert [kind["text"] for kind in kinds] == content["matches"]


@pytest.mark.row("Q4")
def test_types_of_completions_without_a_signature_get_an_empty_one() -> None:
    with KernelHarness(Cursor) as harness:
        kind = {"start": 0, "end": 1, "text": "x", "type": "word"}
        harness.kernel.returned = {"metadata": {"_jupyter_types_experimental": [kind]}}
        (kept,) = harness.complete("abc").content["metadata"]["_jupyter_types_experimental"]
        assert kept == {**kind, "signature": ""}


@pytest.mark.row("Q6")
def test_what_is_not_found_is_ok_and_not_found(toy: KernelHarness) -> None:
    found = toy.inspect("print x", 2).content
    assert found == {
        "status": "ok",
        "found": True,
        "data": {"text/plain": "print is a command"},
        "metadata": {},
    }
    assert toy.inspect("nothing").content == {"status": "ok", "found": False, "data": {}, "metadata": {}}


@pytest.mark.row("Q6", file="kernel/replies.py", old='bool(content["data"])) and', new="True) and")
def test_without_a_hook_nothing_is_found() -> None:
    with KernelHarness(Kernel) as harness:
        content = harness.inspect("print").content
    assert content == {"status": "ok", "found": False, "data": {}, "metadata": {}}


@pytest.mark.row("Q7")
def test_two_levels_of_detail(toy: KernelHarness) -> None:
    brief = toy.inspect("print", detail_level=0).content["data"]["text/plain"]
    full = toy.inspect("print", detail_level=1).content["data"]["text/plain"]
    assert full.startswith(brief)
    assert len(full) > len(brief)


@pytest.mark.row("Q8")
@pytest.mark.parametrize(
    ("code", "answer"),
    [
        ("print x", {"status": "complete"}),
        ("print x\\", {"status": "incomplete", "indent": "  "}),
        ("frobnicate", {"status": "invalid"}),
        ("who knows", {"status": "unknown"}),
    ],
)
def test_is_complete_has_four_answers(toy: KernelHarness, code: str, answer: dict[str, str]) -> None:
    assert toy.is_complete(code).content == answer


@pytest.mark.row("Q8")
def test_without_a_hook_nothing_is_known() -> None:
    with KernelHarness(Kernel) as harness:
        assert harness.is_complete("x").content == {"status": "unknown"}


# --- history ----------------------------------------------------------------------------------------


@pytest.fixture(params=[PlainKernel, AsyncKernel, Kernel], ids=["plain", "async", "base"])
def remembering(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[KernelHarness]:
    """A kernel with three cells of an earlier session and four of its own."""

    class Remembering(request.param):  # type: ignore[misc, name-defined]
        def do_execute(self, code: str) -> None:
            if code.startswith("result "):
                self.iopub.execute_result({"text/plain": code.removeprefix("result ")})

    file = str(tmp_path / "history.sqlite")
    with KernelHarness(Remembering, stores_history=True, history_file=file) as earlier:
        for code in ("a1", "a2", "b1"):
            earlier.execute(code)
    with KernelHarness(Remembering, stores_history=True, history_file=file) as harness:
        harness.execute("hidden", store_history=False)
        harness.execute("result hidden", silent=True)
        for code in ("a1", "result 7", "", "result 8", "a3"):
            harness.execute(code)
        harness.execute("result hidden", store_history=False)
        yield harness


def history(harness: KernelHarness, access: str, **fields: Any) -> list[Any]:
    content = {"hist_access_type": access, "output": False, "raw": True, **fields}
    exchange = harness.request("history_request", content)
    assert exchange.status == "ok"
    return list(exchange.content["history"])


@pytest.mark.row("Q9")
def test_the_tail_of_the_history(remembering: KernelHarness) -> None:
    assert [entry[2] for entry in history(remembering, "tail", n=3)] == [
        "result 7",
        "result 8",
        "a3",
    ]
    assert [entry[2] for entry in history(remembering, "tail", n=100)][:3] == ["a1", "a2", "b1"]
    assert len(history(remembering, "tail")) == 7  # all, for ten are asked for when nothing is said
    numbers = [(session, line) for session, line, _ in history(remembering, "tail", n=2)]
    assert numbers[0][0] == numbers[1][0]
    assert [line for _, line in numbers] == [3, 4]


@pytest.mark.row("Q9")
def test_the_history_has_the_results_of_cells(remembering: KernelHarness) -> None:
    entries = [tuple(entry[2]) for entry in history(remembering, "tail", n=4, output=True)]
    assert entries == [("a1", None), ("result 7", "7"), ("result 8", "8"), ("a3", None)]


@pytest.mark.row("Q9")
def test_a_range_of_the_history(remembering: KernelHarness) -> None:
    assert [entry[2] for entry in history(remembering, "range", session=0, start=1, stop=3)] == [
        *("a1", "result 7")
    ]
    assert [entry[2] for entry in history(remembering, "range", session=-1, start=2, stop=None)] == [
        "a2",
        "b1",
    ]
    assert history(remembering, "range", session=-99, start=1, stop=9) == []


@pytest.mark.row("Q9")
def test_a_search_of_the_history(remembering: KernelHarness) -> None:
    assert [entry[2] for entry in history(remembering, "search", pattern="a?")] == ["a1", "a2", "a1", "a3"]
    found = history(remembering, "search", pattern="a*", unique=True, n=2)
    assert [entry[2] for entry in found] == ["a1", "a3"]
    assert history(remembering, "search", pattern="nothing*") == []


@pytest.mark.row("Q9")
def test_history_can_be_switched_off_but_for_this_session() -> None:
    with KernelHarness(PlainKernel, stores_history=False) as harness:
        harness.execute("print a")
        assert [entry[2] for entry in history(harness, "tail", n=5)] == ["print a"]


# --- comm_info, kernel_info -----------------------------------------------------------------------------


@pytest.mark.row("Q10")
def test_comm_info_lists_the_open_comms_of_a_target(toy: KernelHarness) -> None:
    assert toy.request("comm_info_request", {}).content == {"status": "ok", "comms": {}}
    toy.request("comm_open", {"comm_id": "theirs", "target_name": "toy.echo", "data": {}})
    toy.execute("comm other")
    both = toy.request("comm_info_request", {}).content["comms"]
    assert both["theirs"] == {"target_name": "toy.echo"}
    assert len(both) == 2
    assert toy.request("comm_info_request", {"target_name": None}).content["comms"] == both
    one = toy.request("comm_info_request", {"target_name": "toy.echo"}).content["comms"]
    assert one == {"theirs": {"target_name": "toy.echo"}}
    toy.request("comm_close", {"comm_id": "theirs", "data": {}})
    assert "theirs" not in toy.request("comm_info_request", {}).content["comms"]


class Minimal(Kernel):
    """Says nothing about itself."""


@pytest.mark.row(
    "Q12", file="kernel/requests.py", old='"banner": kernel.banner,', new='"banners": kernel.banner,'
)
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_kernel_info_has_all_its_fields(toy: KernelHarness, channel: Any) -> None:
    content = toy.request("kernel_info_request", {}, channel=channel).content
    assert content == {
        "status": "ok",
        "protocol_version": "5.5",
        "implementation": toy.kernel.implementation,
        "implementation_version": "1.0",
        "language_info": {
            "name": "toy",
            "version": "3.1",
            "mimetype": "text/x-toy",
            "file_extension": ".toy",
        },
        "banner": "A toy: one command per line",
        "help_links": [{"text": "What is a toy?", "url": "https://example.org/toy"}],
        "supported_features": [],
        "debugger": False,
    }


@pytest.mark.row("Q12")
@pytest.mark.row("Q13")
def test_a_kernel_that_says_nothing_about_itself_has_all_fields_too() -> None:
    with KernelHarness(Minimal) as harness:
        content = harness.request("kernel_info_request", {}).content
    assert content["implementation"] == "minimal"
    assert content["implementation_version"] == "0"
    assert content["language_info"] == {
        "name": "text",
        "version": "0",
        "mimetype": "text/plain",
        "file_extension": ".txt",
    }


@pytest.mark.row("Q13")
def test_a_language_without_a_version_gets_one() -> None:
    class Versionless(Kernel):
        implementation_version = "2.7"
        language_info = {"name": "brief", "mimetype": "text/x-brief", "file_extension": ".br"}

    with KernelHarness(Versionless) as harness:
        content = harness.request("kernel_info_request", {}).content
    assert content["language_info"]["version"] == "2.7"
    assert content["language_info"]["name"] == "brief"


@pytest.mark.row(
    "Q14",
    file="kernel/requests.py",
    old='"supported_features": [],',
    new='"supported_features": ["debugger"],',
)
@pytest.mark.parametrize("kind", [Minimal, PlainKernel, AsyncKernel])
def test_nothing_is_claimed_that_is_not_there(kind: type[Kernel]) -> None:
    with KernelHarness(kind) as harness:
        content = harness.request("kernel_info_request", {}).content
    assert content["supported_features"] == []
    assert content["debugger"] is False


# --- control ------------------------------------------------------------------------------------------


@pytest.mark.row("T9")
@pytest.mark.parametrize("command", ["debugInfo", "initialize"])
def test_a_debug_request_is_refused_in_the_words_of_its_protocol(toy: KernelHarness, command: str) -> None:
    asked = {"type": "request", "seq": 7, "command": command, "arguments": {}}
    content = toy.request("debug_request", asked, channel="control").content
    assert (content["type"], content["request_seq"], content["command"]) == ("response", 7, command)
    assert content["success"] is False
    assert "no debugger" in content["message"]


@pytest.mark.row("T9")
@pytest.mark.parametrize("asked", [{}, {"seq": "x", "command": None}])
def test_a_malformed_debug_request_is_refused_too(toy: KernelHarness, asked: dict[str, Any]) -> None:
    assert toy.request("debug_request", asked, channel="control").content["success"] is False


@pytest.mark.row("I9")
def test_without_a_debugger_there_are_no_debug_events(toy: KernelHarness) -> None:
    for command in ("initialize", "attach", "debugInfo", "configurationDone"):
        asked = {"type": "request", "seq": 1, "command": command, "arguments": {}}
        toy.request("debug_request", asked, channel="control")
    assert "debug_event" not in {message["msg_type"] for message in toy.sent}


@pytest.mark.row("I9")
def test_a_kernel_with_a_debugger_of_its_own_publishes_its_events() -> None:
    class Debugged(Kernel):
        def do_execute(self, code: str) -> None:
            self.iopub.send("debug_event", {"type": "event", "seq": 1, "event": "stopped", "body": {}})

    with KernelHarness(Debugged) as harness:
        (event,) = harness.execute("x").contents("debug_event")
    assert event["event"] == "stopped"


@pytest.mark.row("T12")
def test_usage_of_the_kernel(toy: KernelHarness) -> None:
    content = toy.request("usage_request", {}, channel="control").content
    assert content["pid"] == os.getpid()
    assert content["hostname"]
    assert content["kernel_memory"] > 0
    assert content["cpu_count"] >= 1


@pytest.mark.parametrize("channel", ["shell", "control"])
def test_a_shutdown_closes_comms_and_tells_everybody(toy: KernelHarness, channel: Any) -> None:
    toy.execute("comm widget")
    exchange = toy.request("shutdown_request", {"restart": True}, channel=channel)
    assert exchange.content["restart"] is True
    assert exchange.contents("shutdown_reply") == [{"status": "ok", "restart": True}]
    assert len(exchange.contents("comm_close")) == 1
    assert toy.kernel.seen.count("do_shutdown") == 1


def test_an_interrupt_request_is_ok_when_nothing_runs(toy: KernelHarness) -> None:
    assert toy.request("interrupt_request", {}, channel="control").content == {"status": "ok"}
    assert "do_interrupt" in toy.kernel.seen


def test_interrupts_are_nobodys_when_nothing_runs(toy: KernelHarness) -> None:
    toy.kernel.link.interrupts.fire(None)
    assert toy.kernel.link.interrupts.running is None
    assert toy.execute("print on").stdout == "on\n"
    assert isinstance(toy.kernel.link.interrupts, Interrupts)
