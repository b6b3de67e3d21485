"""Interrupting as a ladder: each step firmer than the one before, each with a limit. No I/O, no clock."""

from __future__ import annotations

from enum import Enum


class Step(Enum):
    """What is done to a cell that shall end."""

    INTERRUPT = "interrupt"  # the terminal's interrupt, to the foreground
    TERMINATE = "terminate"  # to the processes that the cell has started
    KILL = "kill"  # likewise
    REPLACE = "replace"  # a new child


# Seconds after the step before. A signal may fall between two short commands, so the first is repeated.
_STEPS = (
    (0.0, Step.INTERRUPT),
    (0.3, Step.INTERRUPT),
    (0.7, Step.INTERRUPT),
    (0.5, Step.TERMINATE),
    (0.5, Step.KILL),
    (0.5, Step.KILL),
    (0.5, Step.REPLACE),
)


class Ladder:
    """The steps that have been taken, and when the next is due. Made at the first interrupt."""

    def __init__(self, now: float) -> None:
        self._next = 0
        self._due = now

    @property
    def steps(self) -> int:
        """How many steps have been taken."""
        return self._next

    @property
    def due(self) -> float:
        """The moment of the next step; infinity behind the last."""
        return self._due

    def step(self, now: float) -> Step | None:
        """Return the step to take now, if one is due."""
        if now < self._due:
            return None
        step = _STEPS[self._next][1]
        self._next += 1
        self._due = now + _STEPS[self._next][0] if self._next < len(_STEPS) else float("inf")
        return step

    def hurry(self, now: float) -> None:
        """The user has interrupted again: go on at once, and with the next kind of step."""
        if self._next < len(_STEPS):
            self._due = now
            done = _STEPS[self._next - 1][1] if self._next else None
            while _STEPS[self._next][1] is done and done is not Step.INTERRUPT:
                self._next += 1
