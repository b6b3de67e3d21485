"""The socket client: with the echo kernel, and with a peer in this process that breaks the protocol."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import zmq

from wrapperkernel.testing.client import InvalidMessage, KernelClient, NothingCame, default_limit
from wrapperkernel.testing.malformed import malformed_frames
from wrapperkernel.testing.process import KernelProcess, start_kernel
from wrapperkernel.testing.signer import Message, TestSigner, pack, unpack

ECHO = [sys.executable, "-m", "wrapperkernel.examples.echo_kernel"]
SOON = 0.05  # a limit for what is not to come


# ---- with the echo kernel --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def echo() -> Iterator[KernelProcess]:
    """Return an echo kernel that the tests of this file share."""
    with start_kernel(ECHO) as kernel:
        with kernel.client() as first:  # it alone sees the kernel starting
            first.wait_ready()
            first.iopub_until(
                "", lambda m: m["content"] == {"execution_state": "starting"}, "status starting"
            )
        yield kernel


@pytest.fixture
def client(echo: KernelProcess) -> Iterator[KernelClient]:
    """Return a client that is ready."""
    with echo.client() as client:
        client.wait_ready()
        yield client


def test_wait_ready_returns_the_kernel_info(echo: KernelProcess) -> None:
    with echo.client() as client:
        assert client.wait_ready()["content"]["implementation"] == "echo_kernel"
        assert client.receive_all("iopub") == []


def test_execute(client: KernelClient) -> None:
    execution = client.execute("hello\n")
    assert (execution.status, execution.stdout, execution.stderr) == ("ok", "hello\n", "")
    assert (execution.results, execution.display, execution.errors) == ([], [], [])
    assert execution.contents("execute_input")[0]["code"] == "hello\n"
    assert "hello" in repr(execution)


def test_fields_of_a_request_can_be_replaced(client: KernelClient) -> None:
    execution = client.execute("hello", silent=True)
    assert execution.request["content"]["store_history"] is False
    assert execution.stdout == ""


def test_many_requests_in_flight_of_two_clients(echo: KernelProcess, client: KernelClient) -> None:
    with echo.client() as other:
        other.wait_ready()
        sent = [(each, each.execute_request(f"{n}"), n) for n in range(20) for each in (client, other)]
        for each, msg_id, n in reversed(sent):
            assert each.finish_execution(msg_id).stdout == f"{n}"


def test_the_messages_of_another_client_can_be_followed(echo: KernelProcess, client: KernelClient) -> None:
    with echo.client() as other:
        other.wait_ready()
        msg_id = other.execute_request("from elsewhere")
        types = [message["msg_type"] for message in client.iopub_until_idle(msg_id)]
        assert types == ["status", "execute_input", "stream", "status"]
        other.finish(msg_id)


def test_iopub_may_be_read_late(client: KernelClient) -> None:
    msg_ids = [client.execute_request(f"{n}") for n in range(300)]
    for msg_id in msg_ids:
        client.reply(msg_id)
    last = client.iopub_until_idle(msg_ids[-1])
    assert last[-1]["content"] == {"execution_state": "idle"}
    streams = [m["content"]["text"] for m in client.receive_all("iopub") if m["msg_type"] == "stream"]
    assert streams == [f"{n}" for n in range(299)]


def test_requests_on_both_channels(client: KernelClient) -> None:
    for channel in ("shell", "control"):
        exchange = client.exchange(channel, "kernel_info_request", buffers=[b"more"])
        assert exchange.content["status"] == exchange.status == "ok"


def test_what_gets_no_reply_has_an_exchange_too(client: KernelClient) -> None:
    content = {"comm_id": "c", "target_name": "nobody", "data": {}}
    exchange = client.exchange("shell", "comm_open", content)
    assert exchange.reply is None
    assert exchange.content == {}
    assert [each["comm_id"] for each in exchange.contents("comm_close")] == ["c"]


def test_the_heartbeat(client: KernelClient) -> None:
    assert client.ping() == [b"ping"]
    assert client.ping(b"a", b"", b"\xff") == [b"a", b"", b"\xff"]


def test_raw_frames(client: KernelClient) -> None:
    client.send_frames("shell", client.frames(client.compose("kernel_info_request")))
    message, signature = unpack(client.receive_frames("shell"))
    assert message["msg_type"] == "kernel_info_reply"
    assert len(signature) == 64


def test_malformed_frames_are_not_executed(client: KernelClient) -> None:
    request = client.compose("execute_request", {"code": "do not run"})
    kinds = malformed_frames(client, request)
    assert len(kinds) == 7
    for frames in kinds.values():
        client.send_frames("shell", frames)
    client.execute("cells are run in order")
    assert client.receive_all("iopub") == []


def test_a_replayed_request_is_not_executed(client: KernelClient) -> None:
    frames = client.frames(client.compose("execute_request", {"code": "once"}))
    for _ in range(3):
        client.send_frames("shell", frames)
    client.execute("cells are run in order")
    assert [m["msg_type"] for m in client.receive_all("iopub")].count("stream") == 1


def test_topics(echo: KernelProcess, client: KernelClient) -> None:
    topic = client.execute("x").messages[2]["identities"][0]
    assert topic.endswith(b".stream.stdout") or topic.endswith(b".stream")
    with echo.client(topics=[topic]) as picky:
        assert picky.receive("iopub")["content"] == {"subscription": topic.decode()}
        client.execute("only this")
        assert picky.receive("iopub")["content"] == {"name": "stdout", "text": "only this"}
        assert picky.receive_all("iopub") == []


def test_only_some_channels(echo: KernelProcess) -> None:
    with echo.client(channels=["iopub"]) as listener:
        assert listener.receive("iopub")["msg_type"] == "iopub_welcome"
        with pytest.raises(ValueError, match="this client has no shell"):
            listener.execute_request("x")


def test_options_are_set_before_connecting(echo: KernelProcess) -> None:
    with echo.client(identity=b"me", options={"iopub": {zmq.RCVHWM: 7}}) as client:
        assert client.sockets["iopub"].rcvhwm == 7
        assert client.sockets["shell"].getsockopt(zmq.ROUTING_ID) == b"me"
        client.wait_ready()


def test_a_connection_file_by_its_path(echo: KernelProcess) -> None:
    with KernelClient(echo.connection_file) as client:
        client.wait_ready()


def curve_keys() -> dict[str, str]:
    """Return the entries of a connection file that turn encryption on."""
    public, secret = zmq.curve_keypair()
    return {"curve_publickey": public.decode(), "curve_secretkey": secret.decode()}


@pytest.mark.parametrize(
    "connection",
    [
        {"transport": "ipc"},
        {"key": ""},
        {"signature_scheme": "hmac-sha512"},
        {**curve_keys()},
        {**curve_keys(), "transport": "ipc"},
    ],
    ids=["ipc", "unsigned", "sha512", "curve", "curve over ipc"],
)
def test_connections(connection: Mapping[str, Any], no_leaks: None) -> None:
    with start_kernel(ECHO, connection=connection) as kernel, kernel.client() as client:
        client.wait_ready()
        assert client.execute("hello").stdout == "hello"
        assert client.ping() == [b"ping"]
        assert client.exchange("control", "shutdown_request", {"restart": False}).status == "ok"
        assert kernel.wait() == 0


ASKING = """
from wrapperkernel import Kernel, run

