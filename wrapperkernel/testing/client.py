"""A client of a running kernel, for tests: five sockets, its own signer, every message checked.

It shares no code with the kernel's side of the wire, so that it is an independent check of any kernel, ours
or another. It has no thread: nothing is read until somebody asks, and every wait has a limit and an error
that says what was waited for and what came instead.
"""

from __future__ import annotations

import getpass
import json
import os
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import zmq

from .backlog import Backlog, parent_of
from .execution import Exchange, Execution
from .schema import REPLY_OF, InvalidMessage, check_exchange, check_message
from .signer import BadFrames, Message, TestSigner, pack, unpack

CHANNELS = ("shell", "control", "stdin", "iopub", "hb")
_KINDS = {"shell": zmq.DEALER, "control": zmq.DEALER, "stdin": zmq.DEALER, "iopub": zmq.SUB, "hb": zmq.REQ}


class NothingCame(TimeoutError):
    """What a test waited for did not come within the limit, or the kernel's process ended first."""


class Watched(Protocol):
    """What a client asks about the process of its kernel (`KernelProcess` is one)."""

    def running(self) -> bool:
        """Tell whether the process lives."""

    def report(self) -> str:
        """Return how it stands and what it wrote to stderr, for a failure's text."""


def default_limit() -> float:
    """Return how many seconds a wait may take: ``WRAPPERKERNEL_TEST_TIMEOUT``, else 60."""
    return float(os.environ.get("WRAPPERKERNEL_TEST_TIMEOUT", "60"))


