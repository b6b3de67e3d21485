"""The errors of this layer, each with its owner: the language's, the client's, the author's."""

from __future__ import annotations

from collections.abc import Sequence


class ExecuteError(Exception):
    """The language reports a failure: raise it from any hook.

    ``ename`` is the error's name, ``evalue`` its message, ``traceback`` a list of lines as the frontend
    shall show them (ANSI colours allowed); without any, it is one line of name and message. The client gets
    an error reply with these three fields, and for ``do_execute`` an ``error`` message on iopub as well
    (messaging specification, "Request-Reply").
    """

    # What a subclass has that does not call our constructor.
    ename: str = ""
    evalue: str = ""
    traceback: Sequence[str] = ()

    def __init__(self, ename: str, evalue: str = "", traceback: Sequence[str] = ()) -> None:
        super().__init__(ename, evalue)
        # Made text here, where a value that has none is the raising hook's error and nobody else's.
        self.ename = str(ename or "")
        self.evalue = "" if evalue is None else str(evalue)
        lines = traceback.splitlines() if isinstance(traceback, str) else traceback or ()
        self.traceback = [str(line) for line in lines]

    def __str__(self) -> str:
        return f"{self.ename}: {self.evalue}" if self.evalue else self.ename


class RequestError(Exception):
    """The client's request lacks a field, or has one of a wrong type."""


class ReplyError(Exception):
    """A hook returned something that is no valid reply content."""


class StdinNotAllowed(ExecuteError):
    """Input was asked for, but the client that sent the running request cannot be asked."""

    def __init__(self, evalue: str = "the client that runs this cell cannot be asked for input") -> None:
        super().__init__("StdinNotAllowed", evalue)


class InputWithdrawn(Exception):
    """Whoever waited for the answer to a question has gone, before the user answered."""


class ExecutionAborted(Exception):
    """The request was not run, because an earlier one of the queue failed."""
