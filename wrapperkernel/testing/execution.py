"""What a kernel sent because of one request, kept together and easy to assert on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .signer import Message


@dataclass(frozen=True, slots=True, repr=False)
class Exchange:
    """A request, its reply, and the iopub messages that it caused.

    Attributes:
        request: the message as it was sent.
        reply: the whole reply message; ``None`` for comm messages, which get none.
        messages: the iopub messages from busy to idle, in order.
        prompts: the input requests that were answered, in order.
    """

    request: Message
    reply: Message | None
    messages: Sequence[Message]
    prompts: Sequence[Message] = field(default=())

    def __repr__(self) -> str:
        """Return the contents alone, which is what a failing assertion should show."""
        messages = [*self.messages, *([] if self.reply is None else [self.reply])]
        lines = [f"{message['msg_type']}: {message['content']!r}" for message in messages]
        about = f"<{type(self).__name__} of {self.request['content']!r}"
        return "\n  ".join(line[:300] for line in [about, *lines]) + ">"

    @property
    def content(self) -> dict[str, Any]:
        """Return the content of the reply; empty without one."""
        return dict(self.reply["content"]) if self.reply is not None else {}

    @property
    def status(self) -> str:
        """Return the status in the reply: ``ok``, ``error``, …; ``""`` without one."""
        return str(self.content.get("status", ""))

    def contents(self, msg_type: str) -> list[dict[str, Any]]:
        """Return the contents of all iopub messages of one type, in order."""
        return [message["content"] for message in self.messages if message["msg_type"] == msg_type]


@dataclass(frozen=True, slots=True, repr=False)
class Execution(Exchange):
    """An exchange of an execute_request; outputs are returned as the contents of their messages."""

    @property
    def stdout(self) -> str:
        """Return everything that was written to stdout, joined."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """Return everything that was written to stderr, joined."""
        return self._text("stderr")

    @property
    def results(self) -> list[dict[str, Any]]:
        """Return the contents of the execute_result messages."""
        return self.contents("execute_result")

    @property
    def display(self) -> list[dict[str, Any]]:
        """Return the contents of the display_data messages."""
        return self.contents("display_data")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Return the contents of the error messages: ename, evalue, traceback."""
        return self.contents("error")

    def _text(self, name: str) -> str:
        return "".join(content["text"] for content in self.contents("stream") if content["name"] == name)
