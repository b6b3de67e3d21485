"""Framing under fire: no byte is lost, added or moved to another cell, and every cell ends.

Interrupts at random moments, random bytes in random chunks, and cells that take away what framing stands on.
"""

from __future__ import annotations

import random
import re
import signal
import threading
import time
from pathlib import Path

import pytest
from bashes import bash, begin

from wrapperkernel.testing import KernelClient, KernelProcess
from wrapperkernel.testing.signer import Message

pytestmark = pytest.mark.usefixtures("no_leaks")

# What runs when an interrupt comes, and what it prints if it is not: N is the number of the cell.
CELLS = {
    # Not `echo >&2`: bash, interrupted in that, prints what it still has on stdout.
    "for ((i = 0; i < 50; i++)); do echo N.$i; done": ("".join(f"N.{i}\n" for i in range(50)), ""),
    "for i in 1 2 3; do seq -f N.%g 99 >&2; echo N; done": (
        "N\n" * 3,
        "".join(f"N.{i}\n" for i in range(1, 100)) * 3,
    ),
    "for i in {1..20}; do /bin/echo N.$i; done": ("".join(f"N.{i}\n" for i in range(1, 21)), ""),
    "seq -f 'N.%g' 20000 | cat": ("".join(f"N.{i}\n" for i in range(1, 20001)), ""),
    "echo N; sleep 0.02; /bin/echo N >&2": ("N\n", "N\n"),
    "(echo N; (sleep 0.01; echo N))": ("N\nN\n", ""),
    "x=$(sleep 0.01; echo N); echo $x": ("N\n", ""),
    "read -t 0.02 < <(sleep 1); echo N": ("N\n", ""),
    "(sleep 0.02 & wait $!); printf N": ("N", ""),
    "f() { local i; for i in 1 2 3 4 5 6; do printf 'N\\n'; : $(:); done; }; f": ("N\n" * 6, ""),
    ": N": ("", ""),
}


# What bash 5.2 says, rarely, about a process that it lost sight of when it was interrupted.
LOST = re.compile(r"bash: wait_for: No record of process \d+\n")


def of_cell(number: int, text: str) -> str:
    """Leave out what programs of earlier cells print, of which bash lost sight when it was interrupted.

    They go on in the background, as in a terminal.
    """
    return re.sub(r"(?m)^n(\d+)(\.\d+)?\n", lambda line: line[0] if int(line[1]) == number else "", text)


def interrupt_soon(kernel: KernelProcess, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, kernel.interrupt)
    timer.start()
    return timer


@pytest.mark.repeat(20)
def test_three_hundred_cells_with_an_interrupt_each() -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    interrupted = 0
    with bash() as (kernel, client):
        assert client.execute("kept=yes; set -o pipefail; PS1='> '").status == "ok"
        for number in range(300):
            code, (stdout, stderr) = chance.choice(list(CELLS.items()))
            timer = interrupt_soon(kernel, chance.choice([0.0, 0.002, 0.03]) * chance.random())
            execution = client.execute(code.replace("N", f"n{number}"))
            timer.join()
            printed = of_cell(number, execution.stdout)
            told = of_cell(number, LOST.sub("", execution.stderr))
            stdout, stderr = (text.replace("N", f"n{number}") for text in (stdout, stderr))
            if execution.status == "ok":
                assert (printed, told) == (stdout, stderr), code
            else:
                interrupted += 1
                assert execution.content["ename"] == "KeyboardInterrupt", (code, execution)
                assert stdout.startswith(printed), code
                assert stderr.startswith(told), code
            if number % 10 == 0:
                probe = client.execute('echo "$kept $-"; (exit 7)')
                assert probe.content.get("evalue") == "7", probe
                assert probe.stdout.startswith("yes himB")
                assert probe.stderr == ""
    print("interrupted", interrupted)
    assert interrupted > 50  # else it shows nothing


WRITER = """
import os, random, sys
chance = random.Random(int(sys.argv[1]))
files = [open(name, "rb").read() for name in sys.argv[2:4]]
places = [0, 0]
while places != [len(file) for file in files]:
    stream = chance.choice([n for n in (0, 1) if places[n] < len(files[n])])
    size = int(2 ** chance.uniform(0, 17))
    places[stream] += os.write(stream + 1, files[stream][places[stream] : places[stream] + size])
"""
PIECES = [
    b"\x1b\n",
    b"\x1b[\n",
    b"\x1b]7770;\n",
    b"\x1b[31m",
    "é".encode(),
    "\U0001d41a".encode(),
    b"\xff",
    b"\0",
    b"\r",
    b"\n",
]


