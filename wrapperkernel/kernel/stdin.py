"""Asking the user: the stdin channel as a kernel author sees it.

Only the client whose execute_request is running can be asked, and only if it said that it may be.
"""

from __future__ import annotations

from collections.abc import Callable

from .errors import StdinNotAllowed
from .request import Link

# What frontends send as the answer when the user pressed Ctrl-D.
END_OF_FILE = "\x04"


def always() -> bool:
    """Say that an answer is still wanted."""
    return True


class Stdin:
    """``self.stdin``: ask the user for a line of text or for a password."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def input(self, prompt: str = "", *, wanted: Callable[[], bool] = always) -> str:
        """Ask for a line; return it without a newline.

        EOFError when the user ended the input, StdinNotAllowed when the client cannot be asked,
        KeyboardInterrupt when interrupted (messaging specification, "Messages on the stdin channel").
        InputWithdrawn when ``wanted`` says that whoever waited for the answer has gone; it is asked again
        whenever another thread calls ``reconsider``, and a late answer is dropped.
        """
        return self._ask(prompt, wanted, password=False)

    def getpass(self, prompt: str = "", *, wanted: Callable[[], bool] = always) -> str:
        """Ask for a password, which the frontend does not show; otherwise as ``input``."""
        return self._ask(prompt, wanted, password=True)

    def reconsider(self) -> None:
        """From any thread: look again whether the answer to the open question is wanted."""
        self._link.outbox.reconsider()

    def _ask(self, prompt: str, wanted: Callable[[], bool], *, password: bool) -> str:
        request = self._link.current
        if request is None or not request.allow_stdin:
            raise StdinNotAllowed
        answer = self._link.ask(request, str(prompt), password, wanted)
        if answer == END_OF_FILE:
            raise EOFError("end of input")
        return answer
