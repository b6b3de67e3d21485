"""A session composes messages, and turns messages into frames and frames into messages.

Refuses to know where frames come from and go to, and what any message type means.

A frame list on the wire (messaging specification, "The Wire Protocol")::

    identities…, <IDS|MSG>, signature, header, parent_header, metadata, content, buffers…
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from time import time_ns
from typing import Any

from .encoding import decode, encode
from .message import PROTOCOL_VERSION, Buffer, Message
from .replay import ReplayGuard
from .signature import Signer

DELIMITER = b"<IDS|MSG>"


class WireError(ValueError):
    """Say what is wrong with frames that came in, without showing what is in them.

    ``kind`` is one of: no-delimiter, short, unsigned, bad-signature, replay, bad-json, not-an-object,
    bad-header.
    """

    def __init__(self, kind: str, explanation: str) -> None:
        super().__init__(explanation)
        self.kind = kind


class Session:
    """Compose, serialize and deserialize messages for one process.

    Any thread may call any method. Raises UnknownScheme.
    """

    def __init__(self, key: bytes = b"", scheme: str = "hmac-sha256", username: str | None = None) -> None:
        self.id = os.urandom(16).hex()
        self.username = username or os.environ.get("USER") or "kernel"
        self._signer = Signer(key, scheme)
        self._replays = ReplayGuard()
        self._numbers = count(1)  # next() of it is atomic
        # The parent of the last message and its JSON: one request is the parent of many messages.
        self._parent: tuple[Mapping[str, Any], bytes] = ({}, b"{}")
        self._second = (0, "")  # replaced as a whole: any thread may compose

    def compose(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        parent: dict[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        identities: tuple[bytes, ...] = (),
        buffers: Sequence[Any] = (),
    ) -> Message:
        """Return a new message of this session.

        ``parent`` is the header of the request that caused it, taken over verbatim; without one it is ``{}``.
        ``buffers`` are bytes or whatever shares its memory; they are not copied, so leave them as they are.
        Raises ValueError if a buffer is not contiguous, TypeError if it is none.

        Messaging specification: "Message header" (H1, H3).
        """
        header = {
            "msg_id": f"{self.id}_{next(self._numbers)}",
            "session": self.id,
            "username": self.username,
            "date": self.now(),
            "msg_type": msg_type,
            "version": PROTOCOL_VERSION,
        }
        return Message(
            header,
            parent if parent else {},
            dict(metadata) if metadata else {},
            dict(content),
            identities,
            tuple(map(_buffer, buffers)) if buffers else (),
        )

    def now(self) -> str:
        """Return this moment as ISO-8601 in UTC, as ``datetime.isoformat`` would write it.

        The text of the running second is kept: to write it out is half of the work of composing.
        """
        second, microsecond = divmod(time_ns() // 1000, 1_000_000)
        written, text = self._second
        if written != second:
            text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self._second = (second, text)
        return f"{text}.{microsecond:06d}Z"

    def serialize(self, message: Message) -> list[Buffer]:
        """Return the frames of a message, signed; buffers are not copied, and not signed (W1, W2, W8).

        Raises TypeError and ValueError for what has no form in JSON (see ``encode``), and ValueError if a
        buffer is not contiguous.
        """
        parent, encoded = self._parent
        if not message.parent_header:
            encoded = b"{}"
        elif message.parent_header is not parent:
            encoded = encode(message.parent_header)
            self._parent = (message.parent_header, encoded)
        parts: list[Buffer] = [
            encode(message.header),
            encoded,
            encode(message.metadata) if message.metadata else b"{}",
            encode(message.content),
        ]
        frames = [*message.identities, DELIMITER, self._signer.sign(parts), *parts]
        return [*frames, *map(_buffer, message.buffers)] if message.buffers else frames

    def deserialize(self, frames: Sequence[Buffer]) -> Message:
        """Return the message that the frames are.

        Frames after the content are its buffers (W10). A parent header or metadata of null, which some
        clients send, is read as ``{}``. Dates stay text.
        Raises WireError for frames that are no message, not signed by a holder of the key, or seen before.
        """
        place = _delimiter_place(frames)
        if len(frames) < place + 6:
            raise WireError("short", f"{len(frames) - place} frames from the delimiter on; there must be 6")
        signature, *parts = frames[place + 1 : place + 6]
        self._authenticate(signature, parts)
        header = _object("header", parts[0])
        for field in ("msg_id", "msg_type", "session"):
            if not isinstance(header.get(field), str):
                raise WireError("bad-header", f"the header has no {field} that is text")
        return Message(
            header,
            _object_or_null("parent header", parts[1]),
            _object_or_null("metadata", parts[2]),
            _object("content", parts[3]),
            tuple(map(bytes, frames[:place])),
            tuple(frames[place + 6 :]),
        )

    def _authenticate(self, signature: Buffer, parts: Sequence[Buffer]) -> None:
        """Raise WireError unless a holder of the key signed the parts, for the first time."""
        if not self._signer.signs:
            return
        if not signature:
            raise WireError("unsigned", "the message is not signed")
        if not self._signer.verify(signature, parts):
            raise WireError("bad-signature", "the signature is not that of the message")
        if not self._replays.add(bytes(signature)):
            raise WireError("replay", "the message came before")


def _delimiter_place(frames: Sequence[Buffer]) -> int:
    """Return the index of the frame between the identities and the message."""
    for place, frame in enumerate(frames):
        if frame == DELIMITER:
            return place
    raise WireError("no-delimiter", f"none of the {len(frames)} frames is the delimiter")


def _object(name: str, frame: Buffer) -> dict[str, Any]:
    """Return the JSON object in a frame."""
    value = _value(name, frame)
    if isinstance(value, dict):
        return value
    raise WireError("not-an-object", f"the {name} is no JSON object")


def _object_or_null(name: str, frame: Buffer) -> dict[str, Any]:
    """Return the JSON object in a frame; null counts as an empty one."""
    return {} if frame in (b"{}", b"null") else _object(name, frame)


def _value(name: str, frame: Buffer) -> Any:
    """Return the JSON value in a frame."""
    try:
        return decode(frame)
    except ValueError:  # not chained: it may quote the message
        raise WireError("bad-json", f"the {name} is not JSON, or nested too deeply") from None


def _buffer(buffer: Any) -> Buffer:
    """Return the bytes of a buffer, uncopied; whoever sends them counts bytes, not items of some type."""
    if isinstance(buffer, bytes):
        return buffer
    view = memoryview(buffer)
    if not view.c_contiguous:
        raise ValueError("a buffer is not contiguous; send a copy of it, made with bytes() for instance")
    return view.cast("B") if view.nbytes else b""
