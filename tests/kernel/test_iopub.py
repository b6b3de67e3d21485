"""What a kernel publishes: each message as frontends read it, in the order in which it was said."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from toys.plain import PIXEL, PlainKernel

from wrapperkernel import Kernel, MimeBundle
from wrapperkernel.kernel.iopub import PIECE, IOPub
from wrapperkernel.testing.execution import Execution
from wrapperkernel.testing.harness import KernelHarness

Act = Callable[[Kernel], Any]


class Acting(Kernel):
    """Does in its cell what the test says."""

    act: Act

    def do_execute(self, code: str) -> None:
        self.act()  # type: ignore[call-arg]


def publish(act: Act, **fields: Any) -> Execution:
    """Run a cell that does this, and return what it published."""
    with KernelHarness(Acting) as harness:
        harness.kernel.act = lambda: act(harness.kernel)  # type: ignore[attr-defined]
        return harness.execute("x", **fields)


def error_of(act: Act) -> str:
    exchange = publish(act)
    assert exchange.status == "error"
    return str(exchange.content["ename"])


@pytest.fixture
def toy() -> Iterator[KernelHarness]:
    with KernelHarness(PlainKernel) as harness:
        yield harness


# --- stream -------------------------------------------------------------------------------------------


@pytest.mark.row("I3")
def test_both_streams_come_in_the_order_written(toy: KernelHarness) -> None:
    exchange = toy.execute("print a\nerr b\nprint c\nprint d\nerr e")
    said = [(content["name"], content["text"]) for content in exchange.contents("stream")]
    assert said == [
        ("stdout", "a\n"),
        ("stderr", "b\n"),
        ("stdout", "c\n"),
        ("stdout", "d\n"),
        ("stderr", "e\n"),
    ]
    assert exchange.stdout == "a\nc\nd\n"


@pytest.mark.row("I3")
def test_a_long_text_is_published_in_pieces_of_whole_code_points() -> None:
    text = "\U0001d41ax" * PIECE
    exchange = publish(lambda kernel: kernel.iopub.stream(text))
    pieces = [content["text"] for content in exchange.contents("stream")]
    assert len(pieces) == 2
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


@pytest.mark.row("I3")
@pytest.mark.parametrize("name", ["stdin", "", "STDOUT", None])
def test_there_are_two_streams(name: Any) -> None:
    assert error_of(lambda kernel: kernel.iopub.stream("x", name)) == "ValueError"


@pytest.mark.parametrize("text", [b"bytes", None, 5])
def test_a_stream_carries_text_alone(text: Any) -> None:
    """Bytes would arrive as base64, which nobody notices before a user does."""
    assert error_of(lambda kernel: kernel.iopub.stream(text)) == "TypeError"


def test_an_empty_text_is_not_published() -> None:
    assert publish(lambda kernel: kernel.iopub.stream("")).contents("stream") == []


# --- display_data, update_display_data -------------------------------------------------------------------


@pytest.mark.row("I5")
def test_display_data_has_data_metadata_and_transient(toy: KernelHarness) -> None:
    exchange = toy.execute('html <b>x</b>\njson {"a": [1, null]}\npng')
    html, unpacked, png = exchange.display
    assert html["data"] == {"text/html": "<b>x</b>", "text/plain": "<b>x</b>"}
    assert html["metadata"] == {"text/html": {"isolated": True}}
    assert html["transient"] == {}
    assert unpacked["data"]["application/json"] == {"a": [1, None]}
    assert base64.b64decode(png["data"]["image/png"]) == PIXEL
    assert "\n" not in png["data"]["image/png"]
    assert png["data"]["text/plain"]


@pytest.mark.row("I5")
def test_buffers_travel_with_a_display() -> None:
    exchange = publish(lambda kernel: kernel.iopub.display_data({"text/plain": "x"}, buffers=[b"\x00", b""]))
    (message,) = (m for m in exchange.messages if m["msg_type"] == "display_data")
    assert message["buffers"] == [b"\x00", b""]


@pytest.mark.row("I5")
def test_what_cannot_be_sent_is_an_error_where_it_is_published() -> None:
    exchange = publish(lambda kernel: kernel.iopub.display_data({"text/plain": object()}))
    assert exchange.status == "error"
    assert "<lambda>" in "\n".join(exchange.content["traceback"])


@pytest.mark.row("I6")
def test_an_update_names_the_display_it_replaces(toy: KernelHarness) -> None:
    shown = toy.execute("display first\ndisplay other").display
    exchange = toy.execute("update second")  # in a later cell
    (update,) = exchange.contents("update_display_data")
    ids = [content["transient"]["display_id"] for content in shown]
    assert len(set(ids)) == 2
    assert update["transient"] == {"display_id": ids[1]}
    assert update["data"] == {"text/plain": "second"}
    assert exchange.display == []


@pytest.mark.row("I6")
def test_an_update_needs_a_display_id() -> None:
    assert error_of(lambda kernel: kernel.iopub.update_display_data({"text/plain": "x"})) == "TypeError"  # type: ignore[call-arg]


def test_a_display_may_be_a_bundle_of_the_authors() -> None:
    bundle = MimeBundle({"text/latex": "$x$", "text/plain": "x"}, {"text/latex": {"a": 1}})
    (content,) = publish(lambda kernel: kernel.iopub.display(bundle)).display
    assert content["data"] == bundle.data
    assert content["metadata"] == bundle.metadata


# --- the others ---------------------------------------------------------------------------------------


@pytest.mark.row("I7")
def test_clear_output_always_says_wait(toy: KernelHarness) -> None:
    assert toy.execute("clear\nclear wait").contents("clear_output") == [{"wait": False}, {"wait": True}]
    odd = publish(lambda kernel: kernel.iopub.clear_output(1))  # type: ignore[arg-type]
    assert odd.contents("clear_output") == [{"wait": True}]


@pytest.mark.row("I10")
def test_comm_messages_from_the_kernel(toy: KernelHarness) -> None:
    exchange = toy.execute("comm plot\nsend hi\nhangup bye")
    opened, sent, closed = (m for m in exchange.messages if m["msg_type"].startswith("comm_"))
    assert [m["msg_type"] for m in (opened, sent, closed)] == ["comm_open", "comm_msg", "comm_close"]
    comm_id = opened["content"]["comm_id"]
    assert opened["content"] == {"comm_id": comm_id, "target_name": "plot", "data": {"from": "kernel"}}
    assert sent["content"] == {"comm_id": comm_id, "data": {"text": "hi"}}
    assert closed["content"] == {"comm_id": comm_id, "data": {"text": "bye"}}
    assert [m["buffers"] for m in (opened, sent, closed)] == [[b"\x00\xff"], [b"hi"], []]
    assert {m["identities"][0] for m in (opened, sent, closed)} == {f"comm-{comm_id}".encode()}


@pytest.mark.row("I8")
def test_input_result_and_error_of_one_cell(toy: KernelHarness) -> None:
    exchange = toy.execute("result 7\nraise Error oh")
    kinds = [message["msg_type"] for message in exchange.messages]
    assert kinds == ["status", "execute_input", "execute_result", "error", "status"]
    assert exchange.errors == [{"ename": "Error", "evalue": "oh", "traceback": ["Error: oh"]}]


@pytest.mark.row("E15")
@pytest.mark.parametrize("data", [{}, {"text/html": "<b>"}])
def test_a_result_without_text_is_refused(data: dict[str, Any]) -> None:
    exchange = publish(lambda kernel: kernel.iopub.execute_result(data))
    assert exchange.results == []
    assert "text/plain" in exchange.content["evalue"]


@pytest.mark.row("E8")
@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        (("E",), {"ename": "E", "evalue": "", "traceback": []}),
        (("", None, None), {"ename": "Error", "evalue": "", "traceback": []}),
        (("E", 5, "a\nb"), {"ename": "E", "evalue": "5", "traceback": ["a", "b"]}),
    ],
)
def test_an_error_is_published_with_the_right_types(arguments: Any, content: dict[str, Any]) -> None:
    with KernelHarness(PlainKernel) as harness:
        harness.kernel.iopub.error(*arguments)
        assert harness.sent[-1]["content"] == content


def test_a_message_of_any_type_and_topic_may_be_published() -> None:
    def act(kernel: Kernel) -> None:
        kernel.iopub.send("stream", {"name": "stdout", "text": "x"}, metadata={"a": 1}, topic="mine")

    exchange = publish(act)
    (message,) = (m for m in exchange.messages if m["msg_type"] == "stream")
    assert (message["identities"], message["metadata"]) == ([b"mine"], {"a": 1})


# --- whose output it is -------------------------------------------------------------------------------


class Threaded(Kernel):
    """Starts a thread per cell, which publishes when it is let."""

    def do_start(self) -> None:
        self.go = threading.Event()
        self.threads: list[threading.Thread] = []

    def do_execute(self, code: str) -> None:
        here = self.request
        assert here is not None

        def work() -> None:
            self.go.wait()
            self.iopub.stream(f"late {code}")
            self.iopub.under(here).stream(f"fixed {code}")

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()


def test_a_thread_that_outlives_its_cell_publishes_under_the_latest_or_the_one_it_fixed() -> None:
    with KernelHarness(Threaded) as harness:
        first, second = harness.execute("first"), harness.execute("second")
        harness.complete("x")  # is no cell
        begin = len(harness.sent)
        harness.kernel.go.set()
        for thread in harness.kernel.threads:
            thread.join()
        under = {m["content"]["text"]: m["parent_header"]["msg_id"] for m in harness.sent[begin:]}
    ids = [exchange.request["header"]["msg_id"] for exchange in (first, second)]
    assert under["late first"] == under["late second"] == ids[1]
    assert (under["fixed first"], under["fixed second"]) == (ids[0], ids[1])


def test_a_thread_of_a_silent_cell_is_silent(toy: KernelHarness) -> None:
    assert toy.execute("thread x", silent=True).contents("stream") == []
    assert toy.execute("thread x").stdout == "x\n"


def test_what_is_published_before_any_cell_has_no_parent(toy: KernelHarness) -> None:
    toy.kernel.iopub.stream("early")
    assert toy.sent[-1]["parent_header"] == {}
    assert isinstance(toy.kernel.iopub, IOPub)


def test_a_kernel_that_is_connected_to_nothing_publishes_to_nobody() -> None:
    PlainKernel().iopub.stream("x")
