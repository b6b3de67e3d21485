"""A JupyterLab for tests, and a notebook in it, driven as a person drives it.

Knows the page by the classes and names of JupyterLab 4; knows no kernel.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

LIMIT = 120.0  # seconds; a browser on a slow, shared machine
RED = "[data-mime-type='application/vnd.jupyter.stderr']"


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab: its address with a slash at the end, its token, its folder."""

    url: str
    token: str
    folder: Path

    @property
    def notebooks(self) -> Path:
        """The folder that the server shows."""
        return self.folder / "notebooks"

    def connection_file(self, notebook: Path) -> Path:
        """Return the connection file of the kernel that the server started for a notebook."""
        with urllib.request.urlopen(f"{self.url}api/sessions?token={self.token}") as answer:
            sessions = json.load(answer)
        [kernel] = [each["kernel"]["id"] for each in sessions if each["path"] == notebook.name]
        return self.folder / "runtime" / f"kernel-{kernel}.json"


@contextlib.contextmanager
def running_lab(folder: Path) -> Iterator[Lab]:
    """Start JupyterLab with all that it writes in ``folder``; its kernels are those in ``folder/data``."""
    (folder / "notebooks").mkdir()
    ask_nobody(folder / "settings")
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "JUPYTER_PATH": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
        *("--ServerApp.port=0", f"--IdentityProvider.token={token}"),
        f"--ServerApp.root_dir={folder / 'notebooks'}",
    ]
    with (folder / "lab.log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
        try:
            yield Lab(address(folder, server), token, folder)
        finally:
            server.terminate()
            server.wait(LIMIT)


def ask_nobody(settings: Path) -> None:
    """Write the settings by which JupyterLab fetches no news, and does not ask whether it may."""
    file = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))


def address(folder: Path, server: subprocess.Popen[bytes]) -> str:
    """Wait until the server has written where it is, and answers."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and server.poll() is None:
        for file in (folder / "runtime").glob("jpserver-*.json"):
            with contextlib.suppress(ValueError, OSError):
                url = str(json.loads(file.read_text())["url"])
                with urllib.request.urlopen(f"{url}api"):
                    return url
        time.sleep(0.05)
    raise AssertionError(f"JupyterLab did not start:\n{(folder / 'lab.log').read_text()[-3000:]}")


class Notebook:
    """A notebook in JupyterLab, driven as a person drives it. ``until_*`` wait for what is to be seen."""

    def __init__(self, lab: Lab, browser: Any, name: str, kernel: str) -> None:
        self.lab = lab
        self.path = lab.notebooks / f"{name}.ipynb"
        spec = {"name": kernel, "display_name": kernel, "language": "text"}
        document = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell("")], metadata={"kernelspec": spec}
        )
        self.path.write_text(nbformat.v4.writes(document))
        self.page = browser.new_page()
        self.page.set_default_timeout(LIMIT * 1000)
        self.failures: list[str] = []
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))
        self.page.goto(f"{lab.url}lab/tree/{self.path.name}?token={lab.token}&reset")
        self.page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
        self.until_ready()

    def __enter__(self) -> Notebook:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shot("end")
        self.page.close()

    def until_ready(self) -> None:
        """Wait until the page has heard of the kernel: what is run before is not run, with any kernel.

        The notebook shows "idle" even then, the status bar does not.
        """
        self.page.locator(".jp-StatusBar-Widget", has_text="| Idle").wait_for()

    def until_kernel_is(self, state: str) -> None:
        self.page.locator(f".jp-Notebook-ExecutionIndicator[data-status='{state}']").wait_for()

    def type(self, code: str) -> Any:
        """Type code into the last cell, which is empty; return the cell."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").last
        cell.locator(".cm-content").click()
        self.page.keyboard.type(code)
        return cell

    def run(self, code: str) -> Any:
        """Run code in the last cell, and with it make a new one; return the cell."""
        number = self.page.locator(".jp-Notebook .jp-CodeCell").count()
        self.type(code)
        self.page.keyboard.press("Shift+Enter")
        cells = self.page.locator(".jp-Notebook .jp-CodeCell")
        cells.nth(number).wait_for()
        return cells.nth(number - 1)

    def until_done(self, cell: Any, count: int) -> None:
        """Wait until a cell bears its count, which it gets with the reply."""
        cell.locator(".jp-InputPrompt", has_text=f"[{count}]:").wait_for()

    def output(self, cell: Any) -> str:
        """Return the text of all outputs of a cell."""
        return "\n".join(cell.locator(".jp-OutputArea-output").all_inner_texts()).strip()

    def answer(self, cell: Any, text: str) -> None:
        """Answer the question of a cell, and wait until its box has gone."""
        box = cell.locator(".jp-Stdin-input")
        box.fill(text)
        box.press("Enter")
        cell.locator(".jp-Stdin").wait_for(state="detached")

    def press(self, button: str) -> None:
        self.page.locator(".jp-NotebookPanel-toolbar").get_by_role("button", name=button, exact=True).click()

    def shot(self, name: str) -> None:
        self.page.screenshot(path=self.lab.folder / f"{self.path.stem}-{name}.png")

    def saved(self) -> list[Any]:
        """Save the notebook and return its cells."""
        before = self.path.read_text()
        self.page.keyboard.press("Control+s")
        deadline = time.monotonic() + LIMIT
        while True:
            with contextlib.suppress(ValueError):  # half of it is written
                text = self.path.read_text()
                if text != before:
                    return list(nbformat.reads(text, 4).cells)
            assert time.monotonic() < deadline, "the notebook is not saved"
            self.page.wait_for_timeout(50)

    def until_nothing_spins(self) -> None:
        """Wait until the kernel is idle and no cell waits; nothing of the page may have failed."""
        self.until_kernel_is("idle")
        self.page.locator(".jp-InputPrompt", has_text="*").first.wait_for(state="detached")
        assert self.failures == []
