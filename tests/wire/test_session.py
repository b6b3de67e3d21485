"""Frames and messages, seen from the other end of the wire: by a signer and a parser of the tests' own."""

from __future__ import annotations

import hashlib
import hmac
import json
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapperkernel.wire import (
    PROTOCOL_VERSION,
    Message,
    Session,
    UnknownScheme,
    WireError,
    encoding,
)
from wrapperkernel.wire import session as session_module

KEY = b"a secret key"
HEADER = {
    "msg_id": "request-1",
    "session": "client",
    "username": "somebody",
    "date": "2024-05-06T07:08:09.123456Z",
    "msg_type": "execute_request",
    "version": "5.3",
}

Frames = list[bytes | memoryview]


def signature(parts: Sequence[bytes | memoryview], key: bytes = KEY) -> bytes:
    return hmac.new(key, b"".join(parts), hashlib.sha256).hexdigest().encode()


def frames_of(
    parts: Sequence[bytes],
    *,
    key: bytes = KEY,
    identities: Sequence[bytes] = (),
    buffers: Sequence[bytes] = (),
) -> Frames:
    """Return the frames a client sends for four parts."""
    return [*identities, b"<IDS|MSG>", signature(parts, key), *parts, *buffers]


def request(
    content: Any = None, *, header: Any = None, parent: Any = None, metadata: Any = None
) -> list[bytes]:
    """Return the four parts of a request, as JSON."""
    return [
        json.dumps(part).encode()
        for part in (
            HEADER if header is None else header,
            {} if parent is None else parent,
            {} if metadata is None else metadata,
            {"code": "1"} if content is None else content,
        )
    ]


@pytest.fixture
def session() -> Session:
    return Session(KEY)


# --- composing: the header, the parent ---


@pytest.mark.row("H1", file="wire/session.py", old='"version": PROTOCOL_VERSION,', new='"version": "",')
@pytest.mark.row("H1", file="wire/session.py", old="06d}Z", new="06d}")
@pytest.mark.row("H2")
def test_a_header_has_six_fields_of_text(session: Session) -> None:
    header = session.compose("status", {"execution_state": "busy"}).header
    assert set(header) == {"msg_id", "session", "username", "date", "msg_type", "version"}
    assert all(isinstance(value, str) and value for value in header.values())
    assert header["msg_type"] == "status"
    assert header["session"] == session.id
    assert header["username"] == session.username
    assert header["version"] == PROTOCOL_VERSION
    assert datetime.fromisoformat(header["date"]).utcoffset() == timedelta(0)


@pytest.mark.row("H1", file="wire/session.py", old="os.urandom(16).hex()", new='"session"')
def test_each_session_has_an_id_of_its_own() -> None:
    assert len({Session().id for _ in range(100)}) == 100


