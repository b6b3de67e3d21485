"""Kernels that real clients find: echo and the plain toy, registered in a folder of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of

TOY = Path(__file__).parents[1] / "toys" / "plain.py"


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for JUPYTER_PATH that holds the kernelspecs ``echo`` and ``plain-toy``."""
    folder = tmp_path_factory.mktemp("data")
    place(spec_of("echo", {}), folder / "kernels")
    place(spec_of(str(TOY), {}, "plain-toy"), folder / "kernels")
    return folder


@pytest.fixture
def kernels(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every client of this test find the two kernels."""
    monkeypatch.setenv("JUPYTER_PATH", str(data_folder))
