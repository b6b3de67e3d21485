"""Reply contents: fields that are missing are filled in, wrong ones are found before they are sent.

A reply that a client cannot read is worse than an error reply: strict clients drop it and wait for ever.
Everything here is a function of its arguments.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ..wire import decode, encode
from .errors import ExecuteError, ReplyError
from .request import Request

Content = dict[str, Any]

# "aborted" was never a good answer of a cell that ran (PROTOCOL E11), and "abort" never legal; old kernels
# return both when they were interrupted.
_FAILED = ("error", "abort", "aborted")

_MIME_TYPE = re.compile(r"[^\s/]+/[^/]+")
_TEXT_TYPE = re.compile(r"text/.*|.*[/+]xml|application/(x-)?(java|ecma)script", re.IGNORECASE)


def failure(error: BaseException) -> Content:
    """Make the content of an error reply (messaging specification, "Request-Reply")."""
    if isinstance(error, ExecuteError):
        content = error_content(error.ename, error.evalue, error.traceback)
        if not content["traceback"]:  # the only one of the three that nbclient and the console show
            content["traceback"] = [": ".join(filter(None, (content["ename"], content["evalue"])))]
        return content
    if isinstance(error, KeyboardInterrupt):
        return error_content("KeyboardInterrupt", "interrupted", ["KeyboardInterrupt"])
    # It has a text also for errors that have none: a hook's error may fail in its own __str__.
    described = traceback.TracebackException(type(error), error, _outside(error.__traceback__))
    return error_content(type(error).__name__, str(described), "".join(described.format()))


def _outside(frames: TracebackType | None) -> TracebackType | None:
    """Drop the outermost frames that are this package's: an author looks for those of the hook."""
    while frames is not None and frames.tb_frame.f_globals.get("__package__") == __package__:
        frames = frames.tb_next
    return frames


def error_content(ename: object, evalue: object, lines: object) -> Content:
    """Make an error content of the right types from whatever a language gives."""
    if lines is None:
        lines = []
    if isinstance(lines, str):
        lines = lines.splitlines()
    return {
        "status": "error",
        "ename": str(ename or "") or "Error",
        "evalue": "" if evalue is None else str(evalue),
        "traceback": [str(line) for line in lines] if isinstance(lines, (list, tuple)) else [str(lines)],
    }


def complete(request: Request, returned: Any) -> Content:
    """Return the whole, checked content of the reply to ``request``; ReplyError if it cannot be right.

    ``returned`` is what the hook returned: nothing, or some or all of the fields. The content shares
    nothing with it.
    """
    content = {} if returned is None or returned == {} else _as_json(returned)
    status = content.setdefault("status", "ok")
    if status in _FAILED:
        return _failed(request, content)
    check = _CHECKS.get(request.msg_type)
    if check is not None:
        check(request, content)
    if request.msg_type != "is_complete_request" and status != "ok":
        raise ReplyError(f"status is {status!r}, neither 'ok' nor 'error'")
    return content


def expression(bundle: Mapping[str, Any]) -> Content:
    """Return the value of one user expression, checked, from ``data`` and ``metadata``."""
    return _expression(_as_json(bundle))


def payload(entry: Mapping[str, Any]) -> Content:
    """Return one payload of an execute_reply, checked."""
    return _payload(_as_json(entry))


def _as_json(returned: Any) -> Content:
    """Return a dict as a client will read it; ReplyError if there is no such thing."""
    if not isinstance(returned, Mapping):
        raise ReplyError(f"the hook returned {type(returned).__name__}, not a dict of reply content")
    try:
        return dict(decode(encode(dict(returned))))
    except (TypeError, ValueError) as error:
        raise ReplyError(f"the reply cannot be written as JSON: {error}") from error


def _field(content: Content, name: str, kind: type, default: Any) -> Any:
    """Return a field, filled in when missing or None; ReplyError when it has another type."""
    value = content.get(name)
    if value is None:
        value = content[name] = default
    if type(value) is not kind:
        raise ReplyError(f"{name} is {type(value).__name__} in the hook's reply, not {kind.__name__}")
    return value


def _failed(request: Request, content: Content) -> Content:
    if content["status"] != "error" and not content.get("ename"):
        named = failure(KeyboardInterrupt())
    else:
        named = error_content(content.get("ename"), content.get("evalue"), content.get("traceback"))
    if request.msg_type == "execute_request":
        _execute(request, content)
    content.pop("indent", None)
    return {**content, **named}


def _execute(request: Request, content: Content) -> None:
    for entry in _field(content, "payload", list, []):
        _payload(entry)
    for value in _field(content, "user_expressions", dict, {}).values():
        _expression(value)