@pytest.mark.row("H1", file="wire/session.py", old="{self.id}_{next(self._numbers)}", new="{self.id}")
def test_message_ids_are_unique_in_all_threads(session: Session) -> None:
    def compose(_: int) -> list[str]:
        return [session.compose("status", {}).msg_id for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        ids = [msg_id for some in pool.map(compose, range(8)) for msg_id in some]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("given_name", [None, ""])
@pytest.mark.parametrize("user", ["somebody", "", None])
def test_the_username_is_always_some_text(
    monkeypatch: pytest.MonkeyPatch, given_name: str | None, user: str | None
) -> None:
    if user is None:
        monkeypatch.delenv("USER", raising=False)
    else:
        monkeypatch.setenv("USER", user)
    assert Session(username=given_name).username == (user or "kernel")
    assert Session(username="chosen").username == "chosen"


@pytest.mark.row(
    "H3",
    file="wire/session.py",
    old="parent if parent else {},",
    new='{name: parent[name] for name in ("msg_id", "msg_type", "session")} if parent else {},',
)
def test_the_parent_comes_back_verbatim_on_the_wire(session: Session) -> None:
    header = {**HEADER, "subshell_id": None, "zz": {"of a": ["client", 2**70, 0.1, "é"]}, "aa": ""}
    arrived = session.deserialize(frames_of(request(header=header)))
    reply = session.compose("execute_reply", {"status": "ok"}, parent=arrived.header)
    sent = json.loads(bytes(session.serialize(reply)[3]))
    assert sent == header
    assert list(sent) == list(header), "in the order of the client, too"


@pytest.mark.row("H3", file="wire/session.py", old="dict(metadata) if metadata else {},", new="metadata,")
@pytest.mark.row("H3", file="wire/session.py", old="parent if parent else {},", new="parent,")
@pytest.mark.parametrize("nothing", [None, {}])
def test_without_a_parent_it_is_an_empty_object(session: Session, nothing: dict[str, Any] | None) -> None:
    message = session.compose("status", {}, parent=nothing, metadata=nothing)
    assert message.parent_header == message.metadata == {}
    assert session.serialize(message)[3:5] == [b"{}", b"{}"]


def test_a_message_is_not_changed_by_what_its_author_does_later(session: Session) -> None:
    content, metadata = {"n": 1}, {"n": 1}
    message = session.compose("status", content, metadata=metadata)
    for mapping in (content, metadata):
        mapping["n"] = 2
    assert message.content == message.metadata == {"n": 1}


# --- frames out ---


@pytest.mark.row(
    "W1",
    file="wire/session.py",
    old="encoded = encode(message.parent_header)",
    new="encoded = encode(message.metadata)",
)
@pytest.mark.row(
    "W2",
    file="wire/session.py",
    old="self._signer.sign(parts)",
    new="self._signer.sign(parts + list(buffers))",
)
@pytest.mark.row("W2", file="wire/signature.py", old="outer.hexdigest()", new="outer.hexdigest().upper()")
def test_the_frames_of_a_message(session: Session) -> None:
    message = session.compose(
        "comm_msg",
        {"comm_id": "c"},
        parent=HEADER,
        metadata={"m": 1},
        identities=(b"router", b"\0client"),
        buffers=[b"one", bytearray(b"two")],
    )
    frames = session.serialize(message)
    assert frames[:3] == [b"router", b"\0client", b"<IDS|MSG>"]
    parts = [message.header, HEADER, {"m": 1}, {"comm_id": "c"}]
    assert [json.loads(bytes(part)) for part in frames[4:8]] == parts
    assert frames[3] == signature(frames[4:8]), "lowercase, of the four parts, not of the buffers"
    assert frames[8:] == [b"one", b"two"]


@pytest.mark.row("W1")
def test_a_message_without_a_route_is_six_frames(session: Session) -> None:
    frames = session.serialize(session.compose("status", {}))
    assert len(frames) == 6
    assert frames[0] == b"<IDS|MSG>"


@pytest.mark.row("C5", file="wire/session.py", old="if not self._signer.signs:", new="if False:")
def test_without_a_key_nothing_is_signed_and_nothing_checked() -> None:
    session = Session(b"")
    assert session.serialize(session.compose("status", {}))[1] == b""
    for claimed in (b"", b"whatever", b"whatever"):
        assert session.deserialize([b"<IDS|MSG>", claimed, *request()]).msg_id == "request-1"


@pytest.mark.row("C4")
@pytest.mark.parametrize("name", ["md5", "sha256", "sha512"])
def test_the_scheme_is_the_one_asked_for(name: str) -> None:
    session = Session(KEY, f"hmac-{name}")
    frames = session.serialize(session.compose("status", {}))
    assert frames[1] == hmac.new(KEY, b"".join(frames[2:]), name).hexdigest().encode()


@pytest.mark.row("C4")
def test_an_unknown_scheme_is_an_error_even_without_a_key() -> None:
    with pytest.raises(UnknownScheme, match="hmac-nope"):
        Session(b"", "hmac-nope")


@pytest.mark.row("W8")
def test_buffers_are_not_copied(session: Session) -> None:
    large = bytes(10_000_000)
    shared = bytearray(10)
    frames = session.serialize(
        session.compose("comm_msg", {}, buffers=[large, shared, memoryview(shared)[2:4]])
    )
    assert frames[6] is large
    shared[2] = 7
    assert frames[7][2] == 7
    assert frames[8] == b"\7\0"


@pytest.mark.row("W8")
def test_buffers_of_any_shape_and_type_become_their_bytes(session: Session) -> None:
    numbers = array("d", [1.0, 2.5, -3.0, 4.0])
    scalar = memoryview(array("d", [2.5])).cast("B").cast("d", ())
    square = memoryview(numbers).cast("B").cast("d", (2, 2))
    frames = session.serialize(
        session.compose("comm_msg", {}, buffers=[numbers, square, scalar, array("d"), b""])
    )
    assert [len(frame) for frame in frames[6:]] == [32, 32, 8, 0, 0]
    assert [bytes(frame) for frame in frames[6:]] == [
        bytes(numbers),
        bytes(numbers),
        scalar.tobytes(),
        b"",
        b"",
    ]


def test_a_buffer_in_the_order_of_fortran_is_refused(session: Session) -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match="not contiguous"):
        session.compose("comm_msg", {}, buffers=[numpy.asfortranarray(numpy.ones((2, 3)))])


