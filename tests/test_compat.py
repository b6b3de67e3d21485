"""Kernels written for ipykernel run on this library once their imports name it."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapperkernel import compat
from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.harness import KernelHarness
from wrapperkernel.testing.process import start_kernel

# What a kernel written for ipykernel imports, and the line that takes its place.
IMPORTS = {
    "from ipykernel.kernelbase import Kernel": "from wrapperkernel.compat import Kernel",
    "from ipykernel.kernelapp import IPKernelApp": "from wrapperkernel.compat import IPKernelApp",
}


# --- PyPI's echo_kernel ---------------------------------------------------------------------------------


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """PyPI's echo_kernel with other import lines, in a folder from which it can be run."""
    spec = importlib.util.find_spec("echo_kernel")  # found, not imported: that would import ipykernel
    assert spec is not None
    assert spec.origin is not None
    (tmp_path / "echo_kernel").mkdir()
    changed = 0
    for file in Path(spec.origin).parent.glob("*.py"):
        source = file.read_text(encoding="utf-8")
        for old, new in IMPORTS.items():
            changed += source.count(old)
            source = source.replace(old, new)
        (tmp_path / "echo_kernel" / file.name).write_text(source, encoding="utf-8")
    assert changed == len(IMPORTS)
    return tmp_path


def check_echo(client: KernelHarness | KernelClient) -> None:
    exchange = client.execute("hello\nworld")
    assert (exchange.status, exchange.stdout) == ("ok", "hello\nworld")
    assert exchange.content["execution_count"] == 1
    assert client.execute("quiet", silent=True).messages[1:-1] == []
    assert client.execute("again").content["execution_count"] == 2
    assert (
        client.execute("x", user_expressions={"x": "x"}).content["user_expressions"]["x"]["status"] == "error"
    )


def test_echo_kernel_in_memory(moved: Path) -> None:
    scope: dict[str, Any] = {"__name__": "echo_kernel.kernel"}
    exec((moved / "echo_kernel" / "kernel.py").read_text(encoding="utf-8"), scope)
    with KernelHarness(scope["EchoKernel"]) as harness:
        check_echo(harness)
        info = harness.request("kernel_info_request", {}).content
        assert (info["implementation"], info["language_info"]["name"]) == ("Echo", "Any text")
        assert harness.complete("x").content["matches"] == []
        assert harness.is_complete("x").content["status"] == "unknown"
        assert harness.inspect("x").content["found"] is False


def test_echo_kernel_by_its_own_main(moved: Path) -> None:
    with (
        start_kernel([sys.executable, "-m", "echo_kernel"], cwd=moved) as kernel,
        kernel.client() as client,
    ):
        client.wait_ready()
        check_echo(client)
        client.exchange("control", "shutdown_request", {"restart": False})
        assert kernel.wait() == 0
        assert kernel.stderr == ""


# --- what kernels of that time do --------------------------------------------------------------------


class Classic(compat.Kernel):
    """Has the signatures of ipykernel's base class; a cell is JSON that says what to do."""

    implementation = "classic"
    implementation_version = "0.9"
    language = "json"
    language_version = "1"
    language_info = {"name": "json", "mimetype": "application/json", "file_extension": ".json"}
    _banner = None

    @property
    def banner(self) -> str:  # type: ignore[override]
        if self._banner is None:
            self._banner = "made when asked for"  # type: ignore[assignment]
        return str(self._banner)

    def __init__(self, **kwargs: Any) -> None:
        compat.Kernel.__init__(self, **kwargs)
        self.log.debug("made")
        self.closed: list[bool] = []

    def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
    ) -> dict[str, Any]:
        asked = json.loads(code)
        for msg_type, content in asked.get("send", []):
            self.send_response(self.iopub_socket, msg_type, content)
        if "ask" in asked:
            answer = self.raw_input(asked["ask"])
            secret = self.getpass("secret?")
            self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": answer + secret})
        if asked.get("interrupt"):
            return {"status": "abort", "execution_count": self.execution_count}
        if asked.get("fail"):
            content = {"ename": "", "evalue": "3", "traceback": asked["fail"]}
            self.send_response(self.iopub_socket, "error", content)
            content["execution_count"] = self.execution_count
            content["status"] = "error"
            return content
        return {
            "status": "ok",
            "execution_count": self.execution_count,
            "payload": asked.get("payload", []),
            "user_expressions": {},
        }

    def do_complete(self, code: str, cursor_pos: int) -> dict[str, Any]:
        return {
            "matches": ["true"],
            "cursor_start": 0,
            "cursor_end": cursor_pos,
            "metadata": {},
            "status": "ok",
        }

    def do_inspect(
        self, code: str, cursor_pos: int, detail_level: int = 0, omit_sections: Any = ()
    ) -> dict[str, Any]:
        return {"status": "ok", "data": {}, "metadata": {}, "found": False}

    def do_is_complete(self, code: str) -> dict[str, str]:
        return {"status": "incomplete", "indent": ""}

    def do_history(
        self,
        hist_access_type: str,
        output: bool,
        raw: bool,
        session: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        n: int | None = None,
        pattern: str | None = None,
        unique: bool = False,
    ) -> dict[str, Any]:
        return {"status": "ok", "history": [(0, 1, "one"), (0, 2, "two")][-(n or 0) :]}

    def do_shutdown(self, restart: bool) -> dict[str, Any]:
        self.closed.append(restart)
        return {"status": "ok", "restart": restart}


