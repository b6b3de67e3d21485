"""The world around a kernel's process: its parent, signals, standard streams, folders and locale.

It must be able to live in any, and to end with its parent.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from situations import CELLS, TOY, bring_into, left_in, require_interrupted, require_within, start_anything

from wrapperkernel.targets import spec_of
from wrapperkernel.testing.client import KernelClient, default_limit
from wrapperkernel.testing.process import KernelProcess, is_alive, start_kernel

KERNEL = [sys.executable, str(TOY), "-f", "{connection_file}"]


def behind_shell(line: str, *options: str, **settings: Any) -> KernelProcess:
    """Start a kernel by a line of sh, which runs it as ``"$@"``."""
    return start_kernel(["sh", "-c", line, "sh", *KERNEL, *options], **settings)


@contextmanager
def ready(kernel: KernelProcess) -> Iterator[KernelClient]:
    """Open a client of a kernel that is closed at the end."""
    with kernel, kernel.client() as client:
        client.wait_ready()
        yield client


def require_works(client: KernelClient) -> None:
    """Require that a kernel does what kernels do, with text of the whole world in it."""
    assert client.execute("say('žluťoučký 馬 🐎')").stdout == "žluťoučký 馬 🐎"
    tail = {"hist_access_type": "tail", "n": 1, "output": False, "raw": True}
    history = client.exchange("shell", "history_request", tail).content["history"]
    assert [entry[2] for entry in history] == ["say('žluťoučký 馬 🐎')"]
    assert client.exchange("control", "kernel_info_request").status == "ok"


def shut_down(client: KernelClient) -> None:
    assert client.exchange("control", "shutdown_request", {"restart": False}).status == "ok"


# --- the parent ---------------------------------------------------------------------------------------


def wait_until_gone(pid: int, since: float) -> float:
    deadline = time.monotonic() + default_limit()
    while is_alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.002)  # no descriptor tells of the end of somebody else's child
    return time.monotonic() - since


@pytest.mark.row("O5")
@pytest.mark.parametrize("situation", ["idle", "do_start", "c function", *CELLS])
def test_with_its_parent_it_ends(situation: str) -> None:
    """Within two seconds, whatever it does."""
    options = ["--AnythingKernel.on_init=import subprocess; child = subprocess.Popen(['sleep', '600'])"]
    options += ["--AnythingKernel.on_shutdown=child.terminate(); child.wait()"]
    if situation == "do_start":
        options += ["--AnythingKernel.on_start=import time; time.sleep(600)"]
    with behind_shell('JPY_PARENT_PID=$$ "$@"; :', *options) as kernel, kernel.client() as client:
        assert client.receive("iopub")["msg_type"] == "iopub_welcome"
        if situation in CELLS:
            bring_into(client, situation)
        elif situation == "c function":
            client.execute_request("import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)")
            client.receive_of("iopub", next(reversed(client.sent)), "its busy")
        family = kernel.children()
        since = time.monotonic()
        os.kill(kernel.pid, signal.SIGKILL)
        gone = max(wait_until_gone(pid, since) for pid in family)
        print(f"{situation}: gone {gone:.3f} s after its parent")
        require_within(gone, 2)
        assert left_in(kernel.directory) == ["connection.json", "stderr", "stdout"]


@pytest.mark.row("O5")
def test_without_the_thread_that_started_it_it_lives() -> None:
    """jupyter_client starts kernels from helper threads, which end."""
    started: list[KernelProcess] = []
    threads: list[int] = []

    def start() -> None:
        threads.append(threading.get_native_id())
        started.append(start_anything(env={"JPY_PARENT_PID": str(os.getpid())}))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    deadline = time.monotonic() + default_limit()
    while os.path.exists(f"/proc/self/task/{threads[0]}"):
        assert time.monotonic() < deadline
    with ready(started[0]) as client:
        assert client.execute("import os; say(str(os.getppid()))").stdout == str(os.getpid())
        assert started[0].running()


@pytest.mark.row("O5")
@pytest.mark.parametrize("said", ["1", "0", "-1", "", "garbage", "999999999", "$PPID"])
def test_a_parent_that_is_none_is_not_watched(said: str) -> None:
    """Such as process 1, the launcher of our launcher, or nobody."""
    with behind_shell(f'JPY_PARENT_PID={said} "$@"; :') as kernel, kernel.client() as client:
        client.wait_ready()
        os.kill(kernel.pid, signal.SIGKILL)
        kernel.wait()
        before = client.execute("import os; say(str(os.getppid()))").stdout
        assert before != str(kernel.pid)
        for _ in range(3):
            require_works(client)
        shut_down(client)


# --- signals ------------------------------------------------------------------------------------------


@pytest.mark.row("O1", file="interrupts.py", old="signal.signal(signal.SIGINT, self.on_signal)", new="pass")
def test_sigint_when_idle_does_nothing() -> None:
    """jupyter_client sends one before every shutdown."""
    with start_anything() as kernel, ready(kernel) as client:
        for _ in range(20):
            kernel.interrupt()
            assert client.execute("say('here')").stdout == "here"
        kernel.interrupt()
        shut_down(client)
        assert kernel.wait() == 0
        assert kernel.stderr == ""


def test_sigint_while_it_starts_does_nothing() -> None:
    """From the moment that its ports are known."""
    with start_anything(on_start="import time; time.sleep(0.1)") as kernel:
        for _ in range(20):
            kernel.interrupt()
        with kernel.client() as client:
            client.wait_ready()
            require_works(client)


@pytest.mark.row(
    "O2", file="interrupts.py", old="            raise KeyboardInterrupt", new="            return"
)
@pytest.mark.parametrize("situation", [name for name in CELLS if name != "stubborn"])
def test_sigint_ends_the_cell(situation: str) -> None:
    """As jupyter_client sends it: to the kernel's process group, and so to its children."""
    with start_anything() as kernel, ready(kernel) as client:
        cell = bring_into(client, situation)
        kernel.interrupt()
        require_interrupted(client, cell)
        assert kernel.children() == []
        assert client.execute("say('here')").stdout == "here"


