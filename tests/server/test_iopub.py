"""The iopub channel within one process: whom it greets, what it joins, how it counts what waits."""

from __future__ import annotations

import logging
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from wrapperkernel.server.channels import PlainSocket
from wrapperkernel.server.iopub import IOPubChannel
from wrapperkernel.server.logs import MessageLog, OncePerKind
from wrapperkernel.server.streams import LARGEST
from wrapperkernel.wake import Wake
from wrapperkernel.wire import Message, Session

LIMIT = 60_000  # ms, for what is due at once
MEGABYTE = 1 << 20


class Lines(logging.Handler):
    """Keeps what is logged, and calls `meanwhile` as often as something is."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.meanwhile: Callable[[], None] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


class Publisher:
    """An iopub channel without a kernel, its owner's thread, its log, and subscribers of it."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:*", *, limit: int, patience: float = 1e9) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.others: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = PlainSocket(self.context, zmq.XPUB)
        socket.sndhwm = 0
        socket.setsockopt(zmq.XPUB_MANUAL, 1)
        socket.bind(endpoint)
        self.endpoint = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self.session = Session(b"key")
        self.log = Lines()
        logger = logging.Logger("apart", logging.DEBUG)
        logger.addHandler(self.log)
        self.wake = Wake()
        self.channel = IOPubChannel(
            socket,
            self.session,
            self.wake,
            MessageLog(logger),
            OncePerKind(logger),
            limit=limit,
            patience=patience,
        )
        self._subscribers: list[zmq.Socket[bytes]] = []
        self._ends = threading.Event()
        self._owner = threading.Thread(target=self._own)

    def own(self) -> None:
        """Let a thread greet and flush from now on."""
        self._owner.start()

    def _own(self) -> None:
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        poll.register(self.wake, select.POLLIN)
        while not self._ends.is_set():
            wait = self.channel.flush_due()
            poll.poll(None if wait is None else wait * 1000 + 1)
            self.wake.clear()
            while self.channel.greet():
                pass

    def subscriber(self, *topics: bytes, kind: int = zmq.SUB, **options: int) -> zmq.Socket[bytes]:
        """Connect a subscriber, of everything unless topics are given."""
        socket = self.others.socket(kind)
        self._subscribers.append(socket)
        socket.rcvtimeo = LIMIT
        socket.rcvhwm = socket.linger = 0
        for name, value in options.items():
            setattr(socket, name, value)
        if kind == zmq.SUB:
            for topic in topics or (b"",):
                socket.subscribe(topic)
        socket.connect(self.endpoint)
        return socket

    def read(self, subscriber: zmq.Socket[bytes]) -> Message:
        return self.session_of_reader.deserialize(subscriber.recv_multipart())

    @property
    def session_of_reader(self) -> Session:
        return Session(b"key")  # its memory of replays is empty

    def message(self, msg_type: str = "display_data", content: Any = None, **parts: Any) -> Message:
        parts.setdefault("identities", (msg_type.encode(),))
        return self.session.compose(msg_type, content or {}, **parts)

    def stream(self, text: Any, name: str = "stdout") -> Message:
        return self.message("stream", {"name": name, "text": text})

    def close(self) -> None:
        self._ends.set()
        self.wake.set()
        if self._owner.ident is not None:
            self._owner.join()
        self.channel.close(0)
        for subscriber in self._subscribers:
            subscriber.close()
        self.others.term()
        self.context.term()
        self.wake.close()


Make = Callable[..., Publisher]


@pytest.fixture
def make(zero_copy: None, no_leaks: None) -> Iterator[Make]:
    made: list[Publisher] = []

    def make(endpoint: str = "tcp://127.0.0.1:*", *, owned: bool = True, **settings: Any) -> Publisher:
        made.append(Publisher(endpoint, **{"limit": 64 * MEGABYTE, **settings}))
        if owned:
            made[-1].own()
        return made[-1]

    yield make
    for publisher in made:
        publisher.close()


# --- greeting -------------------------------------------------------------------------------------------


