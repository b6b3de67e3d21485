"""Move the fragments of docs/changelog.d to the top of docs/changelog.md.

`python -m tests.tools.changelog VERSION`
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

KINDS = ("added", "changed", "fixed", "removed")
TITLE = "# Changelog\n"


def fragments(folder: Path) -> list[Path]:
    """Return the fragments of a folder, in the order of kinds and names; ValueError for a stray file."""
    found = [path for path in folder.iterdir() if path.name != "README.md"]
    for path in found:
        if path.suffix != ".md" or path.suffixes[-2:-1] not in [[f".{kind}"] for kind in KINDS]:
            raise ValueError(f"{path.name} is not NAME.KIND.md, with a KIND of {', '.join(KINDS)}")
    return sorted(found, key=lambda path: (KINDS.index(path.suffixes[-2][1:]), path.name))


def section(version: str, day: str, paths: Sequence[Path]) -> str:
    """Return the part of the changelog that the fragments make."""
    lines = [f"## {version} ({day})\n"]
    for kind in KINDS:
        texts = [path.read_text("utf-8").strip() for path in paths if path.suffixes[-2] == f".{kind}"]
        if texts:
            lines += [
                "",
                f"### {kind.capitalize()}",
                "",
                *("- " + text.replace("\n", "\n  ") for text in texts),
            ]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


def main(docs: Path, version: str) -> None:
    """Write the changelog and remove the fragments."""
    paths = fragments(docs / "changelog.d")
    changelog = docs / "changelog.md"
    before = changelog.read_text("utf-8").removeprefix(TITLE) if changelog.exists() else ""
    day = datetime.now(UTC).date().isoformat()
    changelog.write_text(f"{TITLE}\n{section(version, day, paths)}{before}", "utf-8")
    for path in paths:
        path.unlink()


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[2] / "docs", sys.argv[1])
