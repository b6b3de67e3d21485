"""Execute a notebook with nbclient, compare what it shows with what is stored in it, and render it as HTML.

``python -m tests.tools.demo NOTEBOOK PAGE`` writes the page, and fails if the outputs are not those stored.
The user's own start-up file is not run: what it changes would be taken for an error.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert.exporters import HTMLExporter
from traitlets.config import Config

# Seconds for one cell; only a broken kernel needs them.
_LIMIT = 120
_PLAIN = ["--BashKernel.runs_startup_file=False"]


def main() -> None:
    """Run the notebook that the command line names, and write the page."""
    source, page = map(Path, sys.argv[1:3])
    read: Any = nbformat.read
    stored = read(source, as_version=4)
    document = copy.deepcopy(stored)
    where = {"metadata": {"path": str(source.parent)}}
    try:
        NotebookClient(document, resources=where, extra_arguments=_PLAIN, timeout=_LIMIT).execute()
    except CellExecutionError as error:
        sys.exit(f"{source}: a cell has failed\n{error}")
    for number, (now, before) in enumerate(zip(document.cells, stored.cells, strict=True), 1):
        if shown(now) != shown(before):
            sys.exit(difference(f"{source}, cell {number}", now, before))
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(rendered(document), encoding="utf-8")


def shown(cell: Any) -> list[list[str]]:
    """Return the outputs of a cell, neighbouring texts of one stream joined."""
    found: list[list[str]] = []
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and found and found[-1][0] == output.name:
            found[-1][1] += output.text
        elif output.output_type == "stream":
            found.append([output.name, output.text])
        else:
            found.append([output.output_type, output.get("ename", ""), output.get("evalue", "")])
    return found


def difference(name: str, now: Any, before: Any) -> str:
    """Say which cell shows something else than it should."""
    lines = [f"{name} does not show what is stored:", now.source]
    for title, cell in (("shown", now), ("stored", before)):
        lines += [f"{title}:", *(f"  {output[0]}: {output[1:]}" for output in shown(cell))]
    return "\n".join(lines)


def rendered(document: Any) -> str:
    """Return the page. As in JupyterLab, a stream is one text, whose lines a carriage return rewrites."""
    make: Any = HTMLExporter
    config = Config({"CoalesceStreamsPreprocessor": {"enabled": True}})
    body, _ = make(config=config).from_notebook_node(document)
    return str(body)


if __name__ == "__main__":
    main()
