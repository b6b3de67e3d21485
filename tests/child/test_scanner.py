"""The scanner: text and marks, however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.child.scanner import Mark, Scanner

CHILD = "00ff00ff"
BEGIN = b"\x1b]7770;"


def scan(data: bytes, cuts: list[int] | None = None, *, child: str = CHILD) -> list[str | Mark]:
    """Feed the pieces between the cuts; return what came, neighbouring texts joined, flushed at the end."""
    scanner = Scanner(child)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts or [])})
    parts: list[str | Mark] = []
    for begin, end in pairwise(places):
        parts += scanner.feed(data[begin:end])
    if rest := scanner.finish():
        parts.append(rest)
    joined: list[str | Mark] = []
    for part in parts:
        assert part != "", "no empty text"
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


texts = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            BEGIN,
            BEGIN[:3],
            b"\x1b",
            b"\x1b[31m",
            "héé€\U0001d41a".encode(),
            b"\x07",
            b"00ff",
            BEGIN + b"00ff0",
            b"\x1b]8;;x\x1b\\",
        ]
    ),
)
marks = st.builds(
    Mark, st.integers(0, 99999), st.sampled_from("BEF"), st.from_regex(r"[0-9a-zA-Z,!]{0,12}", fullmatch=True)
)


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "replace")


@given(
    st.lists(st.one_of(st.binary(max_size=30).filter(lambda b: b"\x1b" not in b), marks), max_size=8),
    st.lists(st.integers(0, 9999), max_size=8),
)
def test_marks_are_found_in_any_chunks(parts: list[bytes | Mark], cuts: list[int]) -> None:
    data = b"".join(part if isinstance(part, bytes) else part.printed(CHILD) for part in parts)
    expected: list[str | Mark] = []
    run = b""
    for part in [*parts, None]:
        if isinstance(part, bytes):
            run += part
            continue
        if run:
            expected.append(decoded(run))
            run = b""
        if part is not None:
            expected.append(part)
    assert scan(data, cuts) == expected


@given(st.lists(texts, max_size=10), st.lists(st.integers(0, 9999), max_size=10))
def test_chunks_change_nothing(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    assert scan(data, cuts) == scan(data)


@given(st.lists(texts, max_size=10), st.lists(st.integers(0, 9999), max_size=10))
def test_text_of_a_user_is_no_mark(parts: list[bytes], cuts: list[int]) -> None:
    """But for six digits of the child's own nonce behind the beginning of a mark, which nobody knows."""
    data = b"".join(parts).replace(b"00ff", b"00f0")
    assert "".join(str(part) for part in scan(data, cuts, child=CHILD)) == decoded(data)


@given(
    marks, st.integers(1, 60), st.sampled_from([b"", b"\nbash$ "]), st.lists(st.integers(0, 999), max_size=6)
)
def test_a_mark_that_was_cut_is_dropped(mark: Mark, size: int, noise: bytes, cuts: list[int]) -> None:
    printed = mark.printed(CHILD)
    cut = printed[: min(size, len(printed) - 1)]
    if noise and len(cut) <= len(BEGIN) + 5:
        return  # too little to be told from a user's
    whole = Mark(7, "E", "!130")
    found = scan(b"text" + cut + noise + whole.printed(CHILD) + b"after", cuts)
    assert found == ["text" + noise.decode(), whole, "after"]


@pytest.mark.parametrize("text", ["\x1b", "\x1b]", "\x1b]77", "\x1b]7770;", "\x1b]7770;12"])
def test_what_may_become_a_mark_is_held_back(text: str) -> None:
    scanner = Scanner(CHILD)
    assert list(scanner.feed(b"a" + text.encode())) == ["a"]
    assert scanner.holds
    assert scanner.flush() == text
    assert not scanner.holds


def test_what_a_user_prints_last_is_no_cut_mark() -> None:
    assert scan(b"\x1b" + Mark(7, "E", "0").printed(CHILD)) == ["\x1b", Mark(7, "E", "0")]


def test_half_a_character_is_never_given_away() -> None:
    scanner = Scanner(CHILD)
    assert list(scanner.feed("aé".encode()[:2])) == ["a"]
    assert scanner.flush() == ""
    assert list(scanner.feed("é".encode()[1:])) == ["é"]
    assert list(scanner.feed(b"\xc3")) == []
    assert scanner.finish() == "\ufffd"


def test_another_childs_mark_is_text() -> None:
    foreign = Mark(1, "E", "0").printed("abcdef")
    assert scan(foreign) == [foreign.decode()]


def test_linear_time_without_a_newline() -> None:
    """Each byte is looked at a bounded number of times: what is held stays short."""
    scanner = Scanner(CHILD)
    for _ in range(1000):
        list(scanner.feed(b"\x1b]7770;" + b"x" * 4096))
        assert len(scanner.flush()) < 4200
