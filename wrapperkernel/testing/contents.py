"""The tables of the messaging specification: for each message type its channels, its content, its parent.

Stricter than the text where clients in the field are: typed clients reject a whole message for one field.
Only data and the checks of ``shapes``; judging is the business of ``schema``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .shapes import (
    Check,
    all_of,
    anything,
    boolean,
    count,
    either,
    integer,
    list_of,
    mapping,
    mapping_of,
    maybe,
    mime_bundle,
    one_of,
    record,
    row_of,
    rule,
    shape,
    shown,
    text,
    version,
    word,
)

# ---- parts that several messages share -------------------------------------------------------------

_error: Mapping[str, Check] = {"ename": word, "evalue": text, "traceback": list_of(text)}

_display = {"data": mime_bundle, "metadata": mapping}
_transient = record({}, {"display_id": text})


def _by_status(ok: Check, error: Check, aborted: Check) -> Check:
    known = {"ok": ok, "error": error, "aborted": aborted}

    def check(content: Any, where: str) -> Iterator[str]:
        status = content.get("status") if isinstance(content, Mapping) else None
        if not isinstance(status, str) or status not in known:
            yield f"{where}.status: expected 'ok' or 'error', got {shown(status)}"
        else:
            yield from known[status](content, where)

    return check


def _reply(
    ok: Mapping[str, Check], *, always: Mapping[str, Check] = {}, optional: Mapping[str, Check] = {}
) -> Check:
    """Make the check of a reply from its fields when ok and those that stand whatever the status is."""
    return _by_status(
        record({**always, **ok}, optional), record({**always, **_error}, optional), record(always, optional)
    )


# ---- replies ---------------------------------------------------------------------------------------

_user_expression = _by_status(record(_display), record(_error), shape("'ok' or 'error'", lambda value: False))

_PAYLOADS: Mapping[str, Check] = {
    "page": record({"data": all_of(mime_bundle, record({"text/plain": text})), "start": integer}),
    "set_next_input": record({"text": text, "replace": boolean}),
    "edit_magic": record({"filename": text, "line_number": integer}),
    "ask_exit": record({"keepkernel": boolean}),
}


def _payload(value: Any, where: str) -> Iterator[str]:
    complaints = list(record({"source": word})(value, where))
    yield from complaints or _PAYLOADS.get(value["source"], anything)(value, where)


_execute_extras = {"payload": list_of(_payload), "user_expressions": mapping_of(_user_expression)}

_completion_type = record({"start": count, "end": count, "text": text, "type": text}, {"signature": text})

_complete_reply = all_of(
    _reply(
        {
            "matches": list_of(text),
            "cursor_start": count,
            "cursor_end": count,
            "metadata": record({}, {"_jupyter_types_experimental": list_of(_completion_type)}),
        }
    ),
    rule(
        "cursor_start is behind cursor_end",
        lambda content: content["status"] != "ok" or content["cursor_start"] <= content["cursor_end"],
    ),
)

_is_complete_reply = all_of(
    record(
        {"status": one_of("complete", "incomplete", "invalid", "unknown", "error")},
        {"indent": text},
    ),
    rule("indent belongs to incomplete alone", lambda c: c["status"] == "incomplete" or "indent" not in c),
    lambda content, where: record(_error if content["status"] == "error" else {})(content, where),
)

_inspect_reply = all_of(
    _reply({"found": boolean, **_display}),
    rule("found, but data is empty", lambda c: c["status"] != "ok" or not c["found"] or len(c["data"]) > 0),
)

_history_entry = either(
    "[session, line, input] or [session, line, [input, output]], session and line integers",
    row_of(integer, integer, text),
    row_of(integer, integer, row_of(text, maybe(text))),
)

_language_info = record(
    {
        "name": word,
        "version": text,
        "mimetype": word,
        "file_extension": shape(
            "an extension with its dot", lambda value: isinstance(value, str) and value.startswith(".")
        ),
    },
    {
        "pygments_lexer": text,
        "codemirror_mode": either(
            "a string or an object with a name", text, record({"name": text}, {"version": integer})
        ),
        "nbconvert_exporter": text,
    },
)

_kernel_info_reply = all_of(
    _reply(
        {
            "protocol_version": version,
            "implementation": word,
            "implementation_version": text,
            "language_info": _language_info,
            "banner": text,
            "help_links": list_of(record({"text": text, "url": text})),
            "supported_features": list_of(text),
        },
        optional={"debugger": boolean},
    ),
    rule(
        "debugger and supported_features contradict each other",
        lambda c: (
            c["status"] != "ok"
            or c.get("debugger", "debugger" in c["supported_features"])
            == ("debugger" in c["supported_features"])
        ),
    ),
)

_dap = {"seq": integer}
_dap_response = record(
    {**_dap, "type": one_of("response"), "request_seq": integer, "success": boolean, "command": text},
    {"message": text},
)


# ---- the table -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MessageType:
    """What one message type looks like: where it may travel, its content, and what it says of its parent."""

    channels: tuple[str, ...]
    content: Check
    parent: Literal["required", "none", "any"] = "any"


def _request(
    channels: str, required: Mapping[str, Check] = {}, optional: Mapping[str, Check] = {}
) -> MessageType:
    return MessageType(tuple(channels.split()), record(required, optional))


def _replied(channels: str, content: Check) -> MessageType:
    return MessageType(tuple(channels.split()), content, "required")


def _published(required: Mapping[str, Check], optional: Mapping[str, Check] = {}) -> MessageType:
    return MessageType(("iopub",), record(required, optional))


_cursor = {"code": text, "cursor_pos": count}
_comm = {"comm_id": word, "data": mapping}

MESSAGES: Mapping[str, MessageType] = {
    # shell, from the frontend: defaults may be left out (execute), the rest of the fields may not
    "execute_request": _request(
        "shell",
        {"code": text},
        {
            "silent": boolean,
            "store_history": boolean,
            "user_expressions": mapping_of(text),
            "allow_stdin": boolean,
            "stop_on_error": boolean,
        },
    ),
    "inspect_request": _request(
        "shell",
        _cursor,
        {
            "detail_level": shape("0 or 1", lambda value: value in (0, 1) and not isinstance(value, bool)),
            "omit_sections": list_of(text),
        },
    ),
    "complete_request": _request("shell", _cursor),
    "history_request": _request(
        "shell",
        {"output": boolean, "raw": boolean, "hist_access_type": one_of("range", "tail", "search")},
        {
            "session": integer,
            "start": integer,
            "stop": maybe(integer),
            "n": maybe(integer),
            "pattern": text,
            "unique": boolean,
        },
    ),
    "is_complete_request": _request("shell", {"code": text}),
    "connect_request": _request("shell"),
    "comm_info_request": _request("shell", {}, {"target_name": maybe(text)}),
    "kernel_info_request": _request("shell control"),
    "shutdown_request": _request("control shell", {"restart": boolean}),
    # control alone
    "interrupt_request": _request("control"),
    "debug_request": _request(
        "control", {**_dap, "type": one_of("request"), "command": text}, {"arguments": mapping}
    ),
    "create_subshell_request": _request("control"),
    "delete_subshell_request": _request("control", {"subshell_id": text}),
    "list_subshell_request": _request("control"),
    "usage_request": _request("control"),
    # replies
    "execute_reply": _replied(
        "shell", _reply(_execute_extras, always={"execution_count": count}, optional=_execute_extras)
    ),
    "inspect_reply": _replied("shell", _inspect_reply),
    "complete_reply": _replied("shell", _complete_reply),
    "history_reply": _replied("shell", _reply({"history": list_of(_history_entry)})),
    "is_complete_reply": _replied("shell", _is_complete_reply),
    "connect_reply": _replied(
        "shell",
        _reply(
            {f"{name}_port": count for name in ("shell", "iopub", "stdin", "hb")},
            optional={"control_port": count},
        ),
    ),
    "comm_info_reply": _replied("shell", _reply({"comms": mapping_of(record({"target_name": text}))})),
    "kernel_info_reply": _replied("shell control", _kernel_info_reply),
    "shutdown_reply": _replied(
        "control shell iopub", _reply({"restart": boolean}, optional={"restart": boolean})
    ),
    "interrupt_reply": _replied("control", _reply({})),
    "debug_reply": _replied("control", _dap_response),
    "create_subshell_reply": _replied("control", _reply({"subshell_id": word})),
    "delete_subshell_reply": _replied("control", _reply({})),
    "list_subshell_reply": _replied("control", _reply({"subshell_id": list_of(word)})),
    "usage_reply": _replied("control", mapping),
    # comms travel both ways
    "comm_open": MessageType(
        ("shell", "iopub"), record({**_comm, "target_name": text}, {"target_module": maybe(text)})
    ),
    "comm_msg": MessageType(("shell", "iopub"), record(_comm)),
    "comm_close": MessageType(("shell", "iopub"), record(_comm)),
    # stdin; clients of jupyter_client send an input_reply without a parent
    "input_request": MessageType(("stdin",), record({"prompt": text, "password": boolean}), "required"),
    "input_reply": _request("stdin", {"value": text}),
    # iopub
    "status": _published({"execution_state": one_of("busy", "idle", "starting")}),
    "iopub_welcome": MessageType(("iopub",), record({"subscription": text}), "none"),
    "stream": _published({"name": one_of("stdout", "stderr"), "text": text}),
    "display_data": _published(_display, {"transient": _transient}),
    "update_display_data": _published({**_display, "transient": record({"display_id": word})}),
    "execute_input": MessageType(("iopub",), record({"code": text, "execution_count": count}), "required"),
    "execute_result": _published(
        {**_display, "execution_count": count, "data": all_of(mime_bundle, record({"text/plain": text}))},
        {"transient": _transient},
    ),
    "error": _published(_error),
    "clear_output": _published({"wait": boolean}),
    "debug_event": _published({**_dap, "type": one_of("event"), "event": text}),
}
"""Every message type of the protocol, in both directions (messaging, version 5.5)."""
