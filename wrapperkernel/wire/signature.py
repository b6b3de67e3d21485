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
        # Kept ready and copied for each message: to put the key into the hash is half of the work.
        self._keyed = hmac.new(key, digestmod=name) if key else None

    @property
    def signs(self) -> bool:
        """Say whether there is a key."""
        return self._keyed is not None

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """Return the signature of the parts, in lowercase hexadecimal; empty without a key."""
        if self._keyed is None:
            return b""
        mac = self._keyed.copy()
        mac.update(b"".join(parts))
        return mac.hexdigest().encode("ascii")

    def verify(self, signature: Buffer, parts: Sequence[Buffer]) -> bool:
        """Say whether the signature is that of the parts, in a time that tells nothing (W3)."""
        return self._keyed is None or hmac.compare_digest(self.sign(parts), signature)
