"""What a kernel says on stderr: its own log, and with ``--debug`` every message as a line.

Renders and counts; knows no socket, and never touches the root logger. Three things are never written:
keys (no message holds one), the answer to a request for a password, and more of a long text than its ends.
"""

from __future__ import annotations

import contextlib
import logging
import select
import sys
import threading
from typing import Any, TextIO

from ..interrupts import shielded
from ..wire.encoding import encode
from ..wire.message import Message

# In these two logging holds a lock that every thread needs.
shielded(logging.Logger.isEnabledFor)
shielded(logging.Manager.getLogger)

_LONGEST_TEXT = 1000
# Characters that are written at once, at most a page in UTF-8; and milliseconds to wait for room for them.
_PIECE = 1000
_PATIENCE = 500
_HIDDEN = "••••"


def configure(level: int, stream: TextIO | None = None) -> logging.Logger:
    """Send the log of ``wrapperkernel`` from `level` on to `stream` (stderr), and nowhere else.

    Called again, it replaces what it did before; handlers of others stay.
    """
    logger = logging.getLogger("wrapperkernel")
    for handler in [h for h in logger.handlers if isinstance(h, _LogHandler)]:
        logger.removeHandler(handler)
    handler = _LogHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(message)s", "%H:%M:%S"))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    return logger


class _LogHandler(logging.StreamHandler[TextIO]):
    """The handler that ``configure`` adds, told apart from those of others. It never waits long.

    Launchers give kernels a pipe for stderr, and some do not read it: full, it would stop every thread that
    logs. What it does not take is dropped, and counted.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._dropped = 0
        self._poll: select.poll | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):  # None, closed, or no file
            descriptor = self.stream.fileno()
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLOUT)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, as far as the stream takes it."""
        if self._dropped and self._has_room():
            number, self._dropped = self._dropped, 0
            self._write(f"WARNING nobody read this log; {number} entries were dropped\n")
        if not self._write(self.format(record) + "\n"):
            self._dropped += 1

    def _write(self, text: str) -> bool:
        """Write piece by piece, since a pipe has room for one if it says so; tell whether all was taken."""
        for start in range(0, len(text), _PIECE):
            if not self._has_room():
                return False
            try:
                self.stream.write(text[start : start + _PIECE])
                self.flush()
            except (
                OSError,
                ValueError,
                AttributeError,
            ):  # full, broken, closed, None: there is nobody to tell
                return False
        return True

    def _has_room(self) -> bool:
        """Tell whether the stream can be written to, after a moment's patience with who reads it."""
        return self._poll is None or bool(self._poll.poll(0 if self._dropped else _PATIENCE))

    @shielded  # hooks log too, and an interrupt here could leave the lock of the handler held
    def handle(self, record: logging.LogRecord) -> Any:
        """Write a record."""
        return super().handle(record)


class OncePerKind:
    """Log the first event of each kind, then count: what a client sends wrongly must not fill the log.

    The count is logged at 10, 100, 1000, … and, where more came since, by ``close``. Kinds are few and
    stable names. Any thread may call.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def warning(self, kind: str, text: str) -> None:
        """Count an event of `kind`, and log `text` if it is the first."""
        with self._lock:
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count == 1:
            self._logger.warning("%s (%s; more of these are counted)", text, kind)
        elif _is_power_of_ten(count):
            self._logger.warning("%s: %d times so far", kind, count)

    def close(self) -> None:
        """Log the totals not logged yet, and begin anew."""
        with self._lock:
            counts, self._counts = self._counts, {}
        for kind, count in counts.items():
            if not _is_power_of_ten(count):
                self._logger.warning("%s: %d times in all", kind, count)


def _is_power_of_ten(count: int) -> bool:
    return str(count).rstrip("0") == "1"


class MessageLog:
    """Log every message at debug level, as ``render`` shows it.

    The answer to a plain question is shown. From the first request for a password on, answers are hidden:
    one may be late, and nothing in it says which question it answers. Any thread may call.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self.enabled = logger.isEnabledFor(logging.DEBUG)  # for callers in a hurry
        self._password_asked = False

    def received(self, channel: str, message: Message) -> None:
        """Log a message that came in on `channel`."""
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug("%s", render("←", channel, message, hide_answer=self._password_asked))

    def sent(self, channel: str, message: Message) -> None:
        """Log a message that goes out on `channel`; to be called before it can be answered."""
        if message.msg_type == "input_request" and message.content.get("password"):
            self._password_asked = True
        if self._logger.isEnabledFor(logging.DEBUG):
            self._logger.debug("%s", render("→", channel, message))


def render(direction: str, channel: str, message: Message, *, hide_answer: bool = True) -> str:
    """Show a message in one line: way, channel, type, its id (sent: its parent's), content, buffers.

    `direction` is an arrow. The content is compact JSON of at most 1000 characters, shortened in the middle.
    With `hide_answer`, nothing of an input_reply's content is shown.
    """
    request = message.header if direction == "←" else message.parent_header
    parts = [direction, f"{channel:7}", _one_line(message.msg_type), _short_id(request), _content(message)]
    if hide_answer and message.msg_type == "input_reply":
        parts[-1] = f'{{"value":"{_HIDDEN}"}}'
    if message.buffers:
        size = sum(memoryview(buffer).nbytes for buffer in message.buffers)
        parts.append(f"+ {len(message.buffers)} buffers of {size} bytes")
    return " ".join(parts)


def _content(message: Message) -> str:
    try:
        text = encode(message.content).decode()
    except (TypeError, ValueError) as error:
        return f"(no JSON: {error})"
    return _one_line(_shortened(text, _LONGEST_TEXT // 2, _LONGEST_TEXT // 2))


def _short_id(header: dict[str, object]) -> str:
    # The ends: the ids of one session begin alike, and in the last characters they count.
    return f"[{_one_line(_shortened(str(header.get('msg_id', '-')), 4, 8))}]"


def _shortened(text: str, head: int, tail: int) -> str:
    """Return `text`, or where it is longer its first `head` and last `tail` characters."""
    missing = len(text) - head - tail
    return text if missing < 8 else f"{text[:head]}…{text[-tail:]}"


def _one_line(text: str) -> str:
    """Escape what would act on a terminal or start a new line: a client chooses these texts."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )
