"""Channels within one process: the edge that must not be lost, finalisers within sends, the end, forks."""

from __future__ import annotations

import logging
import select
import threading
from array import array
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq

from wrapperkernel.server.channels import Channel, PlainSocket
from wrapperkernel.server.logs import MessageLog, OncePerKind
from wrapperkernel.wake import Wake
from wrapperkernel.wire import Message, Session

LIMIT = 60_000  # ms, for what is due at once

pytestmark = pytest.mark.usefixtures("zero_copy", "no_leaks")


# --- wakes ------------------------------------------------------------------------------------------


def readable(wake: Wake) -> bool:
    return bool(select.select([wake], [], [], 0)[0])


def test_a_wake_is_readable_from_its_setting_to_its_clearing() -> None:
    wake = Wake()
    assert not readable(wake)
    assert wake.clear() == b""
    wake.set()
    wake.set(b"\x0f")
    assert readable(wake)
    assert wake.clear() == b"\0\x0f"
    assert not readable(wake)
    wake.close()


def test_setting_a_wake_never_blocks() -> None:
    wake = Wake()
    for _ in range(70_000):  # more than a pipe holds
        wake.set()
    assert readable(wake)
    while wake.clear():
        pass
    assert not readable(wake)
    wake.close()


# --- a channel and its clients --------------------------------------------------------------------------


class Shell:
    """A channel, the log it writes, and clients of it."""

    def __init__(self) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = PlainSocket(self.context, zmq.ROUTER)
        socket.sndhwm = socket.rcvhwm = 0
        self.port = socket.bind_to_random_port("tcp://127.0.0.1")
        self.session = Session(b"key")
        self.log = logging.Logger("apart", logging.INFO)
        self.wake = Wake()
        self.malformed = OncePerKind(self.log)
        self.channel = Channel("shell", socket, self.session, self.wake, MessageLog(self.log), self.malformed)

    def client(self, name: bytes = b"client") -> zmq.Socket[bytes]:
        """Return a client; close it before this."""
        client = self.context.socket(zmq.DEALER)
        client.sndhwm = client.rcvhwm = client.linger = 0
        client.rcvtimeo = LIMIT
        client.setsockopt(zmq.ROUTING_ID, name)
        client.connect(f"tcp://127.0.0.1:{self.port}")
        return client

    def message(self, content: Any = None, name: bytes = b"client", **parts: Any) -> Message:
        return self.session.compose("any", content or {}, identities=(name,), **parts)

    def frames(self, content: Any = None) -> list[Any]:
        return Session.serialize(Session(b"key"), Session(b"key").compose("any", content or {}))

    def received(self) -> list[Message]:
        """Wait for messages, and return all that have come."""
        messages: list[Message] = []
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        while not messages:
            while self.channel.receive(messages.append):
                pass
            if not messages:
                assert poll.poll(LIMIT)
        return messages

    def close(self) -> None:
        self.channel.close(0)
        self.wake.close()
        self.context.destroy(linger=0)


@pytest.fixture
def shell() -> Iterator[Shell]:
    made = Shell()
    yield made
    made.close()


def content_of(shell: Shell, frames: list[bytes]) -> Any:
    return shell.session.deserialize(frames).content


