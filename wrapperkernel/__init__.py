"""Turn any language with an interpreter into a first-class Jupyter kernel.

The names below are loaded when first used (PEP 562), so that ``python -m wrapperkernel.install``
needs jupyter_core alone and a kernel pays only for the parts that it uses.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .child import ChildKernel, Handover, ReplKernel
    from .kernel.display import MimeBundle
    from .kernel.errors import ExecuteError
    from .kernel.kernel import Kernel
    from .server.app import run

__all__ = [
    "ChildKernel",
    "ExecuteError",
    "Handover",
    "Kernel",
    "MimeBundle",
    "ReplKernel",
    "__version__",
    "run",
]

_HOMES = {
    "ChildKernel": "wrapperkernel.child",
    "ExecuteError": "wrapperkernel.kernel.errors",
    "Handover": "wrapperkernel.child",
    "Kernel": "wrapperkernel.kernel.kernel",
    "MimeBundle": "wrapperkernel.kernel.display",
    "ReplKernel": "wrapperkernel.child.repl_kernel",
    "run": "wrapperkernel.server.app",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its home on first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