@pytest.mark.row("W8", file="wire/session.py", old="if not view.c_contiguous:", new="if False:")
def test_a_buffer_that_does_not_lie_together_is_refused(session: Session) -> None:
    slices = memoryview(b"abcdef")[::2]
    with pytest.raises(ValueError, match="not contiguous"):
        session.compose("comm_msg", {}, buffers=[slices])
    with pytest.raises(ValueError, match="not contiguous"):
        session.serialize(Message(HEADER, {}, {}, {}, buffers=(slices,)))


@pytest.mark.parametrize("thing", ["text", 3, None, [1]])
def test_what_is_no_buffer_is_refused(session: Session, thing: Any) -> None:
    with pytest.raises(TypeError):
        session.compose("comm_msg", {}, buffers=[thing])


def test_what_cannot_be_json_is_the_author_s_error(session: Session) -> None:
    for content, error in (({"a": object()}, TypeError), ({"in": {1: 0, "1": 0}}, ValueError)):
        with pytest.raises(error):
            session.serialize(session.compose("display_data", content))


# --- frames in ---


@pytest.mark.row("W1", "S2")
@pytest.mark.parametrize("identities", [(), (b"one",), (b"router", b"", b"\0\xff")])
def test_the_whole_route_is_kept(session: Session, identities: tuple[bytes, ...]) -> None:
    message = session.deserialize(frames_of(request(), identities=identities))
    assert message.identities == identities


@pytest.mark.row("W10", file="wire/session.py", old="tuple(frames[place + 6 :]),", new="(),")
def test_frames_after_the_content_are_buffers(session: Session) -> None:
    frames = frames_of(request(), buffers=[b"", b"<IDS|MSG>"])
    message = session.deserialize([*frames, memoryview(b"large")])
    assert message.buffers == (b"", b"<IDS|MSG>", b"large")


def test_a_request_is_read_as_it_is(session: Session) -> None:
    header = {**HEADER, "unknown": [1], "date": "no date at all"}
    parts = request({"code": "é"}, header=header, parent={"any": "thing"}, metadata={"cellId": "c"})
    message = session.deserialize(frames_of(parts))
    assert message == Message(header, {"any": "thing"}, {"cellId": "c"}, {"code": "é"})


def test_null_for_parent_or_metadata_is_an_empty_object(session: Session) -> None:
    parts = [*request()]
    parts[1] = parts[2] = b"null"
    message = session.deserialize(frames_of(parts))
    assert message.parent_header == message.metadata == {}


def test_frames_may_be_views(session: Session) -> None:
    frames = [
        memoryview(bytes(frame)) for frame in frames_of(request(), identities=[b"one"], buffers=[b"two"])
    ]
    message = session.deserialize(frames)
    assert message.identities == (b"one",)
    assert isinstance(message.identities[0], bytes)
    assert message.content == {"code": "1"}
    assert message.buffers[0] is frames[-1], "not copied"


