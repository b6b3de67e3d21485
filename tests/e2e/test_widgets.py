"""A widget of raw comms goes both ways over sockets, in a kernel without ipywidgets and IPython."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import start_kernel

pytest.importorskip("comm")

TOY = Path(__file__).parents[1] / "toys" / "widget.py"
CONTROL = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}


@pytest.fixture
def client() -> Iterator[KernelClient]:
    """A client of the toy that is ready."""
    with start_kernel([sys.executable, str(TOY)]) as kernel, kernel.client() as client:
        client.wait_ready()
        yield client


def tell(client: KernelClient, comm_id: str, *buffers: bytes, **data: Any) -> Any:
    """Send a comm message and return what came of it."""
    content = {"comm_id": comm_id, "data": data}
    return client.exchange("shell", "comm_msg", content, buffers=buffers)


def test_a_slider_goes_both_ways(client: KernelClient) -> None:
    shown = client.execute("slider")
    opened = shown.contents("comm_open")
    assert [each["data"]["state"]["_model_name"] for each in opened] == [
        *("LayoutModel", "SliderStyleModel", "IntSliderModel")
    ]
    slider = opened[-1]["comm_id"]
    [view] = shown.display
    assert view["data"]["application/vnd.jupyter.widget-view+json"]["model_id"] == slider

    moved = tell(client, slider, method="update", state={"value": 7}, buffer_paths=[])
    assert moved.contents("stream")[0]["text"] == "moved to 7\n"
    assert client.execute("value").stdout == "7\n"

    [update] = client.execute("set 2").contents("comm_msg")
    assert update == {
        "comm_id": slider,
        "data": {"method": "update", "state": {"value": 2}, "buffer_paths": []},
    }
    [told] = tell(client, slider, method="request_state").contents("comm_msg")
    assert told["data"]["state"]["value"] == 2
    assert client.execute("loaded").stdout == "comm"


def test_buffers_come_back_as_they_went(client: KernelClient) -> None:
    slider = client.execute("slider").contents("comm_open")[-1]["comm_id"]
    buffers = [b"\x00\xff", b"", bytes(100_000)]
    back = tell(client, slider, *buffers, method="custom", content={"x": 1})
    [message] = [each for each in back.messages if each["msg_type"] == "comm_msg"]
    assert message["content"]["data"] == {"method": "custom", "content": {"x": 1}}
    assert [bytes(each) for each in message["buffers"]] == buffers


def test_a_page_that_comes_later_learns_of_all_widgets(client: KernelClient) -> None:
    before = client.exchange("shell", "comm_open", CONTROL)
    assert [each["comm_id"] for each in before.contents("comm_close")] == ["control"]  # no such target yet
    opened = client.execute("slider").contents("comm_open")
    client.exchange("shell", "comm_open", CONTROL)
    [told] = tell(client, "control", method="request_states").contents("comm_msg")
    assert list(told["data"]["states"]) == [each["comm_id"] for each in opened]
    info = client.exchange("shell", "comm_info_request", {"target_name": "jupyter.widget"})
    assert list(info.content["comms"]) == [each["comm_id"] for each in opened]