@pytest.mark.row("O3", file="interrupts.py", old="signal.signal(signal.SIGINT, self.on_signal)", new="pass")
def test_children_start_with_default_signals() -> None:
    """Though the kernel itself was started with some ignored, as by `&` in a script."""
    with ready(behind_shell("trap '' INT TERM; exec \"$@\"")) as client:
        client.execute("import subprocess")
        read = "say(subprocess.run(['cat', '/proc/self/status'], capture_output=True, text=True).stdout)"
        status = dict(line.split(":\t", 1) for line in client.execute(read).stdout.splitlines())
        for name in ("SigBlk", "SigIgn"):
            mask = int(status[name], 16)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGURG, signal.SIGCHLD):
                assert not mask >> (number - 1) & 1, (name, number)
        cell = bring_into(client, "child")
        client.exchange("control", "interrupt_request")
        require_interrupted(client, cell)


@pytest.mark.row("O9")
def test_its_group_is_killed_whole() -> None:
    """A hook's children are in the group of the kernel, which is what launchers kill."""
    with start_anything() as kernel, ready(kernel) as client:
        bring_into(client, "child")
        [child] = kernel.children()
        os.killpg(kernel.pid, signal.SIGKILL)
        wait_until_gone(child, time.monotonic())


def switches(pid: int) -> int:
    """Return how often the threads of a process have gone to sleep by themselves."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        total += int(fields["voluntary_ctxt_switches"])
    return total


def test_an_idle_kernel_sleeps() -> None:
    """No thread of it wakes up in three seconds; it gets some tries, to come to rest after a cell."""
    with start_anything() as kernel, ready(kernel) as client:
        require_works(client)
        counts = [switches(kernel.pid)]
        while len(counts) < 4 and (len(counts) == 1 or counts[-1] != counts[-2]):
            time.sleep(3)  # nothing is to happen meanwhile
            counts.append(switches(kernel.pid))
        assert counts[-1] == counts[-2], counts


# --- standard streams ---------------------------------------------------------------------------------


@pytest.mark.row("O7", file="server/app.py", old="os.dup2(nothing, 0)", new="os.dup2(0, nothing)")
def test_stdin_is_never_read_or_inherited() -> None:
    """Here it is a pipe full of text. To a hook and to its children it is at its end."""
    with ready(behind_shell('yes | "$@"')) as client:
        assert client.execute("say(input())").content["ename"] == "EOFError"
        read = "import subprocess; say(repr(subprocess.run(['cat'], stdout=subprocess.PIPE).stdout))"
        assert client.execute(read).stdout == "b''"
        assert client.execute("import os; say(repr(os.read(0, 1)))").stdout == "b''"
        require_works(client)


@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_children_inherit_no_descriptor(transport: str) -> None:
    """Else one that outlives the kernel would hold its ports, and a restart would find them taken."""
    with ready(start_anything(connection={"transport": transport})) as client:
        client.execute("import subprocess")
        listing = (
            "subprocess.run(['ls', '/proc/self/fd'], close_fds=False, stdout=subprocess.PIPE, text=True)"
        )
        assert client.execute(f"say({listing}.stdout)").stdout.split() == [
            "0",
            "1",
            "2",
            "3",
        ]  # 3 is the folder


@pytest.mark.row("O8")
def test_what_hooks_print_goes_to_stderr() -> None:
    """At once, though stderr is a file; and what their children print too."""
    with start_anything(env={"PYTHONUNBUFFERED": None}) as kernel, ready(kernel) as client:
        assert client.execute("print('printed')").messages[-1]["content"] == {"execution_state": "idle"}
        assert kernel.stderr == "printed\n"
        cell = client.execute("import os; os.system('echo from a child'); os.write(1, b'raw\\n')")
        assert (cell.stdout, cell.stderr) == ("", "")
        assert kernel.stderr == "printed\nfrom a child\nraw\n"
        assert kernel.stdout == ""


@pytest.mark.parametrize(
    "line",
    [
        '"$@" <&-',
        '"$@" >&-',
        '"$@" 2>&-',
        '"$@" <&- >&- 2>&-',
        '"$@" > /dev/full 2>&1',
        '"$@" 2>&1 | true',
        '"$@" --debug 2>&1 | true',
        '"$@" --debug 2>&1 | sleep 600',
    ],
)
def test_streams_that_are_closed_full_or_broken(line: str) -> None:
    """They are the log's, and disturb neither cells nor the end."""
    with behind_shell(line) as kernel, kernel.client() as client:
        client.wait_ready()
        client.execute("import os, sys")
        # No socket has their numbers.
        links = client.execute("say(' '.join(os.readlink(f'/proc/self/fd/{n}') for n in (0, 1, 2)))").stdout
        assert "socket" not in links
        client.execute("print('hello')")
        client.execute("os.write(1, b'hello')")
        client.execute("for _ in range(10_000): kernel.log.warning('hello')")
        inherit = "import subprocess; say(str(subprocess.run(['true']).returncode))"
        assert client.execute(inherit).stdout == "0"
        require_works(client)
        pid = int(client.execute("say(str(os.getpid()))").stdout)
        since = time.monotonic()
        shut_down(client)
        wait_until_gone(pid, since)


