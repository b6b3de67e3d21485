"""Sixel pictures: a DEC terminal's graphics, each character six pixels one above the other.

The format is that of the VT330/340 Programmer Reference Manual, volume 2, chapter 14. No I/O.
"""

from __future__ import annotations

import re
from colorsys import hls_to_rgb

from .png import Picture

# Pixels of the largest picture, as that of a screen of 8K.
_LARGEST = 8192 * 8192

_TOKEN = re.compile(
    r"""(?P<raster>"[0-9;]*)
    |\#(?P<colour>[0-9]+)(;(?P<definition>[0-9;]*))?
    |(?:!(?P<count>[0-9]+))?(?P<pixels>[?-~])
    |(?P<move>[$-])""",
    re.VERBOSE,
)
# The colours of the VT340, in percent, for the programs that define none.
_DEFAULT = (
    (0, 0, 0), (20, 20, 80), (80, 13, 13), (20, 80, 20),
    (80, 20, 80), (20, 80, 80), (80, 80, 20), (53, 53, 53),
    (26, 26, 26), (33, 33, 60), (60, 26, 26), (33, 60, 33),
    (60, 33, 60), (33, 60, 60), (60, 60, 33), (80, 80, 80),
)  # fmt: skip


def picture(body: str) -> Picture:
    """Return the picture of a DCS string, without its introducer and terminator; ValueError if it is none."""
    canvas = _Canvas()
    for token in _TOKEN.finditer(body, body.index("q") + 1):
        if token["pixels"]:
            canvas.draw(ord(token["pixels"]) - 63, int(token["count"] or 1))
        elif token["colour"]:
            canvas.choose(int(token["colour"]), token["definition"])
        elif token["move"] == "$":
            canvas.x = 0
        elif token["move"] == "-":
            canvas.x = 0
            canvas.y += 6
        elif token["raster"]:
            canvas.size(token["raster"])
    return canvas.picture()


class _Canvas:
    """What has been drawn so far: rows of colour numbers, each row as long as it was needed; 0 is nothing."""

    def __init__(self) -> None:
        self.x = self.y = 0
        self._rows: list[bytearray] = []
        self._width = self._height = 0
        self._colours = [(0, 0, 0)]  # of the numbers in the rows
        self._registers: dict[int, tuple[int, int, int]] = {
            register: _percent(*rgb) for register, rgb in enumerate(_DEFAULT)
        }
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._pen = self._number(self._registers[0])

    def size(self, raster: str) -> None:
        """Take the size from the raster attributes: aspect ratio (2 numbers), width and height."""
        numbers = [int(number or 0) for number in raster[1:].split(";")]
        if len(numbers) == 4:
            self._grow(min(numbers[2], _LARGEST), numbers[3])

    def choose(self, register: int, definition: str | None) -> None:
        """Draw in the colour of a register from now on, which may be defined at the same time."""
        if definition:
            space, *values = (int(number or 0) for number in definition.split(";"))
            if len(values) == 3:
                self._registers[register] = _percent(*values) if space == 2 else _hls(*values)
        self._pen = self._number(self._registers.get(register, (0, 0, 0)))

    def draw(self, bits: int, count: int) -> None:
        """Draw the same six pixels ``count`` times, and go on behind them."""
        begin, self.x = self.x, self.x + count
        if not bits:
            return
        self._grow(self.x, self.y + bits.bit_length())
        run = bytes((self._pen,)) * count
        for row in range(bits.bit_length()):
            if bits >> row & 1:
                pixels = self._rows[self.y + row]
                if len(pixels) < self.x:
                    pixels.extend(bytes(self.x - len(pixels)))
                pixels[begin : self.x] = run

    def picture(self) -> Picture:
        """Return what was drawn; ValueError if nothing was."""
        if not self._width or not self._height:
            raise ValueError("nothing is drawn in the sixel picture")
        rows = [bytes(row).ljust(self._width, b"\0") for row in self._rows]
        return Picture(self._width, self._height, b"".join(rows), palette=tuple(self._colours))

    def _grow(self, width: int, height: int) -> None:
        self._width, self._height = max(self._width, width), max(self._height, height)
        if self._width * self._height > _LARGEST:
            raise ValueError(f"the sixel picture has more than {_LARGEST} pixels")
        while len(self._rows) < self._height:
            self._rows.append(bytearray())

    def _number(self, colour: tuple[int, int, int]) -> int:
        """Return the number of a colour; beyond 255 of them, that of the nearest."""
        number = self._numbers.get(colour)
        if number is None:
            if len(self._colours) < 256:
                self._colours.append(colour)
                number = len(self._colours) - 1
            else:
                number = min(range(1, 256), key=lambda each: _distance(self._colours[each], colour))
            self._numbers[colour] = number
        return number


def _percent(red: int, green: int, blue: int) -> tuple[int, int, int]:
    return _byte(red / 100), _byte(green / 100), _byte(blue / 100)


def _hls(hue: int, lightness: int, saturation: int) -> tuple[int, int, int]:
    """Return a colour of the HLS space, in which DEC's hue begins at blue."""
    red, green, blue = hls_to_rgb(
        (hue - 120) % 360 / 360, min(lightness, 100) / 100, min(saturation, 100) / 100
    )
    return _byte(red), _byte(green), _byte(blue)


def _byte(share: float) -> int:
    return min(255, round(share * 255))


def _distance(one: tuple[int, int, int], other: tuple[int, int, int]) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True))
