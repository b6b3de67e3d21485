"""Reply contents as functions of what a hook returned: filled in where missing, refused where wrong."""

from __future__ import annotations

from typing import Any

import pytest

from wrapperkernel import ExecuteError
from wrapperkernel.kernel import replies
from wrapperkernel.kernel.errors import ReplyError
from wrapperkernel.kernel.request import Request
from wrapperkernel.wire import Session


def complete(msg_type: str, returned: Any, **content: Any) -> dict[str, Any]:
    """Return the content of the reply to a request, from what the hook returned."""
    message = Session().compose(f"{msg_type}_request", content)
    return replies.complete(Request("shell", message), returned)


# --- what is filled in --------------------------------------------------------------------------------

FILLED = [
    ("execute", None, {"status": "ok", "payload": [], "user_expressions": {}}),
    ("execute", {}, {"status": "ok", "payload": [], "user_expressions": {}}),
    (
        "execute",
        {"user_expressions": {"x": {"data": {"text/plain": "1"}}}},
        {
            "status": "ok",
            "payload": [],
            "user_expressions": {"x": {"status": "ok", "data": {"text/plain": "1"}, "metadata": {}}},
        },
    ),
    (
        "complete",
        {"matches": ("abc", "abd")},
        {
            "status": "ok",
            "matches": ["abc", "abd"],
            "cursor_start": 2,
            "cursor_end": 2,
            "metadata": {},
        },
    ),
    ("inspect", None, {"status": "ok", "found": False, "data": {}, "metadata": {}}),
    (
        "inspect",
        {"data": {"text/plain": "x"}},
        {"status": "ok", "found": True, "data": {"text/plain": "x"}, "metadata": {}},
    ),
    ("inspect", {"found": False, "data": None}, {"status": "ok", "found": False, "data": {}, "metadata": {}}),
    ("is_complete", None, {"status": "unknown"}),
    ("is_complete", {"status": "ok"}, {"status": "unknown"}),
    ("is_complete", {"status": "complete", "indent": "  "}, {"status": "complete"}),
    ("is_complete", {"status": "incomplete"}, {"status": "incomplete", "indent": ""}),
    ("history", {}, {"status": "ok", "history": []}),
    (
        "history",
        {"history": [(1, 2, "x"), (0, 1, ("y", None)), (0, 1, ("y", "z"))]},
        {"status": "ok", "history": [[1, 2, "x"], [0, 1, ["y", None]], [0, 1, ["y", "z"]]]},
    ),
    ("shutdown", None, {"status": "ok", "restart": False}),
    ("shutdown", {"restart": True}, {"status": "ok", "restart": False}),
    ("interrupt", None, {"status": "ok"}),
    ("interrupt", {"more": b"\x00"}, {"status": "ok", "more": "AA=="}),
]


@pytest.mark.parametrize(("msg_type", "returned", "content"), FILLED)
def test_what_is_missing_is_filled_in(msg_type: str, returned: Any, content: dict[str, Any]) -> None:
    assert complete(msg_type, returned, code="ab", cursor_pos=2) == content


def test_the_content_shares_nothing_with_what_the_hook_returned() -> None:
    inner: list[Any] = ["abc"]
    returned = {"matches": inner}
    content = complete("complete", returned, code="")
    inner.append(object())
    assert content["matches"] == ["abc"]
    assert returned == {"matches": inner}


# --- what is refused ----------------------------------------------------------------------------------

REFUSED = [
    ("execute", ["ok"], "list"),
    ("execute", "ok", "str"),
    ("execute", {"payload": {}}, "payload is dict"),
    ("execute", {"payload": [5]}, "payload holds"),
    ("execute", {"payload": [{"data": {}}]}, "no object with a source"),
    ("execute", {"payload": [{"source": "page", "start": "0"}]}, "start is str"),
    ("execute", {"payload": [{"source": "page", "data": {"text/plain": 5}}]}, "int as text/plain"),
    ("execute", {"payload": [{"source": "page", "data": {"text": "x"}}]}, "no MIME type"),
    ("execute", {"payload": [{"source": "set_next_input", "text": 1}]}, "text is int"),
    ("execute", {"payload": [{"source": "ask_exit", "keepkernel": "yes"}]}, "keepkernel is str"),
    ("execute", {"user_expressions": []}, "user_expressions is list"),
    ("execute", {"user_expressions": {"x": 5}}, "int, not an object"),
    ("execute", {"user_expressions": {"x": {"status": "fine"}}}, "'fine'"),
    ("execute", {"user_expressions": {"x": {"data": {"text/plain": None}}}}, "NoneType as text/plain"),
    ("execute", {"status": "fine"}, "'fine', neither"),
    ("execute", {"status": None}, "None, neither"),
    ("execute", {"x": object()}, "cannot be written as JSON"),
    ("execute", {1: "x", "1": "y"}, "cannot be written as JSON"),
    ("complete", {"matches": "abc"}, "matches is str"),
    ("complete", {"matches": ["abc", 1]}, "no text"),
    ("complete", {"cursor_start": 1.0}, "cursor_start is float"),
    ("complete", {"cursor_end": 3}, "outside"),
    ("complete", {"cursor_start": 2, "cursor_end": 1}, "outside"),
    ("complete", {"metadata": []}, "metadata is list"),
    ("complete", {"metadata": {"_jupyter_types_experimental": {}}}, "is dict"),
    ("complete", {"metadata": {"_jupyter_types_experimental": [{"text": "x"}]}}, "start, end, text and type"),
    ("inspect", {"found": True}, "data is empty"),
    ("inspect", {"found": 1, "data": {"text/plain": "x"}}, "found is int"),
    ("inspect", {"data": {"text/html": ["x"]}}, "list as text/html"),
    ("inspect", {"data": {"image/svg+xml": 5}}, r"int as image/svg\+xml"),
    ("is_complete", {"status": "finished"}, "'finished', none of"),
    ("is_complete", {"status": "incomplete", "indent": 4}, "indent is int"),
    ("history", {"history": {}}, "history is dict"),
    ("history", {"history": [(None, None, "x")]}, "session, line, input"),
    ("history", {"history": [(1, True, "x")]}, "session, line, input"),
    ("history", {"history": [(1, 2)]}, "session, line, input"),
    ("history", {"history": [(1, 2, ("x",))]}, "input, output"),
    ("history", {"history": [(1, 2, (None, "x"))]}, "input, output"),
    ("shutdown", {"status": "gone"}, "'gone'"),
    ("interrupt", True, "bool"),
]


