"""The base class as authors and servers use it: facts, settings, what may run beside a cell, its end."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from toys.asynchronous import AsyncKernel
from toys.plain import PlainKernel
from traitlets import Integer
from traitlets.config import Config

import wrapperkernel
from wrapperkernel import Kernel
from wrapperkernel.kernel.outbox import Nowhere
from wrapperkernel.kernel.stdin import always
from wrapperkernel.testing.harness import KernelHarness
from wrapperkernel.wire import Session


def test_the_names_an_author_imports() -> None:
    assert set(wrapperkernel.__all__) >= {"Kernel", "run", "ExecuteError", "MimeBundle"}
    for name in wrapperkernel.__all__:
        assert getattr(wrapperkernel, name) is not None
    assert set(wrapperkernel.__all__) <= set(dir(wrapperkernel))
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        wrapperkernel.nothing  # noqa: B018


def test_making_a_kernel_does_nothing_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    kernel = PlainKernel()
    assert kernel.seen == []
    assert kernel.request is None
    assert list(tmp_path.iterdir()) == []
    kernel.close()
    assert list(tmp_path.iterdir()) == []


def test_facts_may_be_class_attributes_properties_or_set_in_the_constructor() -> None:
    class Facts(Kernel):
        implementation = "facts"

        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.banner = "made here"

        @property
        def implementation_version(self) -> str:  # type: ignore[override]
            return "1." + "2"

    with KernelHarness(Facts) as harness:
        content = harness.request("kernel_info_request", {}).content
    assert (content["implementation"], content["implementation_version"]) == ("facts", "1.2")
    assert content["banner"] == "made here"


def test_a_fact_of_a_wrong_type_is_an_error_reply_and_not_silence() -> None:
    class Wrong(Kernel):
        help_links = 5  # type: ignore[assignment]

    with KernelHarness(Wrong) as harness:
        assert harness.request("kernel_info_request", {}).status == "error"
        assert harness.is_complete("x").content["status"] == "unknown"


def test_traits_of_a_kernel_are_configurable() -> None:
    class Configured(Kernel):
        depth = Integer(3, help="How deep.").tag(config=True)

    config = Config()
    config.Configured.depth = 7
    config.Kernel.abort_status = "aborted"
    kernel = Configured(config=config)
    assert (kernel.depth, kernel.abort_status, Configured().depth) == (7, "aborted", 3)


def test_two_kernels_share_nothing() -> None:
    one, other = PlainKernel(), PlainKernel()
    one.shell_requests.clear()
    one.comms.register_target("mine", lambda comm, message: None)
    one.execution_count += 1
    assert other.shell_requests
    assert other.execution_count == 0


def test_a_kernel_can_be_connected_later() -> None:
    class Keeping(Nowhere):
        def __init__(self) -> None:
            self.sent: list[Any] = []

        def send(self, channel: Any, message: Any) -> None:
            self.sent.append(message)

    kernel, outbox, session = PlainKernel(), Keeping(), Session()
    kernel.iopub.stream("lost")
    kernel.connect(outbox, session)
    kernel.iopub.stream("said")
    assert [message.content["text"] for message in outbox.sent] == ["said"]
    assert outbox.sent[0].session == session.id


def test_a_kernel_that_is_connected_to_nobody_cannot_ask() -> None:
    question = Session().compose("input_request", {"prompt": "", "password": False})
    assert Nowhere().ask(question, always) == "\x04"
    Nowhere().reconsider()


# --- beside a running cell ------------------------------------------------------------------------------

BESIDE = ["complete_request", "inspect_request", "is_complete_request", "history_request"]


def beside(kernel: Kernel) -> set[str]:
    everything = {*kernel.shell_requests, "frobnicate_request"}
    return {msg_type for msg_type in everything if kernel.may_answer_beside(msg_type)}


def test_hooks_that_are_not_overridden_may_run_beside_a_cell() -> None:
    assert beside(Kernel()) == {*BESIDE, "kernel_info_request", "comm_info_request"}


def test_overridden_hooks_wait_their_turn_unless_the_kernel_says_otherwise() -> None:
    class Careful(Kernel):
        def do_complete(self, code: str) -> None:
            pass

        def do_inspect(self, code: str) -> None:
            pass

    class Bold(Careful):
        beside = frozenset({"do_complete"})

    assert beside(Careful()) == {
        *("is_complete_request", "history_request", "kernel_info_request", "comm_info_request")
    }
    assert beside(Bold()) == beside(Careful()) | {"complete_request"}
    assert beside(AsyncKernel()) == beside(Kernel())


def test_hooks_of_a_mixin_count_as_overridden() -> None:
    class Completing:
        def do_complete(self, code: str) -> None:
            pass

    class Mixed(Completing, Kernel):
        pass

    assert not Mixed().may_answer_beside("complete_request")


def test_requests_that_change_something_never_run_beside_a_cell() -> None:
    class Reckless(Kernel):
        beside = frozenset({"do_execute", "do_shutdown", "do_complete"})

        def do_execute(self, code: str) -> None:
            pass

    assert not {"execute_request", "shutdown_request", "comm_open", "comm_msg", "comm_close"} & beside(
        Reckless()
    )


def test_a_request_that_was_taken_out_of_the_table_is_not_answered_beside() -> None:
    kernel = Kernel()
    del kernel.shell_requests["complete_request"]
    assert not kernel.may_answer_beside("complete_request")


# --- logging and the end ----------------------------------------------------------------------------------


def test_the_errors_of_hooks_are_logged_with_their_traceback(caplog: pytest.LogCaptureFixture) -> None:
    with KernelHarness(PlainKernel) as harness:
        for hook in ("do_execute", "do_complete", "do_evaluate"):
            caplog.clear()
            harness.kernel.behaviour = {hook: "raise"}
            harness.execute("none", user_expressions={"x": "x"})
            harness.complete("x")
            assert "ValueError: as told" in caplog.text
            assert caplog.records[0].levelno == logging.ERROR
        harness.kernel.behaviour = {}


@pytest.mark.parametrize("how", ["fail", "interrupt"])
def test_failures_of_the_language_and_interrupts_are_not_errors_of_the_kernel(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with KernelHarness(PlainKernel) as harness:
        harness.execute(f"misbehave {how}")
        harness.execute("none", user_expressions={"x": "no such name"})
    assert caplog.text == ""


def test_a_kernels_log_is_its_attribute(caplog: pytest.LogCaptureFixture) -> None:
    class Logging(Kernel):
        def do_execute(self, code: str) -> None:
            self.log.warning("seen: %s", code)

    with KernelHarness(Logging) as harness:
        harness.execute("x")
    assert "seen: x" in caplog.text


def test_the_hooks_of_start_and_end_are_called_once() -> None:
    harness = KernelHarness(PlainKernel)
    harness.execute("none")
    harness.close()
    assert harness.kernel.seen == ["do_start", "do_shutdown"]


def test_a_closed_kernel_keeps_no_history_open(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    harness = KernelHarness(PlainKernel, stores_history=True, history_file=str(file))
    harness.execute("print x")
    harness.close()
    assert file.stat().st_mode & 0o777 == 0o600
    assert harness.kernel.history.tail(5) == []
