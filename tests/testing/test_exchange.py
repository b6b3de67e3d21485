"""Whole exchanges: the bracket, the order, the parents, and what execute adds."""

from __future__ import annotations

from typing import Any

import pytest

from wrapperkernel.testing.schema import check_exchange

Message = dict[str, Any]


def request(msg_type: str = "execute_request", **content: Any) -> Message:
    """Return a request with a header of its own."""
    header = {"msg_id": "1", "session": "s", "msg_type": msg_type, "extra": [1]}
    return {"header": header, "parent_header": {}, "content": {"code": "x", "silent": False, **content}}


def answer(to: Message, msg_type: str, **content: Any) -> Message:
    """Return a message whose parent is the request."""
    return {"header": {"msg_type": msg_type}, "parent_header": dict(to["header"]), "content": content}


def status(to: Message, state: str) -> Message:
    """Return a status message."""
    return answer(to, "status", execution_state=state)


def bracket(to: Message, *inside: Message) -> list[Message]:
    """Return busy, some messages, idle."""
    return [status(to, "busy"), *inside, status(to, "idle")]


ERROR = {"ename": "E", "evalue": "v", "traceback": ["t"]}
EXECUTE = request()
SILENT = request(silent=True)
INPUT = answer(EXECUTE, "execute_input", code="x", execution_count=1)
STREAM = answer(EXECUTE, "stream", name="stdout", text="a")
OK = answer(EXECUTE, "execute_reply", status="ok", execution_count=1)
FAILED = answer(EXECUTE, "execute_reply", status="error", execution_count=1, **ERROR)
PUBLISHED = answer(EXECUTE, "error", **ERROR)
INFO = request("kernel_info_request")
COMM = request("comm_msg")


@pytest.mark.parametrize(
    ("sent", "replies", "iopub"),
    [
        (EXECUTE, [OK], bracket(EXECUTE, INPUT, STREAM)),
        (EXECUTE, [OK], bracket(EXECUTE)),
        (EXECUTE, [OK], bracket(EXECUTE, INPUT, status(EXECUTE, "busy"), STREAM)),
        (EXECUTE, [FAILED], bracket(EXECUTE, INPUT, STREAM, PUBLISHED)),
        (EXECUTE, [FAILED], bracket(EXECUTE)),  # aborted before it ran
        (SILENT, [OK], bracket(SILENT)),
        (INFO, [answer(INFO, "kernel_info_reply", status="ok")], bracket(INFO)),
        (COMM, [], bracket(COMM, answer(COMM, "stream", name="stdout", text="from a callback"))),
        (request("frobnicate_request"), [], bracket(EXECUTE)),
    ],
)
def test_right(sent: Message, replies: list[Message], iopub: list[Message]) -> None:
    for message in [*replies, *iopub]:
        message["parent_header"] = dict(sent["header"])
    assert check_exchange(sent, replies, iopub) == []


@pytest.mark.parametrize(
    ("replies", "iopub", "complaint"),
    [
        ([], bracket(EXECUTE), "exactly one execute_reply, got 0"),
        ([OK, OK], bracket(EXECUTE), "exactly one execute_reply, got 2"),
        ([answer(EXECUTE, "inspect_reply")], bracket(EXECUTE), "expected execute_reply, got inspect_reply"),
        ([OK], [], "no status busy"),
        ([OK], [status(EXECUTE, "busy")], "exactly one status idle on iopub, got 0"),
        ([OK], [INPUT, *bracket(EXECUTE)], "the first iopub message is execute_input"),
        ([OK], [*bracket(EXECUTE, INPUT), STREAM], "the last iopub message is stream"),
        ([OK], bracket(EXECUTE, status(EXECUTE, "idle")), "got 2"),
        ([OK], bracket(EXECUTE, status(EXECUTE, "starting")), "only busy and idle"),
        ([OK], bracket(EXECUTE, STREAM, INPUT), "stream came before execute_input"),
        ([OK], bracket(EXECUTE, STREAM), "stream came before execute_input"),
        ([OK], bracket(EXECUTE, INPUT, INPUT), "one execute_input at most, got 2"),
        ([OK], bracket(EXECUTE, INPUT, PUBLISHED), "an error was published, but the reply says 'ok'"),
        ([FAILED], bracket(EXECUTE, INPUT), "no error was published"),
        ([FAILED], bracket(EXECUTE, INPUT, PUBLISHED, PUBLISHED), "one error message at most, got 2"),
        ([FAILED], bracket(EXECUTE, INPUT, answer(EXECUTE, "error", ename="F")), "differ in ename"),
        ([OK], bracket(EXECUTE, answer(EXECUTE, "execute_input", execution_count=2)), "counts 2"),
    ],
)
def test_wrong(replies: list[Message], iopub: list[Message], complaint: str) -> None:
    assert any(complaint in each for each in check_exchange(EXECUTE, replies, iopub))


def test_a_silent_request_shows_nothing() -> None:
    for shown in (INPUT, STREAM, PUBLISHED):
        assert any("silent" in each for each in check_exchange(SILENT, [OK], bracket(SILENT, shown)))


def test_parents_are_copied_with_everything_in_them() -> None:
    iopub = bracket(EXECUTE, INPUT)
    del iopub[1]["parent_header"]["extra"]
    assert check_exchange(EXECUTE, [OK], iopub) == [
        "the parent of execute_input is not the request's header: extra differ"
    ]


def test_comm_messages_get_no_reply() -> None:
    complaints = check_exchange(COMM, [answer(COMM, "comm_reply")], bracket(COMM))
    assert complaints == ["comm_msg gets no reply, but ['comm_reply'] came"]


def test_a_completion_ends_inside_the_code() -> None:
    sent = request("complete_request", code="a\N{MATHEMATICAL BOLD SMALL A}", cursor_pos=2)
    inside, outside = (answer(sent, "complete_reply", cursor_end=end) for end in (2, 3))
    assert check_exchange(sent, [inside], bracket(sent)) == []
    assert len(check_exchange(sent, [outside], bracket(sent))) == 1
