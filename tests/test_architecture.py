"""Hold the library to the two tables of docs/architecture.md: who imports whom, and what has one home.

Reads source text alone; what a running kernel has loaded is test_imports.py's.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "wrapperkernel"
ANYBODY = {"_version", "__init__"}  # the version is a leaf; `from . import x` names the package


def table(heading: str) -> dict[str, list[list[str]]]:
    """Return the rows of the table under a heading: the code words of each cell, by those of the first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows: dict[str, list[list[str]]] = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            cells = [list(cell.split("`")[1::2]) for cell in line.strip("|").split("|")]
            for name in cells[0]:
                rows[name] = cells[1:]
    assert rows, f"no table under {heading}"
    return rows


MAY_IMPORT = table("Who may import whom")
HOMES = {thing: homes for thing, [homes, *_] in table("What has one home").items()}


def modules() -> Mapping[str, Path]:
    """Return every module of the library by its name within the package."""
    folder = ROOT / PACKAGE
    found = {}
    for path in sorted(folder.rglob("*.py")):
        name = ".".join(path.relative_to(folder).with_suffix("").parts)
        if not name.startswith(
            "examples."
        ):  # in some copies of the tree it lies here (tests/tools/mutate.py)
            found[name] = path
    return found


def part(name: str, parts: Mapping[str, object]) -> str | None:
    """Return the longest of the parts that a module belongs to."""
    return max((p for p in parts if f"{name}.".startswith(f"{p}.")), key=len, default=None)


def uses(name: str, source: str) -> Iterator[str]:
    """Yield, as full dotted names, what a module imports and the attributes of imported modules it names."""
    tree = ast.parse(source)
    base = f"{PACKAGE}.{name}".split(".")
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
                bound[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join(base[: -node.level] if node.level else [])
            origin = ".".join(filter(None, [origin, node.module]))
            for alias in node.names:
                yield f"{origin}.{alias.name}"
                bound[alias.asname or alias.name] = f"{origin}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            yield f"{bound[node.value.id]}.{node.attr}"


def offences(name: str, source: str) -> set[str]:
    """Return what a module uses against the tables, in words."""
    row = part(name, MAY_IMPORT)
    if row is None:
        return {f"{name} is in no row of docs/architecture.md"}
    ours, others = MAY_IMPORT[row]
    found = set()
    for use in uses(name, source):
        top, _, rest = use.partition(".")
        if top == PACKAGE:
            allowed = dict.fromkeys([row, *ours, *ANYBODY])
            # `from .x import y`: y may be a module or a name in one, so the nearest module decides
            target = rest if rest in MODULES else rest.rpartition(".")[0] or "__init__"
            if part(target, allowed) is None and part(rest, allowed) is None:
                found.add(f"{name} imports {use}")
        elif top not in sys.stdlib_module_names and part(use, dict.fromkeys(others)) is None:
            found.add(f"{name} imports {use}")
        for thing, homes in HOMES.items():
            if f"{use}.".startswith(f"{thing}.") and part(name, dict.fromkeys(homes)) is None:
                found.add(f"{name} uses {thing}, whose home is {', '.join(homes)}")
    return found


MODULES = modules()


@pytest.mark.parametrize("name", MODULES)
def test_imports_follow_the_table(name: str) -> None:
    assert offences(name, MODULES[name].read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("wire.message", "from ..kernel import errors"),
        ("wire.message", "from wrapperkernel.kernel.errors import ExecuteError"),
        ("wire.message", "def f():\n    import zmq"),
        ("kernel.requests", "from ..server.app import run"),
        ("kernel.requests", "import threading\nthreading.Thread(target=print)"),
        ("kernel.requests", "import threading as t\nt.Thread(target=print)"),
        ("kernel.requests", "from threading import Thread"),
        ("kernel.requests", "import sqlite3"),
        ("install", "import zmq"),
        ("a_new_module", ""),
    ],
)
def test_an_offence_is_found(name: str, source: str) -> None:
    assert offences(name, source)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (
            "kernel.requests",
            "from ..wire import encode\nfrom ..interrupts import shielded\nfrom . import replies",
        ),
        ("kernel.requests", "import threading\nthreading.Lock()"),
        ("wire.encoding", "import orjson"),
        ("server.channels", "import zmq\nfrom threading import Thread\nfrom .. import _version"),
    ],
)
def test_what_the_table_allows_is_no_offence(name: str, source: str) -> None:
    assert offences(name, source) == set()


def test_the_tables_name_only_what_exists() -> None:
    parts = [*MAY_IMPORT, *(p for ours, _ in MAY_IMPORT.values() for p in ours)]
    parts += [p for homes in HOMES.values() for p in homes]
    missing = {p for p in parts if not any(f"{name}.".startswith(f"{p}.") for name in MODULES)}
    assert missing == set()


def test_every_module_says_what_it_is() -> None:
    silent = [
        name for name, path in MODULES.items() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_every_package_is_built() -> None:
    """A package that setuptools is not told of is missing in the wheel, and nowhere else."""
    import tomllib

    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]
    packages = {PACKAGE, f"{PACKAGE}.examples"}
    packages |= {f"{PACKAGE}.{name.rpartition('.')[0]}" for name in MODULES if name.endswith(".__init__")}
    packages |= {
        f"{PACKAGE}.{'.'.join(path.parent.relative_to(ROOT).parts)}"
        for path in (ROOT / "examples").rglob("__init__.py")
    }
    assert sorted(told) == sorted(packages)
