"""Signatures beside an HMAC written out by hand, for every hash that can sign."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapperkernel.wire import Signer, UnknownScheme, signature
from wrapperkernel.wire.signature import known_schemes


def by_hand(key: bytes, name: str, parts: Sequence[bytes]) -> bytes:
    """Return the signature as RFC 2104 defines it, in hexadecimal."""
    block = hashlib.new(name).block_size
    if len(key) > block:
        key = hashlib.new(name, key).digest()
    key = key.ljust(block, b"\0")
    inner = hashlib.new(name, bytes(byte ^ 0x36 for byte in key) + b"".join(parts)).digest()
    return hashlib.new(name, bytes(byte ^ 0x5C for byte in key) + inner).hexdigest().encode()


@pytest.mark.parametrize("scheme", known_schemes())
@pytest.mark.parametrize("key", [b"k", b"key" * 100], ids=["short", "long"])
def test_every_hash_of_fixed_size_signs(scheme: str, key: bytes) -> None:
    signer = Signer(key, scheme)
    for parts in ([b"a", b"b", b"c", b"d"], [b"", memoryview(b"other")]):
        signed = signer.sign(parts)
        assert signed == by_hand(key, scheme.removeprefix("hmac-"), list(map(bytes, parts)))
        assert signer.verify(signed, parts)
        assert not signer.verify(signed, [*parts, b"!"])


def test_every_hash_of_fixed_size_is_known() -> None:
    fixed = {name for name in hashlib.algorithms_guaranteed if hashlib.new(name).digest_size}
    assert {f"hmac-{name}" for name in fixed} <= set(known_schemes())
    assert {"hmac-md5", "hmac-sha256", "hmac-sha512"} <= set(known_schemes())


@pytest.mark.parametrize(
    "scheme", ["hmac-nope", "hmac-shake_128", "hmac-shake_256", "hmac-", "sha256", "", "hmac-hmac-sha256"]
)
@pytest.mark.parametrize("key", [b"", b"key"], ids=["unsigned", "signed"])
def test_an_unknown_scheme_is_refused_with_the_known_ones_named(scheme: str, key: bytes) -> None:
    with pytest.raises(UnknownScheme, match=r"known are: .*hmac-sha256") as caught:
        Signer(key, scheme)
    assert repr(scheme) in str(caught.value)


@given(st.binary(min_size=1), st.lists(st.binary()))
@settings(deadline=None)
def test_the_default_is_sha256(key: bytes, parts: list[bytes]) -> None:
    assert Signer(key).sign(parts) == hmac.digest(key, b"".join(parts), "sha256").hex().encode()


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024, 1_000_000])
def test_long_messages_are_signed_as_short_ones_are(size: int) -> None:
    signer = Signer(b"key")
    for parts in ([b"short"], [b"long", b"x" * (size - 4)], [b"short"]):
        assert signer.sign(parts) == by_hand(b"key", "sha256", parts)


def test_openssl_is_loaded_for_long_messages_only() -> None:
    script = (
        "import sys; from wrapperkernel.wire import Signer; signer = Signer(b'key'); signer.sign([b'short']);"
        "print('_hashlib' in sys.modules, end=' ');"
        "signer.sign([b'x' * 100_000]); print('_hashlib' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert found.split() == ["False", "True"]


def test_without_cpythons_own_hash_all_is_signed_by_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signature, "_own_sha256", lambda: None)
    assert Signer(b"key").sign([b"one"]) == by_hand(b"key", "sha256", [b"one"])


def test_signing_twice_gives_the_same() -> None:
    signer = Signer(b"key")
    assert signer.sign([b"one"]) == signer.sign([b"one"]) != signer.sign([b"two"])


def test_without_a_key_signatures_are_empty_and_all_good() -> None:
    signer = Signer(b"")
    assert not signer.signs
    assert signer.sign([b"one"]) == b""
    assert signer.verify(b"", [b"one"])
    assert signer.verify(b"whatever", [b"one"])


@pytest.mark.parametrize(
    "wrong",
    [b"", b"0" * 64, Signer(b"other").sign([b"one"]), Signer(b"key").sign([b"one"]).upper(), b"\xff"],
    ids=["empty", "zeros", "another key", "uppercase", "not ASCII"],
)
def test_another_signature_is_wrong(wrong: bytes) -> None:
    assert not Signer(b"key").verify(wrong, [b"one"])
    assert not Signer(b"key").verify(memoryview(wrong), [b"one"])


@pytest.mark.row(
    "W3",
    file="wire/signature.py",
    old="compare_digest(self.sign(parts), signature)",
    new="self.sign(parts) == signature",
)
def test_signatures_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def listen(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(signature, "compare_digest", listen)
    signer = Signer(b"key")
    right = signer.sign([b"one"])
    assert not signer.verify(b"wrong", [b"one"])
    assert signer.verify(right, [b"one"])
    assert compared == [(right, b"wrong"), (right, right)]


def test_a_signer_does_not_show_its_key() -> None:
    signer = Signer(b"confidential")
    assert "confidential" not in repr(signer) + repr(vars(signer))
