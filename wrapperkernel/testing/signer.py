"""Messages to signed frames and back, for the test client alone.

Written from the specification ("The wire protocol") without a look at the library's own session, so that a
mistake there cannot hide behind the same mistake here. It is plain rather than fast.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any, NoReturn

DELIMITER = b"<IDS|MSG>"
PARTS = ("header", "parent_header", "metadata", "content")

Message = dict[str, Any]
"""``header``, ``parent_header``, ``metadata``, ``content``, ``buffers``; received ones also have
``identities``, ``msg_type`` and ``channel``."""


class BadFrames(ValueError):
    """Frames that are no message: no delimiter, too few, or not JSON objects."""


class TestSigner:
    """Sign the four parts of a message with the key of a connection file; an empty key signs nothing."""

    __test__ = False  # its name must not make pytest collect it

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        """Take the key and a scheme such as ``hmac-sha256``; `ValueError` for a hash that hashlib lacks."""
        kind, _, digest = scheme.partition("-")
        if kind != "hmac" or digest not in hashlib.algorithms_available:
            raise ValueError(f"unknown signature scheme {scheme!r}")
        self._key = key
        self._digest = digest

    def sign(self, parts: Sequence[bytes]) -> bytes:
        """Return the signature of the four serialised parts: lower-case hex, or nothing without a key."""
        if not self._key:
            return b""
        return hmac.digest(self._key, b"".join(parts), self._digest).hex().encode("ascii")


def pack(signer: TestSigner, message: Message) -> list[bytes]:
    """Return the frames of a message: delimiter, signature, four parts, buffers (no identities)."""
    parts = [json.dumps(message[name]).encode("utf-8") for name in PARTS]
    return [DELIMITER, signer.sign(parts), *parts, *map(bytes, message["buffers"])]


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def unpack(frames: Sequence[bytes]) -> tuple[Message, bytes]:
    """Return the message in some frames, and the signature that it claims; `BadFrames` when it is none.

    ``identities`` holds the frames before the delimiter: the topic on iopub.
    """
    if DELIMITER not in frames:
        raise BadFrames(f"no delimiter among {len(frames)} frames")
    start = list(frames).index(DELIMITER)
    rest = frames[start + 1 :]
    if len(rest) < 1 + len(PARTS):
        raise BadFrames(f"expected a signature and four parts behind the delimiter, got {len(rest)} frames")
    message: Message = {"identities": list(frames[:start])}
    signature, *parts = rest
    for name, part in zip(PARTS, parts, strict=False):
        try:
            message[name] = _DECODER.decode(part.decode("utf-8"))
        except (ValueError, RecursionError) as error:  # a UnicodeDecodeError is a ValueError
            raise BadFrames(f"{name} is not JSON in UTF-8: {error}") from error
        if not isinstance(message[name], dict):
            raise BadFrames(f"{name} is a {type(message[name]).__name__}, not an object")
    message["buffers"] = parts[len(PARTS) :]
    message["msg_type"] = message["header"].get("msg_type")
    return message, signature
