"""What a kernel may be doing when its end is asked for, and how long that end took.

The kernel is the toy `anything`, whose cells are Python. Knows no mark and no fixture.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess, start_kernel

TOY = Path(__file__).parent / "toys" / "anything.py"

CELLS: Mapping[str, str] = {
    "sleep": "import time; say('on'); time.sleep(600)",
    "loop": "say('on')\nwhile True: pass",
    "child": """
import subprocess
with subprocess.Popen(['sleep', '600']) as command:
    say('on')
    try:
        command.wait()
    finally:
        command.kill()
""",
    "input": "say('on'); kernel.stdin.input('name? ')",
    "flood": "while True: say('on' * 50 + '\\n')",
    "stubborn": """
import time
say('on')
while True:
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        pass
""",
}
"""Cells that do not end by themselves; each prints ``on`` when it has begun."""

SECOND = 1.0
"""How soon a kernel must be gone that was told to end."""


def start_anything(*options: str, **settings: Any) -> KernelProcess:
    """Start the toy. The code of its hooks is in options such as ``do_start="pass"``."""
    hooks = [f"--AnythingKernel.{name}={settings.pop(name)}" for name in list(settings) if name[:3] == "on_"]
    return start_kernel([sys.executable, str(TOY), *hooks, *options], **settings)


def begin(client: KernelClient, code: str) -> str:
    """Run a cell that prints, and wait until it has begun to; return the msg_id of its request."""
    msg_id = client.execute_request(code, allow_stdin=True)
    client.iopub_until(msg_id, lambda message: message["msg_type"] == "stream", "the first output")
    return msg_id


def bring_into(client: KernelClient, situation: str) -> str:
    """Have the kernel do one of the ``CELLS``; return the msg_id of its request."""
    cell = begin(client, CELLS[situation])
    if situation == "input":
        assert client.receive("stdin")["msg_type"] == "input_request"
    return cell


def wait_for_end(kernel: KernelProcess, since: float, limit: float = SECOND) -> float:
    """Wait for the good end of a kernel that was told to end at a moment; return the seconds in between.

    Fails if they are more than a limit, as `require_within` does.
    """
    status = kernel.wait()
    seconds = time.monotonic() - since
    assert status == 0, kernel.report()
    require_within(seconds, limit)
    return seconds


def require_within(seconds: float, limit: float) -> None:
    """Require that what took some seconds took no longer than a limit.

    If it did, a busy machine may be the cause; but then a process that does nothing takes long too. So the
    limit grows by ten times what a bare Python takes to start and to end here and now, which is a tenth of a
    second on an idle machine.
    """
    if seconds > limit:
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        bare = time.monotonic() - began
        assert seconds < limit + 10 * bare, f"it took {seconds:.3f} s, and a bare Python {bare:.3f} s"


def require_interrupted(client: KernelClient, cell: str) -> None:
    """Require that a cell which was begun ends with the reply KeyboardInterrupt, and is idle."""
    assert client.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
    client.iopub_until_idle(cell)


def left_in(*folders: Path) -> list[str]:
    """Return the names of the files in some folders."""
    return sorted(name for folder in folders for name in os.listdir(folder))
