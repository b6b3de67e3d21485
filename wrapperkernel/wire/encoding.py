"""JSON as the wire wants it: values to UTF-8 bytes, and back.

Refuses to know what the values mean.

There are two paths. The exact one is made of the standard library and decides what every value becomes.
The fast one is orjson, where installed: it agrees on what it takes, and whatever it refuses goes the
exact way. So a kernel behaves alike with and without orjson.
"""

from __future__ import annotations

import json
from binascii import b2a_base64
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time
from enum import Enum
from math import isfinite
from operator import index
from typing import Any, NoReturn

from .message import Buffer

try:
    import orjson
except ImportError:  # the extra "fast" is not installed
    orjson = None  # type: ignore[assignment]

# Deeper values are refused when read, so that whatever was read (a header, which comes back in each
# reply) can be written again. orjson writes 254 levels, the exact path about 450.
DEEPEST = 200

# The shortest integer that needs more than 64 bits has 19 digits. orjson reads such integers as floats.
_DIGITS = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
_LONG_NUMBER = b"0" * 19

_OPTIONS = (
    0
    if orjson is None
    else orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def encode(value: Any) -> bytes:
    """Write a value as JSON in UTF-8.

    Tuples, sets and other collections become arrays, keys text by ``str``, bytes base64 without newlines,
    dates ISO-8601 (a datetime in UTC with ``Z``; one without a zone is local time), enumerations their value,
    NaN and the infinities null, half a surrogate pair U+FFFD; integers stay exact at any length.
    Raises TypeError for what has no form in JSON, ValueError for keys that collide and for values too deep.

    PROTOCOL W5-W7.
    """
    if orjson is None:
        return encode_exactly(value)
    try:
        return orjson.dumps(value, _simpler, _OPTIONS)
    except TypeError:  # surrogates, long integers, keys that are not text, …
        return encode_exactly(value)


def decode(raw: Buffer) -> Any:
    """Read JSON in UTF-8.

    Bytes that are not UTF-8 (jupyter_client sends such for half a surrogate pair) and escapes of half a
    pair become U+FFFD; integers are exact at any length. Raises ValueError for what is not JSON (NaN and the
    infinities are not), numbers too large for a float, and what is nested deeper than ``DEEPEST`` levels.
    """
    raw = bytes(raw)
    if orjson is None or _LONG_NUMBER in raw.translate(_DIGITS):
        return decode_exactly(raw)
    try:
        value = orjson.loads(raw)
    except ValueError:  # half a surrogate pair, not UTF-8, or not JSON
        return decode_exactly(raw)
    _refuse_deep(value, raw)
    return value


# --- The exact path ---


def encode_exactly(value: Any) -> bytes:
    """Write a value as JSON with the standard library alone; see ``encode``."""
    try:
        return _ENCODER.encode(_plain(value)).encode()
    except RecursionError:
        raise ValueError("nested too deeply for JSON, or inside itself") from None


def decode_exactly(raw: Buffer) -> Any:
    """Read JSON with the standard library alone; see ``decode``."""
    raw = bytes(raw)
    try:
        text = raw.decode(errors="replace")
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from None
    _refuse_deep(value, raw)
    if "\\ud" in text or "\\uD" in text:  # an escaped surrogate, perhaps one without its other half
        value = _plain(value)
    return value


def _plain(value: Any) -> Any:
    """Return the value made of nothing but what JSON has.

    Raises TypeError for what has no form in JSON, and ValueError for keys that collide (W7).
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _well_formed(value)
    if kind is int or kind is bool or value is None:
        return value
    if kind is float:
        return value if isfinite(value) else None
    if kind is dict:
        plain = {_key(key): _plain(item) for key, item in value.items()}
        if len(plain) != len(value):
            raise ValueError("two keys of a dict are the same text in JSON")
        return plain
    if kind is list or kind is tuple:
        return [_plain(item) for item in value]
    return _plain(_simpler(value))


def _simpler(value: Any) -> Any:
    """Return a value one step nearer to JSON: bytes become base64 text, dates ISO-8601 (W6).

    Raises TypeError for what has no form in JSON.
    """
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes | bytearray | memoryview):
        return b2a_base64(bytes(value), newline=False).decode("ascii")
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__index__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, Mapping):
        return dict(value)
    return _simpler_stranger(value)


def _simpler_stranger(value: Any) -> Any:
    """Go on with ``_simpler`` for types of other packages, known by what they can do."""
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        return value.tolist()
    if isinstance(value, Collection):  # not every iterable: an iterator would be empty the second time
        return list(value)
    if hasattr(value, "__index__"):
        return index(value)
    if hasattr(value, "__float__"):
        return float(value)
    from uuid import UUID  # here, because a process that meets none need not load it

    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _utc(moment: datetime) -> str:
    """Return a moment as ISO-8601 in UTC; without a zone it is local time."""
    try:
        moment = moment.astimezone(UTC)
    except (OverflowError, ValueError):  # within hours of the year 1 or 9999
        raise ValueError("a date that has no form in UTC") from None
    return moment.replace(tzinfo=None).isoformat() + "Z"


def _key(key: Any) -> str:
    """Return the text that stands for a key."""
    text = str.__str__(key) if isinstance(key, str) else str(key)
    return text if text.isascii() else _well_formed(text)


def _well_formed(text: str) -> str:
    """Join halves of surrogate pairs that stand side by side; make the others U+FFFD (W5)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def _refuse_deep(value: Any, raw: bytes) -> None:
    """Raise ValueError if the value, read from ``raw``, is nested deeper than ``DEEPEST``."""
    if raw.count(b"[") + raw.count(b"{") <= DEEPEST:
        return
    level = [value]
    for _ in range(DEEPEST):
        level = [
            item
            for outer in level
            if isinstance(outer, dict | list)
            for item in (outer.values() if isinstance(outer, dict) else outer)
        ]
    if any(isinstance(item, dict | list) for item in level):
        raise ValueError(f"nested deeper than {DEEPEST} levels")


def _finite(number: str) -> float:
    """Read a float; raise ValueError if it is too large for one."""
    value = float(number)
    if isfinite(value):
        return value
    raise ValueError("a number too large for a float")


def _refuse_constant(name: str) -> NoReturn:
    """Refuse NaN and the infinities, which JSON does not have."""
    raise ValueError(f"{name} is not JSON")


# One of each for all messages: json.dumps and json.loads with options make a new one for each call.
_ENCODER = json.JSONEncoder(ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse_constant)
