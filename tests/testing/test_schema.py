"""The schema accepts what the protocol allows, and notices every field that is missing or wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.testing.schema import (
    MESSAGES,
    REPLY_OF,
    InvalidMessage,
    check_message,
    require_valid,
)

HEADER = {
    "msg_id": "1-1",
    "session": "1",
    "username": "ann",
    "date": "2026-01-02T03:04:05.678901Z",
    "msg_type": "?",
    "version": "5.5",
}
PARENT = {**HEADER, "msg_id": "2-1", "msg_type": "execute_request"}
ERROR = {"ename": "Failure", "evalue": "it failed", "traceback": ["line 1", "line 2"]}
BUNDLE = {"text/plain": "x"}
DISPLAY = {"data": BUNDLE, "metadata": {}}

# Per message type: channel, then pairs of a content whose every field is required, and fields to be added.
SAMPLES: dict[str, tuple[str, list[tuple[dict[str, Any], dict[str, Any]]]]] = {
    "execute_request": (
        "shell",
        [
            (
                {"code": "1"},
                {
                    "silent": False,
                    "store_history": True,
                    "user_expressions": {"a": "b"},
                    "allow_stdin": True,
                    "stop_on_error": True,
                },
            )
        ],
    ),
    "inspect_request": ("shell", [({"code": "a", "cursor_pos": 1}, {"detail_level": 1})]),
    "complete_request": ("shell", [({"code": "a", "cursor_pos": 1}, {})]),
    "history_request": (
        "shell",
        [
            (
                {"output": False, "raw": True, "hist_access_type": "range"},
                {"session": -1, "start": 0, "stop": 9, "n": 5, "pattern": "*", "unique": False},
            )
        ],
    ),
    "is_complete_request": ("shell", [({"code": "a"}, {})]),
    "connect_request": ("shell", [({}, {})]),
    "comm_info_request": ("shell", [({}, {"target_name": "t"})]),
    "kernel_info_request": ("control", [({}, {})]),
    "shutdown_request": ("control", [({"restart": True}, {})]),
    "interrupt_request": ("control", [({}, {})]),
    "debug_request": (
        "control",
        [({"type": "request", "seq": 1, "command": "attach"}, {"arguments": {}})],
    ),
    "create_subshell_request": ("control", [({}, {})]),
    "delete_subshell_request": ("control", [({"subshell_id": "s"}, {})]),
    "list_subshell_request": ("control", [({}, {})]),
    "usage_request": ("control", [({}, {})]),
    "execute_reply": (
        "shell",
        [
            (
                {
                    "status": "ok",
                    "execution_count": 1,
                    "payload": [{"source": "set_next_input", "text": "a", "replace": False}],
                    "user_expressions": {"a": {"status": "ok", **DISPLAY}, "b": {"status": "error", **ERROR}},
                },
                {},
            ),
            (
                {"status": "error", "execution_count": 1, **ERROR},
                {"payload": [{"source": "page", "data": BUNDLE, "start": 0}], "user_expressions": {}},
            ),
        ],
    ),
    "inspect_reply": ("shell", [({"status": "ok", "found": True, **DISPLAY}, {})]),
    "complete_reply": (
        "shell",
        [
            (
                {
                    "status": "ok",
                    "matches": ["ab"],
                    "cursor_start": 0,
                    "cursor_end": 1,
                    "metadata": {},
                },
                {},
            )
        ],
    ),
    "history_reply": (
        "shell",
        [
            ({"status": "ok", "history": [[0, 1, "a"], [1, 2, ["b", None]], [1, 3, ["b", "c"]]]}, {}),
        ],
    ),
    "is_complete_reply": (
        "shell",
        [({"status": "complete"}, {}), ({"status": "incomplete"}, {"indent": "  "})],
    ),
    "connect_reply": (
        "shell",
        [
            (
                {"status": "ok", "shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4},
                {"control_port": 5},
            )
        ],
    ),
    "comm_info_reply": ("shell", [({"status": "ok", "comms": {"c": {"target_name": "t"}}}, {})]),
    "kernel_info_reply": (
        "control",
        [
            (
                {
                    "status": "ok",
                    "protocol_version": "5.5",
                    "implementation": "echo",
                    "implementation_version": "1.0",
                    "language_info": {
                        "name": "text",
                        "version": "1",
                        "mimetype": "text/plain",
                        "file_extension": ".txt",
                    },
                    "banner": "hello",
                    "help_links": [{"text": "a", "url": "b"}],
                    "supported_features": ["kernel subshells"],
                },
                {"debugger": False},
            )
        ],
    ),
    "shutdown_reply": (
        "control",
        [({"status": "ok", "restart": False}, {}), ({"status": "error", **ERROR}, {"restart": True})],
    ),
    "interrupt_reply": ("control", [({"status": "ok"}, {}), ({"status": "error", **ERROR}, {})]),
    "debug_reply": (
        "control",
        [
            (
                {"type": "response", "seq": 1, "request_seq": 1, "success": False, "command": "attach"},
                {"message": "no", "body": {}},
            )
        ],
    ),
    "create_subshell_reply": ("control", [({"status": "ok", "subshell_id": "s"}, {})]),
    "delete_subshell_reply": ("control", [({"status": "ok"}, {})]),
    "list_subshell_reply": ("control", [({"status": "ok", "subshell_id": ["s"]}, {})]),
    "usage_reply": ("control", [({}, {"hostname": "h"})]),
    "comm_open": (
        "iopub",
        [({"comm_id": "c", "target_name": "t", "data": {}}, {"target_module": "m"})],
    ),
    "comm_msg": ("iopub", [({"comm_id": "c", "data": {}}, {})]),
    "comm_close": ("shell", [({"comm_id": "c", "data": {}}, {})]),
    "input_request": ("stdin", [({"prompt": "? ", "password": False}, {})]),
    "input_reply": ("stdin", [({"value": "a"}, {})]),
    "status": ("iopub", [({"execution_state": "busy"}, {}), ({"execution_state": "idle"}, {})]),
    "iopub_welcome": ("iopub", [({"subscription": ""}, {})]),
    "stream": ("iopub", [({"name": "stdout", "text": "a"}, {})]),
    "display_data": ("iopub", [(DISPLAY, {"transient": {"display_id": "d"}})]),
    "update_display_data": ("iopub", [({**DISPLAY, "transient": {"display_id": "d"}}, {})]),
    "execute_input": ("iopub", [({"code": "a", "execution_count": 1}, {})]),
    "execute_result": (
        "iopub",
        [({**DISPLAY, "execution_count": 1}, {"transient": {}})],
    ),
    "error": ("iopub", [(ERROR, {})]),
    "clear_output": ("iopub", [({"wait": True}, {})]),
    "debug_event": ("iopub", [({"type": "event", "seq": 1, "event": "stopped"}, {"body": {}})]),
}

FREE = {"body", "hostname"}  # fields that the schema leaves to others
NULLABLE = {"target_name", "target_module", "stop", "n"}


def make(msg_type: str, content: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """Return a message with this content that is right in all other parts."""
    return {
        "header": {**HEADER, "msg_type": msg_type},
        "parent_header": {} if msg_type == "iopub_welcome" else PARENT,
        "metadata": {},
        "content": copy.deepcopy(content),
        "buffers": [],
        **parts,
    }


def check(msg_type: str, content: dict[str, Any], **parts: Any) -> list[str]:
    """Return what the schema says of a message on the channel of its sample."""
    return check_message(SAMPLES[msg_type][0], make(msg_type, content, **parts))


def all_samples() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Go through message type, required fields, further fields."""
    for msg_type, (_, samples) in SAMPLES.items():
        for required, optional in samples:
            yield msg_type, required, optional


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Go through the paths of all fields and items inside a content."""
    items = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, (dict, list)):
            yield from places(value, (*path, key))


def holder_of(content: Any, path: tuple[Any, ...]) -> Any:
    """Return what the last step of a path is looked up in."""
    for key in path[:-1]:
        content = content[key]
    return content


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value."""
    return type(value).__name__


