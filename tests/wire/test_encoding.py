"""JSON by orjson and by the standard library: each as specified, and both alike."""

from __future__ import annotations

import base64
import enum
import json
import math
import os
import subprocess
import sys
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wrapperkernel.wire import encoding
from wrapperkernel.wire.encoding import DEEPEST, decode, decode_exactly, encode, encode_exactly

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes | memoryview], Any]

# Where orjson is not installed, these are the same twice.
encoders = pytest.mark.parametrize("write", [encode, encode_exactly], ids=["chosen", "exact"])
decoders = pytest.mark.parametrize("read", [decode, decode_exactly], ids=["chosen", "exact"])
BOTH: list[tuple[Encode, Decode]] = [(encode, decode), (encode_exactly, decode_exactly)]

any_text = st.text(st.characters(exclude_categories=()))  # halves of surrogate pairs among it
well_formed = st.text()
integers = st.integers() | st.integers(-(2**65), 2**65)


def values(texts: st.SearchStrategy[str], leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves | texts, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=20
    )


plain = values(
    well_formed, st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False)
)
rich_leaves = (
    st.none()
    | st.booleans()
    | integers
    | st.floats()
    | st.binary()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.dates()
    | st.times()
    | st.uuids()
    | st.decimals()
    | st.fractions()
)
rich = st.recursive(
    rich_leaves | any_text,
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(
            any_text | st.integers() | st.none() | st.booleans() | st.floats() | st.binary(), inner
        )
    ),
    max_leaves=20,
)


