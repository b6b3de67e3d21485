"""The test client's own signer and its frames."""

from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.testing.signer import DELIMITER, BadFrames, Message, TestSigner, pack, unpack

PARTS = [b'{"msg_type": "x"}', b"{}", b"{}", b"{}"]


def message(**content: object) -> Message:
    """Return a message with this content."""
    return {
        "header": {"msg_type": "x"},
        "parent_header": {},
        "metadata": {},
        "content": content,
        "buffers": [b"1", b""],
    }


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha512", "blake2b"])
def test_the_signature_is_the_hmac_of_the_four_parts(name: str) -> None:
    wanted = hmac.new(b"key", b"".join(PARTS), getattr(hashlib, name)).hexdigest()
    assert TestSigner(b"key", f"hmac-{name}").sign(PARTS) == wanted.encode()


def test_an_empty_key_signs_nothing() -> None:
    assert TestSigner(b"").sign(PARTS) == b""


@pytest.mark.parametrize("scheme", ["hmac-nope", "sha256", ""])
def test_unknown_schemes(scheme: str) -> None:
    with pytest.raises(ValueError, match="unknown signature scheme"):
        TestSigner(b"key", scheme)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=3), st.lists(st.binary(), max_size=2))
def test_what_is_packed_comes_out_again(content: dict[str, object], topics: list[bytes]) -> None:
    topics = [topic for topic in topics if topic != DELIMITER]
    frames = pack(TestSigner(b"key"), message(**content))
    read, signature = unpack([*topics, *frames])
    assert read == {**message(**content), "identities": topics, "msg_type": "x"}
    assert signature == frames[1]


@pytest.mark.parametrize(
    ("frames", "complaint"),
    [
        ([], "no delimiter"),
        (PARTS, "no delimiter"),
        ([DELIMITER], "got 0 frames"),
        ([DELIMITER, b"", *PARTS[:3]], "got 4 frames"),
        ([DELIMITER, b"", *PARTS[:3], b"{"], "content is not JSON"),
        ([DELIMITER, b"", *PARTS[:3], b'{"a": NaN}'], "JSON has no NaN"),
        ([DELIMITER, b"", *PARTS[:3], b'{"a": "\xff"}'], "content is not JSON in UTF-8"),
        ([DELIMITER, b"", PARTS[0], b"null", *PARTS[2:]], "parent_header is a NoneType"),
        ([DELIMITER, b"", *PARTS[:3], b"[" * 100_000], "content is not JSON"),
    ],
)
def test_frames_that_are_no_message(frames: list[bytes], complaint: str) -> None:
    with pytest.raises(BadFrames, match=complaint):
        unpack(frames)


def test_lone_surrogates_can_be_sent() -> None:
    assert json.loads(pack(TestSigner(b""), message(text="\ud800"))[5]) == {"text": "\ud800"}