class Asking(Kernel):
    implementation, implementation_version, banner = "asking", "1", "asks"
    language_info = {"name": "text", "mimetype": "text/plain", "file_extension": ".txt"}

    def do_execute(self, code):
        self.iopub.stream("".join(f"<{self.stdin.input(prompt)}>" for prompt in code.split()))

run(Asking)
"""


def test_questions_are_answered_in_order(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(ASKING)
    with start_kernel([sys.executable, "asking.py"], cwd=tmp_path) as kernel, kernel.client() as client:
        client.wait_ready()
        execution = client.execute("name? age?", answers=["Ann", "7"])
        assert execution.stdout == "<Ann><7>"
        assert [prompt["content"]["prompt"] for prompt in execution.prompts] == ["name?", "age?"]
        with pytest.raises(NothingCame, match="no answer is left for the question"):
            client.execute("name? age?", answers=["Ann"])


# ---- with a peer that does as it is told -----------------------------------------------------------


class Peer:
    """The kernel's side of the sockets, in the hands of a test."""

    def __init__(self) -> None:
        self._zmq: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.connection: dict[str, Any] = {"transport": "tcp", "ip": "127.0.0.1", "key": "k"}
        self.signer = TestSigner(b"k")
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        self._sent = 0
        kinds = {"shell": zmq.ROUTER, "control": zmq.ROUTER, "stdin": zmq.ROUTER, "iopub": zmq.XPUB}
        for channel, kind in kinds.items():
            self.sockets[channel] = self._zmq.socket(kind)
            self.sockets[channel].linger = 0
            self.connection[f"{channel}_port"] = self.sockets[channel].bind_to_random_port("tcp://127.0.0.1")
        self.identity = b""

    def close(self) -> None:
        """Close everything."""
        self._zmq.destroy(linger=0)

    def receive(self, channel: str) -> Message:
        """Return the next request and remember who sent it."""
        assert self.sockets[channel].poll(int(default_limit() * 1000))
        self.identity, *frames = self.sockets[channel].recv_multipart()
        return unpack(frames)[0]

    def message(self, msg_type: str, parent: Mapping[str, Any], **content: Any) -> Message:
        """Return a message from the kernel that is right."""
        self._sent += 1
        return {
            "header": {
                "msg_id": f"peer-{self._sent}",
                "session": "peer",
                "username": "peer",
                "date": "2026-01-02T03:04:05Z",
                "msg_type": msg_type,
                "version": "5.5",
            },
            "parent_header": dict(parent),
            "metadata": {},
            "content": content,
            "buffers": [],
        }

    def send(self, channel: str, message: Message, signer: TestSigner | None = None) -> None:
        """Send a message to whoever sent the last request, or to all on iopub."""
        frames = pack(signer or self.signer, message)
        self.sockets[channel].send_multipart([b"topic" if channel == "iopub" else self.identity, *frames])

    def publish(self, msg_type: str, parent: Mapping[str, Any], **content: Any) -> None:
        """Send an iopub message that is right."""
        self.send("iopub", self.message(msg_type, parent, **content))

    def status(self, parent: Mapping[str, Any], state: str) -> None:
        """Publish a status."""
        self.publish("status", parent, execution_state=state)


