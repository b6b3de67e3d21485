"""Both type checkers accept hooks in every way in which authors write them, and find what is wrong in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import wrapperkernel

OVERRIDES = Path(__file__).with_name("overrides.py")
LIBRARY = Path(wrapperkernel.__file__).parents[1]

# Mistakes in hooks that a type checker shall find.
WRONG = """
from wrapperkernel import Kernel

class Wrong(Kernel):
    def do_execute(self, code: str) -> None:
        self.iopub.stream(b"bytes")

    async def do_complete(self, code: str) -> None:
        self.stdin.inputt("?")
"""


def mypy(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file="),
        *(f"--cache-dir={folder / 'cache'}", str(folder / "hooks.py")),
    ]
    environment = {**os.environ, "MYPYPATH": str(LIBRARY)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def pyright(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the pyright that its wheel brings, with the node of the extra or of the system: without network."""
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(LIBRARY)], "include": ["hooks.py"]}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable]
    environment = {**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


Checker = Callable[[Path], "subprocess.CompletedProcess[str]"]
CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright])


@CHECKERS
def test_type_checkers_accept_hooks_as_authors_write_them(checker: Checker, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(OVERRIDES.read_text(encoding="utf-8"), encoding="utf-8")
    run = checker(tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


@CHECKERS
def test_type_checkers_find_mistakes_in_hooks(checker: Checker, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(WRONG, encoding="utf-8")
    run = checker(tmp_path)
    assert run.returncode == 1, run.stdout + run.stderr
    for word in ("bytes", "inputt"):
        assert word in run.stdout


def test_the_overrides_are_hooks() -> None:
    """The file is what it says: its classes are made without complaint."""
    scope = {"__name__": "hooks"}
    exec(OVERRIDES.read_text(encoding="utf-8"), scope)
    assert isinstance(scope["Async"], type)
