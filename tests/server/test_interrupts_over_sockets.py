"""Interrupts of a running kernel, by both ways in: whatever it does, one reply and one idle, and it lives on."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.execution import Execution
from wrapperkernel.testing.process import KernelProcess, start_kernel

TOYS = Path(__file__).parent.parent / "toys"


@contextmanager
def toy(name: str, *options: str, **settings: Any) -> Iterator[tuple[KernelProcess, KernelClient]]:
    """Start a toy kernel and a client of it."""
    argv = [sys.executable, str(TOYS / f"{name}.py"), *options]
    with start_kernel(argv, **settings) as kernel, kernel.client() as client:
        client.wait_ready()
        yield kernel, client


@pytest.fixture(scope="module")
def plain() -> Iterator[tuple[KernelProcess, KernelClient]]:
    with toy("anything") as both:
        yield both


@pytest.fixture(scope="module")
def awaiting() -> Iterator[tuple[KernelProcess, KernelClient]]:
    with toy("awaiting") as both:
        yield both


Way = Callable[[KernelProcess, KernelClient], None]


def by_signal(kernel: KernelProcess, client: KernelClient) -> None:
    """Interrupt as jupyter_client does where the kernelspec says ``signal``."""
    kernel.interrupt()


def by_message(kernel: KernelProcess, client: KernelClient) -> None:
    """Interrupt as it does where the kernelspec says ``message``."""
    assert client.exchange("control", "interrupt_request").status == "ok"


ways = pytest.mark.parametrize("interrupt", [by_signal, by_message], ids=["signal", "message"])


def begin(client: KernelClient, code: str) -> str:
    """Run a cell that prints, and wait until it has begun to; return the msg_id of its request."""
    msg_id = client.execute_request(code, allow_stdin=True)
    client.iopub_until(msg_id, lambda message: message["msg_type"] == "stream", "the first output")
    return msg_id


def require_interrupted(client: KernelClient, msg_id: str) -> Execution:
    """Require that a cell ends with KeyboardInterrupt, published and replied once; return what it brought."""
    reply = client.reply(msg_id)
    messages = client.iopub_until_idle(msg_id)
    execution = Execution(client.sent[msg_id], reply, messages)
    assert execution.content["ename"] == "KeyboardInterrupt"
    assert [error["ename"] for error in execution.errors] == ["KeyboardInterrupt"]
    assert client.execute("say('here')").stdout == "here"
    return execution


# --- whatever the hook does --------------------------------------------------------------------------

BUSY = {
    "sleeping": "import time; say('on'); time.sleep(600)",
    "computing": "say('on')\nwhile True: pass",
    "waiting for a lock": "import threading; say('on'); lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "waiting for a thread": "import queue; say('on'); queue.Queue().get()",
    "reading a pipe": "import os; say('on'); os.read(os.pipe()[0], 1)",
    "selecting": "import select; say('on'); select.select([], [], [], 600)",
    "in C functions that let other threads run": (
        "import hashlib; say('on')\nwhile True: hashlib.pbkdf2_hmac('sha256', b'', b'', 100000)"
    ),
    "in C functions that do not": "say('on')\nwhile True: sum(range(1000000))",
    "waiting for a process": "import subprocess; say('on'); subprocess.run(['sleep', '600'])",
    "printing": "while True: say('on\\n')",
    "printing megabytes": "while True: say('on' * 500000)",
    "displaying": "say('on')\nwhile True: kernel.iopub.display('on')",
    "sending on a comm": "say('on'); comm = kernel.comms.open('t')\nwhile True: comm.send({'on': [1]})",
    "opening comms": "say('on')\nwhile True: kernel.comms.open('t').close()",
    "asking for the history": "say('on')\nwhile True: kernel.history.tail(5)",
    "logging": "import logging; say('on')\nwhile True: logging.getLogger('wrapperkernel.x').info('on')",
    "sending, then computing": "say('on')\nwhile True: kernel.comms.open('t').close(); sum(range(100000))",
    "catching errors": "say('on')\nwhile True:\n try: 1 / 0\n except Exception: pass",
    "making objects that finalize": (
        "import weakref; say('on')\n"
        "class A:\n def __del__(self): sum(range(1000))\n"
        "while True: weakref.finalize(A(), sum, range(1000))"
    ),
}


@pytest.mark.row("T6")
@ways
@pytest.mark.parametrize("what", BUSY)
def test_a_plain_hook(plain: tuple[KernelProcess, KernelClient], what: str, interrupt: Way) -> None:
    kernel, client = plain
    msg_id = begin(client, BUSY[what])
    interrupt(kernel, client)
    require_interrupted(client, msg_id)
    assert kernel.children() == []


@ways
def test_a_child_that_a_c_function_waits_for(
    plain: tuple[KernelProcess, KernelClient], interrupt: Way
) -> None:
    """The C function ignores SIGINT meanwhile; what counts is that the child does not."""
    kernel, client = plain
    cell = begin(client, "import os; say('on'); os.system('sleep 600')")
    interrupt(kernel, client)
    client.finish(cell)
    assert kernel.children() == []
    assert client.execute("say('here')").stdout == "here"
