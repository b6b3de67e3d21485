"""Reply contents: fields that are missing are filled in, wrong ones are found before they are sent.

A reply that a client cannot read is worse than an error reply: strict clients drop it and wait for ever.
Everything here is a function of its arguments.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from ..wire import encode
from .errors import ExecuteError, ReplyError
from .request import Request

Content = dict[str, Any]


def failure(error: BaseException) -> Content:
    """Make the content of an error reply (messaging specification, "Request-Reply")."""
    if isinstance(error, ExecuteError):
        return error_content(error.ename, error.evalue, error.traceback)
    if isinstance(error, KeyboardInterrupt):
        return error_content("KeyboardInterrupt", "interrupted", ["KeyboardInterrupt"])
    name = type(error).__name__
    lines = "".join(traceback.format_exception(type(error), error, _outside(error.__traceback__)))
    return error_content(name, str(error), lines.splitlines())


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
        "ename": str(ename) if ename else "Error",
        "evalue": "" if evalue is None else str(evalue),
        "traceback": [str(line) for line in lines] if isinstance(lines, (list, tuple)) else [str(lines)],
    }


def complete(request: Request, returned: Any) -> Content:
    """Return the whole, checked content of the reply to ``request``; ReplyError if it cannot be right.

    ``returned`` is what the hook returned: nothing, or some or all of the fields.
    """
    if returned is None:
        returned = {}
    if not isinstance(returned, Mapping):
        raise ReplyError(f"the hook returned {type(returned).__name__}, not a dict of reply content")
    content = dict(returned)
    status = content.setdefault("status", "ok")
    if request.msg_type != "is_complete_request" and status in ("error", "abort", "aborted"):
        # "aborted" was never a good answer of a cell that ran (PROTOCOL E11), and "abort" never legal.
        named = error_content(content.get("ename"), content.get("evalue"), content.get("traceback"))
        if status != "error" and not content.get("ename"):
            named = failure(KeyboardInterrupt())
        return {**content, **named}
    check = _CHECKS.get(request.msg_type)
    if check is not None:
        check(request, content)
    if request.msg_type != "is_complete_request" and content["status"] != "ok":
        raise ReplyError(f"status is {content['status']!r}, neither 'ok' nor 'error'")
    try:
        encode(content)
    except (TypeError, ValueError) as error:
        raise ReplyError(f"the reply cannot be written as JSON: {error}") from error
    return content


def _field(content: Content, name: str, kind: type | tuple[type, ...], default: Any) -> Any:
    """Return a field, filled in when missing or None; ReplyError when it has another type."""
    value = content.get(name)
    if value is None:
        value = content[name] = default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise ReplyError(f"{name} is {type(value).__name__} in the hook's reply")
    return value


def _execute(request: Request, content: Content) -> None:
    _field(content, "payload", list, [])
    _field(content, "user_expressions", dict, {})


def _complete(request: Request, content: Content) -> None:
    code = request.content["code"]
    position = cursor_pos(request.content)
    matches = _field(content, "matches", (list, tuple), [])
    if not all(isinstance(match, str) for match in matches):
        raise ReplyError("matches holds something that is no text")
    start = _field(content, "cursor_start", int, position)
    end = _field(content, "cursor_end", int, position)
    if not 0 <= start <= end <= len(code):
        raise ReplyError(f"cursor_start {start} and cursor_end {end} lie outside of the code")
    _field(content, "metadata", dict, {})


def _inspect(request: Request, content: Content) -> None:
    data = _field(content, "data", dict, {})
    _field(content, "metadata", dict, {})
    _field(content, "found", bool, bool(data))


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
    entries = _field(content, "history", (list, tuple), [])
    for entry in entries:
        good = isinstance(entry, (list, tuple)) and len(entry) == 3
        if not good or not all(type(number) is int for number in entry[:2]):
            raise ReplyError("history holds something that is not (session, line, input)")


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