def test_there_is_a_sample_of_every_message_type() -> None:
    assert set(SAMPLES) == set(MESSAGES)
    assert set(REPLY_OF) | set(REPLY_OF.values()) <= set(MESSAGES)


@pytest.mark.parametrize("msg_type", list(SAMPLES))
def test_samples_are_valid(msg_type: str) -> None:
    for required, optional in SAMPLES[msg_type][1]:
        assert check(msg_type, required) == []
        assert check(msg_type, {**required, **optional}) == []


@pytest.mark.parametrize("msg_type", list(SAMPLES))
def test_unknown_fields_are_allowed(msg_type: str) -> None:
    for required, _ in SAMPLES[msg_type][1]:
        assert check(msg_type, {**required, "something_new": [1, {"a": None}]}) == []


@pytest.mark.parametrize("msg_type", list(SAMPLES))
def test_every_required_field_is_missed(msg_type: str) -> None:
    for required, optional in SAMPLES[msg_type][1]:
        for name in required:
            content = {key: value for key, value in {**required, **optional}.items() if key != name}
            assert any(name in complaint for complaint in check(msg_type, content)), f"{msg_type}.{name}"


WRONG_VALUES: list[Any] = [None, True, 7, 1.5, "text", "", ["x"], [7], {"x": 1}, []]
PLACES = [
    (msg_type, {**required, **optional}, path)
    for msg_type, required, optional in all_samples()
    for path in places({**required, **optional})
    if not FREE & set(path)
]