@pytest.mark.row("I2", "H9")
@pytest.mark.parametrize("topic", [b"", b"kernel.", "thème".encode(), b"x" * 1000])
def test_the_welcome_has_the_topic_and_no_parent(make: Make, topic: bytes) -> None:
    publisher = make()
    welcome = publisher.read(publisher.subscriber(topic))
    assert welcome.msg_type == "iopub_welcome"
    assert welcome.content == {"subscription": topic.decode()}
    assert welcome.identities == (topic,)
    assert welcome.parent_header == {}
    assert welcome.metadata == {}


@pytest.mark.row("S5", file="server/iopub.py", old="self.socket.setsockopt(zmq.SUBSCRIBE, topic)", new="pass")
def test_everybody_is_welcomed_and_each_subscription(make: Make) -> None:
    publisher = make()
    first, second = publisher.subscriber(b""), publisher.subscriber(b"")
    for subscriber in (first, second):
        assert publisher.read(subscriber).msg_type == "iopub_welcome"
    both = publisher.subscriber(b"a", b"b")
    assert [publisher.read(both).content["subscription"] for _ in range(2)] == ["a", "b"]


def test_a_topic_that_is_no_text_gets_its_messages_without_a_welcome(make: Make) -> None:
    publisher = make()
    plain, odd = publisher.subscriber(b""), publisher.subscriber(b"\xff\xfe", b"last")
    publisher.read(plain)
    assert publisher.read(odd).content == {"subscription": "last"}
    publisher.channel.send(publisher.message(identities=(b"\xff\xfe.",)))
    publisher.channel.send(publisher.message(identities=(b"\xff.",)))
    publisher.channel.send(publisher.message(identities=(b"last.",)))
    assert [publisher.read(odd).identities for _ in range(2)] == [(b"\xff\xfe.",), (b"last.",)]


def test_a_topic_that_would_break_the_messages_of_others_is_not_echoed(make: Make) -> None:
    publisher = make()
    plain = publisher.subscriber(b"")
    publisher.read(plain)
    subscriber = publisher.subscriber(b"<IDS|MSG>", b"<IDS", b"last")
    assert [publisher.read(subscriber).content["subscription"] for _ in range(2)] == ["<IDS", "last"]
    assert [publisher.read(plain).content["subscription"] for _ in range(2)] == ["<IDS", "last"]


@pytest.mark.row("H9")
def test_topics_filter_and_unsubscribing_ends_them(make: Make) -> None:
    publisher = make()
    everything, some = publisher.subscriber(b""), publisher.subscriber(b"status", b"stream")
    welcomes = [publisher.read(each).msg_type for each in (everything, some, some)]
    assert welcomes == ["iopub_welcome"] * 3
    for msg_type in ("status", "display_data", "stream", "status"):
        publisher.channel.send(publisher.message(msg_type, {"name": "stdout", "text": "x"}))
    assert [publisher.read(some).msg_type for _ in range(3)] == ["status", "stream", "status"]
    some.unsubscribe(b"status")
    some.subscribe(b"behind")  # its welcome tells that the other has been handled
    assert publisher.read(some).content == {"subscription": "behind"}
    publisher.channel.send(publisher.message("status"))
    publisher.channel.send(publisher.message("stream", {"name": "stdout", "text": "y"}))
    assert publisher.read(some).msg_type == "stream"


def test_what_else_a_client_sends_upstream_does_no_harm(make: Make) -> None:
    publisher = make()
    rude = publisher.subscriber(kind=zmq.XSUB)
    for frames in (
        [b""],
        [b"\x02"],
        [b"hello"],
        [b"\x01", b"more", b""],
        [b"\x00unknown"],
        [b"\x01twice"] * 2,
    ):
        rude.send_multipart(frames)
    polite = publisher.subscriber(b"")
    assert publisher.read(polite).msg_type == "iopub_welcome"


@pytest.mark.row("I1")
def test_the_first_words_are_for_the_first_who_wants_to_hear_them(make: Make) -> None:
    publisher = make(owned=False)
    publisher.channel.say_first(publisher.message("status", {"execution_state": "starting"}))
    publisher.own()
    other = publisher.subscriber(b"stream")
    assert publisher.read(other).msg_type == "iopub_welcome"
    first, second = publisher.subscriber(b""), None
    assert [publisher.read(first).msg_type for _ in range(2)] == ["iopub_welcome", "status"]
    second = publisher.subscriber(b"")
    publisher.channel.send(publisher.message())
    assert publisher.read(second).msg_type in ("iopub_welcome", "display_data")
    types = [publisher.read(first).msg_type for _ in range(2)]
    assert sorted(types) == ["display_data", "iopub_welcome"]


