"""What waiting for a kernel has in common: its limit, its failure, and the process that may have ended."""

from __future__ import annotations

import os
from typing import Protocol


class NothingCame(TimeoutError):
    """What a test waited for did not come within the limit, or the kernel's process ended first."""


class Watched(Protocol):
    """What a client asks about the process of its kernel (`KernelProcess` is one)."""

    def running(self) -> bool:
        """Tell whether the process lives."""

    def report(self) -> str:
        """Return how it stands and what it wrote to stderr, for a failure's text."""


def default_limit() -> float:
    """Return how many seconds a wait may take: ``WRAPPERKERNEL_TEST_TIMEOUT``, else 60."""
    return float(os.environ.get("WRAPPERKERNEL_TEST_TIMEOUT", "60"))
