"""jupyter console in a terminal: with a kernel of its own, and beside another client; encrypted or not."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import zmq
from e2e.terminal import LIMIT, Terminal, terminal

from wrapperkernel.testing.process import start_kernel

pytestmark = [
    pytest.mark.usefixtures("kernels"),
    pytest.mark.skipif(shutil.which("tmux") is None, reason="the Debian package tmux is not installed"),
]

# It gives a kernel one second to say whether code is complete; a machine may be busy for longer.
PATIENT = f"--ZMQTerminalInteractiveShell.kernel_is_complete_timeout={LIMIT}"
CONSOLE = (sys.executable, "-m", "jupyter_console", PATIENT)
ECHO = [sys.executable, "-m", "wrapperkernel.examples.echo_kernel"]


def last(screen: str, number: int) -> list[str]:
    """Return the last lines of a screen that are not empty, without the prompt that waits below them."""
    lines = [line for line in screen.split("\n") if line.strip()]
    return lines[-number - 1 : -1]


def leave(there: Terminal) -> str:
    """End the console as a person does; return its last screen."""
    there.press("C-d")
    there.until("Do you really want to exit")
    there.enter("y")
    screen = there.until_ended()
    assert there.status == 0
    assert "Traceback" not in screen
    return screen


def processes_with(argument: str) -> list[str]:
    """Return the command lines of all processes in which this occurs."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # has ended meanwhile
            continue
        if argument in command:
            found.append(command)
    return found


def test_a_console_with_its_own_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    with terminal(*CONSOLE, "--kernel=plain-toy") as there:
        assert "A toy: one command per line" in there.until("In [1]:")
        [kernel] = processes_with(str(tmp_path / "runtime"))
        assert "plain.py" in kernel
        there.enter("print hello")
        assert last(there.until("In [2]:"), 2) == ["In [1]: print hello", "hello"]

        there.enter("let x 1\\")  # incomplete: goes on in the next line, indented as the kernel says
        there.until("...:")
        there.type("x")
        there.until("...:   x")
        there.press("BSpace", "BSpace", "BSpace")
        there.enter("count")
        assert last(there.until("In [3]:"), 3) == ["In [2]: let x 1\\", "   ...: count", "2"]

        there.type("pas")
        there.press("Tab")
        there.until("In [3]: password")
        there.enter(" Key?")
        there.until("\nKey?")
        there.enter("hunter2")
        assert last(there.until("In [4]:"), 2)[1] == "letters: 7"

        there.enter("ask Who?")
        there.until("\nWho?")
        there.enter("Ada")
        assert last(there.until("In [5]:"), 3) == ["In [4]: ask Who?", "Who?Ada", "answer: Ada"]

        there.enter("print asleep\\")
        there.until("print asleep\\\n   ...:")
        there.press("BSpace", "BSpace")
        there.enter("sleep 1000")
        there.until("\nasleep")
        there.press("C-c")
        assert last(there.until("In [6]:"), 1) == ["^CKeyboardInterrupt"]

        there.enter("raise Toy error")
        assert last(there.until("In [7]:"), 2) == ["In [6]: raise Toy error", "Toy: error"]
        there.enter("result 42")
        assert last(there.until("In [8]:"), 1) == ["Out[7]: 42"]
        screen = leave(there)
        deadline = time.monotonic() + LIMIT
        while processes_with(str(tmp_path / "runtime")):  # the console does not wait for its kernel
            assert time.monotonic() < deadline, "the kernel has outlived its console"
    assert "hunter2" not in screen


def test_a_console_encrypts_what_it_says_to_its_own_kernel() -> None:
    with terminal(*CONSOLE, "--kernel=echo", "--KernelManager.transport_encryption=required") as there:
        there.until("In [1]:")
        there.enter("hello")
        assert last(there.until("In [2]:"), 2) == ["In [1]: hello", "hello"]
        leave(there)


# JupyterConsoleApp of jupyter_client 8.10 reads the keys and does not tell its client of them: the plain
# command waits for ever on any encrypted kernel, also ipykernel's.
CONSOLE_WITH_KEYS = """
from jupyter_client.blocking import BlockingKernelClient
from jupyter_console.app import ZMQTerminalIPythonApp

class Client(BlockingKernelClient):
    def start_channels(self, **channels):
        self.load_connection_file()
        super().start_channels(**channels)

class Console(ZMQTerminalIPythonApp):
    kernel_client_class = Client

Console.launch_instance()
"""


@pytest.mark.parametrize(
    ("console", "encrypted"), [(CONSOLE, False), ((sys.executable, "-c", CONSOLE_WITH_KEYS, PATIENT), True)]
)
def test_a_console_on_a_kernel_that_somebody_else_uses(console: Sequence[str], encrypted: bool) -> None:
    with (
        start_kernel(ECHO, connection=curve_keys() if encrypted else {}) as kernel,
        kernel.client() as client,
    ):
        client.wait_ready()
        with terminal(*console, "--existing", str(kernel.connection_file)) as there:
            there.until("In [1]:")
            there.enter("from the console")
            assert last(there.until("In [2]:"), 2) == ["In [1]: from the console", "from the console"]
            beside = client.execute("from beside")
            assert (beside.stdout, beside.content["execution_count"]) == ("from beside", 2)
            there.enter("again")
            there.until("In [4]:")
            assert "from beside" not in leave(there)
        assert client.execute("still here").stdout == "still here"


def curve_keys() -> dict[str, str]:
    """Return the entries of a connection file that make a kernel encrypt."""
    public, secret = zmq.curve_keypair()
    return {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}
