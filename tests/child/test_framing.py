"""Framing: which cell the output of a terminal belongs to."""

from __future__ import annotations

from wrapperkernel.child.framing import Ended, Event, Framing, Place, Ready, Text
from wrapperkernel.child.scanner import Mark

CHILD = "00ff00ff"


def mark(cell: int, kind: str, value: str = "") -> bytes:
    return Mark(cell, kind, value).printed(CHILD)


def framing(cell: int) -> Framing:
    framing = Framing(CHILD)
    framing.expect(cell)
    return framing


def feed(framing: Framing, *data: bytes) -> list[Event]:
    return [event for piece in data for event in framing.feed(piece)]


def test_a_cell_and_what_comes_behind_it() -> None:
    data = b"out\n" + mark(5, "E", "3") + b"late" + mark(5, "F", "0,hB") + b"job\n"
    assert feed(framing(5), data) == [
        Text("out\n", 5),
        Ended("3"),
        Ready("hB", noisy=False),
        Text("late", 5),
        Text("job\n", 5),
    ]


def test_what_the_framework_makes_the_child_print_is_dropped() -> None:
    found = feed(framing(5), mark(5, "E", "0") + b"trap\n" + mark(5, "F", "0,!x") + b"job\n")
    assert found == [Ended("0"), Ready("x", noisy=True), Text("job\n", 5)]


def test_an_end_comes_once() -> None:
    data = mark(5, "E", "1") + mark(5, "E", "2") + mark(5, "F", "0,") + mark(5, "E", "3") + mark(5, "F", "0,")
    assert feed(framing(5), data) == [Ended("1"), Ready("", noisy=False)]


def test_marks_of_earlier_cells_say_nothing() -> None:
    assert feed(framing(5), mark(4, "E", "0") + mark(4, "F", "0,") + b"x") == [Text("x", 5)]


def test_a_rescue_is_waited_for() -> None:
    """The line that was broken off may say that it is ready, too; the rescue still runs behind it."""
    framed = framing(5)
    framed.expect_rescue(1)
    assert feed(framed, mark(5, "E", "0") + mark(5, "F", "0,a")) == [Ended("0")]
    assert feed(framed, b"x" + mark(5, "E", "!130") + mark(5, "F", "1,b")) == [
        Ready("b", noisy=False),
        Text("x", 5),
    ]
    assert framed.place is Place.BETWEEN


def test_a_rescue_tells_the_end_of_a_cell_that_was_broken_off() -> None:
    found = feed(framing(5), b"x" + mark(5, "E", "!130") + mark(5, "F", "0,"))
    assert found == [Text("x", 5), Ended("130", broken=True), Ready("", noisy=False)]


def test_what_another_terminal_tells_holds_here() -> None:
    framed = framing(5)
    assert feed(framed, b"x") == [Text("x", 5)]
    assert list(framed.step(Ended("0"))) == []
    assert feed(framed, b"noise") == []
    assert list(framed.step(Ready("", noisy=True))) == []
    assert feed(framed, b"job") == [Text("job", 5)]
    framed.expect(6)
    assert feed(framed, b"y") == [Text("y", 6)]
    assert list(framed.step(Ended("0"))) == []
    assert feed(framed, b"z") == []
    assert list(framed.step(Ready("", noisy=False))) == [Text("z", 6)]


def test_half_a_character_does_not_wait_for_the_next_cell() -> None:
    framed = framing(5)
    assert feed(framed, b"x\xc3") == [Text("x", 5)]
    assert list(framed.step(Ended("0"))) == [Text("\ufffd", 5)]


def test_what_is_held_back_can_be_had() -> None:
    framed = framing(5)
    assert feed(framed, b"\x1b]77") == []
    assert framed.holds
    assert list(framed.flush()) == [Text("\x1b]77", 5)]
