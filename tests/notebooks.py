"""Notebooks in tests: made of cells, run by commands, and what they show in a form that can be compared."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import nbformat

LIMIT = 120
"""Seconds for a whole notebook; only a broken kernel needs them."""


def notebook(kernel: str, *codes: str) -> Any:
    """Return a notebook with these cells."""
    v4 = nbformat.v4
    spec = {"name": kernel, "display_name": kernel}
    return v4.new_notebook(cells=[v4.new_code_cell(code) for code in codes], metadata={"kernelspec": spec})


def outputs(document: Any) -> list[list[Any]]:
    """Return what each code cell shows, as short as can be; nbclient leaves texts apart as they came."""
    found: list[list[Any]] = []
    for cell in document.cells:
        if cell.cell_type != "code":
            continue
        found.append([])
        for output in map(shown, cell.outputs):
            last = found[-1][-1] if found[-1] else ("",)
            if output[0] == last[0] and output[0] in ("stdout", "stderr"):
                output = (output[0], found[-1].pop()[1] + output[1])
            found[-1].append(output)
    return found


def shown(output: Any) -> tuple[Any, ...]:
    """Return what one output shows."""
    if output.output_type == "stream":
        return output.name, output.text
    if output.output_type == "error":
        return output.ename, output.evalue, output.traceback
    return output.output_type, sorted(output.data), output.data["text/plain"]


def command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run ``python -m`` with these words to its end."""
    argv = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT)
