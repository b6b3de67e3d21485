"""Clients that subscribe to a running kernel: welcomed first, also during a flood, and no gap after that."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess

Start = Callable[..., KernelProcess]
DoorMaker = Callable[[], Any]

LISTENER = ("iopub",)

# Numbers lines and displays together. What was published when is clear from the numbers.
FLOOD = """
import threading
go_on = threading.Event()
go_on.set()
def flood(name):
    number = 0
    while go_on.is_set():
        say(f"{name} {number}\\n")
        if number % 5 == 0:
            kernel.iopub.display_data({"text/plain": f"{name} {number}"})
        number += 1
flooding = [threading.Thread(target=flood, args=(name,)) for name in "ab"]
for thread in flooding: thread.start()
for thread in flooding: thread.join()
"""


def numbers_without_a_gap(client: KernelClient, wanted: int) -> None:
    """Read until each thread has said so many things; fail where one is missing or out of order."""
    lines: dict[str, list[int]] = {"a": [], "b": []}
    displays: dict[str, list[int]] = {"a": [], "b": []}
    while min(map(len, lines.values())) < wanted:
        message = client.receive("iopub")
        if message["msg_type"] == "stream":
            said, texts = lines, message["content"]["text"].splitlines()
        elif message["msg_type"] == "display_data":
            said, texts = displays, [message["content"]["data"]["text/plain"]]
        else:
            continue
        for text in texts:
            name, number = text.split()
            said[name].append(int(number))
    for said, step in ((lines, 1), (displays, 5)):
        for numbers in said.values():
            assert numbers == list(range(numbers[0], numbers[-1] + 1, step))


@pytest.mark.row("S6", "I2")
@pytest.mark.row("S5", file="server/iopub.py", old="            self._welcome(topic)", new="            pass")
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_two_hundred_clients_that_come_in_pairs_during_a_flood(start: Start, transport: str) -> None:
    with start(connection={"transport": transport}) as kernel, kernel.client() as asker:
        asker.wait_ready()
        asker.sockets["iopub"].unsubscribe(b"")
        flooding = asker.execute_request(FLOOD)
        for _ in range(100):
            with kernel.client(channels=LISTENER) as one, kernel.client(channels=LISTENER) as other:
                for client in (one, other):
                    client.checking = False  # of the schema, for the speed
                    assert client.receive("iopub")["msg_type"] == "iopub_welcome"
                for client in (one, other):
                    numbers_without_a_gap(client, 30)
        asker.request("control", "interrupt_request")
        assert asker.reply(flooding)["content"]["ename"] == "KeyboardInterrupt"
        assert asker.reply(asker.execute_request("go_on.clear()"))["content"]["status"] == "ok"


@pytest.mark.row("I1")
def test_starting_is_said_once_to_the_first(start: Start) -> None:
    with start() as kernel, kernel.client() as first:
        assert first.receive("iopub")["msg_type"] == "iopub_welcome"
        starting = first.receive("iopub")
        assert starting["content"] == {"execution_state": "starting"}
        assert starting["parent_header"] == {}
        first.exchange("control", "kernel_info_request")
        with kernel.client() as second:
            second.wait_ready()
            second.execute("say('x')")
            states = [m["content"] for m in second.receive_all("iopub") if m["msg_type"] == "status"]
            assert {"execution_state": "starting"} not in states
        states = [m["content"] for m in first.receive_all("iopub") if m["msg_type"] == "status"]
        assert {"execution_state": "starting"} not in states


@pytest.mark.row("I1", "I11")
def test_what_is_published_before_anybody_listens_is_lost_and_harms_nobody(start: Start) -> None:
    loud = (
        "import threading\n"
        "def shout():\n"
        "    for n in range(2000): say(f'{n}\\n'); kernel.iopub.display_data({'text/plain': str(n)})\n"
        "threads = [threading.Thread(target=shout) for _ in range(3)]\n"
        "for thread in threads: thread.start()\n"
        "shout()\n"
        "for thread in threads: thread.join()"
    )
    with start(f"--AnythingKernel.on_start={loud}") as kernel, kernel.client() as client:
        client.wait_ready()
        assert client.execute("say('heard')").stdout == "heard"
        assert "Traceback" not in kernel.stderr


@pytest.mark.row("H9")
def test_topics_name_kernel_and_type(client: KernelClient, kernel: KernelProcess) -> None:
    execution = client.execute(
        "say('x')\nkernel.iopub.display_data({'text/plain': 'x'})\nkernel.iopub.clear_output()\n"
        "comm = kernel.comms.open('nobody')\ncomm.close()"
    )
    assert execution.reply is not None
    session = execution.reply["header"]["session"]
    for message in execution.messages:
        [topic] = message["identities"]
        if message["msg_type"].startswith("comm_"):
            assert topic == f"comm-{message['content']['comm_id']}".encode()
        else:
            assert topic == f"kernel.{session}.{message['msg_type']}".encode()
    with kernel.client(topics=[f"kernel.{session}.display_data", "comm-"]) as filtering:
        for _ in range(2):
            assert filtering.receive("iopub")["msg_type"] == "iopub_welcome"
        client.execute(
            "say('x')\nkernel.iopub.display_data({'text/plain': 'y'})\nkernel.comms.open('nobody')"
        )
        assert [filtering.receive("iopub")["msg_type"] for _ in range(2)] == ["display_data", "comm_open"]
        assert not filtering.receive_all("iopub")


SUBSCRIBER_HELLO = (
    b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31),
    b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03SUB",
)
"""What a subscriber says before its first message (ZMTP 3.0, without security)."""


@pytest.mark.parametrize("size", [4000, 100_000, 5_000_000])
def test_a_topic_of_any_length_does_not_end_the_kernel(client: KernelClient, size: int) -> None:
    """libzmq goes through its topics recursively; so there is no client of its own here."""
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", client.connection["iopub_port"])) as rude:
            rude.settimeout(60)
            heard = b""
            for words in SUBSCRIBER_HELLO:
                rude.sendall(words)
            while b"Socket-Type" not in heard:
                heard += rude.recv(100)
            with suppress(ConnectionError):  # it may be thrown out in the middle of its word
                rude.sendall(b"\x02" + struct.pack(">Q", size + 1) + b"\x01" + b"x" * size)
                while b"iopub_welcome" not in heard and (more := rude.recv(65536)):
                    heard += more
            assert (b"iopub_welcome" in heard) == (size < 4096)
        assert client.execute("say('alive')").stdout == "alive"


@pytest.mark.row("I11")
def test_threads_that_publish_while_the_kernel_ends_are_told_nothing(start: Start, tmp_path: Any) -> None:
    report = tmp_path / "report"
    shouting = (
        "import threading, traceback\n"
        "def shout():\n"
        "    try:\n"
        "        while True:\n"
        "            say('x' * 1000)\n"
        "            kernel.iopub.display_data({'text/plain': 'x'})\n"
        "            comm = kernel.comms.open('nobody')\n"
        "            comm.send({})\n"
        "            comm.close()\n"
        "    except BaseException:\n"
        f"        open({str(report)!r}, 'a').write(traceback.format_exc())\n"
        "for _ in range(4): threading.Thread(target=shout, daemon=True).start()"
    )
    with start() as kernel, kernel.client() as client:
        client.wait_ready()
        client.execute(shouting)
        assert client.reply(client.request("control", "shutdown_request", {"restart": False}))
        assert kernel.wait() == 0
        assert not report.exists(), report.read_text()
