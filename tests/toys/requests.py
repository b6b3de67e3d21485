"""A request for each hook: what a frontend sends so that the hook is called."""

from __future__ import annotations

from typing import Any

from wrapperkernel.kernel.outbox import ChannelName

REQUESTS: dict[str, tuple[ChannelName, str, dict[str, Any]]] = {
    "do_execute": ("shell", "execute_request", {"code": "none"}),
    "do_complete": ("shell", "complete_request", {"code": "pri", "cursor_pos": 3}),
    "do_inspect": ("shell", "inspect_request", {"code": "print", "cursor_pos": 3, "detail_level": 0}),
    "do_is_complete": ("shell", "is_complete_request", {"code": "print"}),
    "do_history": (
        "shell",
        "history_request",
        {"hist_access_type": "tail", "output": False, "raw": True, "n": 3},
    ),
    "do_evaluate": ("shell", "execute_request", {"code": "none", "user_expressions": {"x": "y"}}),
    "do_interrupt": ("control", "interrupt_request", {}),
    "do_shutdown": ("control", "shutdown_request", {"restart": False}),
}
"""Hook → channel, message type, content. `do_start` is called without a request."""
