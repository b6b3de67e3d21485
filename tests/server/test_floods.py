"""More output than clients take: late readers get all of it, stopped ones cost memory, but not much."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess

Start = Callable[..., KernelProcess]
MEGABYTE = 1 << 20

TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "ipc"])


def texts(client: KernelClient, msg_id: str) -> str:
    """Read all of a cell's stdout."""
    messages = client.iopub_until_idle(msg_id)
    return "".join(m["content"]["text"] for m in messages if m["msg_type"] == "stream")


# --- late readers -----------------------------------------------------------------------------------------


@TRANSPORTS
@pytest.mark.row("S7")
def test_who_reads_late_misses_nothing(start: Start, transport: str) -> None:
    """As jupyter_kernel_test does: the reply first, iopub when that has come; with zmq's usual limits."""
    lines = "for n in range(20_000): say(f'{n}\\n')"
    megabytes = "for n in range(50): say(chr(97 + n % 26) * (1 << 20))"
    displays = "for n in range(20_000): kernel.iopub.display_data({'text/plain': str(n)})"
    limits = {"iopub": {zmq.RCVHWM: 1000}}
    with start(connection={"transport": transport}) as kernel, kernel.client(options=limits) as client:
        client.wait_ready()
        msg_id = client.execute_request(lines)
        assert client.reply(msg_id)["content"]["status"] == "ok"
        assert texts(client, msg_id) == "".join(f"{n}\n" for n in range(20_000))

        msg_id = client.execute_request(megabytes)
        assert client.reply(msg_id)["content"]["status"] == "ok"
        assert texts(client, msg_id) == "".join(chr(97 + n % 26) * MEGABYTE for n in range(50))

        client.checking = False  # of the schema, 20 000 times
        msg_id = client.execute_request(displays)
        assert client.reply(msg_id)["content"]["status"] == "ok"
        messages = client.iopub_until_idle(msg_id)
        shown = [m["content"]["data"]["text/plain"] for m in messages if m["msg_type"] == "display_data"]
        assert shown == [str(n) for n in range(20_000)]


@pytest.mark.row("I4")
def test_a_hundred_thousand_lines_are_few_messages_and_the_first_does_not_wait(
    client: KernelClient, door: Callable[[], Any]
) -> None:
    waiting = door()
    msg_id = client.execute_request(
        "import time\nbegin = time.monotonic()\nsay('first\\n')\n"
        f"{waiting.wait}\n"
        "for n in range(100_000): say(f'{n}\\n')\n"
        "taken = time.monotonic() - begin"
    )
    first = client.iopub_until(msg_id, lambda message: message["msg_type"] == "stream", "the first line")
    assert first[-1]["content"]["text"] == "first\n"  # while the cell still waits at the door
    waiting.open()
    assert client.reply(msg_id)["content"]["status"] == "ok"
    messages = [m for m in client.iopub_until_idle(msg_id) if m["msg_type"] == "stream"]
    assert "".join(m["content"]["text"] for m in messages) == "".join(f"{n}\n" for n in range(100_000))
    taken = float(client.execute("say(str(taken))").stdout)
    assert len(messages) <= taken / 0.02 + 3, "more than one message in 20 ms"


def test_lines_of_both_streams_keep_their_order(client: KernelClient) -> None:
    execution = client.execute(
        "for n in range(5000):\n    say(f'{n}\\n', 'stdout' if n % 3 else 'stderr')\n"
        "    if n % 700 == 0: kernel.iopub.clear_output()"
    )
    streams = execution.contents("stream")
    lines = [(content["name"], line) for content in streams for line in content["text"].splitlines()]
    assert lines == [("stdout" if n % 3 else "stderr", str(n)) for n in range(5000)]


# --- stopped readers ----------------------------------------------------------------------------------------


SUBSCRIBER = """
import json, sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.subscribe(b"")
socket.connect(sys.argv[1])
while True:
    frames = socket.recv_multipart()
    header, content = (json.loads(frames[frames.index(b"<IDS|MSG>") + n]) for n in (2, 5))
    if header["msg_type"] == "stream" and content["text"].startswith("tell"):
        print("told", content["text"], flush=True)
    if header["msg_type"] == "iopub_welcome":
        print("welcome", flush=True)
"""


class Stopped:
    """A client in a process of its own, which is stopped once it was welcomed."""

    def __init__(self, endpoint: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", SUBSCRIBER, endpoint], stdout=subprocess.PIPE, text=True
        )
        self.line("welcome")
        self._popen.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._popen.pid, os.WSTOPPED | os.WNOWAIT)

    def line(self, start: str) -> str:
        """Wait for a line that it prints."""
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            if line.startswith(start):
                return line
        raise AssertionError(f"it ended, and had not said {start}")

    def go_on(self) -> None:
        self._popen.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self._popen.kill()
        self._popen.communicate()


@contextmanager
def stopped(client: KernelClient) -> Iterator[Stopped]:
    """Have another client that is stopped."""
    other = Stopped(client.endpoint("iopub"))
    try:
        client.receive_all("iopub")  # the welcome of the other
        yield other
    finally:
        other.close()


