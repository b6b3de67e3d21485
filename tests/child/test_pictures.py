"""Pictures that are printed for terminals, and what becomes of them."""

from __future__ import annotations

import base64
import struct
import zlib
from pathlib import Path

import pytest

from wrapperkernel.child.escapes import ControlString
from wrapperkernel.child.pictures import Image, Pictures
from wrapperkernel.child.png import Picture
from wrapperkernel.child.sixel import picture

RED, GREEN = (255, 0, 0), (0, 255, 0)
DOT = Picture(1, 1, bytes((*RED, 255)), depth=4).png()


def encoded(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def pixels(png: bytes) -> list[list[tuple[int, ...]]]:
    """Decode a PNG file of eight bits without filters, as red, green, blue and opacity."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks = {}
    at = 8
    while at < len(png):
        size, name = struct.unpack_from(">I4s", png, at)
        chunks[name] = png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size)[0] == zlib.crc32(name + chunks[name])
        at += size + 12
    width, height, bits, kind = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert bits == 8
    depth = {2: 3, 3: 1, 6: 4}[kind]
    data = zlib.decompress(chunks[b"IDAT"])
    rows = []
    for row in range(height):
        line = data[row * (width * depth + 1) :][: width * depth + 1]
        assert line[0] == 0
        values = [tuple(line[1 + x * depth : 1 + (x + 1) * depth]) for x in range(width)]
        if kind == 3:
            palette = chunks[b"PLTE"]
            values = [(*palette[3 * n : 3 * n + 3], 255) if n else (0, 0, 0, 0) for (n,) in values]
        elif kind == 2:
            values = [(*value, 255) for value in values]
        rows.append(values)
    return rows


def test_a_sixel_picture() -> None:
    found = pixels(picture('0;1;0q"1;1;3;7#1;2;100;0;0#2;2;0;100;0#1A#2!2@$#2?-#1@').png())
    red, green, none = (*RED, 255), (*GREEN, 255), (0, 0, 0, 0)
    assert found[0] == [none, green, green]
    assert found[1] == [red, none, none]
    assert found[2:6] == [[none] * 3] * 4
    assert found[6] == [red, none, none]


def test_sixel_colours_by_hue_begin_at_blue() -> None:
    for hue, colour in ((0, (0, 0, 255)), (120, RED), (240, GREEN)):
        assert pixels(picture(f"q#1;1;{hue};50;100@").png()) == [[(*colour, 255)]]


def test_a_sixel_picture_of_many_colours_takes_the_nearest() -> None:
    colours = "".join(f"#{n};2;{n % 101};{n // 101 * 10};0@" for n in range(400))
    row = pixels(picture("q" + colours).png())[0]
    assert len(row) == 400
    assert row[0] == (0, 0, 0, 255)
    assert row[399] == (245, 26, 0, 255)  # 245, 76, 0 was asked for


@pytest.mark.parametrize("body", ["q", "q#1", "q!10?", 'q"1;1;99999;99999@'])
def test_sixel_pictures_that_are_none(body: str) -> None:
    with pytest.raises(ValueError, match="sixel"):
        picture(body)


def test_an_iterm2_picture() -> None:
    body = f"1337;File=name={encoded('dot.png')};inline=1;width=40px:{encoded(DOT)}"
    assert Pictures().take(ControlString("]", body)) == Image(DOT, "dot.png", 40)


def test_an_iterm2_file_that_is_to_be_saved_is_not_shown() -> None:
    assert Pictures().take(ControlString("]", f"1337;File=name=x:{encoded(DOT)}")) is None


def test_an_iterm2_picture_in_pieces() -> None:
    pictures = Pictures()
    whole = encoded(DOT)
    assert pictures.take(ControlString("]", "1337;MultipartFile=inline=1")) is None
    assert pictures.take(ControlString("]", f"1337;FilePart={whole[:10]}")) is None
    assert pictures.take(ControlString("]", f"1337;FilePart={whole[10:]}")) is None
    assert pictures.take(ControlString("]", "1337;FileEnd")) == Image(DOT)


def kitty(pictures: Pictures, keys: str, payload: str = "") -> Image | None:
    return pictures.take(ControlString("_", f"G{keys};{payload}"))


def test_kitty_pictures() -> None:
    pictures = Pictures()
    assert kitty(pictures, "a=T,f=100", encoded(DOT)) == Image(DOT, "kitty")
    raw = kitty(pictures, "a=T,f=24,s=2,v=1", encoded(bytes((*RED, *GREEN))))
    assert raw is not None
    assert pixels(raw.content) == [[(*RED, 255), (*GREEN, 255)]]
    packed = kitty(pictures, "a=T,s=1,v=1,o=z", encoded(zlib.compress(bytes((*RED, 7)))))
    assert packed is not None
    assert pixels(packed.content) == [[(*RED, 7)]]


def test_a_kitty_picture_in_pieces() -> None:
    pictures = Pictures()
    whole = encoded(DOT)
    assert kitty(pictures, "a=T,f=100,m=1", whole[:8]) is None
    assert kitty(pictures, "m=1", whole[8:16]) is None
    assert kitty(pictures, "m=0", whole[16:]) == Image(DOT, "kitty")


def test_a_kitty_picture_is_sent_first_and_shown_later() -> None:
    pictures = Pictures()
    assert kitty(pictures, "f=100,i=7", encoded(DOT)) is None
    assert kitty(pictures, "a=p,i=7") == Image(DOT, "kitty")
    assert kitty(pictures, "a=q,i=7", encoded(DOT)) is None
    with pytest.raises(ValueError, match="no picture 8"):
        kitty(pictures, "a=p,i=8")


def test_a_kitty_picture_in_a_file(tmp_path: Path) -> None:
    kept, temporary = tmp_path / "dot.png", tmp_path / "tty-graphics-protocol-dot"
    for file in kept, temporary:
        file.write_bytes(DOT)
    assert kitty(Pictures(), "a=T,f=100,t=f", encoded(str(kept))) == Image(DOT, "kitty")
    assert kitty(Pictures(), "a=T,f=100,t=t", encoded(str(kept))) == Image(DOT, "kitty")
    assert kitty(Pictures(), "a=T,f=100,t=t", encoded(str(temporary))) == Image(DOT, "kitty")
    assert kept.exists()
    assert not temporary.exists()


@pytest.mark.parametrize(
    ("keys", "payload"),
    [
        ("a=T,f=24,s=2,v=2", encoded(b"short")),
        ("a=T,s=x,v=1", encoded(b"shor")),
        ("a=T,s=1,v=1,o=z", encoded(b"not packed")),
        ("a=T,t=f", encoded("/dev/zero")),
        ("a=T,t=f", encoded("/nonexistent")),
    ],
)
def test_kitty_pictures_that_are_none(keys: str, payload: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        kitty(Pictures(), keys, payload)