objects = st.dictionaries(
    st.text(max_size=5),
    st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5),
    max_size=4,
)


@pytest.mark.row("W1")
@given(
    key=st.binary(max_size=80),
    identities=st.lists(st.binary().filter(lambda frame: frame != b"<IDS|MSG>")).map(tuple),
    content=objects,
    metadata=objects,
    parent=objects,
    buffers=st.lists(st.binary() | st.binary().map(memoryview)),
)
@settings(deadline=None)
def test_what_one_session_writes_another_reads(
    key: bytes,
    identities: tuple[bytes, ...],
    content: dict[str, Any],
    metadata: dict[str, Any],
    parent: dict[str, Any],
    buffers: list[bytes | memoryview],
) -> None:
    sender, receiver = Session(key), Session(key)
    message = sender.compose(
        "comm_msg", content, parent=parent, metadata=metadata, identities=identities, buffers=buffers
    )
    assert receiver.deserialize(sender.serialize(message)) == message


# --- the kinds of frames that are no message ---


def without(field: str) -> dict[str, str]:
    return {name: value for name, value in HEADER.items() if name != field}


NESTED = b'{"code": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"

MALFORMED: list[tuple[str, str, Frames]] = [
    ("no-delimiter", "no frames", []),
    ("no-delimiter", "one empty frame", [b""]),
    ("no-delimiter", "delimiter left out", frames_of(request())[1:]),
    ("no-delimiter", "delimiter in a longer frame", [b"<IDS|MSG> ", *frames_of(request())[1:]]),
    ("short", "delimiter alone", [b"<IDS|MSG>"]),
    ("short", "delimiter last", [b"one", b"two", b"<IDS|MSG>"]),
    ("short", "two frames", [b"<IDS|MSG>", b""]),
    ("short", "no content", [b"client", *frames_of(request())[:-1]]),
    ("unsigned", "empty signature", [b"<IDS|MSG>", b"", *request()]),
    ("bad-signature", "zeros", [b"<IDS|MSG>", b"0" * 64, *request()]),
    ("bad-signature", "not hexadecimal", [b"<IDS|MSG>", b"\xff", *request()]),
    ("bad-signature", "another key", frames_of(request(), key=b"another")),
    ("bad-signature", "uppercase", [b"<IDS|MSG>", signature(request()).upper(), *request()]),
    ("bad-signature", "changed content", [*frames_of(request())[:-1], b'{"code": "2"}']),
    ("bad-signature", "cut off", [b"<IDS|MSG>", signature(request())[:-1], *request()]),
    *(
        (
            "bad-json",
            f"part {place}: {text[:10]!r}",
            frames_of([*request()[:place], text, *request()[place + 1 :]]),
        )
        for place in range(4)
        for text in (b"", b"{", b"\xff\xfe", b"{'a': 1}", b'{"a": NaN}', NESTED)
    ),
    *(
        (
            "not-an-object",
            f"part {place}: {text!r}",
            frames_of([*request()[:place], text, *request()[place + 1 :]]),
        )
        for place in range(4)
        for text in (b"[]", b'"text"', b"1", b"false")
    ),
    ("not-an-object", "header null", frames_of([b"null", *request()[1:]])),
    ("not-an-object", "content null", frames_of([*request()[:3], b"null"])),
    *(
        ("bad-header", f"{field} {what}", frames_of(request(header=header)))
        for field in ("msg_id", "session", "msg_type")
        for what, header in (
            ("missing", without(field)),
            ("null", {**HEADER, field: None}),
            ("number", {**HEADER, field: 1}),
        )
    ),
    ("bad-header", "empty", frames_of(request(header={}))),
]
KINDS = ["no-delimiter", "short", "unsigned", "bad-signature", "bad-json", "not-an-object", "bad-header"]

malformed = pytest.mark.parametrize(
    ("kind", "frames"),
    [(kind, frames) for kind, _, frames in MALFORMED],
    ids=[f"{k}: {w}" for k, w, _ in MALFORMED],
)


