"""Start the bash kernel for a test, with an empty home unless the test fills it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

from wrapperkernel.testing import KernelClient, KernelProcess, start_kernel

ARGV = [sys.executable, "-m", "wrapperkernel.examples.bash_kernel"]


def start_bash(*options: str, **settings: Any) -> KernelProcess:
    """Start the bash kernel; the settings are those of ``start_kernel``."""
    return start_kernel([*ARGV, *options], **settings)


@contextlib.contextmanager
def bash(*options: str, **settings: Any) -> Iterator[tuple[KernelProcess, KernelClient]]:
    """Start the bash kernel, and a client that is ready."""
    with start_bash(*options, **settings) as kernel, kernel.client() as client:
        client.wait_ready()
        yield kernel, client


def begin(client: KernelClient, code: str, **fields: Any) -> str:
    """Run a cell that prints, and wait until it has; return the msg_id of its request."""
    msg_id = client.execute_request(code, **fields)
    client.iopub_until(msg_id, lambda message: message["msg_type"] == "stream", "the first output")
    return msg_id
