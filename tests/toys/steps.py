"""Fire an interrupt at the n-th step of the code that handles a request.

A step is a line, or the beginning of a function; with ``fine``, every single instruction. The interrupt
comes as from a signal handler: ``fire`` is called with the frame that is running there, and what it raises
is raised there. The places where Python itself calls signal handlers are some of these.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import wrapperkernel
from wrapperkernel.interrupts import Interrupts

LIBRARY = Path(wrapperkernel.__file__).parent
TOYS = Path(__file__).parent
# The harness checks what a kernel sends while the kernel sends it; that is no code of a kernel.
NOT_THE_KERNEL = ("schema.py", "shapes.py", "contents.py", "exchange.py", "signer.py", "steps.py")


@dataclass(frozen=True)
class Shot:
    """Where an interrupt was fired, the request that was running, and what ``note`` returned then."""

    place: str
    request: object | None
    note: Any


def nothing() -> None:
    """Note nothing."""


class Steps:
    """Counts the steps of the calling thread in the library, the toys and ``folders``; fires at some."""

    def __init__(
        self,
        interrupts: Interrupts,
        *folders: Path,
        fine: bool = False,
        note: Callable[[], Any] = nothing,
    ) -> None:
        self._interrupts = interrupts
        self._folders = tuple(f"{folder}/" for folder in (LIBRARY, TOYS, *folders))
        self._fine = fine
        self._note = note
        self._in_scope: dict[str, bool] = {}
        self._targets: Collection[int] = ()
        self.count = 0
        self.shots: list[Shot] = []

    def run(self, targets: Collection[int], call: Callable[[], Any]) -> Any:
        """Call a function, and fire at the steps of these numbers; the first step is number 1."""
        self.count, self.shots, self._targets = 0, [], targets
        before = sys.gettrace()
        sys.settrace(self._begin)
        try:
            return call()
        finally:
            sys.settrace(before)

    def _begin(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not self._knows(frame.f_code.co_filename):
            return None
        frame.f_trace_opcodes = self._fine
        frame.f_trace_lines = not self._fine
        self._step(frame)
        return self._go_on

    def _go_on(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event in ("line", "opcode"):
            self._step(frame)
        return self._go_on

    def _knows(self, file: str) -> bool:
        if file not in self._in_scope:
            self._in_scope[file] = file.startswith(self._folders) and not file.endswith(NOT_THE_KERNEL)
        return self._in_scope[file]

    def _step(self, frame: FrameType) -> None:
        self.count += 1
        if self.count in self._targets:
            code = frame.f_code
            place = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname}"
            self.shots.append(Shot(place, self._interrupts.running, self._note()))
            self._interrupts.fire(frame)  # what it raises ends the tracing too
