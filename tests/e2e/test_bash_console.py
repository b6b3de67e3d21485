"""bash in jupyter console, as a person uses it in a terminal."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
from e2e.terminal import terminal
from e2e.test_console import CONSOLE, last, leave

from wrapperkernel.registry import place
from wrapperkernel.targets import spec_of
from wrapperkernel.testing.waiting import default_limit

pytestmark = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="the Debian package tmux is not installed"
)


@pytest.fixture(autouse=True)
def kernelspec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register bash where the console looks."""
    place(spec_of("bash", {}, "bash"), tmp_path / "data" / "kernels")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "data"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


def test_a_session() -> None:
    with terminal(*CONSOLE, "--kernel=bash") as there:
        there.until("In [1]:")
        there.enter("echo /proc/$$/root")
        *_, shell = last(there.until("In [2]:"), 1)
        there.enter("x=kept; echo hello")
        assert last(there.until("In [3]:"), 1) == ["hello"]

        there.enter("for i in 1 2; do")
        there.until("...:")
        there.enter("echo $i")
        there.enter("done")
        assert last(there.until("In [4]:"), 2) == ["1", "2"]

        there.enter('read -p "Name? " n; echo "<$n>"')
        there.until("\nName?")
        there.enter("Ada")
        screen = there.until("In [5]:")
        assert last(screen, 1) == ["<Ada>"]
        # In the cell and as asked; answered and shown.
        assert screen.count("Name?") == screen.count("Ada") == 2

        there.enter("echo on; sleep 600; echo 'not run'")
        there.until("\non")
        there.press("C-c")
        assert "KeyboardInterrupt" in there.until("In [6]:")
        there.enter("echo $x")
        assert last(there.until("In [7]:"), 1) == ["kept"]

        leave(there)
    limit = time.monotonic() + default_limit()
    while Path(shell).parent.exists():
        assert time.monotonic() < limit
        time.sleep(0.01)
