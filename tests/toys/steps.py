"""Fire an interrupt at every step of the code that handles a request, one step at a time.

A step is a line, or the beginning of a function, together with all the lines from which it was called; with
``fine`` it is a single instruction. The interrupt comes as from a signal handler: ``fire`` is called with the
frame that is running there, and what it raises is raised there. The places where Python itself calls signal
handlers are some of these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import wrapperkernel
from wrapperkernel.interrupts import Interrupts

LIBRARY = Path(wrapperkernel.__file__).parent
TOYS = Path(__file__).parent
# What checks a kernel while it runs, in this process: no code of a kernel.
NOT_THE_KERNEL = ("schema.py", "shapes.py", "contents.py", "exchange.py", "signer.py", "steps.py")

Step = tuple[tuple[CodeType, int], ...]
"""Each watched function that is running and where it is, line or instruction; the innermost first."""


@dataclass(frozen=True)
class Shot:
    """An interrupt that was fired: where, which request was running, and what ``note`` returned then."""

    place: str
    request: Any
    note: Any


def nothing() -> None:
    """Note nothing."""


class Steps:
    """Watches the calling thread run the code of the library, the toys and ``folders``, step by step.

    ``on`` begins; it ends with ``off``, or with the interrupt. With ``between``, only the steps from the
    next call of this function to the second next are seen.
    """

    def __init__(
        self,
        interrupts: Interrupts,
        *folders: Path,
        fine: bool = False,
        note: Callable[[], Any] = nothing,
        between: CodeType | None = None,
    ) -> None:
        self._interrupts = interrupts
        self._folders = tuple(f"{folder}/" for folder in (LIBRARY, TOYS, *folders))
        self._fine = fine
        self._note = note
        self._between = between
        self._sees = between is None
        self._in_scope: dict[str, bool] = {}
        self._target: Step | None = None
        self.seen: dict[Step, None] = {}  # a set that keeps the order
        self.shot: Shot | None = None

    def on(self, target: Step | None) -> None:
        """Fire at the step ``target`` when it comes for the first time; without one, note what is seen.

        Functions that are running already are watched too.
        """
        self.shot, self._target = None, target
        self._sees = self._between is None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if self._knows(frame.f_code.co_filename):
                self._watch(frame)
                frame.f_trace = self._go_on
            frame = frame.f_back
        sys.settrace(self._begin)

    def off(self) -> None:
        """Watch no longer."""
        sys.settrace(None)

    def _begin(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not self._knows(frame.f_code.co_filename):
            return None
        if frame.f_code is self._between:
            if self._sees:
                self.off()
                return None
            self._sees = True
        self._watch(frame)
        self._step(frame)
        return self._go_on

    def _go_on(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event in ("line", "opcode"):
            self._step(frame)
        return self._go_on

    def _watch(self, frame: FrameType) -> None:
        frame.f_trace_opcodes = self._fine
        frame.f_trace_lines = not self._fine

    def _knows(self, file: str) -> bool:
        if file not in self._in_scope:
            self._in_scope[file] = file.startswith(self._folders) and not file.endswith(NOT_THE_KERNEL)
        return self._in_scope[file]

    def _step(self, frame: FrameType) -> None:
        if not self._sees:
            return
        if self._target is None:
            self.seen.setdefault(self._here(frame))
        elif (
            self.shot is None
            and self._target[0] == (frame.f_code, frame.f_lasti if self._fine else frame.f_lineno)
            and self._target == self._here(frame)
        ):
            self.shot = Shot(named(self._target), self._interrupts.running, self._note())
            self.off()
            self._interrupts.fire(frame)

    def _here(self, frame: FrameType | None) -> Step:
        here = []
        while frame is not None:
            if self._knows(frame.f_code.co_filename):
                here.append((frame.f_code, frame.f_lasti if self._fine else frame.f_lineno))
            frame = frame.f_back
        return tuple(here)


def named(step: Step) -> str:
    """Return the place of a step, for a failure's text."""
    return " < ".join(f"{Path(code.co_filename).name}:{place} {code.co_qualname}" for code, place in step[:4])
