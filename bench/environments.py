"""The two virtual environments of a run: the project as a user gets it, and its peers.

Both are made once and kept. The project is installed from a wheel built of the present files, because an
editable installation costs tens of milliseconds at every start of Python, which no user pays.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import venv
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
PEERS = ("xeus-python", "akernel[subprocess]", "ipykernel", "bash_kernel", "metakernel")

_SOURCES = ("wrapperkernel", "examples", "pyproject.toml", "README.md", "LICENSE")
_VERSIONS = """
import importlib.metadata, json, sys
print(json.dumps({d.name: d.version for d in importlib.metadata.distributions() if d.name in sys.argv[1:]}))
"""


def install_project(environment: Path) -> Path:
    """Install the present files with their ``fast`` extra; return the environment's Python."""
    python = _create(environment)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        # A copy, so that building leaves nothing in the checkout and finds nothing stale there.
        for name in _SOURCES:
            source, copy = ROOT / name, Path(directory) / name
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy(source, copy)
        _pip(python, "install", f"{directory}[fast]")
        _pip(python, "install", "--force-reinstall", "--no-deps", directory)
    return python


def install_peers(environment: Path) -> None:
    """Install the peers, unless the environment is there already."""
    if (environment / "share" / "jupyter" / "kernels").is_dir():
        return
    python = _create(environment)
    for peer in PEERS:
        # One by one: one that cannot be had here must not keep the others out.
        _pip(python, "install", peer, check=False)
    _take_module(python, "metakernel_bash")


def versions(python: Path, names: Sequence[str]) -> dict[str, str]:
    """Return the versions of those of the named distributions that are installed."""
    command = [str(python), "-c", _VERSIONS, *names]
    found: dict[str, str] = json.loads(
        subprocess.run(command, capture_output=True, check=True, text=True).stdout
    )
    return found


def _take_module(python: Path, name: str) -> None:
    """Take a module out of its source distribution, whose installer imports what IPython no longer has."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _pip(python, "download", "--no-deps", "--no-binary", ":all:", "--dest", folder, name, check=False)
        for archive in Path(folder).iterdir():
            shutil.unpack_archive(archive, folder)
        for module in Path(folder).glob(f"*/{name}.py"):
            [packages] = python.parent.parent.glob("lib/python*/site-packages")
            shutil.copy(module, packages)


def _create(environment: Path) -> Path:
    if not (environment / "bin" / "python").exists():
        venv.create(environment, with_pip=True)
        (environment / ".gitignore").write_text("*\n")
    return environment / "bin" / "python"


def _pip(python: Path, *arguments: str, check: bool = True) -> None:
    subprocess.run(
        [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=check
    )