@given(st.sampled_from(PLACES), st.sampled_from(WRONG_VALUES))
def test_every_value_of_a_wrong_type_is_noticed(
    place: tuple[str, dict[str, Any], tuple[Any, ...]], wrong: Any
) -> None:
    msg_type, content, path = place
    content = copy.deepcopy(content)
    holder = holder_of(content, path)
    right = holder[path[-1]]
    if kind_of(wrong) == kind_of(right) or (wrong is None and path[-1] in NULLABLE):
        return
    if "history" in path and path[-1] in (1, 2) and isinstance(wrong, str):
        return  # an input or output is text, with or without the other
    if "history" in path and path[-1] == 1 and wrong is None:
        return
    holder[path[-1]] = wrong
    assert check(msg_type, content) != [], f"{msg_type}: {path} = {wrong!r}"


@given(st.sampled_from(sorted(HEADER)), st.sampled_from([None, True, 7, [], {}]))
def test_the_fields_of_the_header_are_strings(name: str, wrong: Any) -> None:
    message = make("stream", {"name": "stdout", "text": "a"})
    message["header"][name] = wrong
    assert any(name in complaint for complaint in check_message("iopub", message))
    del message["header"][name]
    assert any(name in complaint for complaint in check_message("iopub", message))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("date", "yesterday"),
        ("date", "2026-01-02T03:04:05"),
        ("version", "five"),
        ("msg_id", ""),
        ("session", ""),
        ("subshell_id", 1),
    ],
)
def test_a_header_with_a_wrong_value(name: str, value: Any) -> None:
    message = make("stream", {"name": "stdout", "text": "a"})
    message["header"][name] = value
    assert len(check_message("iopub", message)) == 1


@pytest.mark.parametrize("part", ["header", "parent_header", "metadata", "content"])
@pytest.mark.parametrize("wrong", [None, [], "{}", 1])
def test_the_parts_are_objects(part: str, wrong: Any) -> None:
    message = make("stream", {"name": "stdout", "text": "a"})
    message[part] = wrong
    assert any(part in complaint for complaint in check_message("iopub", message))
    del message[part]
    assert any(part in complaint for complaint in check_message("iopub", message))


def test_buffers_are_bytes() -> None:
    content = {"comm_id": "c", "data": {}}
    assert check("comm_msg", content, buffers=[b"a", bytearray(b"b"), memoryview(b"c")]) == []
    assert check("comm_msg", content, buffers=["a"]) != []
    assert check("comm_msg", content, buffers=None) != []


@pytest.mark.parametrize("msg_type", list(SAMPLES))
def test_a_message_on_a_channel_that_is_not_its_own(msg_type: str) -> None:
    for channel in {"shell", "control", "stdin", "iopub"} - set(MESSAGES[msg_type].channels):
        complaints = check_message(channel, make(msg_type, SAMPLES[msg_type][1][0][0]))
        assert complaints == [
            f"{msg_type} travels on {' and '.join(MESSAGES[msg_type].channels)}, not on {channel}"
        ]


