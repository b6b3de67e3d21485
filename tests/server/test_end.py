"""The end of a kernel: whatever it is doing, quick, with a reply, and with nothing left behind.

Times are those of the kernel's process, from the request to its end; `pytest -rP` shows them.
"""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from situations import (
    CELLS,
    SECOND,
    begin,
    bring_into,
    left_in,
    require_interrupted,
    start_anything,
    wait_for_end,
)

from wrapperkernel.testing.client import KernelClient, NothingCame
from wrapperkernel.testing.process import KernelProcess, is_alive, start_kernel

# A child that outlives its cell, and that only do_shutdown ends.
START_CHILD = "import subprocess; child = subprocess.Popen(['sleep', '600'])"
END_CHILD = "child.terminate(); child.wait()"
SLEEP = "import time; time.sleep(600)"

Ask = Callable[[KernelProcess, KernelClient], None]


@contextlib.contextmanager
def ready(*options: str, **settings: Any) -> Iterator[tuple[KernelProcess, KernelClient]]:
    """Start a kernel, and a client that is ready."""
    with start_anything(*options, **settings) as kernel, kernel.client() as client:
        client.wait_ready()
        yield kernel, client


def on_control(kernel: KernelProcess, client: KernelClient) -> None:
    client.request("control", "shutdown_request", {"restart": False})


def on_shell(kernel: KernelProcess, client: KernelClient) -> None:
    client.request("shell", "shutdown_request", {"restart": False})


def by_signal(kernel: KernelProcess, client: KernelClient) -> None:
    kernel.terminate()


EVERY_WAY = pytest.mark.parametrize("ask", [on_control, on_shell, by_signal])


# --- asked to shut down -----------------------------------------------------------------------------------


@pytest.mark.row("S4")
@pytest.mark.row("T1", file="kernel/requests.py", old="ends_kernel = True", new="ends_kernel = False")
@pytest.mark.row("T2", "T3")
@pytest.mark.row(
    "T4", file="server/server.py", old="self.kernel.link.interrupts.interrupt_running()", new="pass"
)
@pytest.mark.row("T4", file="server/server.py", old="resting.wait(_LAST_REST_LIMIT)", new="resting.wait()")
@pytest.mark.parametrize("round_", range(5))
@pytest.mark.parametrize("situation", ["idle", "idle, on shell", "do_start", "beside", *CELLS])
def test_fifty_shutdowns(tmp_path: Path, situation: str, round_: int) -> None:
    """With a reply, seen by everybody, within a second, and nothing remains: no child, no file."""
    channel = "shell" if situation.endswith("on shell") else "control"
    restart, ipc = bool(round_ % 2), round_ > 2
    settings: dict[str, Any] = {
        "on_init": START_CHILD,
        "on_start": SLEEP if situation == "do_start" else "",
        "on_complete": SLEEP,
        "on_shutdown": END_CHILD,
        "env": {"TMPDIR": str(tmp_path), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")},
        "connection": {"transport": "ipc"} if ipc else {},
    }
    with (
        start_anything(**settings) as kernel,
        kernel.client() as client,
        kernel.client(channels=["iopub"]) as witness,
    ):
        for each in (client, witness):
            assert each.receive("iopub")["msg_type"] == "iopub_welcome"
        cell = None
        if situation in CELLS or situation == "beside":
            cell = bring_into(client, "sleep" if situation == "beside" else situation)
        if situation == "beside":
            asked = client.request("shell", "complete_request", {"code": "", "cursor_pos": 0})
            client.iopub_until(asked, lambda message: True, "its busy")
        assert kernel.children()

        since = time.monotonic()
        end = client.exchange(channel, "shutdown_request", {"restart": restart})
        replied = time.monotonic() - since
        gone = wait_for_end(kernel, since)
        print(f"{situation}, {'ipc' if ipc else 'tcp'}: reply after {replied:.3f} s, gone after {gone:.3f} s")

        assert end.content == {"status": "ok", "restart": restart}
        assert end.contents("shutdown_reply") == [end.content]
        seen = witness.iopub_until_idle(end.request["header"]["msg_id"])
        assert [m["content"] for m in seen] == [m["content"] for m in end.messages]
        if cell is not None and situation != "stubborn":
            require_interrupted(client, cell)
        assert kernel.children() == []
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]
        assert left_in(tmp_path) == []


