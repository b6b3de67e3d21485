"""Execute a notebook with nbclient, compare what it shows with what is stored in it, and render it as HTML.

``python -m tests.tools.demo NOTEBOOK PAGE`` writes the page, and fails if the outputs are not those stored.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbconvert import exporters


def main() -> None:
    """Run the notebook that the command line names, and write the page."""
    source, page = map(Path, sys.argv[1:3])
    read: Any = nbformat.read
    stored = read(source, as_version=4)
    document = copy.deepcopy(stored)
    NotebookClient(document, resources={"metadata": {"path": str(source.parent)}}).execute()
    for number, (now, before) in enumerate(zip(document.cells, stored.cells, strict=True), 1):
        if shown(now) != shown(before):
            sys.exit(f"{source.name}: cell {number} shows {shown(now)}, and {shown(before)} is stored")
    page.parent.mkdir(parents=True, exist_ok=True)
    export: Any = exporters.export
    body, _ = export(exporters.HTMLExporter, document)
    page.write_text(body, encoding="utf-8")


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


if __name__ == "__main__":
    main()