@pytest.mark.parametrize(("msg_type", "returned", "complaint"), REFUSED)
def test_what_is_wrong_is_refused(msg_type: str, returned: Any, complaint: str) -> None:
    with pytest.raises(ReplyError, match=complaint):
        complete(msg_type, returned, code="ab", cursor_pos=2)


# --- failures -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["abort", "aborted"])
def test_an_aborted_cell_of_old_kernels_is_an_interrupted_one(status: str) -> None:
    content = complete("execute", {"status": status, "execution_count": 3}, code="")
    assert (content["status"], content["ename"]) == ("error", "KeyboardInterrupt")
    named = complete("execute", {"status": status, "ename": "Mine", "traceback": "a\nb"}, code="")
    assert (named["ename"], named["evalue"], named["traceback"]) == ("Mine", "", ["a", "b"])


@pytest.mark.parametrize(
    "msg_type", ["execute", "complete", "inspect", "is_complete", "history", "interrupt"]
)
def test_an_error_may_be_returned(msg_type: str) -> None:
    returned = {"status": "error", "ename": "E", "evalue": None, "traceback": ["a"], "indent": " ", "more": 1}
    content = complete(msg_type, returned, code="")
    wanted = {"status": "error", "ename": "E", "evalue": "", "traceback": ["a"], "more": 1}
    assert {name: value for name, value in content.items() if name in {*wanted, "indent"}} == wanted


def test_the_payload_of_an_error_is_checked() -> None:
    with pytest.raises(ReplyError, match="payload"):
        complete("execute", {"status": "error", "payload": 5}, code="")


@pytest.mark.parametrize("traceback", ["a\nb", ["a", "b"], ("a", "b")])
def test_an_execute_error_takes_a_traceback_as_lines_or_as_text(traceback: Any) -> None:
    content = replies.failure(ExecuteError("E", "oh", traceback))
    assert content == {"status": "error", "ename": "E", "evalue": "oh", "traceback": ["a", "b"]}


def test_an_execute_error_needs_only_a_name() -> None:
    """Its traceback then tells what it is: nbclient and the console show nothing else."""
    content = replies.failure(ExecuteError("E"))
    assert content == {"status": "error", "ename": "E", "evalue": "", "traceback": ["E"]}
    assert replies.failure(ExecuteError("E", "oh"))["traceback"] == ["E: oh"]
    assert str(ExecuteError("E")) == "E"
    assert str(ExecuteError("E", "oh")) == "E: oh"


@pytest.mark.parametrize("arguments", [(None, None, None), ("", "", []), (5, 6, [7])])
def test_an_execute_error_makes_text_of_what_it_is_given(arguments: Any) -> None:
    error = ExecuteError(*arguments)
    given = [type(part) for part in (error.ename, error.evalue, *error.traceback)]
    assert set(given) == {str}
    assert replies.failure(error)["ename"]


def test_an_execute_error_of_what_has_no_text_is_the_hooks_error() -> None:
    class Mute:
        def __str__(self) -> str:
            raise ValueError("no text")

    with pytest.raises(ValueError, match="no text"):
        ExecuteError("E", Mute())  # type: ignore[arg-type]


def test_an_error_of_the_hook_shows_its_own_frames_and_causes() -> None:
    def hook() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer\nline") from error

    with pytest.raises(ValueError, match="outer") as caught:
        hook()
    content = replies.failure(caught.value)
    assert (content["ename"], content["evalue"]) == ("ValueError", "outer\nline")
    text = "\n".join(content["traceback"])
    assert "in hook" in text
    assert "KeyError: 'inner'" in text
    assert not any("\n" in line for line in content["traceback"])


def test_an_error_that_has_no_text_is_told_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    content = replies.failure(Mute())
    assert content["ename"] == "Mute"
    assert "failed" in content["evalue"]


def test_an_interrupt_is_told_in_few_words() -> None:
    assert replies.failure(KeyboardInterrupt("x")) == {
        "status": "error",
        "ename": "KeyboardInterrupt",
        "evalue": "interrupted",
        "traceback": ["KeyboardInterrupt"],
    }
