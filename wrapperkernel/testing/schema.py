"""Judge one message: header, parent, channel, metadata, content, buffers, by the tables of ``contents``.

Knows no socket, no kernel, and nothing of the rest of this library: it judges plain mappings, so that it can
judge any kernel, and both directions. Whole exchanges are judged by `check_exchange`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .contents import MESSAGES, MessageType
from .exchange import OUTPUT, REPLY_OF, check_exchange
from .shapes import date, is_list, json_value, mapping, maybe, record, shortened, shown, text, version, word

__all__ = [
    "MESSAGES",
    "OUTPUT",
    "REPLY_OF",
    "InvalidMessage",
    "check_exchange",
    "check_message",
    "require_valid",
]

_parts = record({"header": mapping, "parent_header": mapping, "metadata": mapping, "content": mapping})

_header = record(
    {"msg_id": word, "session": word, "username": text, "date": date, "msg_type": word, "version": version},
    {"subshell_id": maybe(text)},
)


class InvalidMessage(ValueError):
    """A message, or the answer to a request, that breaks the protocol.

    Attributes:
        complaints: one sentence for each fault.
    """

    def __init__(self, about: str, complaints: list[str]) -> None:
        super().__init__("\n  ".join([f"{about}:", *shortened(complaints, 20)]))
        self.complaints = complaints


def check_message(channel: str, message: Mapping[str, Any], *, allow_aborted: bool = False) -> list[str]:
    """Return a complaint for everything wrong with one message; empty when all is right.

    Args:
        channel: ``"shell"``, ``"control"``, ``"stdin"`` or ``"iopub"``.
        message: has ``header``, ``parent_header``, ``metadata``, ``content`` and ``buffers``, as they were
            read from JSON (so images are base64 already); other keys are not looked at.
        allow_aborted: accept the status ``aborted``, which version 5.1 of the protocol replaced by ``error``.
    """
    return list(_complaints(channel, message, allow_aborted))


def require_valid(channel: str, message: Mapping[str, Any], *, allow_aborted: bool = False) -> None:
    """Raise `InvalidMessage` with all that `check_message` complains of, if it does."""
    complaints = check_message(channel, message, allow_aborted=allow_aborted)
    if complaints:
        header = message.get("header")
        name = header.get("msg_type") if isinstance(header, Mapping) else None
        raise InvalidMessage(f"invalid {name or 'message'} on {channel}", complaints)


def _complaints(channel: str, message: Mapping[str, Any], allow_aborted: bool) -> Iterator[str]:
    broken = list(_parts(message, "message"))
    yield from broken
    yield from _buffer_complaints(message.get("buffers", []))
    if broken:
        return
    for part in ("header", "parent_header", "metadata", "content"):
        yield from json_value(message[part], part)
    yield from _header(message["header"], "header")
    name = message["header"].get("msg_type")
    message_type = MESSAGES.get(name) if isinstance(name, str) else None
    if message_type is None:
        yield f"header.msg_type: the protocol has no {shown(name)}"
        return
    if channel not in message_type.channels:
        yield f"{name} travels on {' and '.join(message_type.channels)}, not on {channel}"
    yield from _parent_complaints(message, message_type)
    yield from message_type.content(message["content"], "content")
    if str(name).endswith("_reply"):
        yield from record({}, {"started": date})(message["metadata"], "metadata")
        if message["content"].get("status") == "aborted" and not allow_aborted:
            yield "content.status: 'aborted' is replaced by 'error' since version 5.1"


def _buffer_complaints(buffers: Any) -> Iterator[str]:
    if not is_list(buffers):
        yield f"buffers: expected a list, got {shown(buffers)}"
        return
    for buffer in buffers:
        if not isinstance(buffer, (bytes, bytearray, memoryview)):
            yield f"buffers: expected bytes, got {shown(buffer)}"


def _parent_complaints(message: Mapping[str, Any], message_type: MessageType) -> Iterator[str]:
    """Check what is said of the parent; not its fields, for it is a copy of whatever the frontend sent."""
    name, parent = message["header"]["msg_type"], message["parent_header"]
    wanted = message_type.parent
    if name == "status":
        wanted = "none" if message["content"].get("execution_state") == "starting" else "required"
    if wanted == "required" and not parent:
        yield f"parent_header: {name} belongs to a request, but names none"
    if wanted == "none" and parent:
        yield f"parent_header: expected {{}}, got {shown(parent)}"
