"""A kernel in memory: requests in, messages out, no socket, no thread, no process.

For the tests of kernel authors, and for ours. Every message that comes out is checked by the schema.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..interrupts import Interrupts, shielded
from ..kernel import dispatch
from ..kernel.kernel import Kernel
from ..kernel.outbox import ChannelName
from ..kernel.request import Request
from ..wire import Message, Session
from . import schema
from .exchange import check_exchange
from .execution import Exchange, Execution
from .signer import Message as Received
from .signer import unpack


class KernelHarness:
    """Drive a kernel without a process: ``KernelHarness(MyKernel).execute("code").stdout``.

    ``answers`` are given to input requests one after another; every question asked is in ``questions``.
    A harness is a context manager; ``close`` ends the kernel as the server would.
    """

    def __init__(self, kernel_class: type[Kernel], answers: Iterable[str] = (), **traits: Any) -> None:
        self.session = Session(username="harness")
        self.questions: list[dict[str, Any]] = []
        self._answers = iter(answers)
        self.sent: list[Received] = []
        traits.setdefault("stores_history", False)
        self.kernel = kernel_class(outbox=self, session=Session(username="kernel"), **traits)
        self.kernel.call("do_start")

    def __enter__(self) -> KernelHarness:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Shut the kernel down."""
        self.kernel.call("do_shutdown", restart=False)
        self.kernel.close()

    # -- what a client does ---------------------------------------------------------------------------

    def execute(self, code: str, *, metadata: Mapping[str, Any] | None = None, **fields: Any) -> Execution:
        """Run a cell; ``fields`` replace those of the request. Input is allowed."""
        content = {
            "code": code,
            "silent": False,
            "store_history": not fields.get("silent", False),
            "user_expressions": {},
            "allow_stdin": True,
            "stop_on_error": True,
            **fields,
        }
        exchange = self.request("execute_request", content, metadata=metadata)
        return Execution(exchange.request, exchange.reply, exchange.messages, exchange.prompts)

    def complete(self, code: str, cursor_pos: int | None = None) -> Exchange:
        """Complete ``code`` at the cursor (its end when None)."""
        position = len(code) if cursor_pos is None else cursor_pos
        return self.request("complete_request", {"code": code, "cursor_pos": position})

    def inspect(self, code: str, cursor_pos: int | None = None, detail_level: int = 0) -> Exchange:
        """Inspect ``code`` at the cursor (its end when None)."""
        position = len(code) if cursor_pos is None else cursor_pos
        return self.request(
            "inspect_request", {"code": code, "cursor_pos": position, "detail_level": detail_level}
        )

    def is_complete(self, code: str) -> Exchange:
        """Ask whether ``code`` can be run as it is."""
        return self.request("is_complete_request", {"code": code})

    def request(
        self,
        msg_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        channel: ChannelName = "shell",
        metadata: Mapping[str, Any] | None = None,
        buffers: tuple[bytes, ...] = (),
    ) -> Exchange:
        """Send any request; return what it brought, checked message by message.

        Raises ``schema.InvalidMessage`` if the kernel broke the protocol.
        """
        message = self.session.compose(
            msg_type, content or {}, metadata=metadata, identities=(b"harness",), buffers=buffers
        )
        begin = len(self.sent)
        is_main = channel != "control"
        interrupts = self.kernel.link.interrupts if is_main else Interrupts()
        dispatch.handle(self.kernel, Request(channel, message), interrupts)
        return self._exchange(self._received(channel, message), self.sent[begin:])

    def interrupt(self) -> None:
        """Interrupt the running request as a signal at this moment would; for use within hooks."""
        self.kernel.link.interrupts.fire(sys._getframe(1))

    # -- the outbox of the kernel ---------------------------------------------------------------------

    def wait_for_room(self) -> None:
        """Return at once: memory has room."""

    def send(self, channel: ChannelName, *messages: Message) -> None:
        """Keep what the kernel sent, after a look whether it can be sent at all."""
        self.sent.extend(self._received(channel, message) for message in messages)

    def announce(self, compose: Callable[[], Sequence[Message]]) -> None:
        """Keep them at once."""
        self.send("iopub", *compose())

    def ask(self, message: Message, wanted: Callable[[], bool]) -> str:
        """Answer with the next of the answers; without one, as a user who ends the input."""
        self._keep_question(message)
        return next(self._answers, "\x04")

    def reconsider(self) -> None:
        """Do nothing: each question is answered at once."""

    @shielded
    def _keep_question(self, message: Message) -> None:
        self.send("stdin", message)
        self.questions.append(message.content)

    def _received(self, channel: ChannelName, message: Message) -> Received:
        """Return a message as a client would read it off the wire."""
        frames = [bytes(frame) for frame in self.session.serialize(message)]
        received, _ = unpack(frames)
        return {**received, "channel": channel}

    def _exchange(self, request: Received, sent: list[Received]) -> Exchange:
        for message in sent:
            allowed = self.kernel.abort_status == "aborted"
            schema.require_valid(message["channel"], message, allow_aborted=allowed)
        replies = [message for message in sent if message["channel"] in ("shell", "control")]
        prompts = [message for message in sent if message["channel"] == "stdin"]
        published = [message for message in sent if message["channel"] == "iopub"]
        complaints = check_exchange(request, replies, published)
        if complaints:
            raise schema.InvalidMessage(f"the answer to {request['msg_type']} is not right", complaints)
        return Exchange(request, replies[0] if replies else None, published, prompts)
