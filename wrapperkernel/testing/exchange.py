"""One request and all that a kernel sent because of it: is the bracket right, is the order right?

Judges whole exchanges (PROTOCOL 1.5 and the rules of execute); what a single message must look like is the
business of ``schema``. Knows nothing of sockets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Message = Mapping[str, Any]

REPLY_OF: Mapping[str, str] = {
    "execute_request": "execute_reply",
    "inspect_request": "inspect_reply",
    "complete_request": "complete_reply",
    "history_request": "history_reply",
    "is_complete_request": "is_complete_reply",
    "connect_request": "connect_reply",
    "comm_info_request": "comm_info_reply",
    "kernel_info_request": "kernel_info_reply",
    "shutdown_request": "shutdown_reply",
    "interrupt_request": "interrupt_reply",
    "debug_request": "debug_reply",
    "create_subshell_request": "create_subshell_reply",
    "delete_subshell_request": "delete_subshell_reply",
    "list_subshell_request": "list_subshell_reply",
    "usage_request": "usage_reply",
}
"""What a kernel answers to each request of a frontend. Comm messages and unknown types get no reply."""

OUTPUT = frozenset(
    {"stream", "display_data", "update_display_data", "execute_result", "clear_output", "error"}
)
"""The iopub messages that show something; a silent request publishes none of them."""


def check_exchange(request: Message, replies: Sequence[Message], iopub: Sequence[Message]) -> list[str]:
    """Return a complaint for everything wrong with the answer to one request; empty when all is right.

    Args:
        request: the message that was sent.
        replies: all messages that came back on the channel of the request with it as parent.
        iopub: all messages of iopub that have it as parent, in the order in which they came.

    An exchange is right when there is exactly one reply of the right type (none to comm messages and to types
    that the kernel does not know), the first iopub message is ``busy``, the last is the only ``idle``, and
    every parent header is the header of the request, unchanged. For execute also: ``execute_input`` comes
    before any output, nothing is shown when silent, and an error is both published and replied.
    """
    return [
        *_reply_complaints(request, replies),
        *_bracket_complaints(iopub),
        *_parent_complaints(request, [*replies, *iopub]),
        *(_execute_complaints(request, replies, iopub) if _type_of(request) == "execute_request" else ()),
        *(_cursor_complaints(request, replies) if _type_of(request) == "complete_request" else ()),
    ]


def _type_of(message: Message) -> Any:
    return message["header"].get("msg_type")


def _reply_complaints(request: Message, replies: Sequence[Message]) -> Iterator[str]:
    wanted = REPLY_OF.get(_type_of(request))
    if wanted is None:
        if replies:
            yield f"{_type_of(request)} gets no reply, but {[_type_of(reply) for reply in replies]} came"
        return
    if len(replies) != 1:
        yield f"expected exactly one {wanted}, got {len(replies)} replies"
    for reply in replies:
        if _type_of(reply) != wanted:
            yield f"expected {wanted}, got {_type_of(reply)}"


def _state_of(message: Message) -> Any:
    return message["content"].get("execution_state") if _type_of(message) == "status" else None


def _bracket_complaints(iopub: Sequence[Message]) -> Iterator[str]:
    states = [_state_of(message) for message in iopub]
    if "busy" not in states:
        yield "no status busy on iopub"
    elif states[0] != "busy":
        yield f"the first iopub message is {_type_of(iopub[0])} ({states[0]}), not status busy"
    if states.count("idle") != 1:
        yield f"expected exactly one status idle on iopub, got {states.count('idle')}"
    if states and states[-1] != "idle":
        yield f"the last iopub message is {_type_of(iopub[-1])} ({states[-1]}), not status idle"
    odd = [state for state in states if state not in (None, "busy", "idle")]
    if odd:
        yield f"a request knows only busy and idle, got {odd}"


def _parent_complaints(request: Message, messages: Sequence[Message]) -> Iterator[str]:
    header = request["header"]
    for message in messages:
        parent = message["parent_header"]
        if parent != header:
            names = [name for name in sorted({*parent, *header}) if parent.get(name) != header.get(name)]
            yield f"the parent of {_type_of(message)} is not the request's header: {', '.join(names)} differ"


def _execute_complaints(
    request: Message, replies: Sequence[Message], iopub: Sequence[Message]
) -> Iterator[str]:
    types = [_type_of(message) for message in iopub]
    inputs = [message["content"] for message in iopub if _type_of(message) == "execute_input"]
    errors = [message["content"] for message in iopub if _type_of(message) == "error"]
    first_output = next((index for index, name in enumerate(types) if name in OUTPUT), None)
    if request["content"].get("silent") is True:
        if inputs or first_output is not None:
            yield f"a silent request published {sorted({'execute_input', *OUTPUT} & set(types))}"
    elif first_output is not None and "execute_input" not in types[:first_output]:
        yield f"{types[first_output]} came before execute_input"
    if len(inputs) > 1:
        yield f"expected one execute_input at most, got {len(inputs)}"
    for reply in (message["content"] for message in replies):
        count = reply.get("execution_count")
        for shown in inputs:
            if shown.get("execution_count") != count:
                yield f"execute_input counts {shown.get('execution_count')}, execute_reply {count}"
        yield from _error_complaints(reply, errors, bool(inputs))


def _error_complaints(reply: Message, errors: Sequence[Message], ran: bool) -> Iterator[str]:
    failed = reply.get("status") == "error"
    if len(errors) > 1:
        yield f"expected one error message at most, got {len(errors)}"
    if errors and not failed:
        yield f"an error was published, but the reply says {reply.get('status')!r}"
    if failed and ran and not errors:  # a request that was aborted before it ran has no execute_input either
        yield "the reply says error, but no error was published"
    for error in errors:
        for name in ("ename", "evalue", "traceback"):
            if failed and error.get(name) != reply.get(name):
                yield f"the published error and the reply differ in {name}"


def _cursor_complaints(request: Message, replies: Sequence[Message]) -> Iterator[str]:
    code = request["content"].get("code")
    for reply in replies:
        end = reply["content"].get("cursor_end")
        failed = reply["content"].get("status") == "error"
        if not failed and isinstance(code, str) and isinstance(end, int) and end > len(code):
            yield f"cursor_end {end} is behind the end of the code ({len(code)} code points)"
