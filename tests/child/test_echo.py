"""What a line editor shows of what is typed is no output, in whatever pieces it comes."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.child.echo import Echoes

LINE = "a line of the cell that is longer than what is compared"


def typed(*lines: str) -> Echoes:
    """Return what is expected behind these lines."""
    echoes = Echoes()
    for line in lines:
        echoes.expect(line)
    return echoes


@pytest.mark.parametrize(
    ("text", "output"),
    [
        (f"{LINE}\nout\n", "out\n"),
        ("\x1b[?2004ha line of the cell that is redrawn \r otherwise\nout", "out"),
        (f"\n^C\n{LINE}\nout\n", "\n^C\nout\n"),
        ("a line", ""),
        ("out", "out"),
        ("out\nand more\n", "out\nand more\n"),
        ("\n", "\n"),
        (f"{LINE}\n{LINE}\n", f"{LINE}\n"),
    ],
)
def test_what_an_editor_shows_is_dropped(text: str, output: str) -> None:
    assert typed(LINE).without(text) == output


def test_several_lines() -> None:
    echoes = typed("one", "", "three")
    assert echoes.without("one\nout\n\nthr") == "out\n"
    assert echoes.without("ee\nrest") == "rest"
    assert echoes.without("one\n") == "one\n"


def test_what_is_no_longer_expected() -> None:
    echoes = typed(LINE)
    echoes.forget()
    assert echoes.without(f"{LINE}\n") == f"{LINE}\n"


@given(st.lists(st.integers(0, len(LINE) + 12)))
def test_it_may_come_in_any_pieces(cuts: list[int]) -> None:
    echoes = typed(LINE)
    text = f"\r{LINE}\nits output\n"
    places = [0, *sorted(cuts), len(text)]
    pieces = [text[begin:end] for begin, end in itertools.pairwise(places)]
    assert "".join(map(echoes.without, pieces)) == "its output\n"


@given(st.text(max_size=200))
def test_without_an_editor_all_is_output(text: str) -> None:
    assert Echoes().without(text) == text
