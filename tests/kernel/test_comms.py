"""Comms: opened from either side, messages and buffers both ways, closed from either side."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.interrupts import Interrupts
from wrapperkernel.kernel.comms import Comm, CommManager
from wrapperkernel.wire import Message, Session

Published = list[tuple[str, dict[str, Any], Any, tuple[Any, ...], str]]


@pytest.fixture
def published() -> Published:
    return []


@pytest.fixture
def comms(published: Published) -> CommManager:
    return made(published)


def made(published: Published) -> CommManager:
    def publish(msg_type: str, content: dict[str, Any], metadata: Any, buffers: Any, topic: str, /) -> None:
        published.append((msg_type, content, metadata, tuple(buffers), topic))

    return CommManager(publish)


def message(msg_type: str, *, buffers: tuple[bytes, ...] = (), **content: Any) -> Message:
    header = {"msg_type": msg_type, "msg_id": "1", "session": "client"}
    return Message(header, {}, {}, content, buffers=buffers)


def opened_by_frontend(comms: CommManager, comm_id: str = "c1") -> Comm:
    """Return this side's end of a comm that a frontend opened."""
    ends: list[Comm] = []
    comms.register_target("target", lambda comm, message: ends.append(comm))
    comms.handle_open(message("comm_open", comm_id=comm_id, target_name="target", data={}))
    return ends[0]


# --- opening -----------------------------------------------------------------------------------------


def test_a_comm_opened_here_is_published_and_known(comms: CommManager, published: Published) -> None:
    comm = comms.open("jupyter.widget", {"a": 1}, {"version": "2"}, [b"xy"], comm_id="c1")
    content = {"comm_id": "c1", "target_name": "jupyter.widget", "data": {"a": 1}}
    assert published == [("comm_open", content, {"version": "2"}, (b"xy",), "comm-c1")]
    assert comms.get("c1") is comm
    assert not comm.closed
    with pytest.raises(ValueError, match="already"):
        comms.open("other", comm_id="c1")
    assert len(published) == 1


def test_ids_are_made_up_and_data_is_always_an_object(comms: CommManager, published: Published) -> None:
    ids = {comms.open("t").comm_id for _ in range(3)}
    assert len(ids) == 3
    assert all(content["data"] == {} for _, content, *_ in published)


def test_a_target_module_is_named_if_there_is_one(comms: CommManager, published: Published) -> None:
    comms.open("t", target_module="lib")
    assert published[0][1]["target_module"] == "lib"


def test_an_open_that_cannot_be_sent_leaves_nothing(comms: CommManager) -> None:
    def refuse(*args: Any) -> None:
        raise ValueError("not contiguous")

    comms = CommManager(refuse)
    with pytest.raises(ValueError, match="contiguous"):
        comms.open("t", comm_id="c1")
    assert comms.get("c1") is None


def test_a_frontend_opens_a_comm_to_a_target(comms: CommManager, published: Published) -> None:
    calls: list[tuple[Comm, Message]] = []
    comms.register_target("target", lambda comm, message: calls.append((comm, message)))
    request = message("comm_open", comm_id="c1", target_name="target", data={"x": 1}, buffers=(b"b",))
    comms.handle_open(request)
    ((comm, given_message),) = calls
    assert given_message is request
    assert (comm.comm_id, comm.target_name) == ("c1", "target")
    assert comms.get("c1") is comm
    assert not published


@pytest.mark.row(
    "M1",
    file="kernel/comms.py",
    old="callback = self._targets.get(comm.target_name)",
    new="callback = self._targets.get(comm.target_name, print)",
)
def test_an_unknown_target_is_closed_at_once(comms: CommManager, published: Published) -> None:
    comms.register_target("gone", lambda comm, message: None)
    comms.unregister_target("gone")
    comms.unregister_target("gone")
    for number, name in enumerate(("nobody", "gone", None)):
        comms.handle_open(message("comm_open", comm_id=f"c{number}", target_name=name, data={}))
    assert published == [
        ("comm_close", {"comm_id": f"c{number}", "data": {}}, None, (), f"comm-c{number}")
        for number in range(3)
    ]
    assert comms.info() == {}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_target_that_fails_is_closed_and_its_error_told(
    comms: CommManager, published: Published, error: type[BaseException]
) -> None:
    def fail(comm: Comm, message: Message) -> None:
        raise error

    comms.register_target("t", fail)
    with pytest.raises(error):
        comms.handle_open(message("comm_open", comm_id="c1", target_name="t", data={}))
    assert [entry[0] for entry in published] == ["comm_close"]
    assert comms.get("c1") is None


def test_an_id_that_is_in_use_is_not_opened_again(comms: CommManager, published: Published) -> None:
    comm = opened_by_frontend(comms)
    comms.handle_open(message("comm_open", comm_id="c1", target_name="nobody", data={}))
    assert comms.get("c1") is comm
    assert not published


# --- messages ----------------------------------------------------------------------------------------


