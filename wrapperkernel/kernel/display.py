"""What a value looks like: its MIME bundle, from the methods Python objects show themselves by.

A bundle is the ``data`` and ``metadata`` of ``display_data`` (messaging specification, "Display Data"):
MIME type → value, where bytes stay bytes until the wire encodes them. It knows no message and
publishes nothing.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

_LOG = logging.getLogger(__name__)

# The methods by which notebooks' objects show themselves, and what each returns.
REPR_METHODS: Mapping[str, str] = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_pdf_": "application/pdf",
    "_repr_latex_": "text/latex",
    "_repr_json_": "application/json",
    "_repr_javascript_": "application/javascript",
}

SIGNATURES: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
    (re.compile(rb"%PDF-"), "application/pdf"),
)
# What may stand before <svg: each alternative ends at its first possible end, so this takes linear time.
_BEFORE_SVG = re.compile(
    rb"(?:\xef\xbb\xbf)?(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s+svg\b[^\[>]*(?:\[.*?\]\s*)?>)*", re.DOTALL
)
_SVG = re.compile(rb"<svg[\s>]")

# Types that are text though their names do not say so.
TEXT_TYPES = frozenset({"application/javascript", "application/xml", "application/x-sh", "application/x-tex"})
# Text that is made to be rendered or run, not to be read.
RENDERED_TYPES = frozenset({"text/html", "image/svg+xml", "application/javascript", "text/javascript"})
ALIASES: Mapping[str, str] = {"image/jpg": "image/jpeg"}  # in wide use, and no frontend shows it
# Types that notebooks show and not every version of Python knows.
EXTENSIONS: Mapping[str, str] = {".md": "text/markdown", ".geojson": "application/geo+json"}
_MIME = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")


@dataclass(frozen=True)
class MimeBundle:
    """One value in several MIME types, of which each frontend shows the one it likes best."""

    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> MimeBundle:
        """Return the bundle of any value; there is always a ``text/plain`` in it, unless it is a bundle.

        A bundle is itself, a path is its file (OSError if it cannot be read), a string is plain text.
        Others show themselves by ``_repr_mimebundle_`` and ``_repr_html_``, ``_repr_png_``, … as in
        notebooks, where the former wins; a method that fails is left out with a warning in the log.
        """
        if isinstance(value, MimeBundle):
            return value
        if isinstance(value, Path):
            return cls.of_file(value)
        if type(value) is str:
            return cls({"text/plain": value})
        data, metadata = _called(value, "_repr_mimebundle_", _whole_bundle)
        for name, mime in REPR_METHODS.items():
            if mime not in data:
                one, its_metadata = _called(value, name, partial(_one_type, mime))
                data |= one
                metadata |= its_metadata
        if "text/plain" not in data:
            data["text/plain"] = value if isinstance(value, str) else _repr(value)
        return cls(data, metadata)

    @classmethod
    def of_bytes(cls, data: bytes | bytearray | memoryview, mime: str) -> MimeBundle:
        """Return the bundle of content of a known type; text is decoded (UTF-8) and JSON unpacked.

        ValueError if ``mime`` is no MIME type, or the content no JSON where it should be.
        """
        if not _MIME.fullmatch(mime):
            raise ValueError(f"{mime!r} is no MIME type such as image/png")
        mime = ALIASES.get(mime.lower(), mime)
        content = bytes(memoryview(data))
        return _bundle(content, mime, f"<{mime}, {len(content)} bytes>")

    @classmethod
    def of_file(cls, path: str | os.PathLike[str]) -> MimeBundle:
        """Return the bundle of a file, whose type is told by its content first, then by its name.

        Text of a type that says nothing to frontends, such as the source of a program, is plain text.
        """
        path = Path(path)
        return cls.of_content(path.read_bytes(), path.name)

    @classmethod
    def of_content(cls, data: bytes, name: str = "") -> MimeBundle:
        """Return the bundle of what a file of this name would hold (see ``of_file``)."""
        mime = _type_by_content(data) or _type_by_name(name, data)
        try:
            return _bundle(data, mime, f"<{name}: {mime}, {len(data)} bytes>".replace("<: ", "<"))
        except ValueError:  # a .json that is none: show what is there
            return _bundle(data, "text/plain", "")


_Parts: TypeAlias = tuple[dict[str, Any], dict[str, Any]]  # data and metadata


class PublishUpdate(Protocol):
    """Publish an ``update_display_data``."""

    def __call__(self, data: dict[str, Any], metadata: dict[str, Any], /, *, display_id: str) -> None: ...


class DisplayHandle:
    """Names what was displayed, to show it anew (messaging specification, "Update Display Data")."""

    def __init__(self, display_id: str, publish_update: PublishUpdate) -> None:
        self.display_id = display_id
        self._publish_update = publish_update

    @classmethod
    def new(cls, publish_update: PublishUpdate) -> DisplayHandle:
        """Return a handle with a display id of its own."""
        return cls(os.urandom(16).hex(), publish_update)

    def __repr__(self) -> str:
        return f"<DisplayHandle {self.display_id}>"

    def update(self, value: Any) -> None:
        """Show ``value`` (as ``MimeBundle.of`` says) in place of what is displayed, wherever that is."""
        bundle = MimeBundle.of(value)
        self._publish_update(bundle.data, bundle.metadata, display_id=self.display_id)


def _called(value: Any, name: str, read: Callable[[Any], _Parts]) -> _Parts:
    """Call one representation method; nothing if there is none, if it returns None, or if it fails."""
    # Not by getattr alone: some objects answer to every name, and a class has its instances' methods.
    if isinstance(value, type) or inspect.getattr_static(value, name, None) is None:
        return {}, {}
    try:
        method = getattr(value, name)
        if method is None:
            return {}, {}
        result = method(**_offered(method)) if name == "_repr_mimebundle_" else method()
        return ({}, {}) if result is None else read(result)
    except Exception as error:  # the author's object; the value can still be shown by its other methods
        _LOG.warning("%s of a %s failed: %r", name, type(value).__name__, error)
        return {}, {}


def _offered(method: Callable[..., Any]) -> dict[str, None]:
    """Return the arguments by which notebooks may ask for fewer types, if the method takes them."""
    offered = {"include": None, "exclude": None}
    try:
        inspect.signature(method).bind(**offered)
    except (TypeError, ValueError):
        return {}
    return offered


def _whole_bundle(result: Any) -> _Parts:
    data, metadata = result if isinstance(result, tuple) else (result, {})
    return {mime: value for mime, value in data.items() if value is not None}, dict(metadata or {})


def _one_type(mime: str, result: Any) -> _Parts:
    value, metadata = result if isinstance(result, tuple) else (result, {})
    if _is_json(mime):
        value = json.loads(value) if isinstance(value, str) else value
    elif not isinstance(value, str):  # where it is text of an image, it is base64 already
        if _is_text(mime) or not isinstance(value, bytes | bytearray | memoryview):
            raise TypeError(f"it returned a {type(value).__name__}")
        value = bytes(value)
    return {mime: value}, {mime: dict(metadata)} if metadata else {}


def _repr(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:  # as above: everything can be shown somehow
        _LOG.warning("__repr__ of a %s failed: %r", type(value).__name__, error)
        return object.__repr__(value)


def _bundle(data: bytes, mime: str, description: str) -> MimeBundle:
    """Return content as the type wants it, and the text for frontends that cannot show the type."""
    if _is_json(mime):
        return MimeBundle({mime: json.loads(data), "text/plain": _decoded(data)})
    if not _is_text(mime):
        return MimeBundle({mime: data, "text/plain": description})
    text = _decoded(data)
    return MimeBundle({mime: text, "text/plain": description if mime in RENDERED_TYPES else text})


def _is_text(mime: str) -> bool:
    return mime.startswith("text/") or mime.endswith("+xml") or mime in TEXT_TYPES


def _is_json(mime: str) -> bool:
    return mime == "application/json" or mime.endswith("+json")


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    return data.decode("utf-8-sig", "replace")


def _type_by_content(data: bytes) -> str | None:
    for signature, mime in SIGNATURES:
        if signature.match(data):
            return mime
    before = _BEFORE_SVG.match(data)
    return "image/svg+xml" if before and _SVG.match(data, before.end()) else None


def _type_by_name(name: str, data: bytes) -> str:
    import mimetypes  # late: few cells show a file

    types = mimetypes.MimeTypes()  # Python's table without the system's, which differs between machines
    for extension, shown in EXTENSIONS.items():
        types.add_type(shown, extension)
    mime, compression = types.guess_type(name)
    if mime is None or compression is not None:
        mime = "application/octet-stream"
    if _is_text(mime) or _is_json(mime):
        return mime
    return "text/plain" if _reads_as_text(data) else mime


def _reads_as_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False