def test_a_log_that_nobody_reads_does_not_keep_the_kernel() -> None:
    """A hook has filled the pipe, and waits in its print; so do Python's last words."""
    with behind_shell('"$@" 2>&1 | sleep 600') as kernel, kernel.client() as client:
        client.wait_ready()
        pid = int(client.execute("import os; say(str(os.getpid()))").stdout)
        client.execute_request("say('on'); print('x' * 1_000_000)")
        client.iopub_until(next(reversed(client.sent)), lambda m: m["msg_type"] == "stream", "output")
        since = time.monotonic()
        shut_down(client)
        print(f"gone after {wait_until_gone(pid, since):.3f} s")


# --- folders, users and locales -----------------------------------------------------------------------

BARE = dict.fromkeys(os.environ) | {"PATH": os.environ["PATH"]}  # all but PATH is removed


@pytest.mark.row("O10")
@pytest.mark.parametrize(
    ("environ", "options"),
    [
        ({"HOME": None, "JUPYTER_DATA_DIR": "{tmp}/data"}, []),
        ({"HOME": "/dev/null/home"}, []),
        ({"HOME": "/proc"}, []),
        ({"HOME": "/nonexistent"}, []),
        ({"HOME": "", "JUPYTER_DATA_DIR": "{tmp}/data"}, []),
        ({"JUPYTER_DATA_DIR": "/proc/data", "JUPYTER_RUNTIME_DIR": "/proc/run"}, []),
        ({"TMPDIR": "/nonexistent"}, []),
        ({"LANG": "C"}, []),
        ({"LC_ALL": "POSIX"}, []),
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, []),
        ({"LC_ALL": "nowhere.ISO-8859-15"}, []),
        ({"USER": None, "LOGNAME": None}, []),
        ({"PYTHONUNBUFFERED": "1"}, []),
        ({"PYTHONOPTIMIZE": "2"}, []),
        ({"PYTHONWARNINGS": "error"}, []),
        ({"PYTHONIOENCODING": "ascii:strict"}, []),
        (BARE, ["--AnythingKernel.history_file={tmp}/history"]),
    ],
    ids=lambda value: None if value and len(value) > 5 else str(value),
)
def test_any_environment(tmp_path: Path, environ: Mapping[str, str | None], options: list[str]) -> None:
    settings = {name: text and text.format(tmp=tmp_path) for name, text in environ.items()}
    options = [option.format(tmp=tmp_path) for option in options]
    with start_anything(*options, env=settings) as kernel, ready(kernel) as client:
        require_works(client)
        client.execute("print('žluťoučký 馬 🐎')")
        require_works(client)
        shut_down(client)
        assert kernel.wait() == 0


@pytest.mark.row("O10")
def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    line = f'mkdir {tmp_path}/gone && cd {tmp_path}/gone && rmdir {tmp_path}/gone && exec "$@"'
    with behind_shell(line) as kernel, ready(kernel) as client:
        require_works(client)
        assert client.execute("import os; os.getcwd()").content["ename"] == "FileNotFoundError"
        shut_down(client)
        assert kernel.wait() == 0


@pytest.mark.row("O10")
def test_a_folder_with_modules_of_its_own(tmp_path: Path) -> None:
    """A notebook's folder is not on the import path: its json.py is not Python's."""
    for name in ("json", "zmq", "traitlets", "wrapperkernel", "logging"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    argv = spec_of("echo", {}).argv
    with start_kernel(argv, cwd=tmp_path) as kernel, ready(kernel) as client:
        assert client.execute("hello").stdout == "hello"