@pytest.mark.parametrize("name", ["frobnicate_reply", "shutdown", None, 7, []])
def test_unknown_message_types(name: Any) -> None:
    message = make("stream", {})
    message["header"]["msg_type"] = name
    assert any("the protocol has no" in complaint for complaint in check_message("iopub", message))


def test_parents() -> None:
    starting = {"execution_state": "starting"}
    assert check("status", starting, parent_header={}) == []
    assert check("status", starting) != []
    assert check("status", {"execution_state": "idle"}, parent_header={}) != []
    assert check("iopub_welcome", {"subscription": ""}, parent_header=PARENT) != []
    assert check("interrupt_reply", {"status": "ok"}, parent_header={}) != []
    assert check("stream", {"name": "stdout", "text": "late"}, parent_header={}) == []


def test_aborted_is_flagged_unless_asked_for() -> None:
    message = make("execute_reply", {"status": "aborted", "execution_count": 3})
    assert len(check_message("shell", message)) == 1
    assert check_message("shell", message, allow_aborted=True) == []
    del message["content"]["execution_count"]
    assert len(check_message("shell", message, allow_aborted=True)) == 1


# ---- single rules ----------------------------------------------------------------------------------


def changed(msg_type: str, path: str, value: Any, sample: int = 0) -> list[str]:
    """Return the complaints when one field of a sample (by dotted path) has another value."""
    required, optional = SAMPLES[msg_type][1][sample]
    content = copy.deepcopy({**required, **optional})
    steps = tuple(int(step) if step.isdigit() else step for step in path.split("."))
    holder_of(content, steps)[steps[-1]] = value
    return check(msg_type, content)


@pytest.mark.parametrize(
    ("msg_type", "path", "value"),
    [
        ("kernel_info_reply", "language_info.codemirror_mode", "shell"),
        ("kernel_info_reply", "language_info.codemirror_mode", {"name": "ipython", "version": 3}),
        ("kernel_info_reply", "language_info.pygments_lexer", "bash"),
        ("kernel_info_reply", "protocol_version", "5.4.1"),
        ("execute_reply", "payload", []),
        ("execute_reply", "payload.0", {"source": "something_new"}),
        (
            "complete_reply",
            "metadata",
            {"_jupyter_types_experimental": [{"start": 0, "end": 1, "text": "a", "type": ""}]},
        ),
        ("inspect_reply", "found", True),
        ("history_reply", "history", []),
        ("display_data", "data", {}),
        ("execute_result", "execution_count", 0),
        ("stream", "text", ""),
    ],
)
def test_allowed(msg_type: str, path: str, value: Any) -> None:
    assert changed(msg_type, path, value) == []


@pytest.mark.parametrize(
    ("msg_type", "path", "value"),
    [
        ("kernel_info_reply", "status", "fine"),
        ("kernel_info_reply", "language_info.codemirror_mode", {"version": 3}),
        ("kernel_info_reply", "language_info.codemirror_mode", {"name": "ipython", "version": "3"}),
        ("kernel_info_reply", "language_info.codemirror_mode", None),
        ("kernel_info_reply", "language_info.pygments_lexer", None),
        ("kernel_info_reply", "language_info.file_extension", "txt"),
        ("kernel_info_reply", "implementation", ""),
        ("kernel_info_reply", "protocol_version", "v5"),
        ("kernel_info_reply", "debugger", True),
        ("kernel_info_reply", "supported_features", ["debugger"]),
        ("execute_reply", "execution_count", True),
        ("execute_reply", "execution_count", -1),
        ("execute_reply", "payload.0", {"source": "page", "start_line_number": 0, "data": BUNDLE}),
        ("execute_reply", "payload.0", {"text": "no source"}),
        ("execute_reply", "user_expressions.a", {"status": "aborted"}),
        ("execute_reply", "user_expressions.a", "1"),
        ("complete_reply", "cursor_start", 2),
        ("complete_reply", "cursor_start", -1),
        ("complete_reply", "metadata", {"_jupyter_types_experimental": ["x"]}),
        ("inspect_reply", "data", {}),
        ("inspect_reply", "status", "aborted"),
        ("history_reply", "history.0", [None, None, "a"]),
        ("history_reply", "history.0", [0, 1]),
        ("history_reply", "history.0", [0, 1, ["a"]]),
        ("history_reply", "history.0", [True, 1, "a"]),
        ("is_complete_reply", "indent", "  "),
        ("is_complete_reply", "status", "ok"),
        ("is_complete_reply", "status", "error"),
        ("error", "ename", ""),
        ("error", "traceback", "a string"),
        ("error", "traceback", None),
        ("status", "execution_state", "dead"),
        ("stream", "name", "stdlog"),
        ("execute_result", "data", {"text/html": "<b>x</b>"}),
        ("update_display_data", "transient", {}),
        ("debug_reply", "type", "request"),
        ("inspect_request", "detail_level", 2),
        ("inspect_request", "detail_level", True),
        ("history_request", "hist_access_type", "all"),
        ("input_request", "password", 0),
    ],
)
def test_refused(msg_type: str, path: str, value: Any) -> None:
    assert changed(msg_type, path, value) != []


