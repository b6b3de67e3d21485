"""What was received but not yet asked for, so that a client may have many requests in flight.

No sockets: messages go in as they arrive and come out in order, or by the request that they belong to.
"""

from __future__ import annotations

from collections import OrderedDict, deque

from .signer import Message


def parent_of(message: Message) -> str:
    """Return the msg_id of the request that caused a message; ``""`` for none."""
    return str(message["parent_header"].get("msg_id", ""))


class Backlog:
    """Messages of one channel in order of arrival; both ways of taking one cost the same for any length."""

    def __init__(self) -> None:
        self._arrivals = 0
        self._messages: OrderedDict[int, Message] = OrderedDict()
        self._by_parent: dict[str, deque[int]] = {}

    def __len__(self) -> int:
        """Return how many messages wait."""
        return len(self._messages)

    def holds(self, parent: str) -> bool:
        """Tell whether a message with this parent waits."""
        return parent in self._by_parent

    def put(self, message: Message) -> None:
        """Add the message that arrived last."""
        self._messages[self._arrivals] = message
        self._by_parent.setdefault(parent_of(message), deque()).append(self._arrivals)
        self._arrivals += 1

    def take(self) -> Message | None:
        """Remove and return the oldest message; ``None`` when there is none."""
        if not self._messages:
            return None
        number = next(iter(self._messages))
        message = self._messages.pop(number)
        self._forget(parent_of(message), number)
        return message

    def take_of(self, parent: str) -> Message | None:
        """Remove and return the oldest message with this parent; ``None`` when there is none."""
        numbers = self._by_parent.get(parent)
        if not numbers:
            return None
        number = numbers[0]
        self._forget(parent, number)
        return self._messages.pop(number)

    def _forget(self, parent: str, number: int) -> None:
        numbers = self._by_parent[parent]
        assert numbers[0] == number, "the oldest of all is the oldest of its parent"
        numbers.popleft()
        if not numbers:
            del self._by_parent[parent]
