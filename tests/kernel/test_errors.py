"""The errors that hooks raise on purpose: what a client gets to see of them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from wrapperkernel import ExecuteError, Kernel
from wrapperkernel.testing.harness import KernelHarness


class Careless(ExecuteError):
    """Does not call the constructor of the class that it extends."""

    ename = "Careless"

    def __init__(self) -> None:
        Exception.__init__(self)


class Failing(Kernel):
    """Raises what the cell names."""

    def do_execute(self, code: str) -> Any:
        raise {
            "bare": ExecuteError("Bare"),
            "short": ExecuteError("Short", "no traceback"),
            "nameless": ExecuteError("", "something"),
            "whole": ExecuteError("Whole", "with traceback", ["line 1", "line 2"]),
            "careless": Careless(),
        }[code]


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("bare", ["Bare"]),
        ("short", ["Short: no traceback"]),
        ("nameless", ["Error: something"]),
        ("whole", ["line 1", "line 2"]),
        ("careless", ["Careless"]),
    ],
)
def test_an_error_is_seen_where_only_tracebacks_are_shown(code: str, shown: list[str]) -> None:
    """nbclient and the console print an error's traceback, and neither its name nor its message."""
    with KernelHarness(Failing) as harness:
        exchange = harness.execute(code)
    assert exchange.content["traceback"] == shown
    assert exchange.errors[0]["traceback"] == shown


def test_input_from_a_client_that_cannot_be_asked_is_no_fault_of_the_kernel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Asking(Kernel):
        def do_execute(self, code: str) -> Any:
            self.stdin.input("Who?")

    with KernelHarness(Asking) as harness, caplog.at_level(logging.DEBUG):
        content = harness.execute("ask", allow_stdin=False).content
    said = "StdinNotAllowed: the client that runs this cell cannot be asked for input"
    assert f"{content['ename']}: {content['evalue']}" == said
    assert content["traceback"] == [said]
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
