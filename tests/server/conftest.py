"""What tests of the running server share: a kernel whose cells are Python, and doors that cells wait at."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from wrapperkernel.testing.client import KernelClient, default_limit
from wrapperkernel.testing.process import KernelProcess, start_kernel

TOY = Path(__file__).parent.parent / "toys" / "beside.py"

Start = Callable[..., KernelProcess]


@pytest.fixture(scope="session")
def start() -> Start:
    """Start a kernel whose cells are Python: options of its command line, settings of `start_kernel`."""

    def start(*options: str, **settings: Any) -> KernelProcess:
        return start_kernel([sys.executable, str(TOY), *options], **settings)

    return start


@pytest.fixture(scope="module")
def kernel(start: Start) -> Iterator[KernelProcess]:
    """One such kernel for all tests of a module."""
    with start() as process:
        yield process


@pytest.fixture
def client(kernel: KernelProcess) -> Iterator[KernelClient]:
    """A client that is ready, and has read what there was to read."""
    with kernel.client() as opened:
        opened.wait_ready()
        opened.receive_all("iopub")
        yield opened


@pytest.fixture(scope="session")
def zero_copy() -> None:
    """Have pyzmq start the thread that it keeps for messages that are not copied: no test leaks it."""
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.bind("inproc://nobody")
        socket.send(bytes(1 << 20), copy=False)


class Door:
    """A door that a cell waits at, in a system call, until the test opens it.

    ``wait`` is the code that waits there; code may contain it several times.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._path = path
        self.wait = f"open({str(path)!r}).read()"

    def open(self) -> None:
        """Let through who waits; wait for somebody to come if nobody has yet."""
        deadline = time.monotonic() + default_limit()
        while True:
            try:
                os.close(os.open(self._path, os.O_WRONLY | os.O_NONBLOCK))
                return
            except OSError as error:
                if error.errno != errno.ENXIO or time.monotonic() > deadline:
                    raise
            time.sleep(0.002)  # a pipe tells nobody that somebody waits at its other end


@pytest.fixture
def door(tmp_path: Path) -> Callable[[], Door]:
    """Make doors."""
    doors: list[Door] = []

    def make() -> Door:
        doors.append(Door(tmp_path / f"door-{len(doors)}"))
        return doors[-1]

    return make
