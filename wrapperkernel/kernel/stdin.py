"""Asking the user: the stdin channel as a kernel author sees it.

Only the client whose execute_request is running can be asked, and only if it said that it may be.
"""

from __future__ import annotations

from .errors import StdinNotAllowed
from .request import Link

# What frontends send as the answer when the user pressed Ctrl-D.
END_OF_FILE = "\x04"


class Stdin:
    """``self.stdin``: ask the user for a line of text or for a password."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def input(self, prompt: str = "") -> str:
        """Ask for a line; return it without a newline.

        EOFError when the user ended the input, StdinNotAllowed when the client cannot be asked,
        KeyboardInterrupt when interrupted (messaging specification, "Messages on the stdin channel").
        """
        return self._ask(prompt, password=False)

    def getpass(self, prompt: str = "") -> str:
        """Ask for a password, which the frontend does not show; otherwise as ``input``."""
        return self._ask(prompt, password=True)

    def _ask(self, prompt: str, *, password: bool) -> str:
        request = self._link.current
        if request is None or not request.allow_stdin:
            raise StdinNotAllowed
        answer = self._link.ask(request, str(prompt), password)
        if answer == END_OF_FILE:
            raise EOFError("end of input")
        return answer
