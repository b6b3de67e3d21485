"""The process behind a wrapper kernel: started, handed its cells, read, interrupted, replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .escapes import visible
from .framing import Ended
from .handover import Handover
from .kernel import ChildKernel

if TYPE_CHECKING:
    from .repl_kernel import ReplKernel

__all__ = ["ChildKernel", "Ended", "Handover", "ReplKernel", "visible"]


def __getattr__(name: str) -> Any:
    """Import what only some kernels use when they do."""
    if name == "ReplKernel":
        from .repl_kernel import ReplKernel

        return ReplKernel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
