"""A kernel's life in the hands of jupyter_client: started, restarted, shut down, killed."""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager
from situations import CELLS, SECOND, TOY, bring_into, left_in, require_within

from wrapperkernel.testing.client import KernelClient, default_limit

# What a kernel may hold, and do_shutdown puts away: a folder and a child.
TAKE = "import tempfile, subprocess; held = tempfile.mkdtemp(), subprocess.Popen(['sleep', '600'])"
PUT_AWAY = "import os; os.rmdir(held[0]); held[1].terminate(); held[1].wait()"


@contextlib.contextmanager
def managed(tmp_path: Path, **settings: Any) -> Iterator[KernelManager]:
    """Start the toy by its kernelspec, with its folders in ``tmp_path``; yield its manager."""
    hooks = [f"--AnythingKernel.on_init={TAKE}", f"--AnythingKernel.on_shutdown={PUT_AWAY}"]
    spec = {
        "argv": [sys.executable, str(TOY), "-f", "{connection_file}", *hooks],
        "display_name": "Anything",
        "language": "python",
    }
    folder = tmp_path / "kernels" / "anything"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps(spec))
    specs = KernelSpecManager(kernel_dirs=[str(folder.parent)], ensure_native_kernel=False)
    manager = KernelManager(kernel_name="anything", kernel_spec_manager=specs, **settings)
    (tmp_path / "tmp").mkdir()
    manager.start_kernel(env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    try:
        yield manager
    finally:
        manager.shutdown_kernel(now=True)
        manager.context.destroy()


@contextlib.contextmanager
def client_of(manager: KernelManager) -> Iterator[tuple[KernelClient, str]]:
    """Yield a client that is ready, and the session id of its kernel."""
    with KernelClient(manager.connection_file) as client:
        yield client, client.wait_ready()["header"]["session"]


def wait_for_end_of(pid: int) -> float:
    """Wait for the end of a process, and return the moment."""
    descriptor = os.pidfd_open(pid)
    try:
        assert select.select([descriptor], [], [], default_limit())[0]
        return time.monotonic()
    finally:
        os.close(descriptor)


@pytest.mark.row("T3")
@pytest.mark.row("T5", file="wire/session.py", old="os.urandom(16).hex()", new='"session"')
@pytest.mark.row("H1")
@pytest.mark.parametrize("situation", ["idle", "sleep", "loop", "child", "input"])
def test_twenty_restarts(tmp_path: Path, situation: str) -> None:
    """Four of each: the connection file stays, the session is new, the old process is gone in a second."""
    with managed(tmp_path) as manager, ThreadPoolExecutor(1) as pool:
        file = Path(manager.connection_file)
        before = file.read_bytes()
        sessions = set()
        for _ in range(4):
            with client_of(manager) as (client, session):
                sessions.add(session)
                if situation in CELLS:
                    bring_into(client, situation)
                assert len(left_in(tmp_path / "tmp")) == 1
                pid = manager.provisioner.pid
                end = pool.submit(wait_for_end_of, pid)
                since = time.monotonic()
                manager.restart_kernel()
                seconds = end.result() - since
                require_within(seconds, SECOND)
                print(f"restart, {situation}: gone after {seconds:.3f} s")
                assert manager.provisioner.pid != pid
            assert file.read_bytes() == before
        with client_of(manager) as (client, session):
            sessions.add(session)
            assert client.execute("say('here')").stdout == "here"
        assert len(sessions) == 5
        assert len(left_in(tmp_path / "tmp")) == 1
