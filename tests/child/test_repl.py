"""Driving by prompts: which line is typed when, what is an echo, what is a failure. Without a program."""

from __future__ import annotations

import contextlib

import pytest

from wrapperkernel.child.echo import Echoes
from wrapperkernel.child.folder import Folder
from wrapperkernel.child.repl import Repl, ReplHandover
from wrapperkernel.child.terminal import Terminal

REPL = Repl("set {prompt} {continuation}", "<{}>", "", "end", r"^(?P<ename>\w+)!(?P<evalue>.*)\n\Z")
PROMPTS = "set <27>]7770;abc.2;P;<7> <27>]7770;abc.2;P;+<7>"


class Desk(Terminal):
    """A terminal that notes what is typed, at a line editor or not."""

    def __init__(self, *, editor: bool = False) -> None:
        self.path = "/dev/desk"
        self.echoes = Echoes()
        self.typed: list[bytes] = []
        self.editor = editor

    @property
    def canonical(self) -> bool:
        return not self.editor

    def type(self, data: bytes) -> None:
        self.typed.append(data)

    def interrupt(self) -> None:
        self.typed.append(b"^C")


def handover(repl: Repl = REPL, *, editor: bool = False) -> tuple[ReplHandover, Desk]:
    desk = Desk(editor=editor)
    with contextlib.closing(Folder()) as folder:
        return ReplHandover(repl, folder, "abc", 1, [desk]), desk


def test_a_line_is_typed_when_it_is_asked_for() -> None:
    driven, desk = handover()
    driven.command(driven.cell(2, "one\ntwo"))
    assert desk.typed == [PROMPTS.encode() + b"\n"]
    assert driven.is_at_command
    assert driven.prompted("") is None
    assert not driven.is_at_command
    assert driven.prompted("+") is None
    assert desk.typed[1:] == [b"one\n", b"two\n"]
    assert driven.prompted("") == ""


def test_what_is_unfinished_is_closed_and_then_interrupted() -> None:
    driven, desk = handover()
    driven.cell(2, "one (")
    assert driven.prompted("") is None
    assert driven.prompted("+") is None
    assert driven.prompted("+") is None
    assert desk.typed == [b"one (\n", b"end\n", b"^C"]
    assert driven.is_at_command
    assert driven.prompted("") == "IncompleteInput\nthe cell ends in the middle of a statement"
    driven.cell(3, "next")
    assert driven.prompted("") is None
    assert driven.prompted("") == ""


def test_nothing_is_typed_behind_an_error() -> None:
    driven, desk = handover()
    driven.cell(2, "one\ntwo")
    driven.prompted("")
    assert driven.printed("some text\nBad!luck\n") == "some text\nBad!luck\n"
    assert driven.prompted("") == "Bad\nluck"
    assert desk.typed == [b"one\n"]


def test_the_program_says_whether_it_failed() -> None:
    exact = Repl("set {prompt}", "<{}>", "{failed} run {file} {prompt}", "", REPL.error)
    with contextlib.closing(Folder()) as folder:
        desk = Desk()
        driven = ReplHandover(exact, folder, "abc", 1, [desk])
        driven.cell(2, "some\ncode")
        driven.prompted("")
        run = f"<27>]7770;abc.2;P;!<7> run {folder.path}/cell <27>]7770;abc.2;P;<7>\n"
        assert desk.typed == [run.encode()]
        driven.printed("Bad!luck\n")
        assert driven.prompted("") == ""
        assert driven.prompted("!") == "Bad\nluck"
        driven.cell(3, "x")
        driven.prompted("")
        assert driven.prompted("!") == "Error"


def test_an_interrupt_leaves_the_rest_untyped() -> None:
    driven, desk = handover()
    driven.cell(2, "one\ntwo")
    driven.prompted("")
    driven.break_off()
    driven.rescue(2, 1)
    assert desk.typed == [b"one\n"]
    driven.rescue(2, 2)
    assert desk.typed[1:] == [PROMPTS.encode() + b"\n"]
    assert driven.prompted("") == ""


def test_late_words_about_an_interrupt_are_not_the_next_cells() -> None:
    driven, _ = handover()
    driven.cell(2, "one")
    driven.break_off()
    driven.command(driven.cell(3, "two"))
    assert driven.printed("interrupted\n") == ""
    driven.rescue(3, 1)  # for the line that set the prompts was hit
    driven.prompted("")
    assert driven.printed("two\n") == "two\n"


@pytest.mark.parametrize("editor", [False, True])
def test_an_editor_shows_what_is_typed(editor: bool) -> None:
    driven, desk = handover(editor=editor)
    driven.command("a line")
    assert desk.echoes.without("a line\nout\n") == ("out\n" if editor else "a line\nout\n")