def test_cells_that_wait_are_not_run(tmp_path: Path) -> None:
    with ready() as (kernel, client):
        begin(client, CELLS["sleep"])
        for number in range(3):
            client.execute_request(f"open({str(tmp_path / str(number))!r}, 'w')", stop_on_error=False)
        assert client.exchange("control", "shutdown_request", {"restart": False}).status == "ok"
        assert kernel.wait() == 0
    assert left_in(tmp_path) == []


def test_two_ask_at_once() -> None:
    """One on shell, one on control: do_shutdown is called once, and whoever came first has a reply."""
    slow = "import time; print('called'); time.sleep(0.2)"
    with ready(on_shutdown=slow) as (kernel, client), kernel.client() as other:
        other.wait_ready()
        since = time.monotonic()
        first = client.request("shell", "shutdown_request", {"restart": True})
        client.iopub_until(first, lambda message: True, "its busy")
        other.request("control", "shutdown_request", {"restart": False})
        assert client.reply(first)["content"] == {"status": "ok", "restart": True}
        wait_for_end(kernel, since)
        assert kernel.stderr == "called\n"


def test_a_client_that_takes_nothing_holds_up_no_end() -> None:
    """The cell waits for that client, and megabytes lie in its queue."""
    few = {"iopub": {zmq.RCVHWM: 1, zmq.RCVBUF: 4096}}
    with (
        ready("--KernelApp.flood_limit=1000000") as (kernel, client),
        kernel.client(options=few) as stopped,
    ):
        stopped.wait_ready()
        begin(client, "while True: say('x' * 200_000)")
        with contextlib.suppress(NothingCame):  # which comes when the cell waits
            while client.receive("iopub", limit=0.5):
                continue
        since = time.monotonic()
        assert client.exchange("control", "shutdown_request", {"restart": False}).status == "ok"
        wait_for_end(kernel, since)


def test_the_last_cell_is_in_the_history(tmp_path: Path) -> None:
    """It is written a moment after the cell's end, or at that of the kernel."""
    for ask in (on_control, on_shell, by_signal):
        file = tmp_path / f"{ask.__name__}.sqlite"
        with ready(f"--AnythingKernel.history_file={file}") as (kernel, client):
            client.execute("the_answer = 42")
            ask(kernel, client)
            assert kernel.wait() == 0
        with contextlib.closing(sqlite3.connect(file)) as history:
            assert "the_answer = 42" in "".join(history.iterdump())


# --- hooks and authors' code that will not end --------------------------------------------------------------


@EVERY_WAY
def test_a_do_shutdown_that_hangs(ask: Ask) -> None:
    with ready(on_shutdown=SLEEP) as (kernel, client):
        since = time.monotonic()
        ask(kernel, client)
        gone = wait_for_end(kernel, since)
        print(f"{ask.__name__}: gone after {gone:.3f} s")
        if ask is not by_signal:
            reply = client.reply(next(reversed(client.sent)))
            assert reply["content"]["ename"] == "HookTimeout"


@EVERY_WAY
@pytest.mark.parametrize("error", ["ValueError('no')", "SystemExit(3)", "KeyboardInterrupt"])
def test_a_do_shutdown_that_raises(ask: Ask, error: str) -> None:
    with ready(on_shutdown=f"raise {error}") as (kernel, client):
        ask(kernel, client)
        assert kernel.wait() == 0
        if ask is not by_signal:
            name = error.partition("(")[0]
            assert client.reply(next(reversed(client.sent)))["content"]["ename"] == name


