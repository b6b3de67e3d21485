"""Sorting escape sequences, in chunks of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.child.escapes import LARGEST, ControlString, Escapes, Piece, visible

ST = "\x1b\\"


def sorted_out(*chunks: str) -> list[Piece]:
    """Return what the chunks become, texts that follow each other joined, and what the end adds."""
    escapes = Escapes()
    pieces: list[Piece] = []
    for chunk in [*chunks, None]:
        for piece in escapes.feed(chunk) if chunk is not None else [escapes.finish()]:
            if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
                pieces[-1] += piece
            elif piece:
                pieces.append(piece)
    return pieces


@pytest.mark.parametrize(
    "text",
    [
        "plain\n",
        "\x1b[31mred\x1b[0m",
        "\x1b[38;2;1;2;3mexact\x1b[m",
        "50%\r100%\n",
        "\x1b[2K\x1b[1A\x1b[3D moves the cursor",
        "a\bb\x07",
        f"\x1b]8;;https://example.org/{ST}a link\x1b]8;;{ST}",
        "\x1b]8;id=1;file:///x\x07a link\x1b]8;;\x07",
    ],
)
def test_what_frontends_show_or_ignore_is_left(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b]0;a title\x07",
        f"\x1b]2;a title{ST}",
        "\x1b]133;A\x07",
        "\x1b]777;preexec\x07",
        "\x1b]10;?\x07",
        f"\x1bP+q544e{ST}",
        f"\x1b^private{ST}",
        f"\x1bXstart of string{ST}",
        f"\x1b_tmux{ST}",
        "\x1b(B",
        "\x1b=",
        "\x1b>",
        "\x1b7",
        "\x1bc",
        "\x1b[?2004h",
        "\x1b[?25l",
        "\x1b[?1;2c",
        "\x1b[>0;276;0c",
        "\x1b[6n",
        "\x1b[c",
        "\x1b[23;0;0t",
    ],
)
def test_what_a_page_would_print_is_dropped(sequence: str) -> None:
    assert visible(f"before{sequence}behind") == "beforebehind"


@pytest.mark.parametrize(
    "text",
    [
        "\x1b",
        "\x1b[3",
        "\x1b\n",
        "\x1b[3\n",
        "\x1b]0;not a title\nmore",
        "\x1b]0;" + "x" * 5000,
        "\x1bP\x00",
        "\x1b]0;\x1b[31m",
    ],
)
def test_what_is_no_sequence_is_text(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("sequence", "kind"),
    [
        (f"\x1b]7771;do=clear;{ST}", "]"),
        ("\x1b]7771;type=text/html;PGI+\x07", "]"),
        ("\x1b]1337;File=inline=1:aGk=\x07", "]"),
        (f"\x1b_Ga=T,f=100;aGk={ST}", "_"),
        (f'\x1bPq"1;1;2;2#0;2;0;0;0~-{ST}', "P"),
        (f"\x1bP0;1;0q~{ST}", "P"),
    ],
)
def test_what_can_be_displayed_is_taken_out_in_order(sequence: str, kind: str) -> None:
    body = sequence[2:].removesuffix(ST).removesuffix("\x07")
    assert sorted_out(f"before{sequence}behind") == ["before", ControlString(kind, body), "behind"]


def test_pictures_may_have_newlines_as_base64_programs_make_them() -> None:
    assert sorted_out("\x1b]1337;File=inline=1:aG\r\nk=\n\x07") == [
        ControlString("]", "1337;File=inline=1:aG\r\nk=\n")
    ]


def test_a_display_that_was_broken_off_takes_no_text_with_it() -> None:
    assert sorted_out("\x1b]7771;type=text/html;PGI the next output\n") == [" the next output\n"]
    assert sorted_out("\x1b_Gf=100;abc\x1b[31mred") == ["\x1b[31mred"]
    assert sorted_out("\x1b]7771;abc") == []


def test_what_is_too_large_is_told_by_an_empty_body() -> None:
    escapes = Escapes()
    pieces = list(escapes.feed("\x1b]7771;"))
    for _ in range(LARGEST // 2**20 + 1):
        pieces += escapes.feed("x" * 2**20)
    pieces += escapes.feed("\x07text")
    assert pieces == [ControlString("]", ""), "text"]


@pytest.mark.parametrize("mode", ["1049", "1047", "47", "25;1049"])
def test_the_alternate_screen_is_not_shown(mode: str) -> None:
    escapes = Escapes()
    assert list(escapes.feed(f"before\x1b[?{mode}hdrawn")) == ["before"]
    assert escapes.is_alternate
    assert list(escapes.feed("more")) == []
    assert list(escapes.feed(f"\x1b[H\x1b[?{mode}lbehind")) == ["behind"]
    assert not escapes.is_alternate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[?1049h", True),
        ("\x1b[5;1H", True),
        ("\x1b[24;80f", True),
        ("\x1b[H\x1b[2J", False),
        ("\x1b[1;1H", False),
        ("\x1b[2K\x1b[3A\r", False),
        ("\x1b[?2004h", False),
    ],
)
def test_who_draws_a_whole_screen(text: str, expected: bool) -> None:
    escapes = Escapes()
    list(escapes.feed(text))
    assert escapes.draws_screen is expected
    escapes.finish()
    assert not escapes.draws_screen


def test_a_program_that_ended_without_leaving_the_alternate_screen_leaves_nothing() -> None:
    escapes = Escapes()
    list(escapes.feed("\x1b[?1049hdrawn\x1b]0;half"))
    assert escapes.finish() == ""
    assert not escapes.is_alternate
    assert list(escapes.feed("next")) == ["next"]


PIECES = st.sampled_from(
    [
        *(
            "a",
            "\n",
            "é",
            "\x1b",
            "[",
            "]",
            "31",
            "m",
            ";",
            "?1049",
            "h",
            "l",
            "7771;",
            "8;;",
            "q",
            "P",
            "_G",
            "\\",
        ),
        *("\x07", "\x18", "\x1b[31m", "\x1b[?1049h", "\x1b]7771;abc\x07", "\x1b]0;t\x07"),
        *(f"\x1b]8;;u{ST}", f"\x1b_Gx{ST}"),
    ]
)


@given(st.lists(PIECES, max_size=40), st.data())
def test_chunks_make_no_difference(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    chunks = []
    at = 0
    while at < len(text):
        size = data.draw(st.integers(1, len(text) - at))
        chunks.append(text[at : at + size])
        at += size
    assert sorted_out(*chunks) == sorted_out(text)


@given(st.text().filter(lambda text: "\x1b" not in text))
def test_text_without_escapes_is_untouched(text: str) -> None:
    assert visible(text) == text
