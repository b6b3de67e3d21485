"""The command line of a kernel: options, configuration, a connection file of its own, a start that fails."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from situations import CELLS, TOY, begin, left_in, start_anything

from wrapperkernel.testing.client import KernelClient, default_limit

CHANNELS = ("shell", "iopub", "stdin", "control", "hb")


def run(*argv: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Start a kernel that is not to serve, and return how it ended."""
    command = [sys.executable, str(TOY), *argv]
    return subprocess.run(command, capture_output=True, text=True, timeout=default_limit(), **settings)


def require_one_sentence(ended: subprocess.CompletedProcess[str], *words: str, status: int = 1) -> None:
    """Require that a kernel ended with a status, and one line on stderr that holds some words."""
    assert (ended.returncode, ended.stdout) == (status, ""), ended.stderr
    *usage, line = ended.stderr.splitlines()
    assert "\n".join(usage).startswith("usage: ") if status == 2 else not usage, ended.stderr
    assert all(word in line for word in words), line


def value_of(client: KernelClient, expression: str) -> str:
    """Return what an expression is in the kernel, as text."""
    return client.execute(f"say(str({expression}))").stdout


# --- options and configuration files ----------------------------------------------------------------


def test_traits_are_options() -> None:
    with start_anything("--AnythingKernel.abort_status=aborted") as kernel, kernel.client() as client:
        client.wait_ready()
        assert value_of(client, "kernel.abort_status") == "aborted"


CONFIG = {
    ".py": "c.AnythingKernel.abort_status = 'aborted'; c.AnythingKernel.on_start = 'number = 1'",
    ".json": '{"AnythingKernel": {"abort_status": "aborted", "on_start": "number = 1"}}',
}


@pytest.mark.parametrize("suffix", CONFIG)
def test_a_configuration_file_that_is_asked_for(tmp_path: Path, suffix: str) -> None:
    """It is read, and it alone; what the command line says stands above it."""
    for each in CONFIG:
        (tmp_path / f"mine{each}").write_text(CONFIG[suffix] if each == suffix else "what is this?")
    file = tmp_path / f"mine{suffix}"
    with start_anything(f"--config={file}", on_start="number = 2") as kernel, kernel.client() as client:
        client.wait_ready()
        assert value_of(client, "kernel.abort_status") == "aborted"
        assert value_of(client, "number") == "2"


