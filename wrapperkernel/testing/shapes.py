"""Small checks of JSON values, to be put together into the tables of ``schema``.

A check looks at one value and yields a complaint for everything that is wrong with it. Nothing here
knows a message type, and nothing raises: a schema that stops at the first complaint hides the others.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

Check = Callable[[Any, str], Iterator[str]]
"""Called with a value and where it stands; yields one complaint for each fault."""


def shown(value: Any) -> str:
    """Return a short ``repr`` with the type, for complaints."""
    text = repr(value) if not isinstance(value, (str, bytes)) else repr(value[:60])
    return (
        f"{text[:57]}... ({type(value).__name__})" if len(text) > 60 else f"{text} ({type(value).__name__})"
    )


def is_list(value: Any) -> bool:
    """Tell whether the value is a JSON array (a tuple becomes one on the wire)."""
    return isinstance(value, (list, tuple))


def shape(description: str, test: Callable[[Any], bool]) -> Check:
    """Make a check of one test and the words for what was expected."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not test(value):
            yield f"{where}: expected {description}, got {shown(value)}"

    return check


def rule(sentence: str, test: Callable[[Any], bool]) -> Check:
    """Make a check of a relation between fields; use it behind the checks of those fields in ``all_of``."""

    def check(value: Any, where: str) -> Iterator[str]:
        if not test(value):
            yield f"{where}: {sentence}"

    return check


def all_of(*checks: Check) -> Check:
    """Make a check that applies several in turn and stops behind the first that complains."""

    def check(value: Any, where: str) -> Iterator[str]:
        for each in checks:
            complaints = list(each(value, where))
            if complaints:
                yield from complaints
                return

    return check


def either(description: str, *checks: Check) -> Check:
    """Make a check that is content when one of several is."""
    return shape(description, lambda value: any(not list(each(value, "")) for each in checks))


def one_of(*values: str) -> Check:
    """Make a check for one of a few strings."""
    return shape(" or ".join(map(repr, values)), lambda value: isinstance(value, str) and value in values)


def maybe(check: Check) -> Check:
    """Make a check that also accepts ``null``."""

    def nullable(value: Any, where: str) -> Iterator[str]:
        if value is not None:
            yield from check(value, where)

    return nullable


def list_of(check: Check) -> Check:
    """Make a check for an array whose items all pass ``check``."""

    def items(value: Any, where: str) -> Iterator[str]:
        if not is_list(value):
            yield f"{where}: expected a list, got {shown(value)}"
            return
        for index, item in enumerate(value):
            yield from check(item, f"{where}[{index}]")

    return items


def row_of(*checks: Check) -> Check:
    """Make a check for an array of exactly these items (what the specification calls a tuple)."""

    def items(value: Any, where: str) -> Iterator[str]:
        if not is_list(value) or len(value) != len(checks):
            yield f"{where}: expected a list of {len(checks)}, got {shown(value)}"
            return
        for index, (item, check) in enumerate(zip(value, checks, strict=True)):
            yield from check(item, f"{where}[{index}]")

    return items


def mapping_of(check: Check) -> Check:
    """Make a check for an object whose values all pass ``check``."""

    def values(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{where}: expected an object, got {shown(value)}"
            return
        for key, item in value.items():
            yield from check(item, f"{where}[{key!r}]")

    return values


def record(required: Mapping[str, Check] = {}, optional: Mapping[str, Check] = {}) -> Check:
    """Make a check for an object with these fields; unknown ones are allowed, as the protocol asks."""

    def fields(value: Any, where: str) -> Iterator[str]:
        if not isinstance(value, Mapping):
            yield f"{where}: expected an object, got {shown(value)}"
            return
        for name, check in required.items():
            if name not in value:
                yield f"{where}.{name}: missing"
            else:
                yield from check(value[name], f"{where}.{name}")
        for name, check in optional.items():
            if name in value:
                yield from check(value[name], f"{where}.{name}")

    return fields


def _is_date(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _matches(pattern: str) -> Callable[[Any], bool]:
    compiled = re.compile(pattern)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


text = shape("a string", lambda value: isinstance(value, str))
word = shape("a string that is not empty", lambda value: isinstance(value, str) and value != "")
boolean = shape("true or false", lambda value: isinstance(value, bool))
integer = shape("an integer", lambda value: isinstance(value, int) and not isinstance(value, bool))
count = shape(
    "an integer of 0 or more",
    lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
)
anything = shape("anything", lambda value: True)
mapping = shape("an object", lambda value: isinstance(value, Mapping))
date = shape("an ISO 8601 date with a time zone", _is_date)
version = shape("a version such as 5.5", _matches(r"\d+\.\d+(\.\d+)?"))
base64_text = shape(
    "base64 without line ends", lambda value: _matches(r"[A-Za-z0-9+/]*={0,2}")(value) and len(value) % 4 == 0
)


def json_value(value: Any, where: str) -> Iterator[str]:
    """Complain of whatever JSON cannot hold: NaN, infinities, bytes, keys that are no strings (W5, W6)."""
    waiting: list[tuple[Any, str]] = [(value, where)]  # a stack of our own: content may be nested deeply
    while waiting:
        item, place = waiting.pop()
        if isinstance(item, float):
            if not math.isfinite(item):
                yield f"{place}: JSON has no {item}"
        elif isinstance(item, Mapping):
            for key, below in item.items():
                if not isinstance(key, str):
                    yield f"{place}: expected strings as keys, got {shown(key)}"
                waiting.append((below, f"{place}.{key}"))
        elif is_list(item):
            waiting.extend((below, f"{place}[]") for below in item)
        elif item is not None and not isinstance(item, (str, int)):
            yield f"{place}: JSON has no {type(item).__name__}"


_TEXT_TYPES = (
    "application/javascript",
    "application/x-javascript",
    "application/ecmascript",
    "application/xml",
)
_BINARY_FAMILIES = ("image/", "audio/", "video/", "font/")
_BINARY_TYPES = ("application/pdf", "application/octet-stream", "application/zip", "application/gzip")


def _is_packed(value: Any) -> bool:
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(value)
    except ValueError:
        return False
    return True


def check_for_mime_type(mime_type: str) -> Check:
    """Return the check that values of a MIME type must pass (messaging, "display_data").

    JSON types travel unpacked, text types as one string, binary types as base64. Of types nobody knows
    only ``null`` is refused.
    """
    plain = mime_type.partition(";")[0].strip().lower()
    if plain == "application/json" or plain.endswith("+json"):
        return shape("JSON that is not packed into a string", lambda value: not _is_packed(value))
    if plain.startswith("text/") or plain.endswith("+xml") or plain in _TEXT_TYPES:
        return text
    if plain.startswith(_BINARY_FAMILIES) or plain in _BINARY_TYPES:
        return base64_text
    return shape("a value", lambda value: value is not None)


def mime_bundle(value: Any, where: str) -> Iterator[str]:
    """Check the ``data`` of display_data and its like: MIME type → value."""
    if not isinstance(value, Mapping):
        yield f"{where}: expected an object of MIME types, got {shown(value)}"
        return
    for key, item in value.items():
        if not isinstance(key, str) or not re.fullmatch(r"[^\s/]+/[^/]+", key):
            yield f"{where}: {key!r} is no MIME type"
        else:
            yield from check_for_mime_type(key)(item, f"{where}[{key!r}]")


def shortened(items: Sequence[str], most: int) -> list[str]:
    """Return the first few items, and a last one that counts those left out."""
    return [*items[:most], f"… and {len(items) - most} more"] if len(items) > most else list(items)
