"""MIME bundles of values, bytes and files, and handles of displays."""

from __future__ import annotations

import base64
import logging
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.kernel.display import REPR_METHODS, DisplayHandle, MimeBundle
from wrapperkernel.wire import decode, encode

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def shows(**methods: Any) -> Any:
    """Return an object whose class has these methods, each returning the given value."""
    body = {name: (lambda self, value=value: value) for name, value in methods.items()}
    return type("Shown", (), {"__repr__": lambda self: "<shown>", **body})()


# --- any value ---------------------------------------------------------------------------------------


def test_a_bundle_is_itself() -> None:
    bundle = MimeBundle({"text/html": "<b>"}, {"isolated": True})
    assert MimeBundle.of(bundle) is bundle
    assert MimeBundle({}).metadata == {}


@pytest.mark.parametrize(
    ("value", "text"), [("a\nb", "a\nb"), (12, "12"), (None, "None"), (b"ab", "b'ab'"), ([1], "[1]")]
)
def test_what_has_no_methods_of_its_own_is_plain_text(value: Any, text: str) -> None:
    assert MimeBundle.of(value) == MimeBundle({"text/plain": text})


def test_each_method_gives_its_type_and_repr_the_plain_text() -> None:
    results: dict[str, Any] = dict.fromkeys(REPR_METHODS, "text") | {
        "_repr_png_": PNG,
        "_repr_jpeg_": bytearray(b"jpeg"),
        "_repr_pdf_": memoryview(b"pdf"),
        "_repr_json_": {"a": [1]},
    }
    expected = {mime: results[name] for name, mime in REPR_METHODS.items()}
    expected |= {"image/jpeg": b"jpeg", "application/pdf": b"pdf", "text/plain": "<shown>"}
    assert MimeBundle.of(shows(**results)) == MimeBundle(expected)


def test_json_may_come_as_text_and_travels_unpacked() -> None:
    assert MimeBundle.of(shows(_repr_json_='{"a": 1}')).data["application/json"] == {"a": 1}


def test_an_image_may_come_as_base64() -> None:
    assert MimeBundle.of(shows(_repr_png_="aGk=")).data["image/png"] == "aGk="


def test_metadata_comes_beside_the_value_and_goes_under_its_type() -> None:
    bundle = MimeBundle.of(shows(_repr_png_=(PNG, {"width": 5}), _repr_html_=("<b>", {})))
    assert bundle.data == {"image/png": PNG, "text/html": "<b>", "text/plain": "<shown>"}
    assert bundle.metadata == {"image/png": {"width": 5}}


def test_the_whole_bundle_wins_over_single_types() -> None:
    value = shows(
        _repr_mimebundle_=({"text/html": "whole", "text/latex": None}, {"text/html": {"x": 1}}),
        _repr_html_=("single", {"y": 2}),
        _repr_latex_="$x$",
    )
    assert MimeBundle.of(value) == MimeBundle(
        {"text/html": "whole", "text/latex": "$x$", "text/plain": "<shown>"}, {"text/html": {"x": 1}}
    )
    assert MimeBundle.of(shows(_repr_mimebundle_={"text/plain": "own"})).data == {"text/plain": "own"}


def test_the_whole_bundle_is_asked_with_the_arguments_it_takes() -> None:
    class Required:
        def _repr_mimebundle_(self, include: Any, exclude: Any) -> dict[str, str]:
            return {"text/plain": f"{include} {exclude}"}

    class Open:
        def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
            return {"text/plain": repr(sorted(kwargs))}

    assert MimeBundle.of(Required()).data["text/plain"] == "None None"
    assert MimeBundle.of(Open()).data["text/plain"] == "['exclude', 'include']"