@pytest.mark.row("I1")
def test_it_is_too_late_for_first_words_once_anything_was_said(make: Make) -> None:
    publisher = make(owned=False)
    publisher.channel.say_first(publisher.message("status", {"execution_state": "starting"}))
    publisher.channel.send(publisher.message())
    publisher.own()
    subscriber = publisher.subscriber(b"")
    publisher.channel.send(publisher.message("behind"))
    assert publisher.read(subscriber).msg_type == "iopub_welcome"


class Finaliser:
    def __init__(self, last_deed: Callable[[], None]) -> None:
        self._last_deed = last_deed

    def __del__(self) -> None:
        self._last_deed()


def test_what_is_published_in_the_middle_of_a_greeting_leaves_behind_it(make: Make) -> None:
    publisher = make(owned=False)
    waste = [Finaliser(lambda: publisher.channel.send(publisher.message("last_words")))]
    publisher.log.meanwhile = waste.clear  # the welcome is logged within the greeting
    publisher.own()
    subscriber = publisher.subscriber(b"")
    assert [publisher.read(subscriber).msg_type for _ in range(2)] == ["iopub_welcome", "last_words"]


# --- streams --------------------------------------------------------------------------------------------


@pytest.mark.row("I3")
def test_held_text_leaves_before_any_other_message(make: Make) -> None:
    publisher = make()
    subscriber = publisher.subscriber(b"")
    publisher.read(subscriber)
    for text in "abc":
        publisher.channel.send(publisher.stream(text))
    publisher.channel.send(publisher.message("one"), publisher.message("two"))
    publisher.channel.send(publisher.stream("d"))
    publisher.channel.flush()
    publisher.channel.send(publisher.stream("e"))  # goes without anybody's help
    read: list[tuple[str, Any]] = []
    while not read or read[-1][1] != "e":
        message = publisher.read(subscriber)
        read.append((message.msg_type, message.content.get("text")))
    assert "".join(text or f"[{msg_type}]" for msg_type, text in read) == "abc[one][two]de"


@pytest.mark.parametrize(
    "odd",
    [
        {"name": "stdout", "text": b"bytes"},
        {"name": "stdout", "text": 5},
        {"name": "stdout"},
        {"text": "nameless"},
        {"name": "stdout", "text": "more", "than": "that"},
    ],
)
def test_stream_messages_of_another_form_are_left_as_they_are(make: Make, odd: dict[str, Any]) -> None:
    """To join them would fail, later and in the thread of the channel's owner."""
    publisher = make()
    subscriber = publisher.subscriber(b"")
    publisher.read(subscriber)
    for _ in range(3):
        publisher.channel.send(publisher.stream("a"))
        publisher.channel.send(publisher.message("stream", odd))
    publisher.channel.send(publisher.message("stream", {"name": "stdout", "text": "b"}, metadata={"c": "d"}))
    publisher.channel.send(publisher.message("end"))
    read = [publisher.read(subscriber)]
    while read[-1].msg_type != "end":
        read.append(publisher.read(subscriber))
    as_sent = [message.content for message in read if message.content.keys() == odd.keys()]
    assert len(as_sent) >= 3
    assert [message.metadata for message in read].count({"c": "d"}) == 1


# --- what waits to be sent ------------------------------------------------------------------------------


def publish(publisher: Publisher, megabytes: int) -> None:
    for number in range(megabytes):
        publisher.channel.send(publisher.message(content={"number": number, "text": "x" * MEGABYTE}))


