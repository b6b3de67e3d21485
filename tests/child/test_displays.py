"""What the control strings of a child's displays become, as messages."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from wrapperkernel import Kernel
from wrapperkernel.child.displays import Displays
from wrapperkernel.child.escapes import ControlString
from wrapperkernel.child.png import Picture
from wrapperkernel.testing import KernelHarness
from wrapperkernel.testing.execution import Execution

DOT = Picture(1, 1, b"\xff\0\0", depth=3).png()


def encoded(data: bytes | str) -> str:
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def ours(options: str, payload: bytes | str = "") -> ControlString:
    return ControlString("]", f"7771;{options};{encoded(payload)}")


def shown(*strings: ControlString) -> Execution:
    """Show strings in a cell, and return what it published."""

    class Showing(Kernel):
        def do_execute(self, code: str) -> None:
            displays = Displays()
            for string in strings:
                displays.show(string, self.iopub)

    with KernelHarness(Showing) as harness:
        return harness.execute("show")


def test_a_bundle() -> None:
    described: dict[str, Any] = {
        "data": {"text/html": "<b>x</b>", "text/plain": "x"},
        "metadata": {"text/html": {"isolated": True}},
        "transient": {"display_id": "one"},
    }
    assert shown(ours("do=display", json.dumps(described))).display == [described]


@pytest.mark.parametrize(
    ("kind", "content", "data"),
    [
        ("text/html", "<b>é</b>", {"text/html": "<b>é</b>"}),
        ("application/json", '{"a": 1}', {"application/json": {"a": 1}}),
        ("image/png", DOT, {"image/png": encoded(DOT)}),
        ("file", DOT, {"image/png": encoded(DOT)}),
        ("file:name=a.md", "# a", {"text/markdown": "# a"}),
        ("file", "just text", {"text/plain": "just text"}),
    ],
)
def test_content_of_a_type(kind: str, content: bytes | str, data: dict[str, Any]) -> None:
    (display,) = shown(ours(f"type={kind}", content)).display
    assert display["data"].items() >= data.items()


def test_an_update() -> None:
    execution = shown(ours("type=text/plain:id=one", "1"), ours("do=update:type=text/plain:id=one", "2"))
    assert execution.display[0]["transient"] == {"display_id": "one"}
    (update,) = execution.contents("update_display_data")
    assert (update["data"], update["transient"]) == ({"text/plain": "2"}, {"display_id": "one"})


def test_a_result_and_clearing() -> None:
    execution = shown(ours("do=result:type=text/plain", "42"), ours("do=clear:wait=1"), ours("do=clear"))
    assert execution.results == [{"execution_count": 1, "data": {"text/plain": "42"}, "metadata": {}}]
    assert execution.contents("clear_output") == [{"wait": True}, {"wait": False}]


def test_a_payload_in_pieces_among_others() -> None:
    whole = encoded("<b>long</b>")
    execution = shown(
        ControlString("]", f"7771;type=text/html:part=a:more=1;{whole[:5]}"),
        ours("type=text/plain", "between"),
        ControlString("]", f"7771;type=text/html:part=a:more=1;{whole[5:8]}"),
        ControlString("]", f"7771;type=text/html:part=a;{whole[8:]}"),
    )
    first, second = execution.display
    assert (first["data"]["text/plain"], second["data"]["text/html"]) == ("between", "<b>long</b>")


def test_a_terminals_picture_with_its_width() -> None:
    (display,) = shown(ControlString("]", f"1337;File=inline=1;width=7px:{encoded(DOT)}")).display
    assert display["data"]["image/png"] == encoded(DOT)
    assert display["metadata"] == {"image/png": {"width": 7}}


@pytest.mark.parametrize(
    "string",
    [
        ControlString("]", ""),
        ControlString("]", "7771;type=text/html;no base64"),
        ours("type=nonsense", "x"),
        ours("do=dance"),
        ours("do=update:type=text/plain", "x"),
        ours("", "no JSON"),
        ours("", "[1]"),
        ours("", '{"data": 1}'),
        ControlString("P", "q"),
    ],
)
def test_what_cannot_be_shown_says_so(string: ControlString) -> None:
    execution = shown(string)
    assert execution.errors[0]["ename"] == "ValueError" or execution.errors[0]["ename"].endswith(
        "DecodeError"
    )
    assert execution.display == []
