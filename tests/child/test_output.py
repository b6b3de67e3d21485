"""Output: whole lines at once, an unfinished one a moment later, unless it becomes a prompt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.child.output import PATIENCE, Output, quiet


class Published:
    """An output, and what it has published."""

    def __init__(self) -> None:
        self.texts: list[tuple[int, str, str]] = []
        self.output = Output(lambda cell, name, text: self.texts.append((cell, name, text)))


@pytest.fixture
def published() -> Published:
    return Published()


def test_whole_lines_go_out_at_once(published: Published) -> None:
    published.output.add(1, "stdout", "one\ntwo\nthr", 0.0)
    assert published.texts == [(1, "stdout", "one\ntwo\n")]
    assert published.output.unfinished
    assert published.output.due == PATIENCE


def test_an_unfinished_line_goes_out_when_it_is_due(published: Published) -> None:
    published.output.add(1, "stdout", "a", 0.0)
    published.output.add(1, "stdout", "b", PATIENCE / 2)
    published.output.flush_due(PATIENCE * 0.9)
    assert published.texts == []
    published.output.flush_due(PATIENCE)
    assert published.texts == [(1, "stdout", "ab")]
    assert published.output.due == float("inf")
    assert published.output.unfinished  # though it has gone out


def test_it_becomes_a_prompt_instead(published: Published) -> None:
    published.output.add(1, "stdout", "Hello\nName? ", 0.0)
    assert published.output.take_prompt() == ("stdout", "Name? ")
    published.output.end(quiet)
    assert published.texts == [(1, "stdout", "Hello\n")]


def test_the_order_of_streams_and_cells_is_kept(published: Published) -> None:
    for cell, name, text in [
        (1, "stdout", "a"),
        (1, "stderr", "b"),
        (1, "stdout", "c"),
        (2, "stdout", "d\n"),
    ]:
        published.output.add(cell, name, text, 0.0)
    assert published.texts == [
        (1, "stdout", "a"),
        (1, "stderr", "b"),
        (1, "stdout", "c"),
        (2, "stdout", "d\n"),
    ]


def test_a_long_line_is_not_held(published: Published) -> None:
    published.output.add(1, "stdout", "x" * 5000, 0.0)
    assert published.texts == [(1, "stdout", "x" * 5000)]


def without_prompt(text: str) -> tuple[str, str]:
    return text.removesuffix("\n$ "), "$ "


def test_noise_that_comes_again_is_dropped_until_the_next_cell(published: Published) -> None:
    output = published.output
    output.break_off(0.0)
    output.add(1, "stderr", "\n$ ", 0.0)
    output.end(without_prompt)
    output.add(1, "stderr", "\n", 0.0)
    output.add(1, "stderr", "$ \n", 0.0)
    output.begin()
    output.add(2, "stderr", "\n$ \n", 0.0)
    assert published.texts == [(2, "stderr", "\n$ \n")]


def test_the_noise_of_an_interrupt_is_dropped(published: Published) -> None:
    output = published.output
    output.break_off(0.0)
    output.add(1, "stderr", "error\n", 0.0)
    output.add(1, "stderr", "\n$ ", 0.0)
    output.end(without_prompt)
    assert published.texts == [(1, "stderr", "error\n")]
    output.begin()
    output.add(2, "stderr", "\n$ ", 0.0)  # of another cell: output like any other
    output.end(without_prompt)
    assert "".join(text for _, _, text in published.texts) == "error\n\n$ "


def test_noise_is_not_held_for_ever(published: Published) -> None:
    published.output.break_off(0.0)
    published.output.add(1, "stderr", "the trap says\n", 0.0)
    published.output.flush_due(10.0)
    assert published.texts == [(1, "stderr", "the trap says\n")]


@given(
    st.lists(
        st.tuples(
            st.integers(1, 3),
            st.sampled_from(["stdout", "stderr"]),
            st.text("ab\n\r", min_size=1),
            st.booleans(),
        )
    )
)
def test_nothing_is_lost_doubled_or_moved(parts: list[tuple[int, str, str, bool]]) -> None:
    published = Published()
    for number, (cell, name, text, waits) in enumerate(parts):
        published.output.add(cell, name, text, float(number))
        if waits:
            published.output.flush_due(number + 0.5)
    published.output.end(quiet)

    def characters(texts: list[tuple[int, str, str]]) -> list[tuple[int, str, str]]:
        return [(cell, name, character) for cell, name, text in texts for character in text]

    assert characters(published.texts) == characters([part[:3] for part in parts])
