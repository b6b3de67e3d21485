"""What each request means: one short function per message type, named as the message.

A function takes the kernel and the request and returns reply content (or None where the specification
has no reply). It raises freely: dispatch makes a reply of whatever comes. The bracket of busy and idle,
the sending and the checking are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..wire import PROTOCOL_VERSION
from . import replies
from .errors import ExecutionAborted, ReplyError, RequestError
from .request import Request

if TYPE_CHECKING:
    from .kernel import Kernel

Content = dict[str, Any]


def open_execute(kernel: Kernel, request: Request) -> Sequence[tuple[str, Content]]:
    """Count a cell that is not blank, and announce it; what is wrong with it is said by ``execute``."""
    content = request.content
    code = content.get("code")
    request.silent = bool(content.get("silent", False))
    request.allow_stdin = bool(content.get("allow_stdin", False))
    request.ran = isinstance(code, str) and bool(code.strip())
    request.stored = request.ran and not request.silent and bool(content.get("store_history", True))
    if request.stored:
        kernel.execution_count += 1
    request.execution_count = kernel.execution_count
    if request.silent or not request.ran:
        return ()
    return (("execute_input", {"code": code, "execution_count": request.execution_count}),)


def execute(kernel: Kernel, request: Request) -> Any:
    """Run a cell (messaging specification, "Execute")."""
    content = request.content
    code = _text(content, "code")
    expressions = content.get("user_expressions") or {}
    if not isinstance(expressions, Mapping):
        raise RequestError("user_expressions is no object")
    if not request.ran:
        return {"user_expressions": _evaluate(kernel, expressions)}
    kernel.link.adopt_output(request)
    metadata = request.message.metadata
    returned = kernel.call(
        "do_execute",
        code=code,
        silent=request.silent,
        store_history=request.stored,
        user_expressions=dict(expressions),
        allow_stdin=request.allow_stdin,
        stop_on_error=bool(content.get("stop_on_error", True)),
        cell_id=metadata.get("cellId"),
        cell_meta=metadata,
        metadata=metadata,
    )
    if returned is None:
        returned = {}
    if expressions and isinstance(returned, Mapping) and returned.get("status", "ok") == "ok":
        returned = {**returned, "user_expressions": _evaluate(kernel, expressions, returned)}
    return returned


def conclude_execute(kernel: Kernel, request: Request, content: Content) -> Content:
    """Say how a cell ended: its number, its payloads, and its failure to every frontend."""
    count = request.execution_count
    content["execution_count"] = kernel.execution_count if count is None else count
    content["payload"] = [*content.get("payload", []), *request.payloads]
    if request.error is not None:  # the hook has published it, and the reply says the same
        content.update(request.error, status="error")
    if content["status"] == "error":
        if request.error is None and request.ran and not request.silent:
            error = {name: content[name] for name in ("ename", "evalue", "traceback")}
            kernel.link.publish("error", error, request)
        request.stops_queue = not request.silent and bool(request.content.get("stop_on_error", True))
    return content


def remember_execute(kernel: Kernel, request: Request) -> None:
    """Put a cell into the history, behind its idle, and let the kernel rest."""
    kernel.come_to_rest()
    if request.stored and request.execution_count is not None:
        kernel.history.store_later(request.execution_count, request.content["code"], request.result)


def abort(kernel: Kernel, request: Request) -> Any:
    """Refuse a cell that was queued behind one that failed."""
    raise ExecutionAborted("an earlier cell failed, so this one was not run")


def conclude_abort(kernel: Kernel, request: Request, content: Content) -> Content:
    """Give a refused cell the status that the setting asks for, and the count (PROTOCOL E5, E11)."""
    content["status"] = kernel.abort_status
    content["traceback"] = []
    content["execution_count"] = kernel.execution_count
    return content


def complete(kernel: Kernel, request: Request) -> Any:
    """Complete the code at the cursor (messaging specification, "Completion")."""
    code = _text(request.content, "code")
    return kernel.call("do_complete", code=code, cursor_pos=replies.cursor_pos(request.content))


def inspect(kernel: Kernel, request: Request) -> Any:
    """Describe what is at the cursor (messaging specification, "Introspection")."""
    content = request.content
    return kernel.call(
        "do_inspect",
        code=_text(content, "code"),
        cursor_pos=replies.cursor_pos(content),
        detail_level=content.get("detail_level", 0),
        omit_sections=tuple(content.get("omit_sections") or ()),
    )


def is_complete(kernel: Kernel, request: Request) -> Any:
    """Tell whether the code can be run as it is (messaging specification, "Code completeness")."""
    return kernel.call("do_is_complete", code=_text(request.content, "code"))


def history(kernel: Kernel, request: Request) -> Any:
    """Look into the history (messaging specification, "History")."""
    content = request.content
    return kernel.call(
        "do_history",
        hist_access_type=_text(content, "hist_access_type"),
        output=bool(content.get("output", False)),
        raw=bool(content.get("raw", True)),
        session=content.get("session", 0),
        start=content.get("start", 1),
        stop=content.get("stop"),
        n=content.get("n"),
        pattern=content.get("pattern"),
        unique=bool(content.get("unique", False)),
    )


def kernel_info(kernel: Kernel, request: Request) -> Content:
    """Say what this kernel is (messaging specification, "Kernel info")."""
    return {
        "protocol_version": PROTOCOL_VERSION,
        "implementation": kernel.implementation or type(kernel).__name__.lower(),
        "implementation_version": kernel.implementation_version,
        "language_info": {
            "name": "text",
            "version": kernel.implementation_version,
            "mimetype": "text/plain",
            "file_extension": ".txt",
            **kernel.language_info,
        },
        "banner": kernel.banner,
        "help_links": [dict(link) for link in kernel.help_links],
        "debugger": False,
        "supported_features": [],  # neither a debugger nor subshells is implemented (PROTOCOL Q14)
    }


def comm_info(kernel: Kernel, request: Request) -> Content:
    """List the open comms (messaging specification, "Comm info")."""
    return {"comms": kernel.comms.info(request.content.get("target_name"))}


def comm_open(kernel: Kernel, request: Request) -> None:
    """Open a comm that the frontend made."""
    kernel.comms.handle_open(request.message)


def comm_msg(kernel: Kernel, request: Request) -> None:
    """Give a message to its comm."""
    kernel.comms.handle_msg(request.message)


def comm_close(kernel: Kernel, request: Request) -> None:
    """Close a comm that the frontend closed."""
    kernel.comms.handle_close(request.message)


def interrupt(kernel: Kernel, request: Request) -> Any:
    """Interrupt the running request, if there is one (messaging specification, "Kernel interrupt")."""
    kernel.link.interrupts.interrupt_running()
    return kernel.call("do_interrupt")


def shutdown(kernel: Kernel, request: Request) -> Any:
    """Let the kernel put its things away (messaging specification, "Kernel shutdown")."""
    return kernel.call("do_shutdown", restart=bool(request.content.get("restart", False)))


def conclude_shutdown(kernel: Kernel, request: Request, content: Content) -> Content:
    """Tell every other client that the kernel goes, and end with it what it had open."""
    request.ends_kernel = True
    kernel.comms.close_all()
    restart = bool(request.content.get("restart", False))
    content["restart"] = restart
    kernel.link.publish("shutdown_reply", {"status": "ok", "restart": restart}, request)
    return content


def debug(kernel: Kernel, request: Request) -> Content:
    """Refuse a request of the debug adapter protocol: this kernel has no debugger."""
    asked = request.content
    number = asked.get("seq")
    return {
        "type": "response",
        "seq": 0,
        "request_seq": number if type(number) is int else 0,
        "success": False,
        "command": str(asked.get("command", "")),
        "message": "this kernel has no debugger",
    }


def usage(kernel: Kernel, request: Request) -> Content:
    """Say what the kernel and its children use (a de facto message of jupyter-resource-usage)."""
    from .usage import usage

    return usage()


def _evaluate(
    kernel: Kernel, expressions: Mapping[str, Any], returned: Mapping[str, Any] | None = None
) -> Content:
    """Evaluate user expressions one by one; a bad one is an error of its own."""
    done = (returned or {}).get("user_expressions") or {}
    if not isinstance(done, Mapping):
        raise ReplyError(f"user_expressions is {type(done).__name__} in the hook's reply")
    return {name: done.get(name) or kernel.evaluate(text) for name, text in expressions.items()}


def _text(content: Mapping[str, Any], name: str) -> str:
    value = content.get(name)
    if not isinstance(value, str):
        raise RequestError(f"the request has no text {name!r}")
    return value