def _payload(entry: Any) -> Content:
    if not isinstance(entry, dict) or not entry.get("source") or not isinstance(entry["source"], str):
        raise ReplyError("payload holds something that is no object with a source")
    fields = _PAYLOADS.get(entry["source"], {})
    for name, default in fields.items():
        _field(entry, name, type(default), default)
    if entry["source"] == "page":
        _bundle(entry)
        _field(entry["data"], "text/plain", str, "")
    return entry


# Fields of the payloads of which the specification speaks, and what they are when left out.
_PAYLOADS: Mapping[str, Mapping[str, Any]] = {
    "page": {"start": 0},
    "set_next_input": {"text": "", "replace": False},
    "edit_magic": {"filename": "", "line_number": 0},
    "ask_exit": {"keepkernel": False},
}


def _expression(value: Any) -> Content:
    if not isinstance(value, dict):
        raise ReplyError(f"the value of a user expression is {type(value).__name__}, not an object")
    if value.setdefault("status", "ok") == "error":
        value.update(error_content(value.get("ename"), value.get("evalue"), value.get("traceback")))
    elif value["status"] == "ok":
        _bundle(value)
        _field(value, "metadata", dict, {})
    else:
        raise ReplyError(f"the status of a user expression is {value['status']!r}")
    return value


def _bundle(content: Content) -> None:
    for mime_type, value in _field(content, "data", dict, {}).items():
        if not _MIME_TYPE.fullmatch(mime_type):
            raise ReplyError(f"data has a key that is no MIME type: {mime_type!r}")
        if value is None or (_TEXT_TYPE.fullmatch(mime_type) and not isinstance(value, str)):
            raise ReplyError(f"data holds {type(value).__name__} as {mime_type}")


def _complete(request: Request, content: Content) -> None:
    code = request.content["code"]
    position = cursor_pos(request.content)
    if not all(isinstance(match, str) for match in _field(content, "matches", list, [])):
        raise ReplyError("matches holds something that is no text")
    start = _field(content, "cursor_start", int, position)
    end = _field(content, "cursor_end", int, position)
    if not 0 <= start <= end <= len(code):
        raise ReplyError(f"cursor_start {start} and cursor_end {end} lie outside of the code")
    metadata = _field(content, "metadata", dict, {})
    for kind in _field(metadata, _TYPES, list, []) if _TYPES in metadata else []:
        if not isinstance(kind, dict) or any(type(kind.get(name)) is not of for name, of in _TYPE_FIELDS):
            raise ReplyError(f"{_TYPES} holds something that is not start, end, text and type")
        _field(kind, "signature", str, "")


# The types of completions, which no specification knows and several frontends show (PROTOCOL Q4).
_TYPES = "_jupyter_types_experimental"
_TYPE_FIELDS = (("start", int), ("end", int), ("text", str), ("type", str))


def _inspect(request: Request, content: Content) -> None:
    _bundle(content)
    _field(content, "metadata", dict, {})
    if _field(content, "found", bool, bool(content["data"])) and not content["data"]:
        raise ReplyError("found is true, but data is empty")


def _is_complete(request: Request, content: Content) -> None:
    status = content["status"]
    if status == "ok":
        content["status"] = status = "unknown"
    if status not in ("complete", "incomplete", "invalid", "unknown"):
        raise ReplyError(f"status is {status!r}, none of complete, incomplete, invalid, unknown")
    if status == "incomplete":
        _field(content, "indent", str, "")
    else:
        content.pop("indent", None)


def _history(request: Request, content: Content) -> None:
    for entry in _field(content, "history", list, []):
        if not isinstance(entry, list) or [type(part) for part in entry] not in _ENTRIES:
            raise ReplyError("history holds something that is not (session, line, input)")
        source = entry[2]
        if isinstance(source, list) and [type(part) for part in source] not in _SOURCES:
            raise ReplyError("history holds something that is not (session, line, (input, output))")


_ENTRIES = ([int, int, str], [int, int, list])
_SOURCES = ([str, str], [str, type(None)])


def _shutdown(request: Request, content: Content) -> None:
    content["restart"] = bool(request.content.get("restart", False))


_CHECKS: Mapping[str, Callable[[Request, Content], None]] = {
    "execute_request": _execute,
    "complete_request": _complete,
    "inspect_request": _inspect,
    "is_complete_request": _is_complete,
    "history_request": _history,
    "shutdown_request": _shutdown,
}


def cursor_pos(content: Mapping[str, Any]) -> int:
    """Return the cursor of a request in code points: inside of the code, its end when none is given."""
    end = len(content["code"])
    position = content.get("cursor_pos")
    if not isinstance(position, int) or isinstance(position, bool):
        return end
    return max(0, min(position, end))