def memory(kernel: KernelProcess, what: str) -> int:
    """Return a line of the kernel's /proc/PID/status, in bytes: VmRSS, or VmHWM, its highest value."""
    with open(f"/proc/{kernel.pid}/status", encoding="ascii") as status:
        [number] = re.findall(rf"{what}:\s+(\d+) kB", status.read())
    return int(number) * 1024


def payload(message: Mapping[str, Any]) -> int:
    """Return how many bytes of what a flood publishes are in a message."""
    content = message["content"]
    text = content.get("text", "") + content.get("data", {}).get("a/b", "")
    return len(text) + sum(map(len, message["buffers"]))


SLACK = 24 * MEGABYTE
"""What a kernel needs besides what it keeps for clients: garbage, copies of what is just being sent."""

KINDS = {
    "streams": "for n in range({megabytes}): say('x' * (1 << 20))",
    "displays": "for n in range({megabytes}): kernel.iopub.display_data({{'a/b': 'x' * (1 << 20)}})",
    "small displays": "for n in range({megabytes} * 1000): kernel.iopub.display_data({{'a/b': 'x' * 500}})",
    "comms": (
        "comm = kernel.comms.open('x')\n"
        "for n in range({megabytes}): comm.send({{'n': n}}, buffers=[b'x' * (1 << 20)])"
    ),
    "threads": (
        "import threading\n"
        "def flood():\n    for n in range({megabytes} // 4): say('x' * (1 << 20))\n"
        "threads = [threading.Thread(target=flood) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()"
    ),
}


def flood_beside_a_stopped_client(
    kernel: KernelProcess, kind: str, *, megabytes: int, limit: int, slack: int = SLACK
) -> None:
    """Publish so much; who reads gets all, the memory is bounded, and who was stopped can come back."""
    code = KINDS[kind].format(megabytes=megabytes)
    with kernel.client() as reader:
        reader.wait_ready()
        reader.execute(
            "for n in range(3): say('x' * (1 << 20))\nkernel.iopub.display_data({'a/b': 'x' * 999_999})"
        )
        before = memory(kernel, "VmRSS")
        with open(f"/proc/{kernel.pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the highest value begins anew
        with stopped(reader) as other:
            reader.checking = False
            msg_id = reader.execute_request(code)
            size = 0
            while (message := reader.receive("iopub"))["content"].get("execution_state") != "idle":
                size += payload(message)
            assert reader.reply(msg_id)["content"]["status"] == "ok"
            assert size == megabytes * (500_000 if kind == "small displays" else MEGABYTE)
            assert memory(kernel, "VmHWM") - before <= limit + slack
            assert kernel.stderr.count("dropped the subscription of a client that took nothing") == 1
            other.go_on()
            other.line("welcome")
            reader.execute("say('tell me')")
            assert other.line("told") == "told tell me\n"


@TRANSPORTS
@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_client_costs_bounded_memory_and_nobody_else(
    start: Start, transport: str, kind: str
) -> None:
    limit = 16 * MEGABYTE
    options = (f"--KernelApp.flood_limit={limit}", "--KernelApp.patience=0.5")
    with start(*options, connection={"transport": transport}) as kernel:
        flood_beside_a_stopped_client(kernel, kind, megabytes=80, limit=limit)


@pytest.mark.soak
@TRANSPORTS
@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_client_with_the_settings_that_users_have(start: Start, transport: str, kind: str) -> None:
    with start(connection={"transport": transport}) as kernel:
        flood_beside_a_stopped_client(kernel, kind, megabytes=300, limit=64 * MEGABYTE, slack=2 * SLACK)


PATIENT = ("--KernelApp.flood_limit=1000000", "--KernelApp.patience=1000000")
FLOOD = "say('begin\\n')\nwhile True: say('x' * 100_000)"


@contextmanager
def waiting_for_room(start: Start) -> Iterator[tuple[KernelProcess, KernelClient, str]]:
    """Have a cell that waits, for ever, for a client that is stopped."""
    with start(*PATIENT) as kernel, kernel.client() as client:
        client.wait_ready()
        with stopped(client):
            msg_id = client.execute_request(FLOOD)
            # It waits when nothing comes any more; only time can tell.
            silent_since = time.monotonic()
            while time.monotonic() - silent_since < 0.3:
                if client.receive_all("iopub"):
                    silent_since = time.monotonic()
            yield kernel, client, msg_id


@pytest.mark.parametrize("how", ["SIGINT", "interrupt_request"])
def test_an_interrupt_ends_the_waiting_for_room(start: Start, how: str) -> None:
    with waiting_for_room(start) as (kernel, client, msg_id):
        assert client.request("control", "kernel_info_request")
        if how == "SIGINT":
            kernel.interrupt()
        else:
            client.request("control", "interrupt_request")
        assert client.reply(msg_id)["content"]["ename"] == "KeyboardInterrupt"


@pytest.mark.parametrize("how", ["SIGTERM", "shutdown_request"])
def test_a_stopped_client_does_not_hold_up_the_end(start: Start, how: str) -> None:
    with waiting_for_room(start) as (kernel, client, _):
        if how == "SIGTERM":
            kernel.terminate()
        else:
            reply = client.reply(client.request("control", "shutdown_request", {"restart": False}))
            assert reply["content"]["status"] == "ok"
        assert kernel.wait() == 0
