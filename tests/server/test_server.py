"""The running server: connection files as launchers write them, encryption, and the control channel."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from situations import TOY, begin, bring_into, require_interrupted, start_anything

from wrapperkernel.testing.client import KernelClient, NothingCame, default_limit
from wrapperkernel.testing.process import KernelProcess
from wrapperkernel.testing.signer import Message

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
QUIET = 300  # milliseconds in which nothing is to come


@contextlib.contextmanager
def ready(*options: str, **settings: Any) -> Iterator[tuple[KernelProcess, KernelClient]]:
    """Start a kernel, and a client that is ready."""
    with start_anything(*options, **settings) as kernel, kernel.client() as client:
        client.wait_ready()
        yield kernel, client


def require_all_five(client: KernelClient) -> None:
    """Require that a kernel answers on each of its sockets; the client has been welcomed on iopub."""
    assert client.ping(b"ping", b"twice") == [b"ping", b"twice"]
    assert client.execute("say(kernel.stdin.input('name? '))", answers=["Ada"]).stdout == "Ada"
    assert client.exchange("control", "kernel_info_request").status == "ok"


# --- connection files -----------------------------------------------------------------------------------


def free_ports() -> dict[str, int]:
    """Find a free port for each channel, as launchers do."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in CHANNELS]
        ports = [probe.getsockname()[1] for probe in probes]
    return {f"{name}_port": port for name, port in zip(CHANNELS, ports, strict=True)}


def wait_for_listener(port: int) -> None:
    """Wait until something listens at a port. A client that comes earlier connects its sockets one by one, so
    that a question may find it without stdin."""
    deadline = time.monotonic() + default_limit()
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.005)  # nothing tells of a new listener
    raise NothingCame(f"nothing listens at port {port}")


