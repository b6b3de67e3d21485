"""Pixels as a PNG file (W3C, "Portable Network Graphics (PNG) Specification"). No I/O."""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _PALETTE, _RGBA = 2, 3, 6


class Picture(NamedTuple):
    """Pixels row by row from the top left.

    ``pixels`` has 1 byte a pixel with a ``palette`` (of at most 256 colours, of which the first is
    transparent), else 3 (red, green, blue) or 4 (and opacity), as ``depth`` says.
    """

    width: int
    height: int
    pixels: bytes
    palette: tuple[tuple[int, int, int], ...] = ()
    depth: int = 1

    def png(self) -> bytes:
        """Return the picture as a PNG file; ValueError if the size is not that of the pixels."""
        line = self.width * self.depth
        if min(self.width, self.height) < 1 or len(self.pixels) != line * self.height:
            raise ValueError(
                f"{len(self.pixels)} bytes are not those of {self.width} by {self.height} pixels"
            )
        kind = _PALETTE if self.palette else _RGBA if self.depth == 4 else _RGB
        rows = (b"\0" + self.pixels[at : at + line] for at in range(0, len(self.pixels), line))
        chunks = [(b"IHDR", struct.pack(">IIBBBBB", self.width, self.height, 8, kind, 0, 0, 0))]
        if self.palette:
            chunks += [(b"PLTE", b"".join(map(bytes, self.palette))), (b"tRNS", b"\0")]
        chunks += [(b"IDAT", zlib.compress(b"".join(rows), 6)), (b"IEND", b"")]
        return _SIGNATURE + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