def test_a_do_interrupt_that_hangs() -> None:
    """It holds up control requests for two seconds, and no longer."""
    with ready(on_interrupt=SLEEP) as (kernel, client):
        first = client.request("control", "interrupt_request")
        end = client.exchange("control", "shutdown_request", {"restart": False})
        wait_for_end(kernel, time.monotonic())
        assert client.reply(first)["content"]["ename"] == "HookTimeout"
        assert end.status == "ok"


@EVERY_WAY
def test_a_thread_that_does_not_end(ask: Ask) -> None:
    """Python waits for threads that are no daemons; the kernel does not."""
    with ready() as (kernel, client):
        client.execute("import threading, time; threading.Thread(target=time.sleep, args=[600]).start()")
        since = time.monotonic()
        ask(kernel, client)
        wait_for_end(kernel, since)


@EVERY_WAY
def test_exit_handlers_are_called(ask: Ask) -> None:
    with ready() as (kernel, client):
        client.execute("import atexit; atexit.register(print, 'goodbye')")
        ask(kernel, client)
        assert kernel.wait() == 0
        assert kernel.stderr == "goodbye\n"


def test_an_exit_handler_that_hangs() -> None:
    with ready() as (kernel, client):
        client.execute("import atexit, time; atexit.register(time.sleep, 600)")
        since = time.monotonic()
        on_control(kernel, client)
        wait_for_end(kernel, since)


def test_a_hook_that_holds_what_the_end_needs() -> None:
    """The closing itself hangs then: here on the history's lock, which a C function holds for ever."""
    code = """
import hashlib
kernel.history._lock.acquire()
say('on')
hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)
"""
    with ready(connection={"transport": "ipc"}) as (kernel, client):
        begin(client, code)
        assert client.exchange("control", "shutdown_request", {"restart": False}).status == "ok"
        assert kernel.wait() == 0
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]


def test_a_thread_of_the_kernels_that_fails() -> None:
    """Without it the kernel would live on, but deaf: it ends, which its launcher sees."""
    code = """
from wrapperkernel.kernel.dispatch import Entry
kernel.control_requests["bad_request"] = Entry(lambda kernel, request: {}, conclude=None)
"""
    with ready() as (kernel, client):
        client.execute(code)
        client.request("control", "bad_request")
        assert kernel.wait() == 0
        assert "Exception in thread control" in kernel.stderr


@pytest.mark.parametrize("late", [0.38, 0.4, 0.42, 0.44, 0.5])
def test_a_hook_that_ends_while_the_kernel_ends_without_it(late: float) -> None:
    """The main thread then finds all closed, or being closed."""
    code = f"""
import time
say('on')
end = time.monotonic() + 600
while time.monotonic() < end:
    try:
        time.sleep(0.01)
    except KeyboardInterrupt:
        end = min(end, time.monotonic() + {late})
"""
    with ready(connection={"transport": "ipc"}) as (kernel, client):
        begin(client, code)
        since = time.monotonic()
        assert client.exchange("control", "shutdown_request", {"restart": False}).status == "ok"
        wait_for_end(kernel, since)
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]


def test_a_child_that_comes_out_of_a_hook() -> None:
    """It is no second kernel: it ends, and the sockets are the parent's alone."""
    with ready() as (_, client):
        fork = "import os\npid = os.fork()\nif pid: say(str(pid))"
        child = int(client.execute(fork).stdout)
        client.execute("os.waitpid(pid, 0)")
        assert not is_alive(child)
        assert client.execute("say('here')").stdout == "here"


# --- async hooks --------------------------------------------------------------------------------------------


ASYNC = Path(__file__).parents[1] / "toys" / "asynchronous.py"