@pytest.mark.row("S8", file="server/channels.py", old="        if arrived:", new="        if False:")
def test_nothing_is_left_lying_however_many_threads_send(shell: Shell) -> None:
    """Without the wake after a look, the owner is deaf after some hundred messages."""
    number, stop, failures = 2500, threading.Event(), []
    # Somebody else's session: the channel's own would take its own messages for replays.
    requests = [shell.frames({"number": n}) for n in range(2 * number)]

    def own() -> None:
        poll = select.poll()
        for waited in (shell.channel, shell.wake):
            poll.register(waited, select.POLLIN)
        while not stop.is_set():
            poll.poll()
            shell.wake.clear()
            while shell.channel.receive(answer):
                pass

    def answer(message: Message) -> None:
        shell.channel.send(message._replace(parent_header=message.header))

    def flood() -> None:
        while not stop.is_set():
            shell.channel.send(shell.message(name=b"nobody"))

    def ask(name: bytes, mine: list[list[Any]]) -> None:
        client = shell.client(name)
        try:
            in_flight = 0
            for count, frames in enumerate(mine):
                client.send_multipart(frames)
                in_flight += 1
                while in_flight > (0 if count + 1 == len(mine) else 20):
                    client.recv_multipart()
                    in_flight -= 1
        except zmq.ZMQError as error:
            failures.append((name, error))
        finally:
            client.close()

    workers = [threading.Thread(target=target) for target in (own, flood, flood)]
    clients = [
        threading.Thread(target=ask, args=(name, requests[part::2])) for part, name in enumerate((b"a", b"b"))
    ]
    for thread in workers + clients:
        thread.start()
    for thread in clients:
        thread.join()
    stop.set()
    shell.wake.set()
    for thread in workers:
        thread.join()
    assert not failures


def test_long_and_odd_frames_arrive_whole(shell: Shell) -> None:
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()
    odd = array("d", range(20_000))
    buffers = [
        b"",
        b"x" * 70_000,
        memoryview(odd),
        memoryview(odd)[:3],
        memoryview(bytes(24)).cast("B", (2, 3, 4)),
        memoryview(array("d", [2.5])).cast("B").cast("d", ()),
        array("d"),
        bytearray(b"mine"),
    ]
    shell.channel.send(shell.message({"text": "y" * 100_000}, buffers=buffers))
    shell.channel.send(shell.message({"next": True}))
    message = shell.session.deserialize(client.recv_multipart())
    assert message.content == {"text": "y" * 100_000}
    assert list(message.buffers) == [memoryview(buffer).tobytes() for buffer in buffers]
    assert content_of(shell, client.recv_multipart()) == {"next": True}
    client.close()


def test_what_cannot_be_sent_leaves_the_channel_whole(shell: Shell) -> None:
    numpy = pytest.importorskip("numpy")
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()
    fortran = numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))
    for parts in ({"buffers": [fortran]}, {"buffers": [numpy.arange(9)[::2]]}, {"buffers": [3]}):
        with pytest.raises((TypeError, ValueError)):
            shell.channel.send(shell.message(**parts))
    for content in ({"x": object()}, {1: 0, "1": 0}):
        with pytest.raises((TypeError, ValueError)):
            shell.channel.send(shell.message(content))
    shell.channel.send(shell.message({"next": True}))
    assert content_of(shell, client.recv_multipart()) == {"next": True}
    client.close()


def test_malformed_frames_are_dropped_and_the_good_ones_behind_them_are_not(shell: Shell) -> None:
    client = shell.client()
    client.send_multipart([b"<IDS|MSG>", b"short"])
    client.send_multipart([b""])
    client.send_multipart(shell.frames({"good": 1}))
    messages: list[Message] = []
    while not messages:
        messages += shell.received()
    assert [message.content for message in messages] == [{"good": 1}]
    client.close()


# --- sends within sends ---------------------------------------------------------------------------------


class Finaliser:
    """Does something when it goes."""

    def __init__(self, last_deed: Callable[[], None]) -> None:
        self._last_deed = last_deed

    def __del__(self) -> None:
        self._last_deed()