def test_no_other_configuration_file_is_read(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in (home / ".jupyter", home / ".ipython" / "profile_default", tmp_path / "cwd"):
        folder.mkdir(parents=True)
        for name in (
            "jupyter",
            "ipython",
            "ipython_kernel",
            "KernelApp",
            "AnythingKernel",
            "anything",
            "anything_toy",
        ):
            (folder / f"{name}_config.py").write_text("raise SystemExit('it was read')")
            (folder / f"{name}_config.json").write_text('{"AnythingKernel": {"abort_status": "aborted"}}')
    environ = {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "ANYTHINGKERNEL__AnythingKernel__abort_status": "aborted",
    }
    with start_anything(env=environ, cwd=tmp_path / "cwd") as kernel, kernel.client() as client:
        client.wait_ready()
        assert value_of(client, "kernel.abort_status") == "error"


@pytest.mark.parametrize(
    ("argv", "status", "word"),
    [
        (["--nonsense"], 2, "--nonsense"),
        (["--nonsense=1"], 2, "--nonsense"),
        (["-x", "1"], 2, "-x"),
        (["-f"], 2, "connection_file"),
        (["--AnythingKernel.nonsense=1"], 1, "--AnythingKernel.nonsense"),
        (["--Anything.on_start=pass"], 1, "--Anything.on_start"),
        (["--AnythingKernel.abort_status=gone"], 1, "abort_status"),
        (["--KernelApp.patience=long"], 1, "patience"),
        (["--log-level=LOUD"], 1, "log_level"),
    ],
)
def test_options_that_are_wrong_are_refused(argv: list[str], status: int, word: str) -> None:
    require_one_sentence(run(*argv), word, status=status)


def test_words_that_are_no_options_are_passed_over() -> None:
    """jupyter run hands on the names of the files that it runs itself."""
    with start_anything("one.txt", "two.txt") as kernel, kernel.client() as client:
        client.wait_ready()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("missing.py", None),
        ("missing.json", None),
        ("broken.json", "{"),
        ("wrong.json", '{"KernelApp": {"patience": "long"}}'),
        ("wrong.py", "c.KernelApp.patience = 'long'"),
    ],
)
def test_configuration_files_that_are_wrong_are_refused(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    require_one_sentence(run("--config", str(tmp_path / name)), "configuration file", name)


def test_an_error_in_a_configuration_file_is_shown_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("c.AnythingKernel.on_start = 1 / 0")
    ended = run("--config", str(tmp_path / "broken.py"))
    assert ended.returncode == 1
    assert f'File "{tmp_path}/broken.py", line 1' in ended.stderr
    assert ended.stderr.endswith("ZeroDivisionError: division by zero\n")


def test_help_and_version() -> None:
    shown = run("--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert all(text in shown.stdout for text in ("-f=", "--debug", "--config=", "Run this Jupyter kernel"))
    every = run("--help-all").stdout
    assert "--AnythingKernel.on_start" in every
    assert "--KernelApp.flood_limit" in every
    assert run("--version").stdout == "2.7\n"


# --- --debug ----------------------------------------------------------------------------------------


def test_debug_shows_every_message_and_no_secret() -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys = {"curve_publickey": public, "curve_secretkey": secret}
    with start_anything("--debug", connection=keys) as kernel, kernel.client() as client:
        client.wait_ready()
        client.execute("say(kernel.stdin.input('name? '))", answers=["Ada"])
        client.execute("say(str(len(kernel.stdin.getpass('password? '))))", answers=["xyzzy-plugh"])
        client.exchange("control", "interrupt_request")
        client.exchange("control", "shutdown_request", {"restart": False})
        assert kernel.wait() == 0
        log = kernel.stderr
        for text in (kernel.connection["key"], public, secret, "xyzzy-plugh"):
            assert text not in log
    for way, channel, msg_type in [
        ("←", "shell", "kernel_info_request"),
        ("→", "iopub", "iopub_welcome"),
        ("→", "iopub", "status"),
        ("→", "shell", "kernel_info_reply"),
        ("←", "shell", "execute_request"),
        ("→", "iopub", "execute_input"),
        ("→", "stdin", "input_request"),
        ("←", "stdin", "input_reply"),
        ("→", "iopub", "stream"),
        ("→", "shell", "execute_reply"),
        ("←", "control", "interrupt_request"),
        ("→", "control", "shutdown_reply"),
    ]:
        assert re.search(rf"^\S+ DEBUG {way} {channel} +{msg_type} \[", log, re.MULTILINE), (msg_type, log)
    assert '"Ada"' in log


def test_without_debug_nothing_is_said() -> None:
    with start_anything() as kernel, kernel.client() as client:
        client.wait_ready()
        client.execute("say('hello')")
        client.exchange("control", "shutdown_request", {"restart": False})
        assert kernel.wait() == 0
        assert (kernel.stdout, kernel.stderr) == ("", "")


# --- a start that fails -----------------------------------------------------------------------------


def write(path: Path, **changes: Any) -> str:
    """Write a connection file whose ports are left to the kernel; a change to None leaves an entry out."""
    document = {"key": "k", "transport": "tcp", "ip": "127.0.0.1", **changes}
    document |= {f"{name}_port": 0 for name in CHANNELS if f"{name}_port" not in changes}
    path.write_text(json.dumps({name: value for name, value in document.items() if value is not None}))
    path.chmod(0o600)
    return str(path)


@pytest.mark.row("C12")
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_port_that_is_taken(tmp_path: Path, channel: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = write(tmp_path / "kernel.json", **{f"{channel}_port": port})
        require_one_sentence(
            run("-f", path), f"cannot bind the {channel} socket", str(port), "another process"
        )


def test_a_path_that_is_taken_leaves_no_socket_behind(tmp_path: Path) -> None:
    path = write(tmp_path / "kernel.json", transport="ipc", ip=str(tmp_path / "socket"), hb_port=5)
    (tmp_path / "socket-5").touch()
    require_one_sentence(run("-f", path), "cannot bind the hb socket", "socket-5")
    assert left_in(tmp_path) == ["kernel.json", "socket-5"]


@pytest.mark.row("C4", file="wire/signature.py", old="raise UnknownScheme(", new="print(")
@pytest.mark.parametrize("scheme", ["hmac-nope", "sha256", "hmac-shake_128"])
def test_a_signature_scheme_that_nobody_knows(tmp_path: Path, scheme: str) -> None:
    require_one_sentence(
        run("-f", write(tmp_path / "kernel.json", signature_scheme=scheme)), scheme, "hmac-sha256"
    )


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "No such file"),
        ("", "JSON"),
        ("[]", "JSON object"),
        ('{"key": "secret", "shell_port": "high"}', "shell_port"),
        ('{"transport": "tcp"}', "key"),
        ('{"key": "secret", "transport": "pigeon"}', "pigeon"),
        ('{"key": "secret", "ip": "203.0.113.7"}', "cannot bind"),
        ('{"key": "secret", "curve_publickey": "short", "curve_secretkey": "short"}', "curve_publickey"),
    ],
)
def test_a_connection_file_that_is_wrong(tmp_path: Path, text: str | None, word: str) -> None:
    path = tmp_path / "kernel.json"
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    ended = run("-f", str(path))
    require_one_sentence(ended, word)
    assert "secret" not in ended.stderr.replace("curve_secretkey", "")


