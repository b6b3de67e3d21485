"""Beside a running cell: what is answered at once, what waits its turn, and what frontends see meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.process import KernelProcess

Start = Callable[..., KernelProcess]
DoorMaker = Callable[[], Any]

QUESTIONS: dict[str, dict[str, Any]] = {
    "complete_request": {"code": "kern", "cursor_pos": 4},
    "inspect_request": {"code": "kernel", "cursor_pos": 3, "detail_level": 0},
    "is_complete_request": {"code": "kernel"},
    "history_request": {"hist_access_type": "tail", "n": 3, "raw": True, "output": False},
    "kernel_info_request": {},
    "comm_info_request": {},
}


@pytest.fixture(scope="module")
def shy(start: Start) -> Iterator[KernelProcess]:
    """A kernel that says nothing of what may run beside a cell."""
    with start("shy") as process:
        yield process


def busy_again(client: KernelClient, msg_id: str, cell: str) -> None:
    """Read the bracket of a request, and behind it, at once, the busy of the cell."""
    seen = []
    while len(seen) < 3:
        message = client.receive("iopub")
        if message["msg_type"] == "status":
            seen.append((message["parent_header"].get("msg_id"), message["content"]["execution_state"]))
    assert seen == [(msg_id, "busy"), (msg_id, "idle"), (cell, "busy")]


def begun(client: KernelClient, code: str) -> str:
    """Send a cell and read its iopub messages until it has begun."""
    cell = client.execute_request(code)
    client.iopub_until(cell, lambda message: message["msg_type"] == "execute_input", "the cell's beginning")
    return cell


def ended(client: KernelClient, cell: str) -> dict[str, Any]:
    """Wait for the end of a cell that `begun` began, and return the content of its reply."""
    reply = client.reply(cell)
    client.iopub_until_idle(cell)
    return dict(reply["content"])


@pytest.mark.row("Q5", "Q8", "R4")
def test_questions_are_answered_while_a_cell_runs(client: KernelClient, door: DoorMaker) -> None:
    waiting = door()
    cell = begun(client, waiting.wait)
    for msg_type, content in QUESTIONS.items():
        msg_id = client.request("shell", msg_type, content)
        assert client.reply(msg_id)["content"].get("status") in ("ok", "complete")
        busy_again(client, msg_id, cell)
    waiting.open()
    assert client.reply(cell)["content"]["status"] == "ok"
    last = client.receive("iopub")
    assert (last["parent_header"]["msg_id"], last["content"]) == (cell, {"execution_state": "idle"})


@pytest.mark.row("Q15", "T7")
def test_control_is_answered_too_and_says_the_same(client: KernelClient, door: DoorMaker) -> None:
    waiting = door()
    cell = begun(client, waiting.wait)
    for _ in range(5):
        msg_id = client.request("control", "kernel_info_request")
        assert client.reply(msg_id)["content"]["status"] == "ok"
        busy_again(client, msg_id, cell)
    waiting.open()
    assert ended(client, cell)["status"] == "ok"


@pytest.mark.row("R4", file="kernel/kernel.py", old="return not overridden or", new="return True or")
@pytest.mark.parametrize("msg_type", ["complete_request", "inspect_request", "is_complete_request"])
def test_where_the_kernel_does_not_say_so_questions_wait_their_turn(
    shy: KernelProcess, door: DoorMaker, msg_type: str
) -> None:
    waiting = door()
    with shy.client() as client:
        client.wait_ready()
        cells = [client.execute_request(waiting.wait)]
        question = client.request("shell", msg_type, QUESTIONS[msg_type])
        cells.append(client.execute_request("say('behind')"))
        # Hooks of the library's own are harmless anywhere; and they show that the question has arrived.
        assert client.reply(client.request("shell", "kernel_info_request"))["content"]["status"] == "ok"
        waiting.open()
        order = [client.receive("shell")["parent_header"]["msg_id"] for _ in range(3)]
        assert order == [cells[0], question, cells[1]]
        states = []
        while (cells[1], "idle") not in states:
            message = client.receive("iopub")
            if message["msg_type"] == "status" and message["parent_header"].get("msg_id") in order:
                states.append((message["parent_header"]["msg_id"], message["content"]["execution_state"]))
        first_idle = states.index((cells[0], "idle"))
        assert {msg_id for msg_id, _ in states[: first_idle + 1]} == {cells[0]}
        assert states[first_idle + 1 :] == [(m, s) for m in order[1:] for s in ("busy", "idle")]


@pytest.mark.row("R4")
def test_what_is_answered_beside_is_answered_one_at_a_time(
    kernel: KernelProcess, client: KernelClient, door: DoorMaker
) -> None:
    in_cell, in_question = door(), door()
    client.execute(
        "inside = 0\n"
        "def alone():\n"
        "    global inside\n"
        "    inside += 1\n"
        "    assert inside == 1\n"
        "    import time; time.sleep(0.001)\n"
        "    inside -= 1\n"
        "def wait_once():\n"
        "    del kernel.names['on_inspect']\n"
        "    say('asked')\n"
        "    alone()\n"
        f"    {in_question.wait}\n"
        "on_complete = on_is_complete = alone\n"
        "on_inspect = wait_once"
    )
    with kernel.client() as other:
        other.wait_ready()
        cell = begun(client, in_cell.wait)
        first = client.request("shell", "inspect_request", QUESTIONS["inspect_request"])
        client.iopub_until(first, lambda message: message["msg_type"] == "stream", "the question's hook")
        rest = [
            (each, each.request("shell", msg_type, QUESTIONS[msg_type]))
            for _ in range(10)
            for each in (client, other)
            for msg_type in ("complete_request", "is_complete_request")
        ]
        # Also when the cell has ended meanwhile: the hook is safe beside a cell, but not beside itself.
        in_cell.open()
        assert ended(client, cell)["status"] == "ok"
        assert client.execute("say('not held up')").stdout == "not held up"
        in_question.open()
        assert client.reply(first)["content"]["status"] == "ok"
        for each, msg_id in rest:
            assert each.reply(msg_id)["content"]["status"] in ("ok", "complete")
        client.execute("del kernel.names['on_complete'], kernel.names['on_is_complete']")


def test_an_interrupt_ends_the_cell_and_not_the_question_beside_it(
    client: KernelClient, door: DoorMaker
) -> None:
    in_question = door()
    client.execute(
        f"def wait_once():\n    del kernel.names['on_complete']\n    say('asked')\n    {in_question.wait}\n"
        "on_complete = wait_once"
    )
    cell = begun(client, "import time; time.sleep(1000)")
    question = client.request("shell", "complete_request", QUESTIONS["complete_request"])
    client.iopub_until(question, lambda message: message["msg_type"] == "stream", "the question's hook")
    assert client.exchange("control", "interrupt_request").status == "ok"
    assert ended(client, cell)["ename"] == "KeyboardInterrupt"
    in_question.open()
    assert client.reply(question)["content"]["status"] == "ok"
    client.iopub_until_idle(question)


def test_a_question_beside_that_fails_is_its_own_affair(client: KernelClient, door: DoorMaker) -> None:
    waiting = door()
    client.execute(
        "def fail():\n"
        "    del kernel.names['on_complete']\n"
        "    raise ValueError('as told')\n"
        "on_complete = fail"
    )
    cell = begun(client, waiting.wait)
    question = client.request("shell", "complete_request", QUESTIONS["complete_request"])
    assert client.reply(question)["content"]["ename"] == "ValueError"
    waiting.open()
    assert ended(client, cell)["status"] == "ok"
    assert client.finish(client.execute_request("1")).status == "ok"
