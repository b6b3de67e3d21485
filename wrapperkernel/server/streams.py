"""Coalescing of streams: many small texts become few messages, and the first is never held back.

The one place that decides when stream text leaves. It knows no socket and no clock: the time is given.
"""

from __future__ import annotations

from ..wire import Message

INTERVAL = 0.02
"""Seconds between two departures: 50 a second, well below what jupyter_server takes for a flood."""
LARGEST = 256 * 1024
"""Characters of one message, about; more than that waits for the next departure."""


class StreamBuffer:
    """Holds stream messages back until they are due; consecutive ones of one stream become one.

    Text after a pause, and the first of a request, leave at once (the leading edge); what comes within
    ``INTERVAL`` of it is collected. Order is kept among streams and parents. The caller asks ``due`` when
    to ``take``.
    """

    def __init__(self) -> None:
        self._held: list[tuple[Message, list[str]]] = []
        self.size = 0  # characters held; more than LARGEST is more than one departure takes
        self._last = float("-inf")
        self._last_parent: object = None

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def due(self) -> float:
        """The moment when what is held may leave; infinity when nothing is held."""
        return self._last + INTERVAL if self._held else float("inf")

    def add(self, message: Message, now: float) -> list[Message]:
        """Take a stream message; return what leaves at once, if anything."""
        parent = message.parent_header.get("msg_id")
        if not self._held and (now - self._last >= INTERVAL or parent != self._last_parent):
            self._last = now
            self._last_parent = parent
            return [message]
        text = message.content["text"]
        if self._held and _same_stream(self._held[-1][0], message):
            self._held[-1][1].append(text)
        else:
            self._held.append((message, [text]))
        self.size += len(text)
        return []

    def take(self, now: float) -> list[Message]:
        """Return all that is held, to be sent now."""
        if not self._held:
            return []
        held, self._held, self.size = self._held, [], 0
        self._last = now
        self._last_parent = held[-1][0].parent_header.get("msg_id")
        return [
            message if len(texts) == 1 else message._replace(content=_joined(message, texts))
            for message, texts in held
        ]


def may_be_joined(message: Message) -> bool:
    """Tell whether this is the text of a stream and nothing else, which alone can be joined."""
    if message.header["msg_type"] != "stream" or message.metadata or message.buffers:
        return False
    content = message.content
    return len(content) == 2 and "name" in content and isinstance(content.get("text"), str)


def _same_stream(one: Message, other: Message) -> bool:
    return one.content["name"] == other.content["name"] and one.parent_header.get(
        "msg_id"
    ) == other.parent_header.get("msg_id")


def _joined(message: Message, texts: list[str]) -> dict[str, str]:
    return {"name": message.content["name"], "text": "".join(texts)}
