"""Pictures that a child prints as it would for a terminal: iTerm2's, kitty's and sixel.

Each is a control string, or several. Sources: iTerm2, "Inline Images Protocol"; kitty, "Terminal graphics
protocol"; for the third see ``sixel``. Text alone comes in; only kitty's files are read here.
"""

from __future__ import annotations

import binascii
import os
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from . import sixel
from .escapes import LARGEST, ControlString
from .png import Picture

_NEWLINES = {ord("\r"): None, ord("\n"): None}


class Image(NamedTuple):
    """The content of a picture file, and how wide it shall be shown in pixels (0: as it is)."""

    content: bytes
    name: str = ""
    width: int = 0


class Pictures:
    """The pictures of one child; some come in pieces, or are transmitted first and shown later."""

    def __init__(self) -> None:
        self._file: list[str] = []  # iTerm2's in pieces
        self._file_options: Mapping[str, str] = {}
        self._kitty: dict[str, str] = {}  # the keys of the one that comes in pieces
        self._pieces: list[str] = []
        self._kept: dict[str, Image] = {}

    def take(self, string: ControlString) -> Image | None:
        """Return the picture that is complete now and shall be shown; ValueError says why there is none."""
        if string.kind == "P":
            return Image(sixel.picture(string.body).png(), "sixel")
        if string.kind == "_":
            return self._take_kitty(string.body)
        return self._take_iterm(string.body)

    # -- iTerm2 ---------------------------------------------------------------------------------------

    def _take_iterm(self, body: str) -> Image | None:
        command, _, rest = body.removeprefix("1337;").partition("=")
        if command == "File":
            options, _, payload = rest.partition(":")
            return _iterm_image(_options(options, ";"), payload)
        if command == "MultipartFile":
            self._file_options = _options(rest, ";")
            self._file.clear()
        elif command == "FilePart":
            self._file.append(rest)
            _check_size(self._file)
        else:
            payload = "".join(self._file)
            self._file.clear()
            return _iterm_image(self._file_options, payload)
        return None

    # -- kitty ----------------------------------------------------------------------------------------

    def _take_kitty(self, body: str) -> Image | None:
        head, _, payload = body[1:].partition(";")
        keys = _options(head, ",")
        if not self._pieces:
            self._kitty = keys
        self._pieces.append(payload)
        if keys.get("m") == "1":
            _check_size(self._pieces)
            return None
        keys, payload = self._kitty, "".join(self._pieces)
        self._pieces.clear()
        number = keys.get("i") or keys.get("I") or ""
        match keys.get("a", "t"):
            case "T":
                image = self._kept[number] = _kitty_image(keys, payload)
            case "t":
                self._keep(number, _kitty_image(keys, payload))
                return None
            case "p":
                image = self._kept.get(number) or _missing(number)
            case _:  # queries, deletions and animations
                return None
        return image

    def _keep(self, number: str, image: Image) -> None:
        while self._kept and sum(len(each.content) for each in self._kept.values()) > LARGEST:
            del self._kept[next(iter(self._kept))]
        self._kept[number] = image


def _iterm_image(options: Mapping[str, str], payload: str) -> Image | None:
    if options.get("inline") != "1":  # a file to be saved, which a page cannot
        return None
    width = options.get("width", "")
    pixels = int(width[:-2]) if width.endswith("px") and width[:-2].isdecimal() else 0
    return Image(_decoded(payload), _decoded(options.get("name", "")).decode("utf-8", "replace"), pixels)


def _kitty_image(keys: Mapping[str, str], payload: str) -> Image:
    data = _decoded(payload)
    if keys.get("t", "d") != "d":
        data = _kitty_file(keys, os.fsdecode(data))
    if keys.get("o") == "z":
        data = _inflated(data)
    if keys.get("f") == "100":
        return Image(data, "kitty")
    depth = 3 if keys.get("f") == "24" else 4
    size = keys.get("s", "0"), keys.get("v", "0")
    if not all(map(str.isdecimal, size)):
        raise ValueError(f"{' by '.join(size)} is no size of a picture")
    return Image(Picture(int(size[0]), int(size[1]), data, depth=depth).png(), "kitty")


def _kitty_file(keys: Mapping[str, str], path: str) -> bytes:
    """Read a picture that is in a file; a temporary one is removed, if its name allows it."""
    if keys["t"] == "s":
        path = f"/dev/shm/{path.lstrip('/')}"
    if not os.path.isfile(path):  # never a device or a pipe
        raise ValueError(f"{path} is no file")
    size = int(keys.get("S") or 0) or -1
    try:
        with open(path, "rb") as file:
            file.seek(int(keys.get("O") or 0))
            data = file.read(size if size > 0 else LARGEST)
        if keys["t"] == "s" or (keys["t"] == "t" and "tty-graphics-protocol" in path):
            os.unlink(path)
    except OSError as error:
        raise ValueError(str(error)) from None
    return data


def _missing(number: str) -> Image:
    raise ValueError(f"there is no picture {number} to show")


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        inflated = inflater.decompress(data, LARGEST)
    except zlib.error as error:
        raise ValueError(f"the picture cannot be decompressed: {error}") from None
    if inflater.unconsumed_tail:
        raise ValueError("the picture is too large")
    return inflated


def _decoded(payload: str) -> bytes:
    try:
        payload = payload.translate(_NEWLINES)
        return binascii.a2b_base64(payload + "=" * (-len(payload) % 4), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"that is no base64: {error}") from None


def _options(text: str, separator: str) -> dict[str, str]:
    return dict(each.partition("=")[::2] for each in text.split(separator) if each)


def _check_size(pieces: list[str]) -> None:
    if sum(map(len, pieces)) > LARGEST:
        pieces.clear()
        raise ValueError("it is too large")
