"""Clients that are there before the kernel, as launchers are: nothing of their first cell is lost."""

from __future__ import annotations

import secrets
import socket
import sys
from contextlib import ExitStack
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import start_kernel

ECHO = [sys.executable, "-m", "wrapperkernel.examples.echo_kernel"]


def agreed() -> dict[str, Any]:
    """Return a connection with ports that a launcher has chosen."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(5)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        numbers = [each.getsockname()[1] for each in sockets]
    names = ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port")
    return {
        "transport": "tcp",
        "ip": "127.0.0.1",
        "key": secrets.token_hex(16),
        "signature_scheme": "hmac-sha256",
        **dict(zip(names, numbers, strict=True)),
    }


@pytest.mark.parametrize("time", range(5))
def test_a_cell_that_was_sent_before_the_kernel_was_there(time: int) -> None:
    """A socket that found nobody tries again 100 to 200 ms later: shell may be there well before iopub."""
    connection = agreed()
    with KernelClient(connection) as client:
        msg_id = client.execute_request("hello")
        with start_kernel(ECHO, connection=connection):
            assert client.finish_execution(msg_id).stdout == "hello"
