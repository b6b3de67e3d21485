"""Which connections take nothing: seen by their queues, at moments that are given; and how one is ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from wrapperkernel.server.connections import Connections

pytestmark = pytest.mark.usefixtures("no_leaks")


class Server:
    """A listener and its connections; ``clients`` and ``accepted`` belong together pairwise."""

    def __init__(self, folder: Path | None) -> None:
        if folder is None:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.endpoint = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(folder / "s"))
            self._listener.listen()
            self.endpoint = f"ipc://{folder}/s"
        self.connections = Connections(self.endpoint)
        self.filled = 0
        self.clients: list[socket.socket] = []
        self.accepted: list[socket.socket] = []

    def connect(self) -> None:
        self.clients.append(socket.socket(self._listener.family))
        self.clients[-1].connect(self._listener.getsockname())
        self.accepted.append(self._listener.accept()[0])
        self.accepted[-1].setblocking(False)

    def fill(self, number: int) -> int:
        """Send until no more can be sent; return the connection's descriptor."""
        try:
            while True:
                self.filled += self.accepted[number].send(bytes(100_000))
        except BlockingIOError:
            return self.accepted[number].fileno()

    def close(self) -> None:
        for each in (self._listener, *self.clients, *self.accepted):
            each.close()


@pytest.fixture(params=["tcp", "ipc"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    made = Server(None if request.param == "tcp" else tmp_path)
    yield made
    made.close()


def test_queues_are_those_of_the_endpoint_and_nothing_is_changed_by_looking(server: Server) -> None:
    other = Server(None)
    for each in (server, other):
        each.connect()
        each.connect()
    filled, others = server.fill(1), other.fill(0)
    before = sorted(os.listdir("/dev/fd"))
    for _ in range(10):
        assert list(server.connections.queues()) == [filled]
        assert list(other.connections.queues()) == [others]
    assert sorted(os.listdir("/dev/fd")) == before
    other.close()


def stuck(server: Server, now: float, progress: int = 0) -> list[int]:
    return list(server.connections.stuck(progress, now, patience=10, pause=1.5))


def test_one_is_stuck_whose_queue_stays_as_it_is(server: Server) -> None:
    server.connect()
    server.connect()
    filled = server.fill(0)
    seen = {now: found for now in range(100, 200) if (found := stuck(server, now))}
    assert set(map(tuple, seen.values())) == {(filled,)}
    # From the first look on, or from when the system had moved the last of what it moves by itself.
    assert min(seen) >= 110
    assert all(later - earlier >= 10 for earlier, later in pairwise(seen))


def test_one_that_takes_something_is_not(server: Server) -> None:
    server.connect()
    server.connect()
    filled, slow = server.fill(0), server.fill(1)
    for now in range(100, 120):
        if now % 4 == 0:
            left = server.filled // 12  # a sixth of what it got, each time
            while left > 0:
                left -= len(server.clients[1].recv(left))
        assert slow not in stuck(server, now)
    assert filled in server.connections.queues()


def test_a_queue_that_settles_late_counts_from_then(server: Server) -> None:
    """The system goes on to move what it has for a moment after the last byte was written."""
    server.connect()
    server.accepted[0].send(b"x" * 10)
    stuck(server, 100.0)
    filled = server.fill(0)
    assert min(now for now in range(101, 200) if stuck(server, now)) >= 111
    assert list(server.connections.queues()) == [filled]


def test_progress_of_all_begins_anew(server: Server) -> None:
    server.connect()
    server.fill(0)
    assert not any(stuck(server, now, progress=now // 9) for now in range(100, 150))


def test_a_pause_between_looks_begins_anew(server: Server) -> None:
    server.connect()
    server.fill(0)
    assert not any(stuck(server, now) for now in range(100, 200, 2))


def test_an_end_is_seen_on_both_sides(server: Server) -> None:
    server.connect()
    server.connect()
    server.connections.end(server.accepted[0].fileno())
    assert server.clients[0].recv(1) == b""
    assert server.accepted[0].recv(1) == b""
    server.accepted[1].send(b"x")
    assert server.clients[1].recv(1) == b"x"


def test_ending_what_is_no_connection_does_nothing(server: Server) -> None:
    reader, writer = os.pipe()
    server.connections.end(reader)
    os.close(reader)
    server.connections.end(reader)
    os.close(writer)


def test_without_a_descriptor_left_nothing_is_found(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> list[str]:
        raise OSError(24, "Too many open files")

    server.connect()
    server.fill(0)
    monkeypatch.setattr(os, "listdir", refuse)
    assert server.connections.queues() == {}
