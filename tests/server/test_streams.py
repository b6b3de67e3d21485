"""When stream text leaves: at once after a pause, else joined, in order, without a clock."""

from __future__ import annotations

from itertools import groupby, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.server.streams import INTERVAL, LARGEST, StreamBuffer
from wrapperkernel.wire import Message, Session

SESSION = Session()


def stream(text: str, name: str = "stdout", parent: str = "p") -> Message:
    return SESSION.compose("stream", {"name": name, "text": text}, parent={"msg_id": parent})


def texts(messages: list[Message]) -> list[tuple[str, str]]:
    return [(message.content["name"], message.content["text"]) for message in messages]


# --- the leading edge -----------------------------------------------------------------------------------


@pytest.mark.row("I4")
def test_the_first_text_leaves_at_once_and_what_follows_joined() -> None:
    buffer = StreamBuffer()
    assert not buffer
    assert buffer.due == float("inf")
    assert texts(buffer.add(stream("a"), 100.0)) == [("stdout", "a")]
    assert buffer.add(stream("b"), 100.001) == []
    assert buffer.add(stream("c"), 100.002) == []
    assert buffer
    assert buffer.due == 100.0 + INTERVAL
    assert texts(buffer.take(100.0 + INTERVAL)) == [("stdout", "bc")]
    assert not buffer
    assert buffer.due == float("inf")


def test_text_after_a_pause_leaves_at_once_again() -> None:
    buffer = StreamBuffer()
    buffer.add(stream("a"), 100.0)
    assert texts(buffer.add(stream("b"), 100.0 + 2 * INTERVAL)) == [("stdout", "b")]
    buffer.add(stream("c"), 100.0 + 2 * INTERVAL)
    buffer.take(101.0)
    assert buffer.add(stream("d"), 101.0 + INTERVAL / 2) == []  # a departure, also of held text, ends a pause
    assert texts(buffer.add(stream("e"), 200.0)) == []  # nobody overtakes what is held
    assert texts(buffer.take(200.0)) == [("stdout", "de")]


def test_the_first_text_of_each_request_leaves_at_once() -> None:
    buffer = StreamBuffer()
    for number in range(100):
        assert texts(buffer.add(stream("a", parent=str(number)), 100.0)) == [("stdout", "a")]
    buffer.add(stream("b", parent="99"), 100.0)
    assert buffer.add(stream("c", parent="100"), 100.0) == []  # unless text of another is held


def test_taking_nothing_is_no_departure() -> None:
    buffer = StreamBuffer()
    assert buffer.take(100.0) == []
    assert len(buffer.add(stream("a"), 100.0)) == 1


# --- order ----------------------------------------------------------------------------------------------


@pytest.mark.row("I3")
def test_streams_and_parents_keep_their_order() -> None:
    buffer = StreamBuffer()
    buffer.add(stream("0"), 100.0)
    for name, parent in (("stdout", "p"), ("stderr", "p"), ("stderr", "p"), ("stderr", "q"), ("stdout", "p")):
        buffer.add(stream(name[3], name, parent), 100.0)
    taken = buffer.take(100.1)
    assert texts(taken) == [("stdout", "o"), ("stderr", "ee"), ("stderr", "e"), ("stdout", "o")]
    assert [message.parent_header["msg_id"] for message in taken] == ["p", "p", "q", "p"]


def test_output_without_a_request_is_a_parent_too() -> None:
    buffer = StreamBuffer()
    nobody = SESSION.compose("stream", {"name": "stdout", "text": "0"})
    assert buffer.add(nobody, 100.0) == [nobody]
    buffer.add(nobody, 100.0)
    buffer.add(stream("1"), 100.0)
    buffer.add(nobody, 100.0)
    assert [message.parent_header for message in buffer.take(101.0)] == [{}, {"msg_id": "p"}, {}]


def test_a_message_alone_is_left_as_it_is() -> None:
    buffer = StreamBuffer()
    buffer.add(stream("a"), 100.0)
    alone = stream("b")
    buffer.add(alone, 100.0)
    [taken] = buffer.take(101.0)
    assert taken is alone


def test_its_size_is_what_it_holds() -> None:
    buffer = StreamBuffer()
    buffer.add(stream("a" * 10), 100.0)
    assert buffer.size == 0
    buffer.add(stream("é" * 10), 100.0)
    buffer.add(stream("a" * LARGEST, "stderr"), 100.0)
    assert buffer.size == LARGEST + 10
    buffer.take(101.0)
    assert buffer.size == 0


# --- whatever comes -------------------------------------------------------------------------------------


class Text(NamedTuple):
    """What is written: after how many seconds, and what."""

    pause: float
    name: str
    parent: str
    text: str
    flush: bool  # another message comes behind it


PAUSES = st.sampled_from([0.0, 0.001, INTERVAL / 2, INTERVAL, 3 * INTERVAL])
TEXTS = st.builds(
    Text,
    PAUSES,
    st.sampled_from(["stdout", "stderr"]),
    st.sampled_from("pq"),
    st.text(max_size=5),
    st.sampled_from([False] * 5 + [True]),
)


@given(st.lists(TEXTS, max_size=40))
@pytest.mark.row("I3")
def test_no_text_is_lost_late_or_out_of_order(written: list[Text]) -> None:
    buffer, now = StreamBuffer(), 100.0
    left: list[tuple[str, str, str]] = []  # parent, name, text
    departures: list[tuple[float, str, bool]] = []  # when, the parent of the last message, by a flush
    held_since: list[float] = []

    def depart(messages: list[Message], *, flushed: bool = False) -> None:
        for message in messages:
            content = message.content
            left.append((message.parent_header["msg_id"], content["name"], content["text"]))
        if messages:
            departures.append((now, messages[-1].parent_header["msg_id"], flushed))
            held_since.clear()

    for text in written:
        arrival = now + text.pause
        if buffer.due <= arrival:
            now = buffer.due
            depart(buffer.take(now))
            assert not buffer
        now = arrival
        quiet = not buffer and (
            not departures or now - departures[-1][0] >= INTERVAL or departures[-1][1] != text.parent
        )
        at_once = buffer.add(stream(text.text, text.name, text.parent), now)
        assert bool(at_once) == quiet
        depart(at_once)
        if not at_once:
            held_since.append(now)
            assert buffer.due <= max(now, held_since[0] + INTERVAL)
        if text.flush:
            depart(buffer.take(now), flushed=True)
    now += 1
    depart(buffer.take(now))

    def runs(parts: list[tuple[str, str, str]]) -> list[tuple[tuple[str, str], str]]:
        """Join neighbours: how text is cut into messages does not matter."""
        whole = [(key, "".join(t for *_, t in group)) for key, group in groupby(parts, lambda part: part[:2])]
        return [(key, text) for key, text in whole if text]

    def without_empty(parts: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
        return [part for part in parts if part[2]]

    assert runs(without_empty(left)) == runs(without_empty([(w.parent, w.name, w.text) for w in written]))
    for (earlier, parent, _), (later, other, flushed) in pairwise(departures):
        assert later - earlier >= INTERVAL - 1e-9 or flushed or parent != other