def test_all_seven_kinds_are_tried() -> None:
    assert list(dict.fromkeys(kind for kind, _, _ in MALFORMED)) == KINDS


@pytest.mark.row(
    "W3", file="wire/signature.py", old="compare_digest(self.sign(parts), signature)", new="True"
)
@pytest.mark.row("W3", file="wire/session.py", old="if len(frames) < place + 6:", new="if False:")
@pytest.mark.row("W3", file="wire/session.py", old="if not signature:", new="if False:")
@pytest.mark.row(
    "W3",
    file="wire/session.py",
    old="except ValueError:  # not chained",
    new="except KeyError:  # not chained",
)
@pytest.mark.row(
    "W3", file="wire/session.py", old="if not isinstance(header.get(field), str):", new="if False:"
)
@pytest.mark.parametrize("view", [bytes, memoryview])
@malformed
def test_malformed_frames_are_an_error_of_a_kind_and_the_session_serves_on(
    session: Session, kind: str, frames: Frames, view: Callable[[Any], bytes | memoryview]
) -> None:
    with pytest.raises(WireError) as caught:
        session.deserialize(list(map(view, frames)))
    assert caught.value.kind == kind
    assert session.deserialize(frames_of(request())).msg_id == "request-1"


@given(st.lists(st.binary(max_size=12) | st.just(b"<IDS|MSG>") | st.just(b"{}"), max_size=10))
@settings(deadline=None)
def test_no_frames_make_anything_but_a_message_or_a_wire_error(frames: list[bytes]) -> None:
    for key in (b"", KEY):
        with pytest.raises(WireError):
            Session(key).deserialize(frames)


def test_an_error_shows_neither_key_nor_message(session: Session) -> None:
    secret = "confidential"
    attempts = [
        frames_of([*request()[:3], b'{"value": "confidential"']),
        frames_of([*request()[:3], b'"confidential"']),
        frames_of(request({"value": secret}, header={secret: secret})),
        [b"<IDS|MSG>", b"confidential", *request({"value": secret})],
        [b"confidential", b"<IDS|MSG>", b"confidential"],
        [b"confidential"],
    ]
    for frames in attempts:
        with pytest.raises(WireError) as caught:
            session.deserialize(frames)
        assert str(caught.value)
        shown = f"{caught.value!s}{caught.value!r}{caught.value.__cause__!r}"
        assert secret not in shown
        assert KEY.decode() not in shown


# --- replays ---


@pytest.mark.row(
    "W4", file="wire/session.py", old="if not self._replays.add(bytes(signature)):", new="if False:"
)
def test_a_message_that_comes_again_is_refused(session: Session) -> None:
    frames = frames_of(request())
    session.deserialize(frames)
    with pytest.raises(WireError) as caught:
        session.deserialize([b"another route", *frames, b"another buffer"])
    assert caught.value.kind == "replay"
    session.deserialize(frames_of(request({"code": "2"})))


@pytest.mark.row("W4")
def test_a_signature_that_was_not_verified_is_not_remembered(session: Session) -> None:
    right = frames_of(request())
    for _ in range(2):
        with pytest.raises(WireError) as caught:
            session.deserialize([*right[:-1], b"{}"])
        assert caught.value.kind == "bad-signature"
    assert session.deserialize(right).content == {"code": "1"}


# --- large messages ---


@pytest.mark.parametrize("encode", [encoding.encode, encoding.encode_exactly], ids=["chosen", "exact"])
def test_a_message_of_64_megabytes(encode: Callable[[Any], bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "encode", encode)
    sender, receiver = Session(KEY), Session(KEY)
    text = "x" * 64_000_000
    message = sender.compose("stream", {"name": "stdout", "text": text}, buffers=[bytes(64_000_000)])
    frames: Frames = [memoryview(frame) for frame in sender.serialize(message)]
    arrived = receiver.deserialize(frames)
    assert arrived.content["text"] == text
    assert arrived.buffers[0] is frames[-1]