@pytest.mark.row(
    "M4",
    file="kernel/comms.py",
    old='self._publish(msg_type, content, metadata, buffers, f"comm-{self.comm_id}")',
    new='self._publish(msg_type, content, metadata, (), f"comm-{self.comm_id}")',
)
def test_buffers_travel_both_ways_through_the_wire(comms: CommManager, published: Published) -> None:
    frontend, kernel = Session(b"key"), Session(b"key")
    comm = opened_by_frontend(comms)

    def echo(message: Message) -> None:
        comm.send(message.content["data"], {"m": 1}, [memoryview(message.buffers[1]), *message.buffers])

    comm.on_msg(echo)
    blobs = [b"", bytes(range(256)) * 1000]
    sent = frontend.compose("comm_msg", {"comm_id": "c1", "data": {"n": 1}}, buffers=blobs)
    comms.handle_msg(kernel.deserialize([bytes(frame) for frame in frontend.serialize(sent)]))

    ((msg_type, content, metadata, buffers, topic),) = published
    assert (content, metadata, topic) == ({"comm_id": "c1", "data": {"n": 1}}, {"m": 1}, "comm-c1")
    answer = kernel.compose(msg_type, content, metadata=metadata, buffers=buffers)
    received = frontend.deserialize([bytes(frame) for frame in kernel.serialize(answer)])
    assert [bytes(buffer) for buffer in received.buffers] == [blobs[1], *blobs]


def test_a_callback_can_be_changed_and_taken_away(comms: CommManager) -> None:
    comm, got = opened_by_frontend(comms), []
    request = message("comm_msg", comm_id="c1", data={})
    comms.handle_msg(request)
    comm.on_msg(got.append)
    comms.handle_msg(request)
    comm.on_msg(None)
    comms.handle_msg(request)
    assert got == [request]


def test_a_callback_that_fails_tells_its_caller_and_stays(comms: CommManager) -> None:
    comm, calls = opened_by_frontend(comms), []

    def fail(message: Message) -> None:
        calls.append(message)
        raise ZeroDivisionError

    comm.on_msg(fail)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            comms.handle_msg(message("comm_msg", comm_id="c1", data={}))
    assert len(calls) == 2


@pytest.mark.row(
    "M2",
    file="kernel/comms.py",
    old="comm = self._comms.get(comm_id) if isinstance(comm_id, str) else None",
    new="comm = self._comms[str(comm_id)]",
)
@pytest.mark.parametrize(
    "content", [{"comm_id": "unknown", "data": {}}, {"comm_id": ["x"]}, {"comm_id": None}, {}]
)
def test_messages_for_unknown_comms_are_logged_and_harmless(
    comms: CommManager, published: Published, content: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        comms.handle_msg(message("comm_msg", **content))
        comms.handle_close(message("comm_close", **content))
    assert len(caplog.records) == 2
    assert not published


@given(
    st.dictionaries(
        st.sampled_from(["comm_id", "target_name", "data"]), st.none() | st.integers() | st.just("c1")
    )
)
@pytest.mark.row("M2")
def test_no_content_from_a_client_does_harm(content: dict[str, Any]) -> None:
    published: Published = []
    comms = made(published)
    comms.register_target("t", lambda comm, message: None)
    for handle in (comms.handle_open, comms.handle_msg, comms.handle_close):
        handle(message("comm_open", **content))
    assert comms.info() == {}
    assert all(isinstance(entry[1]["comm_id"], str) for entry in published)


# --- closing, listing --------------------------------------------------------------------------------


def test_a_comm_closed_here_is_published_once(comms: CommManager, published: Published) -> None:
    comm = comms.open("t", comm_id="c1")
    comm.on_close(lambda message: pytest.fail("only the frontend's closing calls this"))
    comm.close({"bye": 1}, {"m": 1}, [b"b"])
    comm.close()
    comm.send({})
    assert published[1:] == [
        ("comm_close", {"comm_id": "c1", "data": {"bye": 1}}, {"m": 1}, (b"b",), "comm-c1")
    ]
    assert comm.closed
    assert comms.get("c1") is None
    comms.open("t", comm_id="c1")  # the id is free again


def test_a_comm_closed_by_the_frontend_is_told_and_silent(comms: CommManager, published: Published) -> None:
    comm, got = opened_by_frontend(comms), []
    comm.on_close(got.append)
    request = message("comm_close", comm_id="c1", data={"bye": 1})
    comms.handle_close(request)
    assert got == [request]
    assert comm.closed
    comm.send({})
    comm.close()
    assert not published
    assert comms.info() == {}


@pytest.mark.row("M7")
def test_all_are_closed_at_the_end(comms: CommManager, published: Published) -> None:
    opened_by_frontend(comms, "theirs")
    comms.open("t", comm_id="ours")
    published.clear()
    comms.close_all()
    assert [(entry[0], entry[1]["comm_id"]) for entry in published] == [
        ("comm_close", "theirs"),
        ("comm_close", "ours"),
    ]
    assert comms.info() == {}


@pytest.mark.row("Q10")
def test_open_comms_are_listed_by_target(comms: CommManager) -> None:
    opened_by_frontend(comms, "a")
    comms.open("widget", comm_id="b")
    comms.open("widget", comm_id="c").close()
    assert comms.info() == {"a": {"target_name": "target"}, "b": {"target_name": "widget"}}
    assert comms.info("widget") == {"b": {"target_name": "widget"}}
    assert comms.info("none") == {}


# --- interrupts --------------------------------------------------------------------------------------


def test_an_interrupt_ends_callbacks_and_nothing_else() -> None:
    interrupts, published = Interrupts(), []

    def publish(msg_type: str, *rest: Any) -> None:
        interrupts.fire(sys._getframe())  # is only remembered
        published.append(msg_type)

    def fire(*args: Any) -> None:
        interrupts.fire(sys._getframe())
        pytest.fail("this callback has been interrupted")

    comms = CommManager(publish)
    comms.register_target("t", fire)
    interrupts.begin("a request")
    with pytest.raises(KeyboardInterrupt):
        comms.handle_open(message("comm_open", comm_id="c1", target_name="t", data={}))
    assert published == ["comm_close"]
    comms.open("t").close()
    assert published == ["comm_close", "comm_open", "comm_close"]
    assert interrupts.decide()