def strictly(raw: bytes) -> Any:
    """Read what must be JSON by the letter."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} on the wire")

    return json.loads(raw.decode("utf-8"), parse_constant=refuse)


def outcome(function: Callable[[Any], Any], argument: Any) -> str:
    """Return what a function returns, told apart to the type and the sign of zero, or the error it raises."""
    try:
        return repr(function(argument))
    except (TypeError, ValueError) as error:
        return type(error).__name__ if isinstance(error, TypeError) else "ValueError"


# --- both paths alike ---


@given(plain)
@settings(deadline=None)
def test_what_is_written_is_read_again(value: Any) -> None:
    for write, read in BOTH:
        raw = write(value)
        assert repr(read(raw)) == repr(value)
        assert repr(read(memoryview(raw))) == repr(value)


@given(rich)
@settings(deadline=None)
def test_both_paths_write_the_same(value: Any) -> None:
    def meaning(write: Encode) -> Callable[[Any], Any]:
        return lambda given_value: strictly(write(given_value))

    assert outcome(meaning(encode), value) == outcome(meaning(encode_exactly), value)


@given(st.binary() | any_text.map(lambda text: text.encode("utf-8", "surrogatepass")))
@example(b"\xef\xbb\xbf{}")
@example(b"NaN")
@example(b"-Infinity")
@example(b"1e400")
@example(b'[-1e400, "\\ud83d"]')
@example(b"-0")
@example(b"-0.0")
@example(b"18446744073709551616")
@example(b"9" * 5000)
@example(b'{"a": 1, "a": 2}')
@example(b'{"\\ud800": 1, "\\ud801": 2}')
@example(b'"\\\\ud800"')
@example(b'"\\uDBFF\\uDFFF"')
@example(b'"\xed\xa0\x80"')
@example(b"\x00")
@settings(deadline=None)
def test_both_paths_read_the_same_bytes(raw: bytes) -> None:
    assert outcome(decode, raw) == outcome(decode_exactly, raw)


@given(values(any_text, st.none() | integers | st.floats()), st.booleans(), st.data())
@settings(deadline=None)
def test_both_paths_read_the_same_damaged_json(value: Any, ascii_only: bool, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass"))
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=2)):
        raw[place] = data.draw(st.sampled_from(b'0{}[]",:\\ud8-e.\xff '))
    assert outcome(decode, bytes(raw)) == outcome(decode_exactly, bytes(raw))


def test_without_orjson_the_exact_path_is_taken(tmp_path: Path) -> None:
    (tmp_path / "orjson.py").write_text("raise ImportError('not installed, for this test')\n")
    code = (
        "from wrapperkernel.wire import encoding as e\n"
        "assert e.orjson is None\n"
        "print(e.encode({1: b'x', 'n': float('nan')}).decode())\n"
        "print(e.decode(b'[1, \"\\\\ud800\"]') == [1, '\\ufffd'])\n"
    )
    path = os.pathsep.join([str(tmp_path), str(Path(encoding.__file__).parents[2])])
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == '{"1":"eA==","n":null}\nTrue\n'


# --- W5: UTF-8, no NaN, no surrogates ---


@pytest.mark.row(
    "W5", file="wire/encoding.py", old="return value if isfinite(value) else None", new="return value"
)
def test_what_json_has_no_number_for_is_null() -> None:
    value = {"text/plain": math.nan, "list": [math.inf, (-math.inf,), 1.5], "long": 2**70}
    for write, _ in BOTH:
        assert strictly(write(value)) == {"text/plain": None, "list": [None, [None], 1.5], "long": 2**70}


@pytest.mark.row(
    "W5",
    file="wire/encoding.py",
    old='.decode("utf-16-le", "replace")',
    new='.decode("utf-16-le", "surrogatepass")',
)
def test_half_a_surrogate_pair_is_replaced_and_two_halves_are_joined() -> None:
    for write, _ in BOTH:
        assert strictly(write("a\ud800b\udcff")) == "a\ufffdb\ufffd"
        assert strictly(write("\ud83d\ude00")) == "\U0001f600"
        assert strictly(write({"\udcff": "\U0001f600"})) == {"\ufffd": "\U0001f600"}


@encoders
def test_text_is_utf_8_and_not_escaped(write: Encode) -> None:
    assert write({"é": "漢\U0001f600"}) == '{"é":"漢\U0001f600"}'.encode()


@pytest.mark.row("W5")
@decoders
def test_half_a_surrogate_pair_is_read_as_replaced(read: Decode) -> None:
    assert read(rb'{"a\ud800": ["\uDFFF", "\ud83d\ude00", "\\ud800"]}') == {
        "a\ufffd": ["\ufffd", "\U0001f600", "\\ud800"]
    }


@decoders
def test_bytes_that_are_not_utf_8_are_read_as_replaced(read: Decode) -> None:
    assert read(b'{"code": "a\xffb"}') == {"code": "a\ufffdb"}


@decoders
@pytest.mark.parametrize(
    "raw", [b"NaN", b"[Infinity]", b"-Infinity", b"1e400", b"", b"{", b"nul", b"{}{}", b"'a'"]
)
def test_what_is_not_json_is_refused(read: Decode, raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(raw)


@encoders
@decoders
@pytest.mark.parametrize("number", [2**53 + 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400])
def test_integers_are_exact(write: Encode, read: Decode, number: int) -> None:
    assert read(write({"n": [number]})) == {"n": [number]}


# --- W6: bytes and dates ---


@pytest.mark.row("W6", file="wire/encoding.py", old="newline=False", new="newline=True")
@encoders
@pytest.mark.parametrize("form", [bytes, bytearray, memoryview, lambda png: memoryview(png * 2)[: len(png)]])
def test_bytes_are_base64_without_newlines(write: Encode, form: Callable[[bytes], Any]) -> None:
    png = bytes(range(256)) * 3
    assert strictly(write({"image/png": form(png)})) == {"image/png": base64.b64encode(png).decode()}


@encoders
def test_bytes_that_do_not_lie_together_are_base64_too(write: Encode) -> None:
    assert strictly(write(memoryview(b"abcdef")[::2])) == base64.b64encode(b"ace").decode()


@pytest.mark.row("W6", file="wire/encoding.py", old='.isoformat() + "Z"', new=".isoformat()")
@encoders
def test_dates_are_iso_8601_in_utc(write: Encode) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9, 123456, UTC)
    east = moment.astimezone(timezone(timedelta(hours=5)))
    assert strictly(write([moment, east])) == ["2024-05-06T07:08:09.123456Z"] * 2
    assert strictly(write([date(2024, 5, 6), time(7, 8)])) == ["2024-05-06", "07:08:00"]


@encoders
def test_a_date_without_a_zone_is_local_time(write: Encode) -> None:
    moment = datetime(2024, 5, 6, 7, 8, 9)
    assert datetime.fromisoformat(strictly(write(moment))) == moment.astimezone()


@encoders
def test_a_date_outside_of_utc_is_refused(write: Encode) -> None:
    with pytest.raises(ValueError, match="date"):
        write([datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))])


# --- W7: keys ---


@pytest.mark.row("W7", file="wire/encoding.py", old="if len(plain) != len(value):", new="if False:")
@encoders
@pytest.mark.parametrize(
    "value",
    [{1: 0, "1": 0}, {"in": [{None: 0, "None": 0}]}, {1.0: 0, "1.0": 0}, dict.fromkeys(["\ud800", "\ud801"])],
)
def test_keys_that_collide_as_text_are_an_error(write: Encode, value: Any) -> None:
    with pytest.raises(ValueError, match="two keys"):
        write(value)


@encoders
def test_keys_become_text(write: Encode) -> None:
    class Name(str):
        __slots__ = ()

    value = {1: 0, None: 1, False: 2, 1.5: 3, (1, 2): 4, Name("n"): 5}
    assert strictly(write(value)) == {"1": 0, "None": 1, "False": 2, "1.5": 3, "(1, 2)": 4, "n": 5}


# --- other types ---


class Colour(enum.Enum):
    RED = "red"


class Number(enum.IntEnum):
    ONE = 1


class Word(enum.StrEnum):
    HELLO = "hello"


class Text(str):
    def __str__(self) -> str:
        return "not this"


class Whole(int):
    def __repr__(self) -> str:
        return "not this"


class Real(float):
    def __repr__(self) -> str:
        return "not this"


class Array:
    """Like numpy's: it knows how to become lists and numbers of Python."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def tolist(self) -> Any:
        return self.value


