"""Cells behind one that failed: refused if they had arrived, whoever sent them; and the queue by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wrapperkernel import Kernel
from wrapperkernel.kernel.dispatch import Entry
from wrapperkernel.kernel.request import Request
from wrapperkernel.server.channels import Interest
from wrapperkernel.server.shells import ShellQueue
from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess
from wrapperkernel.wake import Wake
from wrapperkernel.wire import Message, Session

Start = Callable[..., KernelProcess]
DoorMaker = Callable[[], Any]

FAIL = "raise ExecuteError('Failed', 'as told')"


def arrived(client: KernelClient) -> None:
    """Wait until all that the client has sent on shell has arrived: this is answered beside the cell."""
    client.reply(client.request("shell", "kernel_info_request"))


def refused(client: KernelClient, msg_id: str) -> bool:
    """Tell whether a cell was refused, in the form that is promised."""
    execution = client.finish_execution(msg_id)
    if execution.status == "ok":
        return False
    content = execution.content
    assert (content["status"], content["ename"], content["traceback"]) == ("error", "ExecutionAborted", [])
    assert isinstance(content["execution_count"], int)
    assert not [m for m in execution.messages if m["msg_type"] != "status"]
    return True


@pytest.mark.row("E10", file="server/shells.py", old="self._cells_refused = self._cells_arrived", new="pass")
@pytest.mark.row("E11")
def test_cells_behind_one_that_failed_are_refused_and_questions_are_not(
    kernel: KernelProcess, client: KernelClient, door: DoorMaker
) -> None:
    waiting = door()
    count = client.execute("1").content["execution_count"]
    with kernel.client() as other:
        other.wait_ready()
        failing = client.execute_request(f"{waiting.wait}\n{FAIL}")
        arrived(client)  # before anything of the other
        mine = [client.execute_request("say('ran')") for _ in range(3)]
        comm = client.request("shell", "comm_open", {"comm_id": "1", "target_name": "nobody", "data": {}})
        question = client.request("shell", "complete_request", {"code": "ker", "cursor_pos": 3})
        theirs = [other.execute_request("say('ran')") for _ in range(3)]
        for each in (client, other):
            arrived(each)
        waiting.open()
        assert client.finish_execution(failing).content["ename"] == "Failed"
        assert [refused(client, msg_id) for msg_id in mine] == [True] * 3
        assert [refused(other, msg_id) for msg_id in theirs] == [True] * 3
        assert client.finish(question).status == "ok"
        client.finish(comm)
        assert client.execute("say('next')").stdout == "next"
        assert client.execute("1").content["execution_count"] == count + 3


@pytest.mark.row("E10")
def test_error_and_three_cells_and_a_question_back_to_back(client: KernelClient, door: DoorMaker) -> None:
    """Sent in one go; those found on the socket when the reply leaves are refused, later ones run."""
    for _ in range(20):
        failing = client.execute_request(FAIL)
        cells = [client.execute_request("say('ran')") for _ in range(3)]
        question = client.request("shell", "complete_request", {"code": "ker", "cursor_pos": 3})
        assert client.finish_execution(failing).content["ename"] == "Failed"
        outcomes = [refused(client, msg_id) for msg_id in cells]
        assert outcomes == sorted(outcomes, reverse=True)  # none behind one that ran
        assert client.finish(question).status == "ok"


@pytest.mark.row("E10")
@pytest.mark.parametrize("fields", [{"stop_on_error": False}, {"silent": True}], ids=["told so", "silent"])
def test_a_failure_that_stops_nothing(client: KernelClient, door: DoorMaker, fields: dict[str, bool]) -> None:
    waiting = door()
    failing = client.execute_request(f"{waiting.wait}\n{FAIL}", **fields)
    behind = [client.execute_request("say('ran')") for _ in range(3)]
    arrived(client)
    waiting.open()
    assert client.finish_execution(failing).content["ename"] == "Failed"
    assert [client.finish_execution(msg_id).stdout for msg_id in behind] == ["ran"] * 3


@pytest.mark.row("E12")
@pytest.mark.parametrize("how", ["SIGINT", "interrupt_request"])
def test_cells_behind_one_that_was_interrupted_are_refused(
    kernel: KernelProcess, client: KernelClient, how: str
) -> None:
    cell = client.execute_request("import time; say('on'); time.sleep(1000)")
    behind = client.execute_request("say('ran')")
    arrived(client)
    client.iopub_until(cell, lambda message: message["msg_type"] == "stream", "the cell's word")
    if how == "SIGINT":
        kernel.interrupt()
    else:
        client.exchange("control", "interrupt_request")
    assert client.reply(cell)["content"]["ename"] == "KeyboardInterrupt"
    assert refused(client, behind)
    assert client.execute("say('next')").stdout == "next"


@pytest.mark.row("E11")
def test_the_status_of_old_is_there_for_who_asks(start: Start, door: DoorMaker) -> None:
    waiting = door()
    with start("--Kernel.abort_status=aborted") as kernel, kernel.client() as client:
        client.wait_ready()
        failing = client.execute_request(f"{waiting.wait}\n{FAIL}")
        behind = client.execute_request("say('ran')")
        arrived(client)
        waiting.open()
        assert client.reply(failing)["content"]["status"] == "error"
        client.checking = False  # the schema knows no such status
        assert client.reply(behind)["content"]["status"] == "aborted"


# --- the queue by itself --------------------------------------------------------------------------------


class Line:
    """A channel that gives the messages of a list, one a turn; its descriptor is never readable."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages
        self.wake = Wake()
        self._never = Wake()

    def fileno(self) -> int:
        return self._never.fileno()

    def receive(self, take: Callable[[Message], None], *, is_expected: bool = True) -> bool:
        if self.messages:
            take(self.messages.pop(0))
        return bool(self.messages)

    def close(self) -> None:
        self.wake.close()
        self._never.close()


SESSION = Session()


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line([])
    yield made
    made.close()


def test_more_messages_than_one_turn_takes_are_announced(line: Line) -> None:
    """libzmq announces no message twice: who leaves some behind must see to it that somebody looks."""
    kernel, interest, announced = Kernel(stores_history=False), Interest(), []

    def answer(kernel: Kernel, request: Request) -> dict[str, Any]:
        announced.append(line.wake.clear())
        request.ends_kernel = not line.messages
        return {}

    kernel.shell_requests["comm_msg"] = Entry(answer)
    line.messages += [SESSION.compose("comm_msg", {}) for _ in range(3)]
    queue = ShellQueue(kernel, lambda: None)
    interest.add(line.fileno())
    queue.start(line, interest)  # type: ignore[arg-type]
    queue.run()
    queue.stop()
    interest.close()
    assert [bool(each) for each in announced] == [True, True, False]