@pytest.mark.parametrize(
    ("ask", "cell"),
    [
        *((ask, "") for ask in (on_control, on_shell, by_signal)),
        *(
            (on_control, cell)
            for cell in ("sleep 600", "spin", "stubborn 600", "ask name?", "misbehave wait")
        ),
    ],
)
@pytest.mark.parametrize("farewell", ["well", "wait", "raise"])
def test_an_async_kernel(ask: Ask, cell: str, farewell: str) -> None:
    """Its loops end with it, and Python has nothing to complain of."""
    behaviour = [] if farewell == "well" else [f"--AsyncKernel.behaviour=do_shutdown={farewell}"]
    with (
        start_kernel([sys.executable, "-W", "always", str(ASYNC), *behaviour]) as kernel,
        kernel.client() as client,
    ):
        client.wait_ready()
        if cell:
            msg_id = client.execute_request(cell, allow_stdin=True)
            client.iopub_until(msg_id, lambda m: m["msg_type"] == "execute_input", "its execute_input")
        since = time.monotonic()
        ask(kernel, client)
        wait_for_end(kernel, since)
        for word in ("Warning", "never awaited", "was destroyed"):
            assert word not in kernel.stderr


# --- SIGTERM ------------------------------------------------------------------------------------------------


@pytest.mark.row("O4")
@pytest.mark.parametrize("situation", ["idle", "do_start", *CELLS])
def test_sigterm(tmp_path: Path, situation: str) -> None:
    settings: dict[str, Any] = {
        "on_init": START_CHILD,
        "on_start": SLEEP if situation == "do_start" else "",
        "on_shutdown": END_CHILD,
        "env": {"TMPDIR": str(tmp_path)},
        "connection": {"transport": "ipc"},
    }
    with start_anything(**settings) as kernel, kernel.client() as client:
        assert client.receive("iopub")["msg_type"] == "iopub_welcome"
        if situation in CELLS:
            bring_into(client, situation)
        since = time.monotonic()
        kernel.terminate()
        gone = wait_for_end(kernel, since)
        print(f"SIGTERM, {situation}: gone after {gone:.3f} s")
        assert kernel.children() == []
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]
        assert left_in(tmp_path) == []


@pytest.mark.parametrize("ask", [on_control, by_signal])
def test_while_a_c_function_holds_the_interpreter(ask: Ask) -> None:
    """Nothing of Python runs then; the kernel ends when the function does."""
    hold = "deque(repeat(0, 10**8), maxlen=0)"
    measure = f"began = monotonic(); {hold}; say(str(monotonic() - began))"
    with ready() as (kernel, client):
        client.execute(
            "from collections import deque\nfrom itertools import repeat\nfrom time import monotonic"
        )
        seconds = float(client.execute(measure).stdout)
        client.execute_request(f"say('on'); {hold}")
        client.iopub_until(next(reversed(client.sent)), lambda m: m["msg_type"] == "stream", "output")
        since = time.monotonic()
        ask(kernel, client)
        wait_for_end(kernel, since, SECOND + 2 * seconds)


@EVERY_WAY
def test_signals_again_and_again(ask: Ask) -> None:
    """Also while Python exits, when no handler is called any more."""
    with ready(on_shutdown="import time; print('called'); time.sleep(0.1)") as (kernel, client):
        ask(kernel, client)
        since = time.monotonic()
        while kernel.running():
            kernel.terminate()
            with contextlib.suppress(ProcessLookupError):
                kernel.interrupt()
            time.sleep(0.001)  # the pace of the signals
        wait_for_end(kernel, since)
        assert kernel.stderr == "called\n"


def test_sigterm_before_the_first_request(tmp_path: Path) -> None:
    """From the moment that there are files to be removed."""
    with start_anything(connection={"transport": "ipc"}) as kernel:
        kernel.terminate()
        assert kernel.wait() == 0
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]


def test_a_signal_to_a_forked_child_is_the_childs() -> None:
    """It shares the kernel's descriptors, the one that signals are told on among them."""
    with ready() as (_, client):
        fork = """
import os, signal
pid = os.fork()
if not pid:
    signal.pause()
os.kill(pid, signal.SIGTERM)
say(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
"""
        assert client.execute(fork).stdout == str(-signal.SIGTERM)
        assert client.execute("say('here')").stdout == "here"