class Index:
    def __index__(self) -> int:
        return 7


Point = namedtuple("Point", "x y")  # the plainest one is the one in question


@encoders
@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ((1, (2,)), [1, [2]]),
        (Point(1, 2), [1, 2]),
        ({3}, [3]),
        (frozenset(), []),
        (range(3), [0, 1, 2]),
        (deque([1]), [1]),
        ({"a": 1}.keys(), ["a"]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (UserDict({"a": {1}}), {"a": [1]}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Colour.RED, "red"),
        ({"a": Number.ONE}, {"a": 1}),
        (Word.HELLO, "hello"),
        (Text("text"), "text"),
        (Whole(3), 3),
        (Real(0.5), 0.5),
        (Real("nan"), None),
        (Array([[1, 2.5], [True, None]]), [[1, 2.5], [True, None]]),
        (Array(True), True),
        (Index(), 7),
        (Decimal("1.5"), 1.5),
        (Decimal("nan"), None),
        (Fraction(1, 2), 0.5),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=repr,
)
def test_other_types_become_the_nearest_that_json_has(write: Encode, value: Any, meaning: Any) -> None:
    for wrapped, expected in [
        (value, meaning),
        ({"in": [value]}, {"in": [meaning]}),
        ({1: value}, {"1": meaning}),
    ]:
        assert repr(strictly(write(wrapped))) == repr(expected)


@dataclass
class Record:
    field: int = 1


@encoders
@pytest.mark.parametrize("value", [object(), Record(), len, 1j, iter([1]), Path("x"), Record], ids=repr)
def test_what_has_no_form_in_json_is_refused(write: Encode, value: Any) -> None:
    with pytest.raises(TypeError, match="no form in JSON"):
        write({"a": [value]})


# --- depth ---


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


@decoders
@pytest.mark.parametrize("depth", [DEEPEST + 1, 500, 1000, 100_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"[", b'{"a":'], ids=["arrays", "objects"])
def test_deep_json_is_refused(read: Decode, depth: int, opening: bytes) -> None:
    closing = {b"[": b"]"}.get(opening, b"}")
    for raw in (opening * depth + b"1" + closing * depth, opening * depth):
        with pytest.raises(ValueError, match=r"."):
            read(raw)


@encoders
@decoders
def test_what_could_be_read_can_be_written(write: Encode, read: Decode) -> None:
    raw = b'{"a":' * (DEEPEST - 1) + b'["\xc3\xa9", 18446744073709551616]' + b"}" * (DEEPEST - 1)
    assert read(write(read(raw))) == read(raw)


@decoders
def test_many_brackets_are_not_deep(read: Decode) -> None:
    rows = [{"cells": [[], {}, "[[{{"]}] * 1000
    assert read(json.dumps(rows).encode()) == rows


@encoders
def test_a_value_inside_itself_is_refused(write: Encode) -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    with pytest.raises(ValueError, match="inside itself"):
        write(loop)