@pytest.fixture
def peer(no_leaks: None) -> Iterator[Peer]:
    """Return a peer that nobody is connected to."""
    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture
def caller(peer: Peer) -> Iterator[KernelClient]:
    """Return a client of the peer that is subscribed."""
    channels = ["shell", "control", "stdin", "iopub"]
    with KernelClient(peer.connection, channels=channels) as caller:
        assert peer.sockets["iopub"].poll(int(default_limit() * 1000))
        assert peer.sockets["iopub"].recv() == b"\x01"
        yield caller


def test_a_wrong_signature_is_noticed(peer: Peer, caller: KernelClient) -> None:
    caller.request("shell", "interrupt_request")
    parent = peer.receive("shell")["header"]
    peer.send("iopub", peer.message("status", parent, execution_state="busy"), TestSigner(b"another"))
    with pytest.raises(InvalidMessage, match="wrong signature"):
        caller.receive("iopub")


def test_a_msg_id_that_came_before_is_noticed(peer: Peer, caller: KernelClient) -> None:
    message = peer.message("stream", {}, name="stdout", text="a")
    peer.send("iopub", message)
    peer.send("iopub", message)
    caller.receive("iopub")
    with pytest.raises(InvalidMessage, match="'peer-1' came before"):
        caller.receive("iopub")


