"""jupyter_client starts what was registered: bundled, file, class or package, encrypted or not."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of

LIMIT = 60.0  # seconds; only a broken kernel needs them
WAITING = """
import threading
from wrapperkernel import Kernel, run

class WaitingKernel(Kernel):
    {facts}

    def do_execute(self, code):
        self.iopub.stream(code)
        if code == "wait":
            threading.Event().wait()

if __name__ == "__main__":
    run(WaitingKernel)
"""


@contextlib.contextmanager
def started(kernels: Path, name: str, **settings: Any) -> Iterator[tuple[KernelManager, Any]]:
    """Start a registered kernel, and yield its manager and a client when it is ready."""
    specs = KernelSpecManager(kernel_dirs=[str(kernels)], ensure_native_kernel=False)
    manager = KernelManager(kernel_name=name, kernel_spec_manager=specs, **settings)
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.context.destroy()


def said(client: Any, code: str) -> str:
    """Run code to its end and return what the kernel wrote to stdout."""
    texts = []

    def collect(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream":
            texts.append(message["content"]["text"])

    reply = client.execute_interactive(code, output_hook=collect, timeout=LIMIT)
    assert reply["content"]["status"] == "ok"
    return "".join(texts)


@pytest.mark.row(
    "C14", file="kernelspec.py", old='"supported_encryption": ["curve"],', new='"supported_encryption": [],'
)
@pytest.mark.parametrize(("mode", "encrypted"), [("disabled", False), ("auto", True), ("required", True)])
def test_encryption_as_the_client_wants_it(tmp_path: Path, mode: str, encrypted: bool) -> None:
    place(spec_of("echo", {}), tmp_path)
    with started(tmp_path, "echo", transport_encryption=mode) as (manager, client):
        connection = json.loads(Path(manager.connection_file).read_bytes())
        assert ("curve_publickey" in connection) == encrypted
        assert said(client, "hello") == "hello"


@pytest.mark.parametrize("target", ["{}/waiting_kernel.py", "waiting_kernel:WaitingKernel", "waiting_kernel"])
def test_whatever_may_be_registered_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    (tmp_path / "waiting_kernel.py").write_text(WAITING.format(facts=""))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    place(spec_of(target.format(tmp_path), {}), tmp_path / "kernels")
    with started(tmp_path / "kernels", "waiting") as (_, client):
        assert said(client, "hello") == "hello"


@pytest.mark.parametrize("mode", ["signal", "message"])
def test_both_interrupt_modes_end_a_cell(tmp_path: Path, mode: str) -> None:
    (tmp_path / "waiting_kernel.py").write_text(WAITING.format(facts=f"interrupt_mode = {mode!r}"))
    place(spec_of(str(tmp_path / "waiting_kernel.py"), {}), tmp_path / "kernels")
    with started(tmp_path / "kernels", "waiting") as (manager, client):
        assert manager.kernel_spec.interrupt_mode == mode
        client.execute("wait")
        while client.get_iopub_msg(timeout=LIMIT)["msg_type"] != "stream":
            continue
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=LIMIT)["content"]["ename"] == "KeyboardInterrupt"
        assert said(client, "hello") == "hello"
