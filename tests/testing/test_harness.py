"""The harness: a kernel in memory, driven and checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toys.plain import PlainKernel

from wrapperkernel import Kernel
from wrapperkernel.testing import InvalidMessage, KernelHarness

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


def test_a_cell_and_what_it_published() -> None:
    with KernelHarness(PlainKernel) as kernel:
        execution = kernel.execute("print out\nerr red\nresult 42\npng", metadata={"cellId": "cell-1"})
        assert kernel.kernel.offered["cell_id"] == "cell-1"  # type: ignore[attr-defined]
        assert kernel.execute("print unheard", silent=True).stdout == ""
    assert (execution.status, execution.stdout, execution.stderr) == ("ok", "out\n", "red\n")
    assert [result["data"]["text/plain"] for result in execution.results] == ["42"]
    assert list(execution.display[0]["data"]) == ["image/png", "text/plain"]
    assert execution.content["execution_count"] == 1


def test_questions_are_answered_in_order_until_the_input_ends() -> None:
    with KernelHarness(PlainKernel, answers=["Ada", "secret"]) as kernel:
        assert kernel.execute("ask Who?\npassword Key?").stdout == "answer: Ada\nletters: 6\n"
        assert kernel.execute("ask More?").content["ename"] == "EOFError"
    assert [question["prompt"] for question in kernel.questions] == ["Who?", "Key?", "More?"]


def test_other_requests() -> None:
    with KernelHarness(PlainKernel) as kernel:
        assert kernel.complete("pass me", 4).content["matches"] == ["password"]
        assert kernel.complete("pass").content["cursor_end"] == 4
        assert kernel.inspect("print it", 2).content["found"] is True
        assert kernel.inspect("print", detail_level=1).content["data"]["text/plain"].endswith("that is all")
        assert kernel.is_complete("print \\").status == "incomplete"
        info = kernel.request("kernel_info_request", channel="control")
        assert info.content["implementation"] == "plain_toy"
        opened = kernel.request(
            "comm_open", {"comm_id": "c", "target_name": "toy.echo", "data": {}}, buffers=(b"x",)
        )
        assert opened.reply is None
        assert opened.contents("comm_msg")[0]["data"] == {"text": "welcome"}


def test_traits_are_those_of_the_kernel_and_history_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    with KernelHarness(PlainKernel, abort_status="aborted") as kernel:
        assert kernel.kernel.abort_status == "aborted"
        kernel.execute("print 1")
        asked = {"hist_access_type": "tail", "n": 5}
        assert [entry[2] for entry in kernel.request("history_request", asked).content["history"]] == [
            "print 1"
        ]
    assert list(tmp_path.rglob("*")) == []


def test_an_interrupt_from_within_a_hook() -> None:
    class Interrupted(Kernel):
        def do_execute(self, code: str) -> None:
            self.iopub.stream("before")
            harness.interrupt()
            self.iopub.stream("behind")

    with KernelHarness(Interrupted) as harness:
        execution = harness.execute("x")
        assert (execution.content["ename"], execution.stdout) == ("KeyboardInterrupt", "before")
        assert harness.complete("x").status == "ok"


def test_leaving_shuts_the_kernel_down() -> None:
    class Ending(Kernel):
        ended = 0

        def do_shutdown(self, restart: bool) -> None:
            self.ended += 1

    with KernelHarness(Ending) as harness:
        pass
    assert harness.kernel.ended == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("breaks", "complaint"),
    [
        (lambda kernel: kernel.iopub.send("stream", {"name": "stdout"}), "content.text: missing"),
        (lambda kernel: kernel.iopub.send("status", {"execution_state": "idle"}), "idle"),
    ],
)
def test_what_breaks_the_protocol_is_said(breaks: Callable[[Kernel], Any], complaint: str) -> None:
    class Breaking(Kernel):
        def do_execute(self, code: str) -> None:
            breaks(self)

    with KernelHarness(Breaking) as harness, pytest.raises(InvalidMessage, match=complaint):
        harness.execute("x")


def test_the_page_shows_how() -> None:
    """Run the tests that stand in docs/testing.md, and its other examples."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    called = 0
    for block in blocks:
        names: dict[str, Any] = {}
        exec(compile(block, str(PAGE), "exec"), names)
        for name, test in names.items():
            if name.startswith("test_"):
                test()
                called += 1
    assert called == 3