@contextlib.contextmanager
def launched(path: Path, document: dict[str, Any]) -> Iterator[KernelClient]:
    """Start a kernel with a connection file that is complete; yield a client that is ready."""
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    environ = {**os.environ, "JPY_PARENT_PID": str(os.getpid())}
    command = [sys.executable, str(TOY), "-f", str(path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environ) as process:
        try:
            for name in CHANNELS:
                wait_for_listener(int(document[f"{name}_port"]))
            connection = {"ip": "127.0.0.1", "transport": "tcp", **document}
            with KernelClient(connection) as client:
                client.wait_ready()
                yield client
        finally:
            process.kill()


JUNK = {"kernel_name": "toy", "jupyter_session": "/a/notebook.ipynb", "kernel_id": 7, "x": {"y": [None]}}


@pytest.mark.row(
    "C1", file="server/connection.py", old='f"{channel}_port": channel', new='"shell_port": channel'
)
@pytest.mark.row("C2", "C3", "C6")
@pytest.mark.parametrize("form", ["numbers", "strings", "junk", "few"])
def test_five_sockets_where_the_launcher_says(tmp_path: Path, form: str) -> None:
    """In whatever form; the file is then left as it is."""
    ports: dict[str, Any] = free_ports()
    document: dict[str, Any] = {"key": "k", **ports}  # no scheme: that is hmac-sha256
    if form == "strings":
        document |= {name: str(port) for name, port in ports.items()}
    elif form == "junk":
        document |= JUNK
    if form != "few":
        document |= {"transport": "tcp", "ip": "127.0.0.1", "signature_scheme": "hmac-sha256"}
    with launched(tmp_path / "kernel.json", document) as client:
        require_all_five(client)
    assert json.loads((tmp_path / "kernel.json").read_text()) == document


@pytest.mark.row(
    "C3", file="server/connection.py", old="_load(path) | self._port_entries()", new="self._port_entries()"
)
@pytest.mark.row("C7")
def test_ports_of_the_kernels_choice(tmp_path: Path) -> None:
    """They are merged into the file, which keeps what else it holds and is then its user's alone."""
    with ready(connection={**JUNK, "control_port": "0"}) as (kernel, client):
        require_all_five(client)
        connection = kernel.connection
        assert {name: connection[name] for name in JUNK} == JUNK
        assert len({connection[f"{name}_port"] for name in CHANNELS}) == 5
        assert kernel.connection_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.row("C4")
@pytest.mark.parametrize(
    "scheme", ["hmac-md5", "hmac-sha256", "hmac-sha512", "hmac-sha3_256", "hmac-blake2b"]
)
def test_any_fixed_size_hash_signs(scheme: str) -> None:
    with ready(connection={"signature_scheme": scheme}) as (_, client):
        require_all_five(client)


@pytest.mark.row("C5")
def test_without_a_key_nothing_is_signed() -> None:
    """The client checks that signatures are empty; whatever stands in its own is no matter."""
    with ready(connection={"key": ""}) as (_, client):
        require_all_five(client)
        frames = client.frames(client.compose("kernel_info_request"))
        frames[1] = b"no signature at all"
        client.send_frames("control", frames)
        assert client.receive("control")["msg_type"] == "kernel_info_reply"


@pytest.mark.row("C11")
def test_every_interface() -> None:
    with ready(connection={"ip": "*"}) as (kernel, client):
        require_all_five(client)
        with KernelClient({**kernel.connection, "ip": "127.0.0.2"}) as neighbour:
            neighbour.wait_ready()
            require_all_five(neighbour)


@pytest.mark.row("C10")
def test_ipc() -> None:
    with ready(connection={"transport": "ipc"}) as (kernel, client):
        require_all_five(client)
        assert len([name for name in os.listdir(kernel.directory) if name.startswith("ipc-")]) == 5


def test_a_question_waits_for_its_client() -> None:
    """Whose stdin may be connected later than its shell, as when it was there before the kernel."""
    with start_anything() as kernel, kernel.client(channels=["shell", "iopub"]) as client:
        client.wait_ready()
        cell = begin(client, "say('on'); say(kernel.stdin.input('name? '))")
        same = {"session": client.session, "identity": client.identity}
        with kernel.client(channels=["stdin"], **same) as stdin:
            question = stdin.receive("stdin")
            assert question["content"] == {"prompt": "name? ", "password": False}
            stdin.answer(question, "Ada")
            assert client.reply(cell)["content"]["status"] == "ok"


def test_a_client_without_stdin() -> None:
    """It can interrupt the cell; one that never comes is an error of the cell, after ten seconds."""
    with start_anything() as kernel, kernel.client(channels=["shell", "iopub", "control"]) as client:
        client.wait_ready()
        cell = begin(client, "say('on'); kernel.stdin.input('name? ')")
        client.exchange("control", "interrupt_request")
        require_interrupted(client, cell)
        assert client.execute("kernel.stdin.input()", allow_stdin=True).content["ename"] == "StdinNotAllowed"


# --- encryption -----------------------------------------------------------------------------------------


@pytest.mark.row("C13", file="server/endpoints.py", old="socket.curve_secretkey = secret", new="return")
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_encryption_on_all_five(transport: str) -> None:
    """A client without the kernel's key, or with another one, gets nothing on any of them."""
    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys = {"curve_publickey": public, "curve_secretkey": secret}
    with ready(connection={"transport": transport, **keys}) as (kernel, client):
        require_all_five(client)
        assert kernel.connection["curve_publickey"] == public
        plain = {name: value for name, value in kernel.connection.items() if name not in keys}
        wrong = {**kernel.connection, "curve_publickey": zmq.curve_keypair()[0].decode()}
        with KernelClient(plain) as without, KernelClient(wrong) as other:
            for stranger in (without, other):
                frames = stranger.frames(stranger.compose("kernel_info_request"))
                for channel in ("shell", "control", "stdin", "hb"):
                    # Where libzmq has noticed that it is refused, it has nowhere to send to, and would wait.
                    with contextlib.suppress(zmq.Again):
                        stranger.sockets[channel].send_multipart(frames, zmq.NOBLOCK)
            require_all_five(client)
            client.execute("say('a secret')")
            for stranger in (without, other):
                poller = zmq.Poller()
                for each in stranger.sockets.values():
                    poller.register(each, zmq.POLLIN)
                assert poller.poll(QUIET) == []


# --- control --------------------------------------------------------------------------------------------


@pytest.mark.row(
    "T6",
    file="server/server.py",
    old="if kernel.link.interrupts.interrupt_running() is not None:",
    new="if False:",
)
@pytest.mark.parametrize("situation", ["sleep", "loop", "child", "input", "flood"])
def test_interrupt_request_ends_the_cell(situation: str) -> None:
    with ready() as (kernel, client):
        cell = bring_into(client, situation)
        assert client.exchange("control", "interrupt_request").content == {"status": "ok"}
        require_interrupted(client, cell)
        assert kernel.children() == []
        assert client.execute("say('on we go')").stdout == "on we go"


@pytest.mark.row("T6")
def test_interrupt_request_when_idle() -> None:
    with ready() as (_, client):
        for _ in range(5):
            assert client.exchange("control", "interrupt_request").content == {"status": "ok"}
            assert client.execute("say('here')").stdout == "here"


def test_an_interrupt_that_the_author_refuses() -> None:
    with ready(on_interrupt="raise ValueError('not now')") as (_, client):
        assert client.exchange("control", "interrupt_request").content["ename"] == "ValueError"


@pytest.mark.row(
    "T7", file="kernel/dispatch.py", old='"kernel_info_request": SHELL[', new='"kernel_info": SHELL['
)
def test_kernel_info_on_control() -> None:
    """The same as on shell, also while a cell runs."""
    with ready() as (_, client):
        on_shell = client.exchange("shell", "kernel_info_request").content
        assert client.exchange("control", "kernel_info_request").content == on_shell
        cell = bring_into(client, "sleep")
        assert client.exchange("control", "kernel_info_request").content == on_shell
        client.exchange("control", "interrupt_request")
        require_interrupted(client, cell)


@pytest.mark.row("T9")
@pytest.mark.parametrize("command", ["debugInfo", "initialize", "attach"])
def test_a_debug_request_is_refused(command: str) -> None:
    with ready() as (_, client):
        asked = {"type": "request", "command": command, "seq": 12, "arguments": {}}
        reply = client.exchange("control", "debug_request", asked).content
        wanted = {"type": "response", "request_seq": 12, "success": False, "command": command}
        assert {name: reply[name] for name in wanted} == wanted
        assert reply["message"] == "this kernel has no debugger"
        assert client.exchange("shell", "kernel_info_request").content["supported_features"] == []


@pytest.mark.row(
    "T11", file="kernel/dispatch.py", old="Entry(_nothing, replies=False)", new="Entry(_nothing)"
)
def test_subshells_are_not_supported() -> None:
    """Requests about them get no reply; a cell for one runs in the shell that there is."""
    with ready() as (kernel, client):
        client.execute("place = 'the main shell'")
        cell = client.execute_request("say(place)")
        client.finish_execution(cell)
        for msg_type in ("create_subshell_request", "delete_subshell_request", "list_subshell_request"):
            msg_id = client.request("control", msg_type, {"subshell_id": "x"})
            states = [m["content"]["execution_state"] for m in client.iopub_until_idle(msg_id)]
            assert states == ["busy", "idle"]
            assert f"a {msg_type} on control" in kernel.stderr
        header = {"subshell_id": "4711"}
        message = client.compose(
            "execute_request",
            {"code": "say(place)", "silent": False, "store_history": True, "user_expressions": {}},
            header=header,
        )
        done = client.finish_execution(client.send("shell", message))
        assert done.stdout == "the main shell"
        assert done.reply is not None
        assert done.reply["parent_header"]["subshell_id"] == "4711"
        assert client.exchange("control", "kernel_info_request").status == "ok"
        assert client.receive_all("control") == []


@pytest.mark.row("T12")
@pytest.mark.parametrize("psutil", [True, False])
def test_usage(tmp_path: Path, psutil: bool) -> None:
    """With psutil, or with what the system tells; children count."""
    path = os.environ.get("PYTHONPATH", "")
    if not psutil:
        (tmp_path / "psutil.py").write_text("raise ImportError('hidden by a test')")
        path = f"{tmp_path}:{path}"
    with ready(env={"PYTHONPATH": path}) as (kernel, client):
        before = client.exchange("control", "usage_request").content
        assert before["pid"] == kernel.pid
        assert before["hostname"] == socket.gethostname()
        assert before["cpu_count"] == os.cpu_count()
        assert before["kernel_memory"] > 5e6
        assert ("host_virtual_memory" in before) == psutil
        client.execute("import subprocess, sys")
        child = "import sys; x = b'x' * 100_000_000; print(len(x), flush=True); sys.stdin.read()"
        client.execute(f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=-1, stdout=-1)")
        client.execute("child.stdout.readline()")
        after = client.exchange("control", "usage_request").content
        assert after["kernel_memory"] > before["kernel_memory"] + 100_000_000


def owner_of(message: Message) -> str:
    return str(message["parent_header"]["msg_id"])


@pytest.mark.row("T13")
def test_control_requests_one_after_another() -> None:
    """A hundred at once, some slow: replies in order, and no busy before the idle of the one before."""
    with ready(on_interrupt="import time; time.sleep(0.005)") as (_, client):
        client.receive_all("iopub")  # what came of getting ready
        kinds = ["kernel_info_request", "interrupt_request", "debug_request", "usage_request", "unheard_of"]
        asked = [client.request("control", kinds[number % 5]) for number in range(100)]
        answered = [msg_id for number, msg_id in enumerate(asked) if number % 5 < 4]
        assert [owner_of(client.receive("control")) for _ in answered] == answered
        states = [client.receive("iopub") for _ in range(200)]
        assert [(owner_of(m), m["content"]["execution_state"]) for m in states] == [
            (msg_id, state) for msg_id in asked for state in ("busy", "idle")
        ]


@pytest.mark.row("Q11")
def test_connect_request() -> None:
    with ready() as (kernel, client):
        reply = client.exchange("shell", "connect_request").content
        ports = {f"{name}_port": kernel.connection[f"{name}_port"] for name in CHANNELS}
        assert {name: reply[name] for name in ports} == ports