def test_the_schema_is_applied_to_what_is_received(peer: Peer, caller: KernelClient) -> None:
    peer.publish("clear_output", {})
    with pytest.raises(InvalidMessage, match=r"content\.wait: missing"):
        caller.receive("iopub")
    peer.sockets["iopub"].send_multipart([b"topic", b"no message"])
    with pytest.raises(InvalidMessage, match="no delimiter"):
        caller.receive("iopub")


def test_without_checking_everything_that_can_be_read_is_taken(peer: Peer, caller: KernelClient) -> None:
    caller.checking = False
    peer.send("iopub", peer.message("frobnicated", {}), TestSigner(b"another"))
    assert caller.receive("iopub")["msg_type"] == "frobnicated"


def test_a_reply_of_another_type_is_noticed(peer: Peer, caller: KernelClient) -> None:
    msg_id = caller.request("control", "interrupt_request")
    peer.send(
        "control",
        peer.message("shutdown_reply", peer.receive("control")["header"], status="ok", restart=True),
    )
    with pytest.raises(InvalidMessage, match="expected interrupt_reply, got shutdown_reply"):
        caller.reply(msg_id)


def test_an_exchange_without_busy_is_noticed(peer: Peer, caller: KernelClient) -> None:
    msg_id = caller.request("control", "interrupt_request")
    header = peer.receive("control")["header"]
    peer.send("control", peer.message("interrupt_reply", header, status="ok"))
    peer.status(header, "idle")
    with pytest.raises(InvalidMessage, match="no status busy"):
        caller.finish(msg_id)


def test_the_welcome_must_come_first(peer: Peer, caller: KernelClient) -> None:
    peer.status({}, "starting")
    with pytest.raises(InvalidMessage, match="the first message of iopub is status"):
        caller.wait_ready()


def test_replies_are_matched_by_their_parent(peer: Peer, caller: KernelClient) -> None:
    msg_ids = [caller.request("control", "interrupt_request") for _ in range(3)]
    headers = [peer.receive("control")["header"] for _ in msg_ids]
    for header in reversed(headers):
        peer.send("control", peer.message("interrupt_reply", header, status="ok"))
    for msg_id in msg_ids:
        assert caller.reply(msg_id)["parent_header"]["msg_id"] == msg_id


def test_a_wait_in_vain_says_what_was_waited_for_and_what_came(peer: Peer, caller: KernelClient) -> None:
    msg_id = caller.execute_request("x")
    header = peer.receive("shell")["header"]
    peer.publish("stream", header, name="stdout", text="so far")
    caller.iopub_until(msg_id, lambda message: message["msg_type"] == "stream", "the stream")
    with pytest.raises(NothingCame, match=f"waited for the reply to execute_request {msg_id}") as caught:
        caller.finish_execution(msg_id, limit=SOON)
    assert f"iopub: stream of {msg_id}" in str(caught.value)
    assert "so far" in str(caught.value)


def test_a_heartbeat_that_is_silent(peer: Peer) -> None:
    connection = {**peer.connection, "hb_port": peer.connection["control_port"]}
    with KernelClient(connection, channels=["hb"]) as client:
        for _ in range(2):  # it can be asked again
            with pytest.raises(NothingCame, match="frames on hb"):
                client.ping(limit=SOON)


def test_closing_does_not_wait_for_a_kernel_that_is_not_there(no_leaks: None) -> None:
    ports = {f"{channel}_port": 1 for channel in ("shell", "control", "stdin", "iopub", "hb")}
    with KernelClient({"ip": "127.0.0.1", **ports}) as client:
        for _ in range(10):
            client.execute_request("x" * 100_000)
        with pytest.raises(NothingCame, match="nothing"):
            client.receive("iopub", limit=SOON)


def test_the_limit_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRAPPERKERNEL_TEST_TIMEOUT", "2.5")
    assert default_limit() == 2.5
    monkeypatch.delenv("WRAPPERKERNEL_TEST_TIMEOUT")
    assert default_limit() == 60
