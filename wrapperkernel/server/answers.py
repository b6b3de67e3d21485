"""What the stdin channel brought, for the one question that is open at a time.

Knows no socket and asks nobody: the channels thread puts messages in, the thread that asked waits for them.
"""

from __future__ import annotations

import select
from collections import deque

from ..interrupts import shielded
from ..wake import Wake
from ..wire import Message

# Questions that a late answer may name.
_REMEMBERED = 1000


class Answers:
    """The answers to one question. ``put`` belongs to the channels thread, the rest to the one that asks."""

    def __init__(self) -> None:
        self._arrived = Wake()
        self._messages: deque[Message] = deque()
        self._is_open = False
        self._asked: deque[str] = deque(maxlen=_REMEMBERED)

    def open(self, question: Message) -> None:
        """Forget answers to earlier questions; take those to this one from now on."""
        self._asked.append(question.msg_id)
        self._messages.clear()
        self._arrived.clear()
        self._is_open = True

    def close(self) -> None:
        """Take no answers any more: one that comes late is dropped."""
        self._is_open = False

    def put(self, message: Message) -> None:
        """Take what arrived."""
        if self._is_open and message.msg_type == "input_reply":
            self._messages.append(message)
            self._arrived.set()

    def rouse(self) -> None:
        """End the wait though nothing has arrived; from any thread."""
        self._arrived.set()

    def wait(self, seconds: float | None) -> None:
        """Wait until something arrived, at most ``seconds``; an interrupt may end that anywhere.

        It is a descriptor that is waited for: an interrupt in ``threading.Event.wait`` may leave the lock
        of the event held, and the channels thread would then wait for it for ever.
        """
        poll = select.poll()
        poll.register(self._arrived, select.POLLIN)
        poll.poll(None if seconds is None else seconds * 1000)

    @shielded
    def take(self, question: Message) -> str | None:
        """Return the answer to ``question`` if it has come; drop those of others, and to earlier ones.

        One that comes late, from a user who has interrupted the cell that asked, names its question. Many
        clients name none; theirs are taken.
        """
        self._arrived.clear()
        while self._messages:
            message = self._messages.popleft()
            is_asked = message.session == question.parent_header.get("session")
            named = message.parent_header.get("msg_id")
            is_late = named != question.msg_id and named in self._asked
            if message.identities == question.identities and is_asked and not is_late:
                return str(message.content.get("value", ""))
        return None
