"""The sockets of a running kernel, as clients see them: routes, reconnections, order, lost clients, forks."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess

DoorMaker = Callable[[], Any]


# --- kinds of sockets, routes -------------------------------------------------------------------------


@pytest.mark.row("S1", file="server/server.py", old="self._stdin.offer(", new="self._shell.offer(")
@pytest.mark.row(
    "S1", file="server/server.py", old='"control": self._control,', new='"control": self._shell,'
)
def test_the_five_sockets_serve_two_clients_each_for_itself(kernel: KernelProcess) -> None:
    with kernel.client() as one, kernel.client() as other:
        for client in (one, other):
            client.wait_ready()
        for client in (one, other, one):
            assert client.exchange("control", "kernel_info_request").status == "ok"
            assert client.ping(b"a", b"", b"\x00\xff") == [b"a", b"", b"\x00\xff"]
        ask = "say('answer: ' + kernel.stdin.input('?'))"
        cells = [client.execute_request(ask, allow_stdin=True) for client in (one, other)]
        assert one.finish_execution(cells[0], ["1"]).stdout == "answer: 1"
        assert other.finish_execution(cells[1], ["2"]).stdout == "answer: 2"


@contextmanager
def hop(endpoint: str) -> Iterator[int]:
    """Put a proxy in front of an endpoint, by which routes get longer; yield its port."""
    context = zmq.Context()
    front, back = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
    port = front.bind_to_random_port("tcp://127.0.0.1")
    back.connect(endpoint)

    def run() -> None:
        try:
            zmq.proxy(front, back)
        except zmq.ContextTerminated:
            front.close(linger=0)
            back.close(linger=0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield port
    finally:
        context.term()
        thread.join()


@pytest.mark.row(
    "S2",
    file="wire/session.py",
    old="tuple(map(bytes, frames[:place])),",
    new="tuple(map(bytes, frames[:1])),",
)
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_the_whole_route_comes_back(kernel: KernelProcess, client: KernelClient, channel: str) -> None:
    with hop(client.endpoint(channel)) as first, hop(f"tcp://127.0.0.1:{first}") as second:
        connection = {**kernel.connection, f"{channel}_port": second}
        with KernelClient(connection, process=kernel) as behind:
            if channel == "shell":
                behind.wait_ready()
            msg_ids = [behind.request(channel, "kernel_info_request") for _ in range(20)]
            direct = client.request(channel, "kernel_info_request")
            assert [behind.reply(msg_id)["content"]["status"] for msg_id in msg_ids] == ["ok"] * 20
            assert client.reply(direct)["content"]["status"] == "ok"


@pytest.mark.row("S3")
@pytest.mark.parametrize("leaves", [True, False], ids=["the old connection closed", "still open"])
@pytest.mark.parametrize("channel", ["shell", "control"])
def test_a_client_that_comes_back_under_its_name_is_answered(
    kernel: KernelProcess, door: DoorMaker, channel: str, leaves: bool
) -> None:
    waiting = door()
    name = {"identity": b"same", "session": f"same-{channel}-{leaves}"}
    with kernel.client(**name) as old:
        old.wait_ready()
        cell = old.execute_request(waiting.wait)
        old.iopub_until(cell, lambda message: message["msg_type"] == "execute_input", "the cell's beginning")
        if leaves:
            old.close()
        with kernel.client(**name) as new:
            again = new.compose("kernel_info_request", header={"msg_id": f"again-{channel}-{leaves}"})
            assert new.reply(new.send(channel, again))["content"]["status"] == "ok"
            assert new.receive("iopub")["msg_type"] == "iopub_welcome"  # now it sees what comes of the cell
            waiting.open()
            reply = new.receive("shell")
            assert (reply["msg_type"], reply["parent_header"]["msg_id"]) == ("execute_reply", cell)
            new.iopub_until_idle(cell)


# --- control beside a cell, heartbeat -------------------------------------------------------------------


@pytest.mark.row("S9", "Q15", "T7")
def test_control_is_served_while_a_cell_waits(client: KernelClient, door: DoorMaker) -> None:
    waiting = door()
    cell = client.execute_request(waiting.wait)
    for _ in range(20):
        assert client.exchange("control", "kernel_info_request").status == "ok"
    waiting.open()
    assert client.finish_execution(cell).status == "ok"


@pytest.mark.row("T13")
def test_a_hundred_control_requests_at_once_are_served_in_order(
    kernel: KernelProcess, client: KernelClient, door: DoorMaker
) -> None:
    waiting = door()
    cell = client.execute_request(waiting.wait)
    types = ["kernel_info_request", "usage_request", "debug_request", "nonsense_request"] * 25
    msg_ids = [client.request("control", msg_type, {"seq": 1, "command": "x"}) for msg_type in types]
    replied = [m for m, msg_type in zip(msg_ids, types, strict=True) if msg_type != "nonsense_request"]
    replies = [client.receive("control")["parent_header"]["msg_id"] for _ in replied]
    assert replies == replied
    seen: list[tuple[str, str]] = []
    while len(seen) < 2 * len(msg_ids):
        message = client.receive("iopub")
        if (parent := message["parent_header"].get("msg_id")) in client.sent and parent != cell:
            seen.append((parent, message["content"]["execution_state"]))
    assert seen == [(msg_id, state) for msg_id in msg_ids for state in ("busy", "idle")]
    waiting.open()
    assert client.reply(cell)["content"]["status"] == "ok"


@pytest.mark.row("S10")
def test_the_heart_beats_while_a_cell_holds_the_interpreter_lock(
    kernel: KernelProcess, client: KernelClient, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cell = client.execute_request(
        f"import ctypes, os\nfd = os.open({str(pipe)!r}, os.O_RDWR)\nsay('held')\n"
        "ctypes.PyDLL(None).read(fd, ctypes.create_string_buffer(1), 1)\nos.close(fd)"
    )
    client.iopub_until(cell, lambda message: message["msg_type"] == "stream", "the cell's word")
    for number in range(100):
        frames = [b"%d" % number, b"", b"\x00\xff" * 1000][: number % 3 + 1]
        assert client.ping(*frames) == frames
    pipe.write_bytes(b".")
    assert client.reply(cell)["content"]["status"] == "ok"


# --- brackets, order, parents ---------------------------------------------------------------------------


@pytest.mark.row(
    "R1", file="kernel/dispatch.py", old='{"execution_state": "idle"}', new='{"execution_state": "busy"}'
)
@pytest.mark.row("W10")
@pytest.mark.parametrize("buffers", [(), (b"", b"\x00\xff" * 50_000)], ids=["", "with buffers"])
@pytest.mark.parametrize(
    ("channel", "msg_type", "content"),
    [
        ("shell", "execute_request", {"code": "say('x')"}),
        ("shell", "execute_request", {}),
        ("shell", "complete_request", {"code": "ker", "cursor_pos": 3}),
        ("shell", "inspect_request", {"code": "kernel", "cursor_pos": 3, "detail_level": 0}),
        ("shell", "is_complete_request", {"code": "kernel"}),
        ("shell", "history_request", {"hist_access_type": "tail", "n": 3}),
        ("shell", "kernel_info_request", {}),
        ("shell", "comm_info_request", {}),
        ("shell", "connect_request", {}),
        ("shell", "comm_open", {"comm_id": "1", "target_name": "nobody", "data": {}}),
        ("shell", "comm_msg", {"comm_id": "1", "data": {}}),
        ("shell", "comm_close", {"comm_id": "1", "data": {}}),
        ("shell", "frobnicate_request", {}),
        ("control", "kernel_info_request", {}),
        ("control", "interrupt_request", {}),
        ("control", "debug_request", {"type": "request", "seq": 1, "command": "debugInfo"}),
        ("control", "usage_request", {}),
        ("control", "frobnicate_request", {}),
    ],
)
def test_every_request_has_its_busy_and_idle(
    client: KernelClient, channel: str, msg_type: str, content: dict[str, Any], buffers: tuple[bytes, ...]
) -> None:
    client.finish(client.request(channel, msg_type, content, buffers=buffers))
    # A reply too many would have come by now.
    client.exchange(channel, "kernel_info_request")
    assert not client.receive_all(channel)


@pytest.mark.row(
    "R4",
    file="server/shells.py",
    old="self._arrived.append(request)",
    new="self._arrived.appendleft(request)",
)
def test_cells_and_comm_messages_of_two_clients_run_one_by_one_in_order(
    kernel: KernelProcess, client: KernelClient, door: DoorMaker
) -> None:
    waiting = door()
    client.execute(
        "steps = []\n"
        "def step(name):\n    steps.append(('begin', name))\n    say(name)\n    steps.append(('end', name))\n"
        "def opened(comm, message):\n"
        "    comm.on_msg(lambda message: step(message.content['data']['step']))\n"
        "kernel.comms.register_target('steps', opened)"
    )
    with kernel.client() as other:
        other.wait_ready()
        first = client.execute_request(waiting.wait)
        sent: dict[str, list[str]] = {"a": [], "b": []}
        for name, each in (("a", client), ("b", other)):
            comm = {"comm_id": f"comm-{name}", "target_name": "steps", "data": {}}
            sent[name].append(each.request("shell", "comm_open", comm))
        for number in range(40):
            for name, each in (("a", client), ("b", other)):
                step = f"{name}{number}"
                if number % 3:
                    sent[name].append(each.execute_request(f"step('{step}')"))
                else:
                    data = {"comm_id": f"comm-{name}", "data": {"step": step}}
                    sent[name].append(each.request("shell", "comm_msg", data))
        waiting.open()
        client.finish_execution(first)
        for name, each in (("a", client), ("b", other)):
            for msg_id in sent[name]:
                each.finish(msg_id)
    steps = json.loads(client.execute("import json; say(json.dumps(steps))").stdout)
    assert steps[0::2] == [["begin", name] for _, name in steps[1::2]]
    assert all(word == "end" for word, _ in steps[1::2])
    for name in ("a", "b"):
        assert [step for _, step in steps[0::2] if step[0] == name] == [f"{name}{n}" for n in range(40)]
    assert len(steps) == 160


@pytest.mark.row(
    "H4",
    file="kernel/request.py",
    old="self._current.set(request)",
    new="self._current.set(request); self._latest = request",
)
def test_output_of_a_cell_and_its_threads_keeps_its_parent_beside_control(
    kernel: KernelProcess, client: KernelClient, door: DoorMaker
) -> None:
    waiting = door()
    cell = client.execute_request(
        "import threading, time\n"
        "go_on = True\n"
        "def chatter():\n"
        "    while go_on:\n"
        "        say('thread\\n')\n        kernel.iopub.display_data({'text/plain': 'thread'})\n"
        "        time.sleep(0.001)\n"
        "chatting = threading.Thread(target=chatter)\nchatting.start()\n"
        f"{waiting.wait}\ngo_on = False\nchatting.join()\nsay('main\\n')"
    )
    with kernel.client() as other:
        other.wait_ready()
        for number in range(100):
            asker = (client, other)[number % 2]
            exchange = asker.exchange("control", "kernel_info_request")
            assert [message["msg_type"] for message in exchange.messages] == ["status", "status"]
    waiting.open()
    execution = client.finish_execution(cell)
    assert execution.stdout.endswith("main\n")
    assert execution.stdout.count("thread\n") == len(execution.display)
    left = [message for message in client.receive_all("iopub") if message["msg_type"] != "status"]
    assert {message["msg_type"] for message in left} <= {"iopub_welcome"}


@pytest.mark.row("H1")
def test_every_process_is_a_session_of_its_own(start: Callable[..., KernelProcess]) -> None:
    with start() as kernel, kernel.client() as client:
        before = client.wait_ready()["header"]["session"]
        messages = [message["header"] for message in client.execute("say('x')").messages]
        assert {header["session"] for header in messages} == {before}
        connection = kernel.connection
        client.exchange("control", "shutdown_request", {"restart": True})
        kernel.restart()
        assert kernel.connection == connection
        # Its iopub may be connected later than its shell: the reply alone is sure to come.
        after = client.reply(client.request("shell", "kernel_info_request"))
        assert after["header"]["session"] != before


# --- clients that get lost ------------------------------------------------------------------------------


@pytest.mark.row("R5")
def test_a_client_that_vanishes_holds_up_nobody(
    kernel: KernelProcess, client: KernelClient, door: DoorMaker
) -> None:
    waiting = door()
    with kernel.client() as lost:
        lost.wait_ready()
        cell = lost.execute_request(waiting.wait)
        queued = [lost.execute_request(f"say('{number}' * 100_000)") for number in range(50)]
        lost.iopub_until(cell, lambda message: message["msg_type"] == "execute_input", "the cell's beginning")
        # Answered beside the cell: so all that was sent before it has arrived.
        lost.reply(lost.request("shell", "complete_request", {"code": "x", "cursor_pos": 1}))
        lost.request("shell", "complete_request", {"code": "x", "cursor_pos": 1})
    mine = client.execute_request("say('mine')")
    waiting.open()
    assert client.finish_execution(mine).stdout == "mine"
    for msg_id in (cell, *queued):
        assert client.iopub_until_idle(msg_id)[0]["content"] == {"execution_state": "busy"}


@pytest.mark.row("R5")
def test_a_client_that_is_killed_while_it_sends_holds_up_nobody(
    kernel: KernelProcess, client: KernelClient
) -> None:
    """Half a message, then silence; then half a message, and a reset."""
    port = kernel.connection["shell_port"]
    halves = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(16) + b"\x00" + bytes(31)
    for number, half in enumerate(halves):
        half.sendall(greeting[: 3 * number + 1] if number < 10 else greeting)
        if number >= 15:  # a long frame that never comes to its end
            ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
            half.sendall(b"\x04" + bytes([len(ready)]) + ready + b"\x03" + struct.pack(">Q", 1 << 20) + b"x")
        assert client.exchange("shell", "kernel_info_request").status == "ok"
    for half in halves[::2]:
        half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    for half in halves:
        half.close()
    assert client.execute("say('still here')").stdout == "still here"


def connections(kernel: KernelProcess) -> int:
    """Return how many descriptors the kernel has open."""
    return len(os.listdir(f"/proc/{kernel.pid}/fd"))


def test_clients_that_come_and_go_leave_nothing(kernel: KernelProcess, client: KernelClient) -> None:
    def come_and_go(times: int) -> None:
        with zmq.Context() as context:
            for _ in range(times):
                for channel, kind in (("iopub", zmq.SUB), ("shell", zmq.DEALER), ("stdin", zmq.DEALER)):
                    socket = context.socket(kind)
                    socket.linger = 0
                    if kind == zmq.SUB:
                        socket.subscribe(b"")
                    socket.connect(client.endpoint(channel))
                    if kind == zmq.SUB:
                        socket.recv_multipart()  # the welcome: it was connected
                    socket.close()
                client.receive_all("iopub")

    def settle(wanted: int) -> int:
        """Wait until the kernel has seen its visitors go; what tells it comes when it comes."""
        for _ in range(1000):
            client.exchange("control", "kernel_info_request")
            client.receive_all("iopub")
            if (found := connections(kernel)) <= wanted:
                break
        return found

    threads = f"/proc/{kernel.pid}/task"
    client.exchange("control", "kernel_info_request")
    before, tasks = connections(kernel), len(os.listdir(threads))
    come_and_go(334)
    assert settle(before) <= before
    assert len(os.listdir(threads)) == tasks


# --- forks ----------------------------------------------------------------------------------------------


FORK = """
import os, sys
child = os.fork()
if child == 0:
    {child}
