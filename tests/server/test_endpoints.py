"""Binding: five sockets at their addresses, encrypted or not, over tcp and ipc; what is left behind."""

from __future__ import annotations

import json
import os
import socket as unix
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from zmq.utils.monitor import recv_monitor_message

from wrapperkernel.server.connection import CHANNELS, Channel, ConnectionFileError, ConnectionInfo
from wrapperkernel.server.endpoints import BindError, Endpoints

LIMIT = 20_000  # ms, for events that are due at once
KERNEL_SIDE = {
    "shell": zmq.ROUTER,
    "iopub": zmq.XPUB,
    "stdin": zmq.ROUTER,
    "control": zmq.ROUTER,
    "hb": zmq.ROUTER,
}
ZmqSocket = zmq.Socket[bytes]


class Sockets:
    """Sockets of both sides, and their end."""

    def __init__(self) -> None:
        self._zmq = zmq.Context()
        self._made: list[ZmqSocket] = []

    def new(self, kind: int) -> ZmqSocket:
        self._made.append(self._zmq.socket(kind))
        return self._made[-1]

    def monitor(self, socket: ZmqSocket, events: int) -> ZmqSocket:
        """Watch a socket of ours for these events."""
        self._made.append(socket.get_monitor_socket(events))
        return self._made[-1]

    def close(self) -> None:
        for socket in self._made:
            socket.close(linger=0)
        self._zmq.term()

    def kernel(self, endpoints: Endpoints) -> dict[Channel, ZmqSocket]:
        """Bind all five sockets of a kernel."""
        bound = {channel: self.new(KERNEL_SIDE[channel]) for channel in CHANNELS}
        for channel, socket in bound.items():
            endpoints.bind(socket, channel)
        return bound

    def router(self) -> ZmqSocket:
        return self.new(zmq.ROUTER)

    def client(self, channel: Channel, endpoint: str, **options: Any) -> ZmqSocket:
        """Connect to a channel and send what a client can send on it."""
        socket = self.new(zmq.SUB if channel == "iopub" else zmq.DEALER)
        for name, value in options.items():
            setattr(socket, name, value)
        socket.connect(endpoint)
        if channel == "iopub":
            socket.subscribe(channel)
        else:
            socket.send_multipart([b"to", channel.encode()])
        return socket


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    made = Sockets()
    yield made
    made.close()


def write(path: Path, **changes: Any) -> str:
    """Write a connection file whose ports are left to the kernel."""
    document = {"key": "k", **{f"{channel}_port": 0 for channel in CHANNELS}, **changes}
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    return str(path)