@pytest.fixture(params=["tcp", "ipc"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "tcp://127.0.0.1:*" if request.param == "tcp" else f"ipc://{tmp_path}/iopub"


def test_without_subscribers_nothing_waits(make: Make) -> None:
    publisher = make(limit=MEGABYTE)
    publish(publisher, 5)
    publisher.channel.wait_for_room()
    assert publisher.channel.backlog < 2 * MEGABYTE


def test_what_one_does_not_take_is_what_waits(make: Make, endpoint: str) -> None:
    publisher = make(endpoint)
    slow = publisher.subscriber(b"", rcvhwm=1, rcvbuf=MEGABYTE)
    publisher.read(slow)
    publish(publisher, 40)
    assert 25 * MEGABYTE < publisher.channel.backlog < 42 * MEGABYTE
    numbers = [publisher.read(slow).content["number"] for _ in range(40)]
    assert numbers == list(range(40))
    publisher.channel.wait_for_room()
    publish(publisher, 1)  # the last mark may lie before the last message
    assert publisher.channel.backlog < 3 * MEGABYTE


def test_room_is_waited_for_until_the_slow_one_reads(make: Make, endpoint: str) -> None:
    publisher = make(endpoint, limit=8 * MEGABYTE)
    slow = publisher.subscriber(b"", rcvhwm=1, rcvbuf=MEGABYTE)
    publisher.read(slow)
    publish(publisher, 40)
    has_room = threading.Event()
    waiting = threading.Thread(target=lambda: (publisher.channel.wait_for_room(), has_room.set()))
    waiting.start()
    numbers = []
    for _ in range(40):
        numbers.append(publisher.read(slow).content["number"])
        if len(numbers) < 20:
            assert not has_room.is_set()
    assert numbers == list(range(40))
    waiting.join()
    assert has_room.is_set()


def test_who_takes_nothing_is_dropped_and_who_reads_is_not(
    make: Make, endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    publisher = make(endpoint, limit=8 * MEGABYTE, patience=0.5)
    # Of another topic: the welcome of the one is not for the other.
    stuck, reader = publisher.subscriber(b"display", rcvhwm=1, rcvbuf=MEGABYTE), publisher.subscriber(b"")
    for subscriber in (stuck, reader):
        publisher.read(subscriber)
    numbers: list[int] = []

    def read() -> None:
        while len(numbers) < 60:
            message = publisher.read(reader)
            if message.msg_type == "display_data":
                numbers.append(message.content["number"])

    reading = threading.Thread(target=read)
    reading.start()
    before = len(os.listdir("/dev/fd"))
    for number in range(60):
        publisher.channel.wait_for_room()
        publisher.channel.send(publisher.message(content={"number": number, "text": "x" * MEGABYTE}))
    reading.join()
    assert numbers == list(range(60))
    assert caplog.text.count("dropped the subscription of a client") == 1
    assert len(os.listdir("/dev/fd")) <= before
    # What it has is without a hole, and when it has read that, it is connected again, and welcomed.
    has: list[int] = []
    while (message := publisher.read(stuck)).msg_type != "iopub_welcome":
        has.append(message.content["number"])
    assert has == list(range(len(has)))
    assert len(has) < 40
    publish(publisher, 1)
    assert publisher.read(stuck).msg_type == "display_data"


@pytest.mark.row("I11")
def test_nobody_waits_for_room_in_a_channel_that_is_closed(make: Make) -> None:
    publisher = make(owned=False, limit=0)
    for text in ("a", "b" * LARGEST):
        publisher.channel.send(publisher.stream(text))
    publish(publisher, 2)
    publisher.channel.close(0)
    publisher.channel.wait_for_room()


@pytest.mark.row("I11", "W9")
def test_nobody_waits_for_room_in_a_forked_child(make: Make) -> None:
    publisher = make(owned=False, limit=0)
    for text in ("a", "b" * LARGEST):
        publisher.channel.send(publisher.stream(text))
    publisher.channel.forget()
    publisher.channel.wait_for_room()
    publisher.channel._closed = False


def test_a_finaliser_within_a_send_does_not_wait_for_room(make: Make) -> None:
    publisher = make(owned=False, limit=0)

    def last_words() -> None:
        publisher.channel.wait_for_room()
        publisher.channel.send(publisher.message("last_words"))

    for text in ("a", "b" * LARGEST):
        publisher.channel.send(publisher.stream(text))
    waste = [Finaliser(last_words)]
    publisher.log.meanwhile = waste.clear
    publisher.channel.flush()
    assert "last_words" in publisher.log.lines[-1]