class KernelClient:
    """Speak with a kernel as a frontend does; use it in a ``with`` statement.

    ::

        with KernelClient("kernel-1.json") as client:
            client.wait_ready()
            assert client.execute("echo hello").stdout == "hello\\n"

    A client is for one thread. Any number may be connected to the same kernel; each has a session id and an
    identity of its own.

    Args:
        connection: the path of a connection file, or what stands in it.
        identity: the routing id of shell, control and stdin; default: the session id.
        session: the session id in the headers; default: a fresh one.
        topics: what to subscribe to on iopub; the empty topic is everything. A client that does not
            subscribe to everything sees no idle, hence cannot use `execute` and `exchange`.
        channels: which sockets to open, out of ``CHANNELS``.
        options: zmq socket options to set before connecting, by channel: ``{"iopub": {zmq.RCVHWM: 10}}``.
        limit: how many seconds each wait may take; default: see `default_limit`.
        checking: check signature, schema and uniqueness of every message that is received, and whole exchanges
            where they are complete.
        process: the kernel's process, if the test started it: it ends waits early when it dies, and its stderr
            appears in failures.
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
        self._topics = [topic.encode() if isinstance(topic, str) else topic for topic in topics]
        self._channels = tuple(channels)
        self._options = options or {}
        self._process = process
        self._zmq: zmq.Context[zmq.Socket[bytes]] | None = None
        self._backlogs: dict[str, Backlog] = {}
        self._seen: set[str] = set()
        self._recent: deque[str] = deque(maxlen=20)
        self._sends = 0

    # ---- opening and closing ---------------------------------------------------------------------------

    def open(self) -> KernelClient:
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

    def __enter__(self) -> KernelClient:
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
        self._backlogs.setdefault(channel, Backlog())
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

    # ---- sending ---------------------------------------------------------------------------------------

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
        self._sends += 1
        return {
            "header": {
                "msg_id": f"{self.session}-{self._sends}",
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

    def frames(self, message: Message) -> list[bytes]:
        """Return the signed frames of a message, for tests that alter, replay or cut them."""
        return pack(self.signer, message)

    def send(self, channel: str, message: Message) -> str:
        """Sign and send a message; return its msg_id. It is remembered for `reply`."""
        self.send_frames(channel, self.frames(message))
        msg_id = str(message["header"]["msg_id"])
        self.sent[msg_id] = {**message, "channel": channel, "msg_type": message["header"]["msg_type"]}
        return msg_id

    def send_frames(self, channel: str, frames: Sequence[bytes]) -> None:
        """Send frames exactly as they are."""
        self._socket(channel).send_multipart(list(frames))

    def request(
        self,
        channel: str,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Send a request without waiting; return its msg_id. Any number may be in flight."""
        message = self.compose(msg_type, content, metadata=metadata, header=header, buffers=buffers)
        return self.send(channel, message)

    def execute_request(self, code: str, *, metadata: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Send an execute_request without waiting; return its msg_id. ``fields`` replace the defaults."""
        content = {
            "code": code,
            "silent": False,
            "store_history": not fields.get("silent", False),
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
            **fields,
        }
        return self.request("shell", "execute_request", content, metadata=metadata)

    def answer(self, input_request: Message, value: str) -> None:
        """Answer an input_request on stdin."""
        self.send("stdin", self.compose("input_reply", {"value": value}, parent=input_request["header"]))

    def ping(self, *frames: bytes, limit: float | None = None) -> list[bytes]:
        """Send frames to the heartbeat and return what comes back."""
        self.send_frames("hb", frames or (b"ping",))
        try:
            return self.receive_frames("hb", limit)
        except NothingCame:
            self.sockets.pop("hb").close(linger=0)  # a REQ socket without its answer is of no use any more
            self._connect("hb")
            raise

    # ---- receiving -------------------------------------------------------------------------------------

    def receive_frames(self, channel: str, limit: float | None = None) -> list[bytes]:
        """Return the next frames from a socket, unchecked; the backlog of messages is not looked at."""
        self._wait([channel], f"frames on {channel}", self._deadline(limit))
        return self._socket(channel).recv_multipart()

    def receive(self, channel: str, limit: float | None = None) -> Message:
        """Return the next message of a channel, whatever it belongs to, in order of arrival."""
        backlog, deadline = self._backlogs[channel], self._deadline(limit)
        while (message := backlog.take()) is None:
            self._read([channel], f"a message on {channel}", deadline)
        return message

    def receive_all(self, channel: str) -> list[Message]:
        """Return everything that has arrived on a channel by now, without waiting."""
        while self._socket(channel).poll(0):
            self._take_in(channel)
        return list(iter(self._backlogs[channel].take, None))

    def reply(self, msg_id: str, limit: float | None = None) -> Message:
        """Wait for the reply to a request and return it; replies to others are kept for later."""
        request = self.sent[msg_id]
        message = self._receive_of(request["channel"], msg_id, f"the reply to {_named(request)}", limit)
        wanted = REPLY_OF.get(request["msg_type"])
        if self.checking and message["msg_type"] != wanted:
            raise InvalidMessage(
                f"reply to {_named(request)}", [f"expected {wanted}, got {message['msg_type']}"]
            )
        return message

    def iopub_until_idle(self, msg_id: str, limit: float | None = None) -> list[Message]:
        """Wait for the idle of a request and return its iopub messages up to that; others are kept."""
        what = f"status idle of {_named(self.sent[msg_id])}"
        return self.iopub_until(
            msg_id, lambda message: message["content"].get("execution_state") == "idle", what, limit
        )

    def iopub_until(
        self, msg_id: str, wanted: Callable[[Message], bool], what: str, limit: float | None = None
    ) -> list[Message]:
        """Wait for the iopub message of a request that is ``wanted``; return all of that request up to it.

        Args:
            msg_id: the request; ``""`` for messages without a parent.
            wanted: called with each message of that request.
            what: names what is waited for, in the failure.
            limit: seconds for all of them together.
        """
        deadline = self._deadline(limit)
        messages: list[Message] = []
        while not messages or not wanted(messages[-1]):
            left = max(0.0, deadline - time.monotonic())
            messages.append(self._receive_of("iopub", msg_id, what, left))
        return messages

    def _receive_of(self, channel: str, msg_id: str, what: str, limit: float | None) -> Message:
        backlog, deadline = self._backlogs[channel], self._deadline(limit)
        while (message := backlog.take_of(msg_id)) is None:
            self._read([channel], what, deadline)
        return message

    # ---- whole exchanges -------------------------------------------------------------------------------

    def wait_ready(self, limit: float | None = None) -> Message:
        """Wait for iopub_welcome, which must be the first message of iopub, and then for a kernel_info_reply.

        Returns the reply. From then on nothing that the kernel publishes can be missed.
        """
        first = self.receive("iopub", limit)
        if first["msg_type"] != "iopub_welcome":
            raise InvalidMessage(
                "wait_ready", [f"the first message of iopub is {first['msg_type']}, not iopub_welcome"]
            )
        msg_id = self.request("shell", "kernel_info_request")
        reply = self.reply(msg_id, limit)
        if b"" in self._topics:
            self._check_exchange(msg_id, [reply], self.iopub_until_idle(msg_id, limit))
        return reply

    def exchange(
        self,
        channel: str,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
        limit: float | None = None,
    ) -> Exchange:
        """Send a request, wait for its reply (if its type gets one) and its idle, and check the whole."""
        msg_id = self.request(channel, msg_type, content, metadata=metadata, header=header, buffers=buffers)
        return self.finish(msg_id, limit)

    def finish(self, msg_id: str, limit: float | None = None) -> Exchange:
        """Wait for the reply and the idle of a request that was sent before, and check the whole."""
        reply = self.reply(msg_id, limit) if self.sent[msg_id]["msg_type"] in REPLY_OF else None
        messages = self.iopub_until_idle(msg_id, limit)
        self._check_exchange(msg_id, [reply] if reply else [], messages)
        return Exchange(self.sent[msg_id], reply, messages)

    def execute(
        self,
        code: str,
        *,
        answers: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        limit: float | None = None,
        **fields: Any,
    ) -> Execution:
        """Run code and wait for everything that comes of it.

        Args:
            code: the cell.
            answers: what to answer when the kernel asks for input, in order; with any, ``allow_stdin`` is true.
            metadata: of the request, such as ``{"cellId": "…"}``.
            limit: seconds for each of: the reply, each question, the idle.
            fields: of the request's content, to replace the defaults: ``silent=True``, ``user_expressions={…}``.
        """
        left = deque(answers)
        msg_id = self.execute_request(code, metadata=metadata, **{"allow_stdin": bool(left), **fields})
        return self.finish_execution(msg_id, left, limit)

    def finish_execution(
        self, msg_id: str, answers: Iterable[str] = (), limit: float | None = None
    ) -> Execution:
        """Wait for everything that comes of an execute_request that was sent before; see `execute`."""
        left, prompts = deque(answers), []
        channels = [channel for channel in ("shell", "stdin") if channel in self.sockets]
        what, deadline = f"the reply to {_named(self.sent[msg_id])}", self._deadline(limit)
        while (reply := self._backlogs["shell"].take_of(msg_id)) is None:
            prompt = self._backlogs["stdin"].take_of(msg_id) if "stdin" in channels else None
            if prompt is None:
                self._read(channels, what, deadline)
                continue
            if not left:
                raise NothingCame(
                    self._failure(f"the kernel asks {prompt['content']!r}, but no answer is left")
                )
            self.answer(prompt, left.popleft())
            prompts.append(prompt)
            deadline = self._deadline(limit)
        messages = self.iopub_until_idle(msg_id, limit)
        self._check_exchange(msg_id, [reply], messages)
        return Execution(self.sent[msg_id], reply, messages, prompts)

    def _check_exchange(self, msg_id: str, replies: Sequence[Message], messages: Sequence[Message]) -> None:
        if self.checking:
            request = self.sent[msg_id]
            complaints = check_exchange(request, replies, messages)
            if complaints:
                raise InvalidMessage(f"the answer to {_named(request)} is not right", complaints)

    # ---- the sockets -----------------------------------------------------------------------------------

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
            events = dict(poller.poll(int(min(left, 0.2) * 1000)))
            ready = [channel for channel in channels if self.sockets[channel] in events]
            if ready:
                return ready
            if ended or left == 0.0:
                why = "the kernel has ended" if ended else "the time is up"
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
        self._recent.append(_described(message))
        if self.checking:
            self._check(channel, message, signature, frames)
        self._backlogs[channel].put(message)

    def _check(self, channel: str, message: Message, signature: bytes, frames: Sequence[bytes]) -> None:
        complaints = check_message(channel, message)
        start = len(message["identities"]) + 2
        if signature != self.signer.sign(frames[start : start + 4]):
            complaints.append("wrong signature")
        if message["header"].get("msg_id") in self._seen:
            complaints.append(f"msg_id {message['header'].get('msg_id')!r} came before")
        if complaints:
            raise InvalidMessage(f"invalid {message['msg_type']} on {channel}", complaints)
        self._seen.add(str(message["header"]["msg_id"]))

    def _failure(self, sentence: str) -> str:
        parts = [sentence, "what came last:", *(f"  {line}" for line in self._recent or ["nothing"])]
        if self._process is not None:
            parts.append(self._process.report())
        return "\n".join(parts)


def _named(request: Message) -> str:
    return f"{request['header'].get('msg_type')} {request['header'].get('msg_id')}"


def _described(message: Message) -> str:
    content = repr(message["content"])
    return (
        f"{message['channel']}: {message['msg_type']} of {parent_of(message) or 'no request'} "
        f"{content if len(content) < 100 else content[:97] + '...'}"
    )