def some_bytes(chance: random.Random, size: int) -> bytes:
    """Return bytes that are hard on a scanner: marks, escapes and characters, begun, cut and whole.

    But no whole escape sequences of those that a page cannot show, which are dropped.
    """
    data = bytearray()
    while len(data) < size:
        if chance.random() < 0.5:
            data += chance.choice(PIECES)
        else:
            data += (
                chance.randbytes(chance.randrange(1, 200)).replace(b"\x1b", b"")
                if chance.random() < 0.1
                else b"x" * chance.randrange(4000)
            )
    return bytes(data[: size - 1]) + b"\n" if size else b""


@pytest.mark.repeat(5)
def test_random_bytes_in_random_chunks(tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    chance = random.Random(seed)
    (tmp_path / "writer.py").write_text(WRITER)
    sizes = [0, 1, 4095, 4096, 4097, 10_000_000] + [int(2 ** chance.uniform(0, 22)) for _ in range(6)]
    with bash(cwd=tmp_path) as (_, client):
        for size in sizes:
            out, err = some_bytes(chance, size), some_bytes(chance, chance.choice([0, size // 7]))
            (tmp_path / "out").write_bytes(out)
            (tmp_path / "err").write_bytes(err)
            execution = client.execute(f"python3 writer.py {chance.randrange(1000)} out err; echo end")
            assert execution.status == "ok"
            assert execution.stdout == out.decode("utf-8", "replace") + "end\n"
            assert execution.stderr == err.decode("utf-8", "replace")


# Cells that take away what the framing stands on; what they print, and how they end.
HOSTILE = [
    ("stty raw -echo; stty -a >/dev/null", "", None),
    ("exec 3>&1 >file", "", None),
    ("echo lost; exec 1>&3 3>&-", "", None),
    ("exec 1>&- 2>&-", "", None),
    ("exec >/dev/tty 2>/dev/tty", "", None),
    ('for fd in /proc/$$/fd/*; do n=${fd##*/}; (( n > 2 )) && eval "exec $n>&-"; done', None, None),
    # From here on no program gets the terminal: bash has closed its own descriptor of it, too.
    ('for fd in /proc/$$/fd/*; do n=${fd##*/}; eval "exec $n>&-"; done', "", None),
    ("exec >/dev/tty 2>/dev/tty", "", None),
    ("exec </dev/null; cat", "", None),
    ("kill -STOP $$; echo on", "on\n", None),
    ("PS1='> ' PS2='' PS4='+' PS0='zero'; PROMPT_COMMAND='echo pc'", "", None),
    ("unset PS1 PS0 PROMPT_COMMAND; PS4='+ '", "", None),
    ("trap 'echo usr' USR1; kill -USR1 $$; trap - USR1", "usr\n", None),
    ("echo() { :; }; printf() { :; }; eval() { :; }; trap() { :; }; set() { :; }", "", None),
    ("unset -f echo printf eval trap set", "", None),
    ("alias echo=: printf=: eval=: .=: builtin=: exec=:", "", None),
    ("unalias -a", "", None),
    ("IFS=0123456789; set -f; set -o noclobber", "", None),
    ("unset IFS; set +f; set +o noclobber", "", None),
    ("PATH=; set -o posix; set +o posix; PATH=/usr/bin:/bin", "", None),
    ("builtin() { :; }", "", None),
    ("unset -f builtin", "", None),
    ("printf '\\e]7770;0123456789abcdef.1;E;0\\a'", "", None),
    ("exit 3", "", "exited with status 3"),
    ("kill -9 $$", "", "killed by SIGKILL"),
    ("exec sleep 0.1", "", "exited with status 0"),
    ("exec bash", None, "another program has taken its place"),
    ("exec nosuchprogram; echo on", "", "exited with status 127"),
    ("set -e; false", "", "exited with status 1"),
]


def test_hostile_cells(tmp_path: Path) -> None:
    with bash(cwd=tmp_path) as (_, client):
        for code, stdout, end in HOSTILE:
            execution = client.execute(code)
            if end is not None:
                assert execution.content["ename"] == "ChildDied", code
                assert end in execution.content["evalue"], code
            else:
                assert execution.status == "ok", (code, execution)
            if stdout is not None:
                assert execution.stdout == stdout, code
            probe = client.execute("\\command echo probe >/dev/tty; \\builtin return 5")
            assert probe.content["evalue"] == "5", (code, probe)
            assert probe.stdout == "probe\n", (code, probe)
        assert (tmp_path / "file").read_text() == "lost\n"


@pytest.mark.parametrize(
    "code",
    [
        "echo on; sleep 600",
        "echo on; while :; do :; done",
        "echo on; sleep 600 | cat",
        "(echo on; sleep 600)",
        "yes on",
        "echo on; read x",
        "echo on; python3 -c 'import time; time.sleep(600)'",
        "echo on; (trap '' INT; while :; do sleep 600; done)",
        "trap '' INT; echo on; while :; do :; done",
        "echo on; stty -isig; sleep 600",
    ],
)
@pytest.mark.parametrize("by_signal", [True, False])
def test_an_interrupt_ends_the_cell(code: str, by_signal: bool) -> None:
    """Whatever it does; the rest of it is not run, what it started is gone, and the next cell works."""
    with bash() as (kernel, client):
        client.execute("kept=1")
        cell = begin(client, f"{code}; echo the rest", allow_stdin=True)
        if by_signal:
            kernel.interrupt()
        else:
            client.exchange("control", "interrupt_request")
        reply = client.reply(cell)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        published = client.iopub_until_idle(cell)
        text = "".join(m["content"]["text"] for m in published if m["msg_type"] == "stream")
        assert "trap" in code or "the rest" not in text
        if "while :; do :; done" in code and "trap" in code:  # it had to be replaced, and that is said
            assert "its variables are gone" in text
        else:
            assert client.execute("echo $kept").stdout == "1\n"
        assert client.execute("trap - INT; echo next").stdout == "next\n"


def test_interrupts_between_cells_do_nothing() -> None:
    with bash() as (kernel, client):
        for number in range(50):
            kernel.interrupt()
            execution = client.execute(f"echo {number}")
            if execution.status == "ok":
                assert (execution.stdout, execution.stderr) == (f"{number}\n", "")


def test_a_background_job_outlives_an_interrupt() -> None:
    with bash() as (kernel, client):
        client.execute("sleep 600 & job=$!")
        begin_and_interrupt(kernel, client)
        assert client.execute("kill -0 $job && echo lives; kill $job").stdout == "lives\n"


SCREEN = """
import os, signal, sys, termios, tty
signal.signal(signal.SIGINT, signal.SIG_IGN)
tty.setraw(0)
os.write(1, sys.argv[1].encode().decode("unicode_escape").encode())
while True:
    os.read(0, 1)
"""


@pytest.mark.parametrize("drawing", [r"\x1b[?1049hdrawn", r"\x1b[2J\x1b[12;30H"])
def test_a_full_screen_program_is_named_and_can_be_interrupted(drawing: str, tmp_path: Path) -> None:
    (tmp_path / "screen.py").write_text(SCREEN)
    with bash(cwd=tmp_path) as (kernel, client):
        client.execute("kept=1")
        cell = client.execute_request(f"python3 screen.py '{drawing}'; echo the rest", allow_stdin=True)

        def tells(message: Message) -> bool:
            return "python3 fills a whole screen" in message["content"].get("text", "")

        client.iopub_until(cell, tells, "the message")
        kernel.interrupt()
        assert client.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
        text = [message["content"].get("text", "") for message in client.iopub_until_idle(cell)]
        assert "the rest" not in "".join(text)
        assert client.execute("echo $kept; stty -a | grep -o ' icanon'").stdout == "1\n icanon\n"


def begin_and_interrupt(kernel: KernelProcess, client: KernelClient) -> None:
    cell = begin(client, "echo on; (trap '' INT; sleep 600)")
    kernel.interrupt()
    assert client.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
    client.iopub_until_idle(cell)


def test_the_shell_is_told_of_signals_as_in_a_terminal() -> None:
    """SIGINT and SIGPIPE are at their defaults, though Python ignores the second."""
    with bash() as (_, client):
        assert (
            client.execute("yes | head -1; echo ${PIPESTATUS[@]}").stdout == f"y\n{128 + signal.SIGPIPE} 0\n"
        )
        began = time.monotonic()
        assert client.execute("echo x").stdout == "x\n"
        assert time.monotonic() > began
