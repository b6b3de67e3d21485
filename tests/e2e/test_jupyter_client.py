"""jupyter_client's blocking and async clients: every request, a question, interrupts, a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import AsyncKernelManager, KernelManager

pytestmark = pytest.mark.usefixtures("kernels")

LIMIT = 60.0  # seconds; only a broken kernel needs them


def with_blocking(do: Callable[[KernelManager, Any], None]) -> None:
    """Call a function with a manager of the toy and a blocking client that is ready."""
    manager = KernelManager(kernel_name="plain-toy")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=LIMIT)
        do(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
        manager.context.destroy()


def with_async(do: Callable[[AsyncKernelManager, Any], Awaitable[None]]) -> None:
    """Await a function of a manager of the toy and an async client that is ready."""

    async def run() -> None:
        manager = AsyncKernelManager(kernel_name="plain-toy")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=LIMIT)
            await do(manager, client)
        finally:
            client.stop_channels()
            await manager.shutdown_kernel()
            manager.context.destroy()

    asyncio.run(run())


class Shown:
    """What ``execute_interactive`` would show."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def __call__(self, message: dict[str, Any]) -> None:
        self.messages.append(message)

    @property
    def text(self) -> str:
        streams = [each["content"] for each in self.messages if each["msg_type"] == "stream"]
        return "".join(content["text"] for content in streams)


def check_replies(replies: dict[str, dict[str, Any]]) -> None:
    """Check what the toy replies to ``questions``."""
    for name, reply in replies.items():
        assert reply["msg_type"] == f"{name}_reply"
    contents = {name: reply["content"] for name, reply in replies.items()}
    assert contents["execute"]["execution_count"] == 1
    assert contents["complete"]["matches"] == ["page", "password"]
    assert contents["inspect"]["data"] == {"text/plain": "page is a command"}
    assert contents["history"]["history"][-1][2] == "let x 1"
    assert contents["comm_info"]["comms"] == {}
    assert contents["kernel_info"]["implementation"] == "plain_toy"


def questions(client: Any) -> dict[str, Any]:
    """Return a call for each shell request; each waits for its reply."""
    wait = {"reply": True, "timeout": LIMIT}
    return {
        "execute": lambda: client.execute("let x 1", **wait),
        "complete": lambda: client.complete("pa", **wait),
        "inspect": lambda: client.inspect("page", **wait),
        "history": lambda: client.history(hist_access_type="tail", n=3, **wait),
        "comm_info": lambda: client.comm_info(**wait),
        "kernel_info": lambda: client.kernel_info(**wait),
    }


# --- blocking -------------------------------------------------------------------------------------------


def test_blocking_requests() -> None:
    def do(manager: KernelManager, client: Any) -> None:
        check_replies({name: ask() for name, ask in questions(client).items()})
        asked = client.is_complete("print \\")
        while (reply := client.get_shell_msg(timeout=LIMIT))["parent_header"]["msg_id"] != asked:
            continue
        assert reply["content"]["status"] == "incomplete"

    with_blocking(do)


def test_blocking_interactive() -> None:
    def do(manager: KernelManager, client: Any) -> None:
        shown = Shown()
        asked: list[dict[str, Any]] = []

        def answer(message: dict[str, Any]) -> None:
            asked.append(message["content"])
            client.input("Ada")

        reply = client.execute_interactive(
            "ask Who?\nerr oh\nraise Toy error", output_hook=shown, stdin_hook=answer, timeout=LIMIT
        )
        assert asked == [{"prompt": "Who?", "password": False}]
        assert shown.text == "answer: Ada\noh\n"
        assert reply["content"]["ename"] == "Toy"
        assert [each["content"]["ename"] for each in shown.messages if each["msg_type"] == "error"] == ["Toy"]

    with_blocking(do)


def test_blocking_restart() -> None:
    def do(manager: KernelManager, client: Any) -> None:
        before = client.execute("let x 1", reply=True, timeout=LIMIT)
        file = Path(manager.connection_file)
        connection = file.read_text()
        manager.restart_kernel()
        client.wait_for_ready(timeout=LIMIT)
        after = client.execute("let x 1", reply=True, timeout=LIMIT)
        assert before["header"]["session"] != after["header"]["session"]
        assert after["content"]["execution_count"] == 1
        assert json.loads(connection) == json.loads(file.read_text())

    with_blocking(do)


# --- async ----------------------------------------------------------------------------------------------


def test_async_requests() -> None:
    async def do(manager: AsyncKernelManager, client: Any) -> None:
        check_replies({name: await ask() for name, ask in questions(client).items()})
        asked = client.is_complete("print \\")
        assert (await reply_to(client, asked))["content"]["status"] == "incomplete"

    with_async(do)


def test_async_many_at_once() -> None:
    async def do(manager: AsyncKernelManager, client: Any) -> None:
        sent = [client.execute(f"print {number}") for number in range(50)]
        replies = [await reply_to(client, sent[0])]
        replies += [await client.get_shell_msg(timeout=LIMIT) for _ in sent[1:]]
        assert [reply["parent_header"]["msg_id"] for reply in replies] == sent

    with_async(do)


def test_async_restart_while_a_cell_runs() -> None:
    async def do(manager: AsyncKernelManager, client: Any) -> None:
        before = await client.execute("let x 1", reply=True, timeout=LIMIT)
        client.execute("sleep 1000")
        await until_busy_with(client, "sleep 1000")
        await manager.restart_kernel()
        await client.wait_for_ready(timeout=LIMIT)
        shown = Shown()
        after = await client.execute_interactive("count", output_hook=shown, timeout=LIMIT)
        assert before["header"]["session"] != after["header"]["session"]
        assert shown.text == "1\n"
        assert await manager.is_alive()

    with_async(do)


@pytest.mark.parametrize("mode", ["signal", "message"])
@pytest.mark.parametrize("code", ["sleep 1000", "spin 1000", "ask Who?"])
def test_async_interrupt(mode: str, code: str) -> None:
    async def do(manager: AsyncKernelManager, client: Any) -> None:
        assert manager.kernel_spec is not None
        manager.kernel_spec.interrupt_mode = mode
        interrupted = client.execute(code)
        queued = client.execute("print queued")
        await until_busy_with(client, code)
        if code.startswith("ask"):
            await client.get_stdin_msg(timeout=LIMIT)
        await manager.interrupt_kernel()
        assert (await reply_to(client, interrupted))["content"]["ename"] == "KeyboardInterrupt"
        assert (await reply_to(client, queued))["content"]["ename"] == "ExecutionAborted"
        shown = Shown()
        await client.execute_interactive("print still here", output_hook=shown, timeout=LIMIT)
        assert "still here\n" in shown.text

    with_async(do)


async def until_busy_with(client: Any, code: str) -> None:
    """Wait until the kernel has said that it runs this code."""
    while True:
        message = await client.get_iopub_msg(timeout=LIMIT)
        if message["msg_type"] == "execute_input" and message["content"]["code"] == code:
            return


async def reply_to(client: Any, msg_id: str) -> Any:
    """Return the reply to a request; before it may lie answers to questions of ``wait_for_ready``."""
    while True:
        reply = await client.get_shell_msg(timeout=LIMIT)
        if reply["parent_header"]["msg_id"] == msg_id:
            return reply
