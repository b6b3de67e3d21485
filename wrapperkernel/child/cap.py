"""A limit to what one cell shows: then all of it goes into a file that the user is told of."""

from __future__ import annotations

import os
import tempfile
from typing import TextIO


class Cap:
    """The output of one cell, of which ``limit`` characters are shown."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._shown: list[str] = []
        self._left = limit
        self._file: TextIO | None = None
        self._has_failed = False

    def shown(self, text: str) -> str:
        """Take output; return what of it is shown, with a sentence where the limit is reached."""
        if self._file is not None:
            self._write(text)
            return ""
        if self._has_failed:
            return ""
        if len(text) <= self._left:
            self._left -= len(text)
            self._shown.append(text)
            return text
        return text[: self._left] + self._overflow(text)

    def flush(self) -> None:
        """Let the file hold all that was taken."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Nothing more comes; the file stays."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._has_failed = True

    def _overflow(self, text: str) -> str:
        """Write the file from the beginning; return what the user is told."""
        said = f"\n[output truncated after {self._limit / 1e6:g} MB"
        try:
            descriptor, path = tempfile.mkstemp(prefix="output-", suffix=".txt")
        except OSError as error:
            self._has_failed = True
            return f"{said}; the rest is lost: {error}]\n"
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="")
        for each in (*self._shown, text):
            self._write(each)
        self._shown.clear()
        self.flush()
        return f"{said}; the whole of it is in {path}]\n"

    def _write(self, text: str) -> None:
        assert self._file is not None
        try:
            self._file.write(text)
        except OSError:  # the disk is full
            self._has_failed = True
            self._file = None