@pytest.mark.parametrize(
    ("error", "status", "last_line"),
    [
        ("ValueError('no such world')", 1, "ValueError: no such world"),
        ("SystemExit('toy was not found; install it')", 1, "toy was not found; install it"),
        ("SystemExit(7)", 7, ""),
    ],
)
def test_a_kernel_that_cannot_be_made(tmp_path: Path, error: str, status: int, last_line: str) -> None:
    """Nothing is bound or written for it."""
    path = write(tmp_path / "kernel.json")
    before = Path(path).read_text()
    ended = run("-f", path, f"--AnythingKernel.on_init=raise {error}")
    assert ended.returncode == status
    assert (ended.stderr.splitlines() or [""])[-1] == last_line
    assert ended.stderr.count("Traceback") == ("ValueError" in error)
    assert Path(path).read_text() == before


@pytest.mark.parametrize(
    "error",
    [
        "ValueError",
        "KeyboardInterrupt",
        "__import__('asyncio').CancelledError",
        "__import__('wrapperkernel').ExecuteError('x')",
    ],
)
def test_a_do_start_that_fails(error: str) -> None:
    """It is logged, and the kernel serves: a client learns more from its cells than from its death."""
    with start_anything(on_start=f"raise {error}") as kernel, kernel.client() as client:
        client.wait_ready()
        assert value_of(client, "1 + 1") == "2"
        assert "do_start failed" in kernel.stderr


@pytest.mark.parametrize(("status", "word"), [("7", ""), ("'toy was not found'", "toy was not found\n")])
def test_a_do_start_that_leaves(status: str, word: str) -> None:
    """SystemExit is its author's word that the kernel cannot work."""
    with start_anything(on_start=f"raise SystemExit({status})", connection={"transport": "ipc"}) as kernel:
        assert kernel.wait() == (1 if word else 7)
        assert kernel.stderr == word
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]


# --- without -f -------------------------------------------------------------------------------------


@contextlib.contextmanager
def started_alone(runtime: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Start a kernel without a connection file; yield it and the file that it made."""
    environ = {**os.environ, "JUPYTER_RUNTIME_DIR": str(runtime), "JPY_PARENT_PID": str(os.getpid())}
    command = [sys.executable, str(TOY)]
    with subprocess.Popen(command, env=environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            file = runtime / f"kernel-{process.pid}.json"
            deadline = time.monotonic() + default_limit()
            while not file.exists() or not file.read_text().endswith("}"):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.005)  # nothing else tells that it is there
            yield process, file
        finally:
            process.kill()


@pytest.mark.row("C8")
@pytest.mark.row(
    "C9", file="server/connection.py", old="fchmod(descriptor, 0o600)", new="fchmod(descriptor, 0o640)"
)
@pytest.mark.parametrize("end", ["shutdown", "SIGTERM", "SIGTERM, stubborn"])
def test_a_connection_file_of_its_own(tmp_path: Path, end: str) -> None:
    with started_alone(tmp_path / "runtime") as (process, file), KernelClient(file) as client:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        client.wait_ready()
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o1700
        assert client.connection["kernel_name"] == "AnythingKernel"
        assert process.stderr is not None
        said = process.stderr.readline().decode()
        assert said == f"AnythingKernel runs; connect with: jupyter console --existing {file.name}\n"
        assert value_of(client, "1 + 1") == "2"
        if end == "SIGTERM, stubborn":
            begin(client, CELLS["stubborn"])
        if end == "shutdown":
            client.exchange("control", "shutdown_request", {"restart": False})
        else:
            process.send_signal(signal.SIGTERM)
        assert process.wait(default_limit()) == 0
        assert left_in(file.parent) == []


def test_a_runtime_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {**os.environ, "JUPYTER_RUNTIME_DIR": str(tmp_path / "file" / "runtime")}
    require_one_sentence(run(env=environ), "cannot create a connection file", "-f FILE")
