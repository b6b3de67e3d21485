"""The command ``wrapperkernel`` and its subcommands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from wrapperkernel import __version__
from wrapperkernel.__main__ import main
from wrapperkernel.install import NO_WINDOWS


@pytest.mark.parametrize("word", ["-h", "--help", "help"])
def test_help_lists_the_commands(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0
    out = capsys.readouterr().out
    assert "\n  install  Register, list or remove kernels" in out
    assert "\n  run      Run the kernel class given as module:Class" in out


def test_without_a_command_help_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().out.startswith("usage: wrapperkernel COMMAND")


def test_an_unknown_command_is_refused_with_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frobnicate"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("wrapperkernel has no command 'frobnicate'\n")
    assert "install" in captured.err
    assert captured.out == ""


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"wrapperkernel {__version__}\n"


def test_install_is_the_installer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "echo", "--prefix", str(tmp_path), "--dry-run"]) == 0
    assert f"echo: would go to {tmp_path}/share/jupyter/kernels/echo;" in capsys.readouterr().out


def test_windows_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    status = main(["install"])
    monkeypatch.undo()
    assert (status, capsys.readouterr().err) == (1, NO_WINDOWS + "\n")


def test_run_gives_the_class_and_the_other_arguments_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    from wrapperkernel.examples.echo_kernel import EchoKernel

    calls: list[tuple[type, Sequence[str]]] = []
    monkeypatch.setattr("wrapperkernel.server.app.run", lambda kernel, argv: calls.append((kernel, argv)))
    assert main(["run", "wrapperkernel.examples.echo_kernel:EchoKernel", "-f", "x", "--debug"]) == 0
    assert calls == [(EchoKernel, ["-f", "x", "--debug"])]


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ([], "usage: wrapperkernel run module:Class"),
        (["json"], "usage: wrapperkernel run module:Class"),
        (["json:"], "usage: wrapperkernel run module:Class"),
        (["json:Nothing.there"], "json has no kernel class Nothing.there"),
    ],
)
def test_run_needs_a_class(target: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *target]) == 2
    assert capsys.readouterr().err.startswith(complaint)


def test_as_a_module() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "wrapperkernel", "nothing"], check=False, stderr=subprocess.PIPE
    )
    assert process.returncode == 2