@pytest.mark.parametrize(
    ("mime_type", "value", "allowed"),
    [
        ("text/plain", "a", True),
        ("text/plain", ["a", "b"], False),
        ("text/html", None, False),
        ("text/latex", "$x$", True),
        ("image/svg+xml", "<svg/>", True),
        ("application/javascript", "1", True),
        ("application/json", {"a": [1, None]}, True),
        ("application/json", "a string is JSON too", True),
        ("application/json", '{"packed": 1}', False),
        ("application/json", "[1, 2", True),
        ("application/vnd.vegalite.v5+json", {"mark": "bar"}, True),
        ("application/vnd.vegalite.v5+json; charset=utf8", '{"mark": "bar"}', False),
        ("image/png", "aGVsbG8=", True),
        ("image/png", "aGVsbG8=\n", False),
        ("image/png", "aGVsbG8", False),
        ("image/png", "<png>", False),
        ("image/png", b"aGVsbG8=", False),
        ("application/pdf", "JVBE", True),
        ("application/x-unknown", {"a": 1}, True),
        ("application/x-unknown", "a", True),
        ("application/x-unknown", None, False),
        ("plain", "a", False),
        ("text/", "a", False),
    ],
)
def test_mime_bundles(mime_type: str, value: Any, allowed: bool) -> None:
    complaints = check("display_data", {"data": {mime_type: value}, "metadata": {}})
    assert (complaints == []) is allowed, complaints


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1: "a"}, {"a": [object()]}, {1, 2}])
def test_what_json_cannot_hold(value: Any) -> None:
    assert check("comm_msg", {"comm_id": "c", "data": {"value": value}}) != []
    assert check("stream", {"name": "stdout", "text": "a"}, metadata={"value": value}) != []


def test_deep_content_is_no_trouble() -> None:
    deep: Any = "bottom"
    for _ in range(50_000):
        deep = [deep]
    message = make("comm_msg", {"comm_id": "c", "data": {}})
    message["content"]["data"] = {"deep": deep}
    assert check_message("iopub", message) == []


def test_started_in_the_metadata_of_a_reply_is_a_date() -> None:
    content = {"status": "ok"}
    assert check("interrupt_reply", content, metadata={"started": "2026-01-02T03:04:05Z"}) == []
    assert check("interrupt_reply", content, metadata={"started": 5}) != []


def test_require_valid_raises_with_all_complaints() -> None:
    require_valid("iopub", make("clear_output", {"wait": False}))
    with pytest.raises(InvalidMessage, match="invalid error on iopub") as caught:
        require_valid("iopub", make("error", {"ename": "", "traceback": None}))
    assert len(caught.value.complaints) == 3
    assert all(complaint in str(caught.value) for complaint in caught.value.complaints)


def test_complaints_are_short() -> None:
    complaints = check("stream", {"name": "stdout", "text": {"key": "x" * 10_000}})
    assert len(complaints) == 1
    assert len(complaints[0]) < 200