class Watched:
    """A socket at whose every use something may happen in the same thread, as when garbage is collected."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.meanwhile: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        if name in ("put", "take", "recv_multipart", "send", "send_multipart"):
            self.meanwhile.clear()
        return getattr(self._socket, name)


@pytest.fixture
def watched(shell: Shell) -> Watched:
    shell.channel.socket = Watched(shell.channel.socket)  # type: ignore[assignment]
    return shell.channel.socket  # type: ignore[return-value]


def test_a_finaliser_that_sends_within_a_send(shell: Shell, watched: Watched) -> None:
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()
    watched.meanwhile = [Finaliser(lambda: shell.channel.send(shell.message({"last": "words"})))]
    shell.channel.send(shell.message({"first": True}))
    assert content_of(shell, client.recv_multipart()) == {"first": True}
    assert content_of(shell, client.recv_multipart()) == {"last": "words"}
    client.close()


def test_a_finaliser_that_sends_while_messages_are_received(shell: Shell, watched: Watched) -> None:
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()
    watched.meanwhile = [Finaliser(lambda: shell.channel.send(shell.message({"last": "words"})))]
    shell.channel.receive(print)  # nothing has come
    assert content_of(shell, client.recv_multipart()) == {"last": "words"}
    client.close()


def test_finalisers_within_finalisers_keep_their_order(shell: Shell, watched: Watched) -> None:
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()

    def last_words(number: int) -> None:
        if number < 50:
            watched.meanwhile = [Finaliser(lambda: last_words(number + 1))]
        shell.channel.send(shell.message({"number": number}))

    last_words(0)
    assert [content_of(shell, client.recv_multipart())["number"] for _ in range(51)] == list(range(51))
    client.close()


def test_a_finaliser_in_the_moment_before_the_channel_knows_its_holder(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between taking the lock and the next line of Python, garbage may be collected as well."""
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()
    meanwhile = [Finaliser(lambda: shell.channel.send(shell.message({"last": "words"})))]

    class Lock:
        def __init__(self, lock: Any) -> None:
            self._lock = lock

        def __enter__(self) -> None:
            self._lock.__enter__()
            meanwhile.clear()

        def __exit__(self, *exc_info: Any) -> None:
            self._lock.__exit__(*exc_info)

    inner = shell.channel._lock
    monkeypatch.setattr(shell.channel, "_lock", Lock(inner))
    done = threading.Thread(target=lambda: shell.channel.send(shell.message({"first": True})), daemon=True)
    done.start()
    contents = [content_of(shell, client.recv_multipart()) for _ in range(2)]
    assert sorted(contents, key=str) == [{"first": True}, {"last": "words"}]
    monkeypatch.setattr(shell.channel, "_lock", inner)
    done.join()
    client.close()


# --- the end ----------------------------------------------------------------------------------------------


@pytest.mark.row("S4")
@pytest.mark.parametrize("size", [1, 4 << 20])
def test_the_last_reply_leaves_before_the_socket_goes(size: int) -> None:
    for _ in range(50):
        shell = Shell()
        client = shell.client()
        client.send_multipart(shell.frames())
        shell.received()
        shell.channel.send(shell.message({"text": "x" * size}))
        shell.channel.close(60_000)
        assert content_of(shell, client.recv_multipart()) == {"text": "x" * size}
        client.close()
        shell.close()


@pytest.mark.row("I11")
def test_a_closed_channel_takes_and_gives_nothing(shell: Shell) -> None:
    client = shell.client()
    client.send_multipart(shell.frames())
    shell.received()
    shell.channel.close(0)
    shell.channel.close(0)
    shell.channel.send(shell.message())
    assert not shell.channel.receive(print)
    client.close()


def test_a_channel_in_use_does_not_hold_up_the_end(shell: Shell) -> None:
    """A stuck thread may have it; the process ends all the same."""
    entered, leave = threading.Event(), threading.Event()

    class Stuck:
        def __del__(self) -> None:
            entered.set()
            leave.wait()

    socket = shell.channel.socket
    watched = Watched(socket)
    shell.channel.socket = watched  # type: ignore[assignment]
    watched.meanwhile = [Stuck()]
    sender = threading.Thread(target=lambda: shell.channel.send(shell.message()))
    sender.start()
    entered.wait()
    shell.channel.close(0)
    leave.set()
    sender.join()
    shell.channel.socket = socket


@pytest.mark.row("W9")
def test_a_channel_that_a_child_forgot_sends_nothing_though_its_lock_was_held(shell: Shell) -> None:
    """As in a forked child: the thread that held the lock is not there to give it back."""
    holder = threading.Thread(target=shell.channel._lock.acquire)
    holder.start()
    holder.join()
    shell.channel.forget()
    shell.channel.send(shell.message())
    assert not shell.channel.receive(print)
    shell.channel._closed = False  # for the end of this test
