"""The heartbeat: pings come back whole, while Python computes too, and it ends when told."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.server.connection import ConnectionInfo
from wrapperkernel.server.endpoints import BindError, Endpoints
from wrapperkernel.server.heartbeat import Heartbeat

LIMIT = 20_000  # ms, for answers that are due at once
ZmqSocket = zmq.Socket[bytes]


class Client:
    """Who pings."""

    def __init__(self, endpoint: str, kind: int = zmq.DEALER, **options: bytes) -> None:
        self._zmq = zmq.Context()
        self.socket = self._zmq.socket(kind)
        for name, value in options.items():
            setattr(self.socket, name, value)
        self.socket.connect(endpoint)

    def ping(self, *frames: bytes) -> list[bytes]:
        self.socket.send_multipart(frames)
        assert self.socket.poll(LIMIT), "the heart does not beat"
        return self.socket.recv_multipart()

    def close(self) -> None:
        self.socket.close(linger=0)
        self._zmq.term()


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    endpoints = Endpoints(ConnectionInfo())
    heartbeat = Heartbeat(endpoints)
    heartbeat.start()
    yield endpoints.info.endpoint("hb")
    heartbeat.stop()


@pytest.fixture(scope="module", params=[zmq.REQ, zmq.DEALER], ids=["REQ", "DEALER"])
def client(endpoint: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = Client(endpoint, request.param)
    yield made
    made.close()


@given(frames=st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_a_ping_comes_back_byte_for_byte(client: Client, frames: list[bytes]) -> None:
    assert client.ping(*frames) == frames


@pytest.mark.parametrize("frames", [[b""], [b"ping"], [b"", b""], [b"", b"a", b""], [bytes(1 << 20)]])
def test_empty_multipart_and_long_pings(client: Client, frames: list[bytes]) -> None:
    assert client.ping(*frames) == frames


def test_each_client_gets_its_own(endpoint: str) -> None:
    clients = [Client(endpoint, zmq.DEALER) for _ in range(5)]
    for number, client in enumerate(clients):
        for turn in range(10):
            client.socket.send(b"%d %d" % (number, turn))
    for number, client in enumerate(clients):
        for turn in range(10):
            assert client.socket.poll(LIMIT)
            assert client.socket.recv() == b"%d %d" % (number, turn)
        client.close()


def test_a_client_that_is_lost_blocks_nobody(endpoint: str) -> None:
    for _ in range(3):
        lost = Client(endpoint, zmq.REQ)
        lost.socket.send(b"ping")
        lost.close()
    client = Client(endpoint, zmq.REQ)
    assert client.ping(b"still there") == [b"still there"]
    client.close()


def test_a_huge_frame_is_refused_and_others_served(endpoint: str) -> None:
    greedy, client = Client(endpoint), Client(endpoint)
    greedy.socket.send(bytes((1 << 20) + 1))
    assert client.ping(b"ping") == [b"ping"]
    assert not greedy.socket.poll(0)
    greedy.close()
    client.close()


def test_with_keys_only_who_has_them_is_answered() -> None:
    public, secret = zmq.curve_keypair()
    endpoints = Endpoints(ConnectionInfo(curve_publickey=public, curve_secretkey=secret))
    heartbeat = Heartbeat(endpoints)
    heartbeat.start()
    endpoint = endpoints.info.endpoint("hb")
    plain = Client(endpoint)
    plain.socket.send(b"ping")
    keyed = Client(endpoint, curve_serverkey=public, curve_publickey=public, curve_secretkey=secret)
    assert keyed.ping(b"ping") == [b"ping"]
    assert not plain.socket.poll(0)
    plain.close()
    keyed.close()
    heartbeat.stop()


# Calls a C function that holds the interpreter lock (ctypes.PyDLL keeps it) until the test sends a byte.
HOLDER = """
import ctypes
from wrapperkernel.server.connection import ConnectionInfo
from wrapperkernel.server.endpoints import Endpoints
from wrapperkernel.server.heartbeat import Heartbeat

read = ctypes.PyDLL(None).read
endpoints = Endpoints(ConnectionInfo())
heartbeat = Heartbeat(endpoints)
heartbeat.start()
print(endpoints.info.endpoint("hb"), flush=True)
read(0, ctypes.create_string_buffer(1), 1)
print("lock released", flush=True)
heartbeat.stop()
"""


@pytest.mark.row(
    "S10",
    file="server/heartbeat.py",
    old="zmq.proxy(socket, socket)",
    new="while True: socket.send_multipart(socket.recv_multipart())",
)
def test_it_beats_while_python_holds_its_lock() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            client = Client(holder.stdout.readline().decode().strip(), zmq.REQ)
            try:
                for number in range(50):
                    frames = [b"%d" % number, b"", b"\x00\xff"][: number % 3 + 1]
                    assert client.ping(*frames) == frames
            finally:
                client.close()
            holder.stdin.write(b".")
            assert holder.stdout.readline() == b"lock released\n"
            assert holder.wait(LIMIT / 1000) == 0
        finally:
            holder.kill()


# --- start and stop ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_leaks")
def test_it_ends_and_leaves_nothing() -> None:
    endpoints = Endpoints(ConnectionInfo())
    heartbeat = Heartbeat(endpoints)
    heartbeat.start()
    port = endpoints.info.ports["hb"]
    client = Client(endpoints.info.endpoint("hb"))
    assert client.ping(b"ping") == [b"ping"]
    heartbeat.stop()
    heartbeat.stop()
    again = Heartbeat(Endpoints(ConnectionInfo().with_ports({"hb": port})))
    again.start()  # the port is free, also while the client is still there
    assert client.ping(b"ping") == [b"ping"]
    again.stop()
    client.close()


def test_stopping_what_never_started_is_nothing() -> None:
    Heartbeat(Endpoints(ConnectionInfo())).stop()


@pytest.mark.usefixtures("no_leaks")
def test_a_port_that_is_taken_leaves_nothing() -> None:
    endpoints = Endpoints(ConnectionInfo())
    first = Heartbeat(endpoints)
    first.start()
    second = Heartbeat(Endpoints(endpoints.info))
    with pytest.raises(BindError, match="cannot bind the hb socket"):
        second.start()
    second.stop()
    first.stop()


def test_the_wait_for_its_end_is_bounded(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stuck = threading.Event()
    heartbeat = Heartbeat(Endpoints(ConnectionInfo()))
    heartbeat.start()
    assert heartbeat._zmq is not None
    term = heartbeat._zmq.term
    monkeypatch.setattr(heartbeat._zmq, "term", lambda: (stuck.wait(), term()))
    with caplog.at_level(logging.WARNING):
        heartbeat.stop(timeout=0.01)
    assert "heartbeat did not end" in caplog.text
    stuck.set()
