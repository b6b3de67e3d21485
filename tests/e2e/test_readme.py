"""A newcomer's walk through the README: its commands as they stand there, in a fresh environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
WHAT_A_CLONE_HAS = ("wrapperkernel", "examples", "pyproject.toml", "README.md", "LICENSE")


def blocks(section: str, language: str) -> list[str]:
    """Return the code blocks of one section of the README."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0] if section else README
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


LIMIT = 200  # seconds for one command; an installation is slow where nothing is cached

Shell = Callable[..., str]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Return a function that runs lines of shell in a copy of the tree and a new environment with Jupyter."""
    clone, environment = tmp_path / "clone", tmp_path / "environment"
    clone.mkdir()
    for name in WHAT_A_CLONE_HAS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, clone / name)
    variables = {
        name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")
    }
    variables["PATH"] = f"{environment / 'bin'}{os.pathsep}{variables['PATH']}"

    def run(lines: str, given: str = "") -> str:
        done = subprocess.run(
            ["bash", "-euc", lines],
            cwd=clone,
            env=variables,
            input=given,
            capture_output=True,
            text=True,
            timeout=LIMIT,
        )
        assert done.returncode == 0, f"{lines}\n{done.stdout}{done.stderr}"
        return done.stdout

    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    run("python -m pip install --quiet jupyter_console")
    return run


# Waits until its subscription counts before it sends; the console relies on people typing slowly.
CONVERSATION = """
import sys
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel(kernel_name=sys.argv[1])
client.execute_interactive(sys.argv[2], timeout=60)
client.stop_channels()
manager.shutdown_kernel()
"""


def test_the_readme_can_be_followed(shell: Shell) -> None:
    install, console, own = blocks("Install", "sh")
    [kernel] = blocks("", "python")
    shell(install)
    assert "bash: cells run in one interactive shell" in shell(
        f"{console.strip()} --simple-prompt </dev/null"
    )
    assert shell("python - echo hello", CONVERSATION) == "hello"

    shell("cat >shout.py", kernel)
    shell(own)
    assert shell("python - shout hello", CONVERSATION) == "HELLO"