def free_ports(number: int) -> list[int]:
    """Find free ports, as a launcher does."""
    probes = [unix.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def require_served(bound: ZmqSocket, channel: Channel, client: ZmqSocket) -> None:
    """Require that what the client sent arrives at the bound socket, and an answer at the client."""
    assert bound.poll(LIMIT), f"nothing came on {channel}"
    if channel == "iopub":
        assert bound.recv_multipart() == [b"\x01iopub"]
        bound.send_multipart([b"iopub", b"back"])
        answer = [b"iopub", b"back"]
    else:
        identity, *message = bound.recv_multipart()
        assert message == [b"to", channel.encode()]
        bound.send_multipart([identity, b"back"])
        answer = [b"back"]
    assert client.poll(LIMIT), f"no answer on {channel}"
    assert client.recv_multipart() == answer


# --- tcp ----------------------------------------------------------------------------------------------


@pytest.mark.row(
    "C1",
    file="server/connection.py",
    old='return f"tcp://{_interface(self.ip)}:{port}"',
    new='return f"tcp://{_interface(self.ip)}:0"',
)
def test_five_sockets_are_bound_where_the_file_says(tmp_path: Path, sockets: Sockets) -> None:
    ports = dict(zip(CHANNELS, free_ports(5), strict=True))
    path = write(tmp_path / "kernel.json", **{f"{channel}_port": port for channel, port in ports.items()})
    before = Path(path).read_bytes()
    endpoints = Endpoints(ConnectionInfo.read(path), path)
    bound = sockets.kernel(endpoints)
    for channel, port in ports.items():
        client = sockets.client(channel, f"tcp://127.0.0.1:{port}")
        require_served(bound[channel], channel, client)
    assert endpoints.publish() == path
    assert Path(path).read_bytes() == before


@pytest.mark.row("C7")
def test_ports_left_to_us_are_chosen_and_published(tmp_path: Path, sockets: Sockets) -> None:
    (given,) = free_ports(1)
    path = write(tmp_path / "kernel.json", stdin_port=given, kernel_name="echo")
    endpoints = Endpoints(ConnectionInfo.read(path), path)
    bound = sockets.kernel(endpoints)
    assert endpoints.publish() == path
    published = json.loads(Path(path).read_text())
    assert published["stdin_port"] == given
    assert published["kernel_name"] == "echo"
    assert len({published[f"{channel}_port"] for channel in CHANNELS} - {0}) == 5
    for channel in CHANNELS:
        client = sockets.client(channel, f"tcp://127.0.0.1:{published[f'{channel}_port']}")
        require_served(bound[channel], channel, client)


@pytest.mark.row("C11")
def test_star_is_every_interface(sockets: Sockets) -> None:
    endpoints = Endpoints(ConnectionInfo(ip="*"))
    socket = sockets.router()
    port = endpoints.bind(socket, "shell")
    for address in ("127.0.0.1", "127.0.0.2"):
        require_served(socket, "shell", sockets.client("shell", f"tcp://{address}:{port}"))


def test_ipv6(sockets: Sockets) -> None:
    if not Path("/proc/net/if_inet6").exists() or "lo" not in Path("/proc/net/if_inet6").read_text():
        pytest.skip("this machine has no IPv6 loopback")
    endpoints = Endpoints(ConnectionInfo(ip="::1"))
    socket = sockets.router()
    port = endpoints.bind(socket, "shell")
    require_served(socket, "shell", sockets.client("shell", f"tcp://[::1]:{port}", ipv6=True))


def test_a_port_that_is_taken_is_said(sockets: Sockets) -> None:
    first = sockets.router()
    port = Endpoints(ConnectionInfo()).bind(first, "shell")
    second = Endpoints(ConnectionInfo().with_ports({"stdin": port}))
    with pytest.raises(BindError) as caught:
        second.bind(sockets.router(), "stdin")
    assert (caught.value.channel, caught.value.endpoint) == ("stdin", f"tcp://127.0.0.1:{port}")
    assert str(caught.value) == (
        f"cannot bind the stdin socket to tcp://127.0.0.1:{port}: another process uses it"
    )
    require_served(first, "shell", sockets.client("shell", f"tcp://127.0.0.1:{port}"))


@pytest.mark.parametrize("ip", ["192.0.2.77", "999.1.1.1", "no such name", "a:b"])
def test_an_address_that_is_not_ours_is_said(sockets: Sockets, ip: str) -> None:
    with pytest.raises(
        BindError, match=r"^cannot bind the shell socket to tcp://.*: this machine has no such"
    ):
        Endpoints(ConnectionInfo(ip=ip)).bind(sockets.router(), "shell")


# --- our own connection file ------------------------------------------------------------------------------


@pytest.mark.row("C8")
def test_without_a_file_one_is_made_and_taken_away(
    tmp_path: Path, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path / "runtime"
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(runtime))
    endpoints = Endpoints(ConnectionInfo.new())
    sockets.kernel(endpoints)
    path = endpoints.publish()
    assert path == str(runtime / f"kernel-{os.getpid()}.json")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.stat(runtime).st_mode & stat.S_ISVTX
    assert ConnectionInfo.read(path) == endpoints.info
    assert 0 not in endpoints.info.ports.values()
    endpoints.cleanup()
    assert os.listdir(runtime) == []


def test_a_file_that_was_given_stays(tmp_path: Path, sockets: Sockets) -> None:
    path = write(tmp_path / "kernel.json")
    endpoints = Endpoints(ConnectionInfo.read(path), path)
    sockets.kernel(endpoints)
    endpoints.publish()
    endpoints.cleanup()
    assert os.listdir(tmp_path) == ["kernel.json"]


def test_a_fork_leaves_its_parents_files_alone(
    tmp_path: Path, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints = Endpoints(ConnectionInfo(transport="ipc", ip=str(tmp_path / "k")))
    endpoints.bind(sockets.router(), "shell")
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: 1)
        endpoints.cleanup()
    assert os.listdir(tmp_path) == ["k-1"]
    endpoints.cleanup()
    endpoints.cleanup()
    assert os.listdir(tmp_path) == []


# --- ipc --------------------------------------------------------------------------------------------------


@pytest.mark.row(
    "C10",
    file="server/endpoints.py",
    old="remove_if_there(self._made.pop())",
    new="self._made.pop()",
)
def test_ipc_sockets_are_served_and_removed(
    tmp_path: Path, sockets: Sockets, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    path = write(tmp_path / "kernel.json", transport="ipc", ip="kernel-x")
    endpoints = Endpoints(ConnectionInfo.read(path), path)
    bound = sockets.kernel(endpoints)
    endpoints.publish()
    published = json.loads(Path(path).read_text())
    assert sorted(published[f"{channel}_port"] for channel in CHANNELS) == [1, 2, 3, 4, 5]
    assert sorted(os.listdir()) == [f"kernel-x-{port}" for port in range(1, 6)]
    for name in os.listdir():
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o600
    for channel in CHANNELS:
        client = sockets.client(channel, f"ipc://kernel-x-{published[f'{channel}_port']}")
        require_served(bound[channel], channel, client)
    monkeypatch.chdir(tmp_path)  # as a user's code may
    for socket in bound.values():
        socket.close()
    endpoints.cleanup()
    assert os.listdir(tmp_path / "here") == []


@pytest.mark.row(
    "C10",
    file="server/endpoints.py",
    old="if len(os.fsencode(path)) > zmq.IPC_PATH_MAX_LEN:",
    new="if False:",
)
@pytest.mark.parametrize("letter", ["x", "é"])
def test_a_path_too_long_is_said(tmp_path: Path, sockets: Sockets, letter: str) -> None:
    room = zmq.IPC_PATH_MAX_LEN - len(os.fsencode(tmp_path)) - len("/-1")
    prefix = str(tmp_path / (letter * (room // len(letter.encode()))))
    prefix += "y" * (zmq.IPC_PATH_MAX_LEN - len(os.fsencode(prefix)) - len("-1"))
    fits = Endpoints(ConnectionInfo(transport="ipc", ip=prefix))
    assert fits.bind(sockets.router(), "shell") == 1
    too_long = Endpoints(ConnectionInfo(transport="ipc", ip=prefix).with_ports({"shell": 10}))
    with pytest.raises(BindError) as caught:
        too_long.bind(sockets.router(), "shell")
    assert str(caught.value) == (
        f"cannot bind the shell socket to ipc://{prefix}-10: a socket's path has at most 107 bytes"
    )
    fits.cleanup()
    assert os.listdir(tmp_path) == []


def test_a_directory_that_does_not_exist_is_said(tmp_path: Path, sockets: Sockets) -> None:
    endpoints = Endpoints(ConnectionInfo(transport="ipc", ip=str(tmp_path / "no" / "k")))
    with pytest.raises(BindError, match=r"k-1: No such file or directory$"):
        endpoints.bind(sockets.router(), "shell")


def test_a_live_socket_is_not_taken_over(tmp_path: Path, sockets: Sockets) -> None:
    info = ConnectionInfo(transport="ipc", ip=str(tmp_path / "k")).with_ports({"shell": 7, "stdin": 7})
    endpoints = Endpoints(info)
    first = sockets.router()
    endpoints.bind(first, "shell")
    with pytest.raises(BindError, match=r"another process uses it$"):
        endpoints.bind(sockets.router(), "stdin")
    require_served(first, "shell", sockets.client("shell", info.endpoint("shell")))


def test_a_socket_of_a_killed_kernel_is_replaced(tmp_path: Path, sockets: Sockets) -> None:
    info = ConnectionInfo(transport="ipc", ip=str(tmp_path / "k")).with_ports({"shell": 7})
    with unix.socket(unix.AF_UNIX) as killed:
        killed.bind(str(tmp_path / "k-7"))
    socket = sockets.router()
    Endpoints(info).bind(socket, "shell")
    require_served(socket, "shell", sockets.client("shell", info.endpoint("shell")))


def test_a_file_that_is_no_socket_stays(tmp_path: Path, sockets: Sockets) -> None:
    (tmp_path / "k-7").write_text("precious")
    endpoints = Endpoints(ConnectionInfo(transport="ipc", ip=str(tmp_path / "k")).with_ports({"shell": 7}))
    with pytest.raises(BindError):
        endpoints.bind(sockets.router(), "shell")
    endpoints.cleanup()
    assert (tmp_path / "k-7").read_text() == "precious"


@pytest.mark.usefixtures("no_leaks")
def test_nothing_of_a_refused_bind_stays(tmp_path: Path) -> None:
    sockets = Sockets()
    (tmp_path / "k-1").write_text("")
    endpoints = Endpoints(ConnectionInfo(transport="ipc", ip=str(tmp_path / "k")).with_ports({"hb": 1}))
    with pytest.raises(BindError):
        endpoints.bind(sockets.router(), "hb")
    sockets.close()
    assert endpoints.info.ports["hb"] == 1


NUMBERS = st.integers(1, 9)


@settings(max_examples=40)
@given(
    asked=st.lists(st.just(0) | NUMBERS, min_size=5, max_size=5),
    in_the_way=st.sets(NUMBERS),
)
def test_ipc_numbers_are_free_and_the_smallest(asked: list[int], in_the_way: set[int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for number in in_the_way:
            (directory / f"k-{number}").write_text("precious")
        info = ConnectionInfo(transport="ipc", ip=str(directory / "k"))
        endpoints = Endpoints(info.with_ports(dict(zip(CHANNELS, asked, strict=True))))
        taken = set(in_the_way)
        sockets = Sockets()
        try:
            for channel, port in zip(CHANNELS, asked, strict=True):
                if port in taken:
                    with pytest.raises(BindError):
                        endpoints.bind(sockets.router(), channel)
                    continue
                chosen = endpoints.bind(sockets.router(), channel)
                assert chosen == (port or min(set(range(1, 20)) - taken))
                taken.add(chosen)
            assert {int(path.name[2:]) for path in directory.iterdir()} == taken
        finally:
            sockets.close()
            endpoints.cleanup()
        assert {path.name for path in directory.iterdir()} == {f"k-{number}" for number in in_the_way}
        assert all(path.read_text() == "precious" for path in directory.iterdir())


# --- encryption ------------------------------------------------------------------------------------


def keyed(endpoint_keys: tuple[bytes, bytes], own_keys: tuple[bytes, bytes]) -> dict[str, bytes]:
    """Return a client's options: its own keys, and the public key that it expects of the kernel."""
    return {
        "curve_serverkey": endpoint_keys[0],
        "curve_publickey": own_keys[0],
        "curve_secretkey": own_keys[1],
    }


def require_refused(
    sockets: Sockets, bound: ZmqSocket, channel: Channel, endpoint: str, **options: Any
) -> None:
    """Require that a client fails at the handshake, and that nothing of what it sent arrives."""
    client = sockets.new(zmq.SUB if channel == "iopub" else zmq.DEALER)
    events = sockets.monitor(
        client,
        zmq.EVENT_HANDSHAKE_SUCCEEDED
        | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
        | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
        | zmq.EVENT_HANDSHAKE_FAILED_AUTH,
    )
    for name, value in options.items():
        setattr(client, name, value)
    client.connect(endpoint)
    if channel == "iopub":
        client.subscribe(b"")
    else:
        client.send(b"open up")
    assert events.poll(LIMIT), "no word about the handshake"
    assert recv_monitor_message(events)["event"] != zmq.EVENT_HANDSHAKE_SUCCEEDED
    assert not bound.poll(0)
    client.close(linger=0)


@pytest.mark.row(
    "C13", file="server/endpoints.py", old="socket.curve_server = True", new="socket.curve_server = False"
)
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_with_keys_all_five_sockets_are_encrypted(tmp_path: Path, sockets: Sockets, transport: str) -> None:
    keys, others = zmq.curve_keypair(), zmq.curve_keypair()
    path = write(
        tmp_path / "kernel.json",
        transport=transport,
        ip="127.0.0.1" if transport == "tcp" else str(tmp_path / "k"),
        curve_publickey=keys[0].decode(),
        curve_secretkey=keys[1].decode(),
    )
    endpoints = Endpoints(ConnectionInfo.read(path), path)
    bound = sockets.kernel(endpoints)
    for channel, socket in bound.items():
        endpoint = endpoints.info.endpoint(channel)
        require_refused(sockets, socket, channel, endpoint)
        require_refused(sockets, socket, channel, endpoint, **keyed(others, others))
        for own in (keys, others):  # jupyter_client's clients use the kernel's pair; any of their own will do
            client = sockets.client(channel, endpoint, **keyed(keys, own))
            require_served(socket, channel, client)
            client.close(linger=0)
            if channel == "iopub":
                assert socket.poll(LIMIT)
                assert socket.recv() == b"\x00iopub"
    endpoints.cleanup()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_keys_that_are_no_pair_are_refused(data: st.DataObject) -> None:
    pairs = [zmq.curve_keypair() for _ in range(3)]
    public = data.draw(st.sampled_from([*(pair[0] for pair in pairs), b"#" * 40]))
    secret = data.draw(st.sampled_from([*(pair[1] for pair in pairs), b"#" * 40]))
    endpoints = Endpoints(ConnectionInfo(curve_publickey=public, curve_secretkey=secret))
    sockets = Sockets()
    try:
        if (public, secret) in pairs:
            assert endpoints.bind(sockets.router(), "shell") > 0
        else:
            with pytest.raises(ConnectionFileError, match=r"are no pair$"):
                endpoints.bind(sockets.router(), "shell")
    finally:
        sockets.close()


def test_a_libzmq_without_encryption_is_said(sockets: Sockets, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = zmq.curve_keypair()
    monkeypatch.setattr(zmq, "has", lambda _: False)
    endpoints = Endpoints(ConnectionInfo(curve_publickey=keys[0], curve_secretkey=keys[1]))
    with pytest.raises(ConnectionFileError, match="which this libzmq cannot do"):
        endpoints.bind(sockets.router(), "shell")
