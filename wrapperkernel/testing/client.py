"""A client of a running kernel, for tests: it asks as a frontend does, and checks every answer as a whole.

It shares no code with the kernel's side of the wire, so that it is an independent check of any kernel, ours
or another. Sockets, waiting and single messages are in ``sockets``.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .execution import Exchange, Execution
from .schema import REPLY_OF, InvalidMessage, check_exchange
from .signer import Message
from .sockets import CHANNELS, KernelSockets
from .waiting import NothingCame, Watched, default_limit

__all__ = [
    "CHANNELS",
    "Exchange",
    "Execution",
    "InvalidMessage",
    "KernelClient",
    "NothingCame",
    "Watched",
    "default_limit",
]


class KernelClient(KernelSockets):
    """Speak with a kernel as a frontend does; use it in a ``with`` statement.

    ::

        with KernelClient("kernel-1.json") as client:
            client.wait_ready()
            assert client.execute("echo hello").stdout == "hello\\n"

    A client is for one thread. Any number may be connected to the same kernel; each has a session id and an
    identity of its own. A client that does not subscribe to all of iopub sees no idle, hence cannot use
    `execute`, `exchange` and `finish`. For the arguments see `KernelSockets`.
    """

    # ---- sending ---------------------------------------------------------------------------------------

    def request(
        self,
        channel: str,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        header: Mapping[str, Any] | None = None,
        buffers: Sequence[bytes] = (),
    ) -> str:
        """Send a request without waiting; return its msg_id. Any number may be in flight."""
        message = self.compose(msg_type, content, metadata=metadata, header=header, buffers=buffers)
        return self.send(channel, message)

    def execute_request(self, code: str, *, metadata: Mapping[str, Any] | None = None, **fields: Any) -> str:
        """Send an execute_request without waiting; return its msg_id. ``fields`` replace the defaults."""
        content = {
            "code": code,
            "silent": False,
            "store_history": not fields.get("silent", False),
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": True,
            **fields,
        }
        return self.request("shell", "execute_request", content, metadata=metadata)

    def answer(self, input_request: Message, value: str) -> None:
        """Answer an input_request on stdin."""
        self.send("stdin", self.compose("input_reply", {"value": value}, parent=input_request["header"]))

    # ---- waiting for a part of the answer --------------------------------------------------------------

    def reply(self, msg_id: str, limit: float | None = None) -> Message:
        """Wait for the reply to a request and return it; replies to others are kept for later."""
        request = self.sent[msg_id]
        reply = self.receive_of(request["channel"], msg_id, f"the reply to {self._named(msg_id)}", limit)
        wanted = REPLY_OF.get(request["msg_type"])
        if self.checking and reply["msg_type"] != wanted:
            raise InvalidMessage(
                f"the reply to {self._named(msg_id)}", [f"expected {wanted}, got {reply['msg_type']}"]
            )
        return reply

    def iopub_until_idle(self, msg_id: str, limit: float | None = None) -> list[Message]:
        """Wait for the idle of a request and return its iopub messages up to that; others are kept.

        The request may be another client's.
        """
        return self.iopub_until(
            msg_id,
            lambda message: message["content"].get("execution_state") == "idle",
            f"status idle of {self._named(msg_id)}",
            limit,
        )

    def iopub_until(
        self, msg_id: str, wanted: Callable[[Message], bool], what: str, limit: float | None = None
    ) -> list[Message]:
        """Wait for the iopub message of a request that is ``wanted``; return all of that request up to it.

        Args:
            msg_id: the request; ``""`` for messages without a parent.
            wanted: called with each message of that request.
            what: names in the failure what is waited for.
            limit: seconds for all of them together.
        """
        deadline = self._deadline(limit)
        messages: list[Message] = []
        while not messages or not wanted(messages[-1]):
            left = max(0.0, deadline - time.monotonic())
            messages.append(self.receive_of("iopub", msg_id, what, left))
        return messages

    # ---- whole exchanges -------------------------------------------------------------------------------

    def wait_ready(self, limit: float | None = None) -> Message:
        """Wait for iopub_welcome, which must be the first message of iopub, and then for a kernel_info_reply.

        Returns the reply. From then on nothing that the kernel publishes can be missed.
        """
        first = self.receive("iopub", limit)
        if first["msg_type"] != "iopub_welcome":
            raise InvalidMessage(
                "wait_ready", [f"the first message of iopub is {first['msg_type']}, not iopub_welcome"]
            )
        msg_id = self.request("shell", "kernel_info_request")
        if b"" not in self._topics:
            return self.reply(msg_id, limit)
        reply = self.finish(msg_id, limit).reply
        assert reply is not None
        return reply

    def exchange(
        self,
        channel: str,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        limit: float | None = None,
        **parts: Any,
    ) -> Exchange:
        """Send a request, wait for its reply (if its type gets one) and its idle, and check the whole.

        ``parts`` are metadata, header and buffers, as `request` takes them.
        """
        return self.finish(self.request(channel, msg_type, content, **parts), limit)

    def finish(self, msg_id: str, limit: float | None = None) -> Exchange:
        """Wait for the reply and the idle of a request that was sent before, and check the whole."""
        reply = self.reply(msg_id, limit) if self.sent[msg_id]["msg_type"] in REPLY_OF else None
        exchange = Exchange(self.sent[msg_id], reply, self.iopub_until_idle(msg_id, limit))
        self._check_exchange(exchange)
        return exchange

    def execute(
        self,
        code: str,
        *,
        answers: Iterable[str] = (),
        metadata: Mapping[str, Any] | None = None,
        limit: float | None = None,
        **fields: Any,
    ) -> Execution:
        """Run code and wait for everything that comes of it.

        Args:
            code: the cell.
            answers: to the kernel's questions for input, in order; with any, ``allow_stdin`` is true.
            metadata: of the request, such as ``{"cellId": "…"}``.
            limit: seconds for each of: a question or the reply, the idle.
            fields: of the request's content, to replace the defaults: ``silent=True`` and the like.
        """
        left = deque(answers)
        msg_id = self.execute_request(code, metadata=metadata, **{"allow_stdin": bool(left), **fields})
        return self.finish_execution(msg_id, left, limit)

    def finish_execution(
        self, msg_id: str, answers: Iterable[str] = (), limit: float | None = None
    ) -> Execution:
        """Wait for everything that comes of an execute_request that was sent before; see `execute`."""
        prompts = self._answer_until_reply(msg_id, deque(answers), limit)
        reply = self.reply(msg_id, limit)
        execution = Execution(self.sent[msg_id], reply, self.iopub_until_idle(msg_id, limit), prompts)
        self._check_exchange(execution)
        return execution

    def _answer_until_reply(self, msg_id: str, answers: deque[str], limit: float | None) -> list[Message]:
        """Answer the questions of a request until its reply has come; return the questions."""
        what, deadline = f"the reply to {self._named(msg_id)}", self._deadline(limit)
        channels = [channel for channel in ("shell", "stdin") if channel in self.sockets]
        prompts: list[Message] = []
        while not self._backlogs["shell"].holds(msg_id):
            prompt = self._backlogs["stdin"].take_of(msg_id) if "stdin" in channels else None
            if prompt is None:
                self._read(channels, what, deadline)
                continue
            if not answers:
                raise NothingCame(self._failure(f"no answer is left for the question {prompt['content']!r}"))
            self.answer(prompt, answers.popleft())
            prompts.append(prompt)
            deadline = self._deadline(limit)
        return prompts

    def _check_exchange(self, exchange: Exchange) -> None:
        replies = [] if exchange.reply is None else [exchange.reply]
        complaints = check_exchange(exchange.request, replies, exchange.messages) if self.checking else []
        if complaints:
            about = f"the answer to {self._named(exchange.request['header']['msg_id'])} is not right"
            raise InvalidMessage(about, complaints)

    def _named(self, msg_id: str) -> str:
        return f"{self.sent[msg_id]['msg_type']} {msg_id}" if msg_id in self.sent else f"request {msg_id}"