else:
    status = os.waitpid(child, 0)[1]
    say(f"child ended with {{status}}\\n")
"""


@pytest.mark.row("W9", file="server/server.py", old="channel.forget()", new="pass")
@pytest.mark.row("I11")
@pytest.mark.parametrize(
    "child",
    [
        "say('child'); kernel.iopub.display_data({'text/plain': 'child'}); os._exit(0)",
        "kernel.comms.open('x').send({}); os._exit(0)",
        "for _ in range(200): say('child' * 50_000)\n    os._exit(0)",
        "say('child')",
        "raise ValueError('child')",
        "sys.exit('child')",
        "kernel.iopub.execute_result({'text/plain': 'child'})",
    ],
)
def test_a_forked_child_says_nothing(client: KernelClient, child: str) -> None:
    held = "say('before\\n')\nsay('held\\n')\n"  # the second is still here when the child is made
    execution = client.execute(held + FORK.format(child=child))
    assert execution.stdout == "before\nheld\nchild ended with 0\n"
    assert execution.display == execution.results == execution.errors == []
    assert client.execute("say('next')").stdout == "next"
    assert not client.receive_all("shell")


def test_a_forked_child_ends_by_sigterm_and_the_kernel_does_not(client: KernelClient) -> None:
    execution = client.execute(
        "import os, signal\nchild = os.fork()\nif child == 0:\n    signal.pause()\n"
        "os.kill(child, signal.SIGTERM)\nstatus = os.waitpid(child, 0)[1]\nsay(str(os.WTERMSIG(status)))"
    )
    assert execution.stdout == str(int(signal.SIGTERM))
    # The control thread, which ends the kernel, would have done so before it answers.
    assert client.exchange("control", "kernel_info_request").status == "ok"
    assert client.execute("say('next')").stdout == "next"