@pytest.fixture
def classic() -> Iterator[KernelHarness]:
    with KernelHarness(Classic, answers=["Ada", "word"]) as harness:
        yield harness


def sends(*messages: tuple[str, Any], **more: Any) -> str:
    return json.dumps({"send": messages, **more})


def test_the_facts_of_a_classic_kernel(classic: KernelHarness) -> None:
    info = classic.request("kernel_info_request", {}).content
    assert info["banner"] == "made when asked for"
    assert info["language_info"]["version"] == "0.9"


def test_the_hooks_of_a_classic_kernel(classic: KernelHarness) -> None:
    assert classic.complete("tr").content["matches"] == ["true"]
    assert classic.inspect("x").content["found"] is False
    assert classic.is_complete("{").content == {"status": "incomplete", "indent": ""}
    asked = {"hist_access_type": "tail", "output": False, "raw": True, "n": 1}
    assert classic.request("history_request", asked).content["history"] == [[0, 2, "two"]]
    exchange = classic.request("shutdown_request", {"restart": True})
    assert exchange.content["restart"] is True
    assert classic.kernel.closed == [True]


def test_send_response_fills_in_what_is_missing(classic: KernelHarness) -> None:
    exchange = classic.execute(
        sends(
            ("stream", {"name": "stderr", "text": "a"}),
            ("stream", {"text": "b"}),
            ("display_data", {"data": {"text/plain": "c"}}),
            ("display_data", {"data": {"text/plain": "d"}, "transient": {"display_id": "1"}}),
            ("update_display_data", {"data": {"text/plain": "e"}, "transient": {"display_id": "1"}}),
            ("execute_result", {"data": {"text/plain": "f"}}),
            ("execute_result", {"data": {"text/html": "g"}, "metadata": {"a": 1}, "execution_count": 1}),
            ("clear_output", {}),
            ("clear_output", None),
        )
    )
    assert exchange.status == "ok"
    assert (exchange.stdout, exchange.stderr) == ("b", "a")
    assert [content["metadata"] for content in exchange.display] == [{}, {}]
    assert [content["execution_count"] for content in exchange.results] == [1, 1]
    assert exchange.results[1]["data"] == {"text/html": "g", "text/plain": ""}
    assert exchange.contents("clear_output") == [{"wait": False}] * 2
    assert len(exchange.contents("update_display_data")) == 1


def test_send_response_is_silent_in_silent_cells(classic: KernelHarness) -> None:
    code = sends(("stream", {"text": "b"}), ("display_data", {"data": {}}), fail=["x"])
    exchange = classic.execute(code, silent=True)
    assert [message["msg_type"] for message in exchange.messages] == ["status", "status"]
    assert exchange.status == "error"


@pytest.mark.row("E7")
@pytest.mark.row("E8")
@pytest.mark.parametrize("lines", [["a", "b"], "a\nb"])
def test_an_error_sent_and_returned_is_one_error(classic: KernelHarness, lines: Any) -> None:
    exchange = classic.execute(json.dumps({"fail": lines}))
    assert exchange.errors == [{"ename": "Error", "evalue": "3", "traceback": ["a", "b"]}]
    assert exchange.content["execution_count"] == 1
    assert exchange.content["ename"] == "Error"


@pytest.mark.row("E12")
def test_an_abort_is_an_error_and_is_published(classic: KernelHarness) -> None:
    exchange = classic.execute('{"interrupt": true}')
    assert (exchange.status, exchange.content["ename"]) == ("error", "KeyboardInterrupt")
    assert [error["ename"] for error in exchange.errors] == ["KeyboardInterrupt"]


def test_blank_cells_count_as_of_old(classic: KernelHarness) -> None:
    assert classic.execute("").status == "ok"
    assert classic.execute("{}").content["execution_count"] == 1


def test_payloads_of_old(classic: KernelHarness) -> None:
    page = {"source": "page", "data": {"text/plain": "help"}, "start_line_number": 0}
    (payload,) = classic.execute(json.dumps({"payload": [page]})).content["payload"]
    assert payload == {**page, "start": 0}


def test_raw_input_and_getpass(classic: KernelHarness) -> None:
    exchange = classic.execute('{"ask": "name?"}')
    assert exchange.stdout == "Adaword"
    assert [prompt["content"]["password"] for prompt in exchange.prompts] == [False, True]


class Refused(compat.Kernel):
    def do_execute(self, code: str, silent: bool, *args: Any) -> None:
        try:
            self.raw_input("?")
        except compat.StdinNotImplementedError as error:
            self.send_response(self.iopub_socket, "stream", {"text": str(error)})


def test_input_that_is_not_allowed_has_its_old_name() -> None:
    with KernelHarness(Refused) as harness:
        assert "cannot be asked" in harness.execute("x", allow_stdin=False).stdout


class Looking(compat.Kernel):
    def do_execute(self, code: str, silent: bool, **rest: Any) -> None:
        header = self.get_parent()["header"]
        assert header == self._parent_header["header"]
        assert self._allow_stdin is True
        self.send_response(self.iopub_socket, "stream", {"text": header["msg_id"]})


def test_what_kernels_look_at() -> None:
    with KernelHarness(Looking) as harness:
        exchange = harness.execute("x")
        assert exchange.stdout == exchange.request["header"]["msg_id"]
        assert harness.kernel.get_parent()["header"] == exchange.request["header"]  # the latest cell's
        assert harness.kernel._allow_stdin is False
