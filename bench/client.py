"""The client of every measurement: two sockets, a signature, bytes.

The same code talks to every kernel and to the bare server, and the clock runs only from the moment before
``send_multipart`` to the moment after ``recv_multipart``: requests are composed before it, and answers are
decoded after it. It knows nothing of the library under test, and nothing of jupyter_client, whose own cost
would dominate what is measured.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"

#: How long any single answer may take, in seconds. A kernel that needs longer is reported, not waited for.
LIMIT = 30.0

Frames = list[bytes]


class NoAnswer(TimeoutError):
    """A kernel did not answer within the limit."""


class NotUnderstood(ValueError):
    """A kernel sent something that this client cannot use: a wrong signature, a foreign answer, an error."""


@dataclass(frozen=True, slots=True)
class Request:
    """A signed request, ready to be sent."""

    msg_id: str
    frames: Frames


@dataclass(frozen=True, slots=True)
class Answer:
    """A verified and decoded message, a reply or a publication."""

    msg_type: str
    parent_id: str
    content: dict[str, Any]


class Client:
    """Talk to one kernel over shell, control and, if it publishes anything, iopub.

    The sockets connect at once and try again each millisecond, so that the moment of a kernel's first
    answer is measured to a millisecond or two and not to ZeroMQ's 100.
    """

    def __init__(self, connection: dict[str, Any], *, publishes: bool = True) -> None:
        self._key = hmac.new(connection["key"].encode(), digestmod=hashlib.sha256)
        self._session = "bench"
        self._count = itertools.count(1)
        self._zmq = zmq.Context()
        self.shell = self._connect(zmq.DEALER, connection, "shell_port")
        self.control = self._connect(zmq.DEALER, connection, "control_port")
        self.iopub = self._connect(zmq.SUB, connection, "iopub_port") if publishes else None

    def _connect(self, kind: int, connection: dict[str, Any], port: str) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._zmq.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, 0)
        socket.setsockopt(zmq.SNDHWM, 0)
        socket.setsockopt(zmq.RECONNECT_IVL, 1)
        socket.setsockopt(zmq.RCVTIMEO, int(LIMIT * 1000))
        if kind == zmq.SUB:
            socket.setsockopt(zmq.SUBSCRIBE, b"")
        socket.connect(f"tcp://{connection['ip']}:{connection[port]}")
        return socket

    def close(self) -> None:
        """Close the sockets, dropping what was not sent."""
        self._zmq.destroy(linger=0)

    # ---- messages

    def request(self, msg_type: str, content: dict[str, Any]) -> Request:
        """Compose and sign a request."""
        header = {
            "msg_id": f"{self._session}_{next(self._count)}",
            "session": self._session,
            "username": "bench",
            "date": datetime.now(UTC).isoformat(),
            "msg_type": msg_type,
            "version": "5.5",
        }
        parts = [json.dumps(part).encode() for part in (header, {}, {}, content)]
        return Request(header["msg_id"], [DELIMITER, self._sign(parts), *parts])

    def execute_request(self, code: str) -> Request:
        """Compose the request for a cell as a frontend sends it: not silent, stored in the history."""
        return self.request(
            "execute_request",
            {
                "code": code,
                "silent": False,
                "store_history": True,
                "user_expressions": {},
                "allow_stdin": False,
                "stop_on_error": False,
            },
        )

    def read(self, frames: Frames) -> Answer:
        """Verify and decode a message."""
        start = frames.index(DELIMITER)
        signature, header, parent, metadata, content = frames[start + 1 : start + 6]
        if not hmac.compare_digest(signature, self._sign([header, parent, metadata, content])):
            raise NotUnderstood("a message with a wrong signature")
        return Answer(
            json.loads(header)["msg_type"], json.loads(parent).get("msg_id", ""), json.loads(content)
        )

    def _sign(self, parts: Frames) -> bytes:
        signature = self._key.copy()
        for part in parts:
            signature.update(part)
        return signature.hexdigest().encode()

    # ---- exchanges

    def round_trip(self, request: Request) -> tuple[float, Answer]:
        """Send a request on shell and receive its reply; return the seconds between and the reply."""
        begin = perf_counter()
        self.shell.send_multipart(request.frames)
        frames = self._receive(self.shell, "reply to a single request")
        seconds = perf_counter() - begin
        reply = self.read(frames)
        if reply.parent_id != request.msg_id:
            raise NotUnderstood(f"a {reply.msg_type} to another request")
        if reply.content.get("status", "ok") != "ok":
            raise NotUnderstood(f"a {reply.msg_type} that says {reply.content}")
        return seconds, reply

    def burst(self, requests: list[Request]) -> float:
        """Send all requests at once and receive a reply to each; return the seconds to the last reply.

        What is published meanwhile is taken from the connection by ZeroMQ's own thread.
        """
        begin = perf_counter()
        for request in requests:
            self.shell.send_multipart(request.frames)
        replies = [
            self._receive(self.shell, f"reply {n} of {len(requests)}") for n, _ in enumerate(requests, 1)
        ]
        seconds = perf_counter() - begin
        if {self.read(frames).parent_id for frames in replies} != {request.msg_id for request in requests}:
            raise NotUnderstood("replies that are not one to each request")
        return seconds

    def until_idle(self, request: Request) -> list[Frames]:
        """Receive what is published up to and including the ``status: idle`` of a request, undecoded.

        Empty for a server that publishes nothing.
        """
        if self.iopub is None:
            return []
        published: list[Frames] = []
        while True:
            published.append(self._receive(self.iopub, "idle"))
            if _is_idle(published[-1], request.msg_id.encode()):
                return published

    def subscribe(self) -> None:
        """Ask for kernel_info until its idle arrives: then the subscription has reached the kernel.

        Until then a publication may have been sent to nobody.
        """
        if self.iopub is None:
            return
        deadline = perf_counter() + LIMIT
        while perf_counter() < deadline:
            request = self.request("kernel_info_request", {})
            self.round_trip(request)
            while self.iopub.poll(100):
                if _is_idle(self._receive(self.iopub, "idle"), request.msg_id.encode()):
                    return
        raise NoAnswer(f"no idle within {LIMIT:g} s")

    def shut_down(self) -> None:
        """Ask the kernel to end, without waiting for the reply."""
        self.control.send_multipart(self.request("shutdown_request", {"restart": False}).frames)

    def _receive(self, socket: zmq.Socket[bytes], what: str) -> Frames:
        try:
            return socket.recv_multipart()
        except zmq.Again:
            raise NoAnswer(f"no {what} within {LIMIT:g} s") from None


def _is_idle(frames: Frames, msg_id: bytes) -> bool:
    """Tell by a search in the bytes: decoding a flood while it arrives would slow down what is measured."""
    start = frames.index(DELIMITER)
    parent, content = frames[start + 3], frames[start + 5]
    return len(content) < 100 and b'"idle"' in content and b'"' + msg_id + b'"' in parent
