"""What a kernel needs from the world: somewhere to send, somebody to ask.

The zmq server, the terminal mode and the in-memory harness are three outboxes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from ..wire import Message

ChannelName = Literal["shell", "control", "iopub", "stdin"]


class Outbox(Protocol):
    """Where a kernel's messages go. Any thread may call; none of the methods raises for a lost client."""

    def wait_for_room(self) -> None:
        """Return when more output may be published; may block, and raise KeyboardInterrupt."""

    def send(self, channel: ChannelName, *messages: Message) -> None:
        """Send ``messages``, in order with the others of their channel. Blocks only briefly."""

    def announce(self, compose: Callable[[], Sequence[Message]]) -> None:
        """Publish what ``compose`` returns, at the latest before anything else, and at ``wait_for_room``."""

    def ask(self, message: Message, wanted: Callable[[], bool]) -> str:
        """Send an ``input_request``; wait for its answer and return it; may raise KeyboardInterrupt.

        Raises InputWithdrawn when ``wanted``, asked at the start and at each ``reconsider``, says no.
        """

    def reconsider(self) -> None:
        """Have the running ``ask`` look again whether its answer is wanted."""


class Nowhere:
    """The outbox of a kernel that is not connected: what is sent is dropped, nobody can be asked."""

    def wait_for_room(self) -> None:
        """Return at once."""

    def send(self, channel: ChannelName, *messages: Message) -> None:
        """Drop the messages."""

    def announce(self, compose: Callable[[], Sequence[Message]]) -> None:
        """Drop the messages."""

    def ask(self, message: Message, wanted: Callable[[], bool]) -> str:
        """Answer with end of file."""
        return "\x04"

    def reconsider(self) -> None:
        """Do nothing: nobody waits."""
