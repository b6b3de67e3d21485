"""Signatures: proof that a message comes from somebody who knows the key.

Refuses to know what it signs, and never gives the key back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import Any

from .message import Buffer

try:
    from _operator import _compare_digest as compare_digest  # all that the module hmac offers of it
except ImportError:
    # The same function by its public name, which mypy takes for a second one.
    from hmac import compare_digest  # type: ignore[no-redef]

# hashlib and hmac load OpenSSL: an eighth of an idle kernel's memory, and 3 ms of its start. So they are
# imported when they are needed; until then CPython's own hash does the work, as it does in the module random.
_PREFIX = "hmac-"
_OWN = "hmac-sha256"
# Bytes of a message for which OpenSSL, which is six times as fast, is worth being loaded.
_LARGE = 64 * 1024

_Hash = Callable[[bytes], Any]


class UnknownScheme(ValueError):
    """Say that a signature scheme is none of those known here, and name these."""

    def __init__(self, scheme: str) -> None:
        known = ", ".join(known_schemes())
        super().__init__(f"unknown signature scheme {scheme!r}; known are: {known}")


def known_schemes() -> list[str]:
    """List the signature schemes of this Python: one for each hash of fixed size."""
    import hashlib

    return [_PREFIX + name for name in sorted(hashlib.algorithms_available) if _usable(name)]


def _usable(name: str) -> bool:
    """Say whether a hash can sign: its digest has a fixed size, and no policy forbids it."""
    import hmac

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
        own = _own_sha256() if scheme == _OWN else None
        if own is None and scheme not in known_schemes():
            raise UnknownScheme(scheme)

        def load() -> tuple[Any, Any]:
            return _keyed(_openssl(scheme.removeprefix(_PREFIX)), key)

        self._load = None if own is None else load
        self._keyed = None if not key else load() if own is None else _keyed(own, key)

    @property
    def signs(self) -> bool:
        """Say whether there is a key."""
        return self._keyed is not None

    def sign(self, parts: Sequence[Buffer]) -> bytes:
        """Return the signature of the parts, in lowercase hexadecimal; empty without a key."""
        if self._keyed is None:
            return b""
        signed = b"".join(parts)
        load = self._load
        if load is not None and len(signed) >= _LARGE:
            self._keyed, self._load = load(), None
        inner, outer = self._keyed[0].copy(), self._keyed[1].copy()
        inner.update(signed)
        outer.update(inner.digest())
        return bytes(outer.hexdigest(), "ascii")

    def verify(self, signature: Buffer, parts: Sequence[Buffer]) -> bool:
        """Say whether the signature is that of the parts, in a time that tells nothing (W3)."""
        return self._keyed is None or compare_digest(self.sign(parts), signature)


def _own_sha256() -> _Hash | None:
    """Return CPython's own SHA-256, None in another Python."""
    for module in "_sha2", "_sha256":  # since Python 3.12, and before
        try:
            own: _Hash = import_module(module).sha256
        except ImportError:
            continue
        return own
    return None


def _openssl(name: str) -> _Hash:
    """Return a hash of the module hashlib."""
    import hashlib

    return partial(hashlib.new, name)


def _keyed(new: _Hash, key: bytes) -> tuple[Any, Any]:
    """Return the inner and the outer hash of RFC 2104 with the key already in them.

    To put the key into the hash is half of the work of signing, so it is done once and copied for each
    message. The module hmac can do that too, through four functions in Python for every message; a test
    holds the two to the same result for every scheme.
    """
    block = new(b"").block_size
    padded = (new(key).digest() if len(key) > block else key).ljust(block, b"\0")
    inner, outer = bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)
    return new(inner), new(outer)
