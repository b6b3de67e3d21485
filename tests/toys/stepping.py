"""The toy kernel of `plain`, which is interrupted at any step of its next request between two dequeues.

The cell `step 5` has that done at the fifth step; it prints what came of the one before, as JSON: how many
steps there are, and at which of them it was interrupted, if at all. It knows no test.
Runnable: `python tests/toys/stepping.py -f FILE`.
"""

from __future__ import annotations

import json
from typing import Any

from plain import PlainKernel
from steps import Step, Steps

from wrapperkernel import run
from wrapperkernel.server.shells import ShellQueue


class SteppingKernel(PlainKernel):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._steps = Steps(self.link.interrupts, between=ShellQueue._next.__code__)
        self._known: list[Step] = []

    def run_step(self, number: str) -> None:
        steps = self._steps
        steps.off()
        if steps.seen:
            self._known = list(steps.seen)
            steps.seen.clear()
        shot = steps.shot and {"place": steps.shot.place, "running": steps.shot.request is not None}
        self.iopub.stream(json.dumps({"steps": len(self._known), "shot": shot}) + "\n")
        steps.on(self._known[int(number) - 1] if int(number) else None)


if __name__ == "__main__":
    run(SteppingKernel)