@pytest.mark.parametrize("name", ["_repr_mimebundle_", "_repr_html_"])
@pytest.mark.parametrize("result", [5, ("a", "b", "c"), object(), (1, 2), b"x"])
def test_a_method_that_returns_nonsense_is_left_out_and_logged(
    name: str, result: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert MimeBundle.of(shows(**{name: result}, _repr_latex_="$x$")) == MimeBundle(
        {"text/latex": "$x$", "text/plain": "<shown>"}
    )
    assert [(record.levelno, name in record.message) for record in caplog.records] == [
        (logging.WARNING, True)
    ]


def test_a_method_that_raises_is_left_out_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def _repr_html_(self) -> str:
            raise ZeroDivisionError("oh")

        @property
        def _repr_latex_(self) -> str:
            raise AttributeError("not yet")

        def _repr_markdown_(self) -> str:
            return "*fine*"

        def __repr__(self) -> str:
            raise ValueError("no repr either")

    bundle = MimeBundle.of(Broken())
    assert ".Broken object at 0x" in bundle.data.pop("text/plain")
    assert bundle.data == {"text/markdown": "*fine*"}
    assert len(caplog.records) == 3


def test_an_interrupt_is_not_taken_for_a_failure() -> None:
    class Slow:
        def _repr_html_(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MimeBundle.of(Slow())


def test_none_or_no_method_is_no_type(caplog: pytest.LogCaptureFixture) -> None:
    value = shows(_repr_html_=None, _repr_mimebundle_=None)
    value._repr_png_ = None  # a closed widget takes its method away like this
    assert MimeBundle.of(value) == MimeBundle({"text/plain": "<shown>"})
    assert not caplog.records


def test_a_method_of_the_object_itself_counts() -> None:
    value = shows()
    value._repr_html_ = lambda: "<b>"
    assert MimeBundle.of(value).data["text/html"] == "<b>"


def test_objects_that_answer_to_every_name_and_classes_show_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert set(MimeBundle.of(MagicMock()).data) == {"text/plain"}
    assert set(MimeBundle.of(type(shows(_repr_html_="x"))).data) == {"text/plain"}
    assert not caplog.records


def test_a_kind_of_string_is_text_that_may_show_itself() -> None:
    class Markup(str):
        __slots__ = ()

        def _repr_html_(self) -> str:
            return f"<b>{self}</b>"

    assert MimeBundle.of(Markup("a")).data == {"text/html": "<b>a</b>", "text/plain": "a"}


# --- bytes -------------------------------------------------------------------------------------------


@pytest.mark.row("W6")
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_stay_bytes_and_are_base64_without_newlines_on_the_wire(kind: Any) -> None:
    bundle = MimeBundle.of_bytes(kind(PNG * 10), "image/png")
    assert bundle.data["image/png"] == PNG * 10
    sent = decode(encode(bundle.data))
    assert base64.b64decode(sent["image/png"], validate=True) == PNG * 10
    assert "\n" not in sent["image/png"]
    assert sent["text/plain"] == f"<image/png, {len(PNG) * 10} bytes>"


def test_text_types_are_decoded_and_json_is_unpacked() -> None:
    assert MimeBundle.of_bytes("é".encode(), "text/html").data["text/html"] == "é"
    assert MimeBundle.of_bytes(b"<svg/>", "image/svg+xml").data["image/svg+xml"] == "<svg/>"
    assert MimeBundle.of_bytes(b"\xef\xbb\xbfx", "text/plain").data == {"text/plain": "x"}
    assert MimeBundle.of_bytes("ü".encode("utf-16"), "text/csv").data["text/csv"] == "ü"
    vega = MimeBundle.of_bytes(b'{"a": 1}', "application/vnd.vega.v5+json")
    assert vega.data == {"application/vnd.vega.v5+json": {"a": 1}, "text/plain": '{"a": 1}'}


def test_the_name_that_no_frontend_knows_for_jpeg_is_put_right() -> None:
    assert "image/jpeg" in MimeBundle.of_bytes(b"x", "image/jpg").data


@pytest.mark.parametrize("mime", ["png", "", "image/", "image/png; q=1", "a/b/c", "image /png"])
def test_what_is_no_mime_type_is_refused(mime: str) -> None:
    with pytest.raises(ValueError, match="no MIME type"):
        MimeBundle.of_bytes(b"", mime)


def test_what_is_no_json_or_no_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        MimeBundle.of_bytes(b"{", "application/json")
    with pytest.raises(TypeError):
        MimeBundle.of_bytes(5, "image/png")  # type: ignore[arg-type]


# --- files -------------------------------------------------------------------------------------------

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
DOCTYPE = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd" [ <!ENTITY a "b>"> ]>\n'


@pytest.mark.parametrize(
    ("content", "mime"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0rest", "image/jpeg"),
        (b"GIF87a..", "image/gif"),
        (b"GIF89a..", "image/gif"),
        (b"RIFF\n\0\0\0WEBPVP8 ", "image/webp"),
        (b"%PDF-1.7\n", "application/pdf"),
        (SVG, "image/svg+xml"),
        (b"\xef\xbb\xbf \n" + SVG, "image/svg+xml"),
        (b'<?xml version="1.0"?>\n<!-- a > b -->\n' + DOCTYPE + b"<!-- c -->" + SVG, "image/svg+xml"),
    ],
)
@pytest.mark.parametrize("name", ["a", "a.txt", "a.png", "a.html", "a.gz"])
def test_content_tells_the_type_whatever_the_name(
    content: bytes, mime: str, name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    bundle = MimeBundle.of_file(tmp_path / name)
    assert bundle.data[mime] == (content.decode("utf-8-sig") if mime == "image/svg+xml" else content)
    assert bundle.data["text/plain"] == f"<{name}: {mime}, {len(content)} bytes>"


@pytest.mark.parametrize(
    ("name", "content", "data"),
    [
        ("a.html", b"<p>\xc3\xa9", {"text/html": "<p>é", "text/plain": "<a.html: text/html, 5 bytes>"}),
        ("a.md", b"*a*", {"text/markdown": "*a*", "text/plain": "*a*"}),
        ("a.txt", b"caf\xe9", {"text/plain": "caf\ufffd"}),
        ("a.json", b"[1]", {"application/json": [1], "text/plain": "[1]"}),
        ("a.json", b"[1", {"text/plain": "[1"}),
        ("a.geojson", b"{}", {"application/geo+json": {}, "text/plain": "{}"}),
        ("a.html", b"<!DOCTYPE html><svg>", None),
        ("Makefile", b"all:\n", {"text/plain": "all:\n"}),
        ("a.sh", b"ls", {"application/x-sh": "ls", "text/plain": "ls"}),
        ("a.m", b"x = 1", {"text/plain": "x = 1"}),
        ("a.ts", b"let x", {"text/plain": "let x"}),
        ("a", b"\0\1", {"application/octet-stream": b"\0\1"}),
        ("a", b"\xff\xfe\xfd", {"application/octet-stream": b"\xff\xfe\xfd"}),
        ("a.svg.gz", b"\x1f\x8b\xff", {"application/octet-stream": b"\x1f\x8b\xff"}),
        ("a.svg", b"", {"image/svg+xml": ""}),
        ("empty", b"", {"text/plain": ""}),
    ],
)
def test_else_the_name_tells_it(
    name: str, content: bytes, data: dict[str, Any] | None, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    found = MimeBundle.of_file(str(tmp_path / name)).data
    if data is None:
        assert "image/svg+xml" not in found
    else:
        assert found == {"text/plain": f"<{name}: {next(iter(data))}, {len(content)} bytes>"} | data


def test_a_path_is_its_file_and_a_wrong_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "plot.png").write_bytes(PNG)
    assert MimeBundle.of(tmp_path / "plot.png").data["image/png"] == PNG
    with pytest.raises(FileNotFoundError):
        MimeBundle.of(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError):
        MimeBundle.of(tmp_path)


pieces = st.lists(
    st.sampled_from(
        [b"<svg", b" ", b">", b"<?xml", b"?>", b"<!--", b"-->", b"<!DOCTYPE svg", b"[", b"]", b"\xff"]
    )
    | st.binary(max_size=4)
).map(b"".join)


@given(pieces, st.sampled_from(["", ".txt", ".png", ".json", ".svg", ".html", ".m", ".gz", ".mp4"]))
def test_every_file_has_a_bundle_that_can_be_sent(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(content)
    bundle = MimeBundle.of_file(path)
    assert isinstance(bundle.data["text/plain"], str)
    assert set(decode(encode(bundle.data))) == set(bundle.data)


def test_a_long_file_that_nearly_is_an_svg_is_no_riddle(tmp_path: Path) -> None:
    path = tmp_path / "long"
    for nearly in (
        b"<!-- " * 500_000,
        b"<!DOCTYPE svg [" + b"] " * 500_000,
        b" <?x?> " * 300_000,
        b"<?" * 10**6,
    ):
        path.write_bytes(nearly)
        assert "image/svg+xml" not in MimeBundle.of_file(path).data


# --- handles -----------------------------------------------------------------------------------------


def test_a_handle_publishes_updates_under_its_id() -> None:
    published: list[Any] = []

    def publish(data: dict[str, Any], metadata: dict[str, Any], /, *, display_id: str) -> None:
        published.append((data, metadata, display_id))

    handle, other = DisplayHandle.new(publish), DisplayHandle.new(publish)
    assert handle.display_id != other.display_id
    handle.update("50 %")
    other.update(shows(_repr_html_=("<b>", {"isolated": True})))
    assert published == [
        ({"text/plain": "50 %"}, {}, handle.display_id),
        ({"text/html": "<b>", "text/plain": "<shown>"}, {"text/html": {"isolated": True}}, other.display_id),
    ]
    assert DisplayHandle("mine", publish).display_id == "mine"
