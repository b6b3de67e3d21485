"""Signatures: proof that a message comes from somebody who knows the key.

Refuses to know what it signs, and never gives the key back.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from .message import Buffer

_PREFIX = "hmac-"


class UnknownScheme(ValueError):
    """Say that a signature scheme is none of those known here, and name these."""

    def __init__(self, scheme: str) -> None:
        known = ", ".join(known_schemes())
        super().__init__(f"unknown signature scheme {scheme!r}; known are: {known}")


def known_schemes() -> list[str]:
    """List the signature schemes of this Python: one for each hash of fixed size."""
    return [_PREFIX + name for name in sorted(hashlib.algorithms_available) if _usable(name)]


def _usable(name: str) -> bool:
    """Say whether a hash can sign: its digest has a fixed size, and no policy forbids it."""
    try:
        return hmac.new(b"key", digestmod=name).digest_size > 0 and bool(hmac.new(b"key", b"", name).digest())
    except ValueError:
        return False


class Signer:
    """Sign and verify with one key and one hash.

    An empty key means that nobody signs: every signature is then empty, and any is good.
    Raises UnknownScheme. Any thread may use it.

    Messaging specification: "The Wire Protocol" (W2, C4, C5).
    """

    def __init__(self, key: bytes, scheme: str = "hmac-sha256") -> None:
        name = scheme.removeprefix(_PREFIX)
        if name == scheme or name not in hashlib.algorithms_available or not _usable(name):
            raise UnknownScheme(scheme)
        self._keyed = _keyed(name, key) if key else None

    @property
    def signs(self) -> bool:
        """Say whether there is a key."""
        return self._keyed is not None

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """Return the signature of the parts, in lowercase hexadecimal; empty without a key."""
        if self._keyed is None:
            return b""
        inner, outer = self._keyed[0].copy(), self._keyed[1].copy()
        inner.update(b"".join(parts))
        outer.update(inner.digest())
        return outer.hexdigest().encode("ascii")

    def verify(self, signature: Buffer, parts: Sequence[Buffer]) -> bool:
        """Say whether the signature is that of the parts, in a time that tells nothing (W3)."""
        return self._keyed is None or hmac.compare_digest(self.sign(parts), signature)


def _keyed(name: str, key: bytes) -> tuple[hashlib._Hash, hashlib._Hash]:
    """Return the inner and the outer hash of RFC 2104 with the key already in them.

    To put the key into the hash is half of the work of signing, so it is done once and copied for each
    message. The module hmac can do that too, through four functions in Python for every message; a test
    holds the two to the same result for every scheme.
    """
    block = hashlib.new(name).block_size
    padded = (hashlib.new(name, key).digest() if len(key) > block else key).ljust(block, b"\0")
    inner, outer = bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)
    return hashlib.new(name, inner), hashlib.new(name, outer)
