"""The five sockets of a test client: opening, waiting, frames and checked messages on each channel.

Knows channels and messages, not what belongs together: requests and their answers are the business of
``client``. It has no thread: nothing is read until somebody asks, and every wait has a limit and an error
that says what was waited for and what came instead.
"""

from __future__ import annotations

import getpass
import json
import os
import time
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import zmq

from .backlog import Backlog, parent_of
from .schema import InvalidMessage, check_message
from .signer import BadFrames, Message, TestSigner, pack, unpack
from .waiting import NothingCame, Watched, default_limit

CHANNELS = ("shell", "control", "stdin", "iopub", "hb")
_KINDS = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB, "hb": zmq.REQ}
_LOOK = 0.2  # seconds between two looks at the kernel's process while nothing comes


class KernelSockets:
    """Connect to a kernel, and send and receive on each channel; the base of `KernelClient`.

    Args:
        connection: the path of a connection file, or what stands in it.
        identity: the routing id of shell, control and stdin; default: the session id.
        session: the session id in the headers; default: a fresh one.
        topics: what to subscribe to on iopub; the empty topic is everything.
        channels: which sockets to open, out of ``CHANNELS``.
        options: zmq socket options to set before connecting, by channel: ``{"iopub": {zmq.RCVHWM: 10}}``.
        limit: how many seconds each wait may take; default: see `default_limit`.
        checking: check signature, schema and uniqueness of every message that is received.
        process: the kernel's process, if the test started it: it ends waits early when it dies, and its
            stderr appears in failures.

    Attributes:
        connection: what stands in the connection file.
        session: the session id of this client.
        identity: the routing id of its sockets.
        limit: how many seconds a wait may take.
        checking: whether messages are checked; may be changed at any time.
        signer: signs with the key of the connection file.
        sockets: the open zmq sockets by channel, for what no method does.
        sent: every message that was sent, by msg_id, with its ``msg_type`` and ``channel``.
    """

    def __init__(
        self,
        connection: str | os.PathLike[str] | Mapping[str, Any],
        *,
        identity: bytes | None = None,
        session: str | None = None,
        topics: Iterable[str | bytes] = ("",),
        channels: Sequence[str] = CHANNELS,
        options: Mapping[str, Mapping[int, int | bytes]] | None = None,
        limit: float | None = None,
        checking: bool = True,
        process: Watched | None = None,
    ) -> None:
        """Keep the settings; nothing is opened yet."""
        self.connection: dict[str, Any] = (
            dict(connection)
            if isinstance(connection, Mapping)
            else json.loads(Path(connection).read_text(encoding="utf-8"))
        )
        self.session = session or uuid.uuid4().hex
        self.identity = identity if identity is not None else self.session.encode()
        self.limit = default_limit() if limit is None else limit
        self.checking = checking
        self.signer = TestSigner(
            str(self.connection.get("key", "")).encode(),
            self.connection.get("signature_scheme") or "hmac-sha256",
        )
        self.sockets: dict[str, zmq.Socket[bytes]] = {}
        self.sent: dict[str, Message] = {}
        self._composed = 0
        self._topics = [topic.encode() if isinstance(topic, str) else topic for topic in topics]
        self._channels = tuple(channels)
        self._options = options or {}
        self._process = process
        self._zmq: zmq.Context[zmq.Socket[bytes]] | None = None
        self._backlogs: dict[str, Backlog] = {channel: Backlog() for channel in self._channels}
        self._seen: set[str] = set()
        self._recent: deque[Message] = deque(maxlen=20)

    # ---- opening and closing ---------------------------------------------------------------------------

    def open(self) -> Self:
        """Connect the sockets; returns at once, whether or not a kernel listens yet."""
        self._zmq = zmq.Context()
        try:
            for channel in self._channels:
                self._connect(channel)
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        """Close every socket without waiting for what was not sent yet."""
        if self._zmq is not None:
            self._zmq.destroy(linger=0)
        self._zmq = None
        self.sockets.clear()

    def __enter__(self) -> Self:
        """Open."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def endpoint(self, channel: str) -> str:
        """Return the zmq address of a channel."""
        address, port = self.connection.get("ip", "127.0.0.1"), self.connection[f"{channel}_port"]
        if self.connection.get("transport", "tcp") == "ipc":
            return f"ipc://{address}-{port}"
        return f"tcp://{'127.0.0.1' if address in ('*', '0.0.0.0') else address}:{port}"

    def _connect(self, channel: str) -> None:
        assert self._zmq is not None, "the client is not open"
        socket = self._zmq.socket(_KINDS[channel])
        self.sockets[channel] = socket
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0  # a test client loses nothing unless a test wants it
        if self.connection.get("curve_publickey"):
            socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
            socket.curve_serverkey = str(self.connection["curve_publickey"]).encode()
        if channel == "iopub":
            for topic in self._topics:
                socket.subscribe(topic)
        elif channel != "hb":
            socket.setsockopt(zmq.ROUTING_ID, self.identity)
        for option, value in self._options.get(channel, {}).items():
            socket.setsockopt(option, value)
        socket.connect(self.endpoint(channel))

    # ---- frames ----------------------------------------------------------------------------------------

    def frames(self, message: Message) -> list[bytes]:
        """Return the signed frames of a message, for tests that alter, replay or cut them."""
        return pack(self.signer, message)

    def send_frames(self, channel: str, frames: Sequence[bytes]) -> None:
        """Send frames exactly as they are."""
        self._socket(channel).send_multipart(list(frames))

    def receive_frames(self, channel: str, limit: float | None = None) -> list[bytes]:
        """Return the next frames from a socket, unchecked; messages that were kept for later stay so."""
        self._wait([channel], f"frames on {channel}", self._deadline(limit))
        return self._socket(channel).recv_multipart()

    def ping(self, *frames: bytes, limit: float | None = None) -> list[bytes]:
        """Send frames to the heartbeat and return what comes back."""
        self.send_frames("hb", frames or (b"ping",))
        try:
            return self.receive_frames("hb", limit)
        except NothingCame:
            self.sockets.pop("hb").close(linger=0)  # a REQ socket that waits for its answer cannot send
            self._connect("hb")
            raise

    # ---- messages --------------------------------------------------------------------------------------

    def compose(
        self,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        parent: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> Message:
        """Return a message that is not sent yet; ``header`` adds to the header or replaces fields of it."""
        self._composed += 1
        return {
            "header": {
                "msg_id": f"{self.session}-{self._composed}",
                "session": self.session,
                "username": getpass.getuser(),
                "date": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "msg_type": msg_type,
                "version": "5.5",
                **(header or {}),
            },
            "parent_header": dict(parent or {}),
            "metadata": dict(metadata or {}),
            "content": dict(content or {}),
            "buffers": list(buffers),
        }

    def send(self, channel: str, message: Message) -> str:
        """Sign and send a message; return its msg_id."""
        self.send_frames(channel, self.frames(message))
        msg_id = str(message["header"]["msg_id"])
        self.sent[msg_id] = {**message, "channel": channel, "msg_type": message["header"]["msg_type"]}
        return msg_id

    def receive(self, channel: str, limit: float | None = None) -> Message:
        """Return the next message of a channel, whatever it belongs to, in order of arrival."""
        deadline = self._deadline(limit)
        while (message := self._backlogs[channel].take()) is None:
            self._read([channel], f"a message on {channel}", deadline)
        return message

    def receive_of(self, channel: str, parent: str, what: str, limit: float | None = None) -> Message:
        """Return the next message of a channel that belongs to one request; the others are kept.

        ``parent`` is the msg_id of the request, ``""`` for messages without one; ``what`` names in the
        failure what is waited for.
        """
        deadline = self._deadline(limit)
        while (message := self._backlogs[channel].take_of(parent)) is None:
            self._read([channel], what, deadline)
        return message

    def receive_all(self, channel: str) -> list[Message]:
        """Return everything that has arrived on a channel by now, without waiting."""
        while self._socket(channel).poll(0):
            self._take_in(channel)
        return list(iter(self._backlogs[channel].take, None))

    # ---- how it is done --------------------------------------------------------------------------------

    def _socket(self, channel: str) -> zmq.Socket[bytes]:
        if channel not in self.sockets:
            raise ValueError(f"this client has no {channel}; open are: {', '.join(self.sockets) or 'none'}")
        return self.sockets[channel]

    def _deadline(self, limit: float | None) -> float:
        return time.monotonic() + (self.limit if limit is None else limit)

    def _wait(self, channels: Sequence[str], what: str, deadline: float) -> list[str]:
        """Return those of some channels that can be read; `NothingCame` when the deadline passes first."""
        poller = zmq.Poller()
        for channel in channels:
            poller.register(self._socket(channel), zmq.POLLIN)
        ended = False
        while True:
            left = max(0.0, deadline - time.monotonic())
            events = dict(poller.poll(int(min(left, _LOOK) * 1000)))
            ready = [channel for channel in channels if self.sockets[channel] in events]
            if ready:
                return ready
            if ended or left == 0.0:
                why = "the kernel has ended" if ended else "it did not come in time"
                raise NothingCame(self._failure(f"waited for {what}, but {why}"))
            # one more round behind its end: what it sent last may still be under way
            ended = self._process is not None and not self._process.running()

    def _read(self, channels: Sequence[str], what: str, deadline: float) -> None:
        """Wait for at least one message of some channels and put it into its backlog."""
        for channel in self._wait(channels, what, deadline):
            self._take_in(channel)

    def _take_in(self, channel: str) -> None:
        frames = self._socket(channel).recv_multipart()
        try:
            message, signature = unpack(frames)
        except BadFrames as error:
            raise InvalidMessage(f"invalid frames on {channel}", [str(error)]) from error
        message["channel"] = channel
        self._recent.append(message)
        if self.checking:
            self._check(channel, message, signature, frames)
        self._backlogs[channel].put(message)

    def _check(self, channel: str, message: Message, signature: bytes, frames: Sequence[bytes]) -> None:
        complaints = check_message(channel, message)
        start = len(message["identities"]) + 2
        if signature != self.signer.sign(frames[start : start + 4]):
            complaints.append("wrong signature")
        msg_id = str(message["header"].get("msg_id"))
        if msg_id in self._seen:
            complaints.append(f"msg_id {msg_id!r} came before")
        self._seen.add(msg_id)
        if complaints:
            raise InvalidMessage(f"invalid {message['msg_type']} on {channel}", complaints)

    def _failure(self, sentence: str) -> str:
        """Return a sentence, and behind it the last messages and how the kernel's process stands."""
        parts = [
            sentence,
            "what came last:",
            *(map(_described, self._recent) if self._recent else ["  nothing"]),
        ]
        if self._process is not None:
            parts.append(self._process.report())
        return "\n".join(parts)


def _described(message: Message) -> str:
    content = repr(message["content"])
    return (
        f"  {message['channel']}: {message['msg_type']} of {parent_of(message) or 'no request'} "
        f"{content if len(content) < 100 else content[:97] + '...'}"
    )
