"""The testing kit for kernel authors: a kernel in memory, a client over sockets, a schema.

The names below are loaded when first used (PEP 562): a test of one's own kernel in memory needs no zmq, one
over sockets nothing of the library but this kit.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import KernelClient
    from .exchange import check_exchange
    from .execution import Exchange, Execution
    from .harness import KernelHarness
    from .malformed import malformed_frames
    from .process import KernelProcess, start_kernel
    from .schema import InvalidMessage, check_message, require_valid
    from .waiting import NothingCame

__all__ = [
    "Exchange",
    "Execution",
    "InvalidMessage",
    "KernelClient",
    "KernelHarness",
    "KernelProcess",
    "NothingCame",
    "check_exchange",
    "check_message",
    "malformed_frames",
    "require_valid",
    "start_kernel",
]

_HOMES = {
    "Exchange": "execution",
    "Execution": "execution",
    "InvalidMessage": "schema",
    "KernelClient": "client",
    "KernelHarness": "harness",
    "KernelProcess": "process",
    "NothingCame": "waiting",
    "check_exchange": "exchange",
    "check_message": "schema",
    "malformed_frames": "malformed",
    "require_valid": "schema",
    "start_kernel": "process",
}


def __getattr__(name: str) -> Any:
    """Import a name of the kit from its home on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    """List the names of the kit, loaded or not."""
    return sorted(__all__)
