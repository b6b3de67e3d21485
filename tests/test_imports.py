"""What Python loads: next to nothing by `import wrapperkernel`, and no client in a running kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wrapperkernel.testing.process import start_kernel

# Clients, event loops and what else a kernel must not make its users wait for.
FORBIDDEN = ("IPython", "ipykernel", "jupyter_client", "tornado", "asyncio", "debugpy", "psutil")
HEAVY = (*FORBIDDEN, "zmq", "traitlets", "pexpect", "sqlite3", "orjson", "comm", "jupyter_core")

KERNEL = """
import sys
from wrapperkernel import Kernel, run

class LoadedKernel(Kernel):
    implementation = "loaded"
    implementation_version = "1"
    language_info = {"name": "names", "version": "1", "mimetype": "text/plain", "file_extension": ".txt"}

    DEF do_execute(self, code):
        self.iopub.stream(" ".join(name for name in code.split() if name in sys.modules))

run(LoadedKernel)
"""


def loaded_by(code: str) -> str:
    """Return which heavy modules a fresh Python has loaded after some code."""
    code += f"; import sys; print(*[name for name in {HEAVY} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def test_the_package_loads_nothing() -> None:
    assert loaded_by("import wrapperkernel") == ""


def test_the_names_it_offers_load_no_client() -> None:
    loaded = loaded_by("from wrapperkernel import *").split()
    assert set(loaded).isdisjoint(FORBIDDEN)


def test_registering_kernels_needs_jupyter_core_alone() -> None:
    assert loaded_by("import wrapperkernel.install") == "jupyter_core"


@pytest.mark.parametrize(("definition", "expected"), [("def", ""), ("async def", "asyncio")])
def test_a_running_kernel_has_loaded_no_client(tmp_path: Path, definition: str, expected: str) -> None:
    """Ask after every kind of request: what is loaded late counts too. An async hook may load asyncio."""
    file = tmp_path / "loaded_kernel.py"
    file.write_text(KERNEL.replace("DEF", definition))
    with start_kernel([sys.executable, str(file)]) as kernel, kernel.client() as client:
        client.wait_ready()
        client.execute("stored in history")
        client.exchange("shell", "complete_request", {"code": "a", "cursor_pos": 1})
        client.exchange("shell", "inspect_request", {"code": "a", "cursor_pos": 1, "detail_level": 0})
        client.exchange("shell", "is_complete_request", {"code": "a"})
        client.exchange(
            "shell", "history_request", {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}
        )
        client.exchange("shell", "comm_info_request", {})
        client.exchange("control", "kernel_info_request", {})
        client.exchange("control", "interrupt_request", {})
        assert client.execute(" ".join(FORBIDDEN)).stdout == expected
        assert client.execute("zmq sys").stdout == "zmq sys"  # the question itself is answered rightly
