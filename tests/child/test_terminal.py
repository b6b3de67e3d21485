"""A terminal on which lines are typed whole: nothing is echoed or special, and any length arrives."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator

import pytest

from wrapperkernel.child.launch import launch
from wrapperkernel.child.terminal import Terminal


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with contextlib.closing(Terminal(24, 80)) as terminal:
        yield terminal


@contextlib.contextmanager
def started(terminal: Terminal, code: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python code on the terminal."""
    argv = [sys.executable, "-c", code]
    with launch(argv, terminal=terminal.path, commands=terminal.path, cwd=None, env=os.environ) as program:
        try:
            yield program
        finally:
            program.kill()


def until(terminal: Terminal, end: bytes) -> bytes:
    """Return what comes, up to ``end``."""
    text = b""
    while not text.endswith(end):
        assert select.select([terminal], [], [], 60)[0], text
        text += terminal.read()
    return text


def test_what_is_typed_is_not_echoed_and_nothing_in_it_is_special(terminal: Terminal) -> None:
    with started(terminal, "print(ascii(input('? ')), ascii(input('! ')))"):
        assert until(terminal, b"? ") == b"? "
        terminal.type(b"\x01a\x03b\x04c\x7f\x15\x16\n")
        assert until(terminal, b"! ") == b"! "
        terminal.type(b"more\n")
        assert until(terminal, b"\n") == rb"'\x01a\x03b\x04c\x7f\x15\x16' 'more'" + b"\n"


@pytest.mark.parametrize("size", [4093, 4094, 4095, 10_000, 300_000])
def test_a_line_of_any_length_arrives(terminal: Terminal, size: int) -> None:
    code = "import sys; print(end='?', flush=True); line = sys.stdin.readline(); print(len(line))"
    with started(terminal, code):
        until(terminal, b"?")
        terminal.type(b"x" * size + b"\n")
        assert until(terminal, b"\n") == b"%d\n" % (size + 1)
    assert terminal.canonical
    assert terminal.echo


def test_what_nobody_reads_does_not_hold_up_for_ever_and_is_gone(terminal: Terminal) -> None:
    terminal.type(b"x" * 50_000)
    assert terminal.unread
    terminal.restore()
    assert not terminal.unread
    assert terminal.canonical


def test_programs_find_the_modes_of_any_terminal(terminal: Terminal) -> None:
    lines = termios.tcgetattr(terminal.slave)[3]
    for mode in (termios.ICANON, termios.ECHO, termios.ISIG, termios.IEXTEN):
        assert lines & mode


def test_the_end_of_the_input_comes_once(terminal: Terminal) -> None:
    code = "import sys\nfor line in sys.stdin: print([line])\nprint('end')\nprint([input()])"
    with started(terminal, code):
        terminal.type(b"one\ntwo\n")
        assert until(terminal, b"two\\n']\n") == b"['one\\n']\n['two\\n']\n"
        terminal.end_input()
        assert until(terminal, b"\n") == b"end\n"
        terminal.type(b"three\n")
        assert until(terminal, b"\n") == b"['three']\n"


def test_an_interrupt_reaches_who_has_the_terminal_and_is_not_shown(terminal: Terminal) -> None:
    code = "import signal; print(end='.', flush=True); signal.pause()"
    with started(terminal, code) as program:
        until(terminal, b".")
        terminal.interrupt()
        assert program.wait() == -signal.SIGINT
    assert b"^C" not in terminal.read()
    terminal.interrupt()  # nobody is there


def test_modes_that_a_program_leaves_are_put_back(terminal: Terminal) -> None:
    before = termios.tcgetattr(terminal.slave)
    with started(terminal, "import os, tty; tty.setraw(0); os.system('stty -extproc')") as program:
        program.wait()
    assert termios.tcgetattr(terminal.slave) != before
    terminal.restore()
    assert termios.tcgetattr(terminal.slave) == before


def test_one_that_is_closed_has_no_modes_to_put_back() -> None:
    terminal = Terminal(24, 80)
    terminal.close()
    terminal.restore()


def test_a_size_is_found(terminal: Terminal) -> None:
    terminal.resize(30, 120)
    assert os.get_terminal_size(terminal.slave) == (120, 30)
