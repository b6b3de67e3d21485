"""A toy kernel whose cells and hooks are Python, so that its process does whatever a test wants.

A cell is run with `kernel`, `say` and the names that earlier code left; the options `on_init`, `on_start`,
`on_complete`, `on_interrupt` and `on_shutdown` hold the code of the hooks. It knows no test.
Runnable: `python tests/toys/anything.py -f FILE --AnythingKernel.on_start='import time; time.sleep(9)'`.
"""

from __future__ import annotations

from typing import Any

from traitlets import Unicode

from wrapperkernel import Kernel, run


class AnythingKernel(Kernel):
    implementation = "anything_toy"
    implementation_version = "2.7"
    banner = "A toy: say it in Python"
    language_info = {"name": "python", "version": "3", "mimetype": "text/x-python", "file_extension": ".py"}

    beside = frozenset({"do_complete"})

    on_init = Unicode(help="Run when the kernel is made.").tag(config=True)
    on_start = Unicode(help="Run by do_start.").tag(config=True)
    on_complete = Unicode(help="Run by do_complete, also beside a running cell.").tag(config=True)
    on_interrupt = Unicode(help="Run by do_interrupt.").tag(config=True)
    on_shutdown = Unicode(help="Run by do_shutdown, which has `restart`.").tag(config=True)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names: dict[str, Any] = {"kernel": self, "say": self.iopub.stream}
        self._run(self.on_init)

    def do_start(self) -> None:
        self._run(self.on_start)

    def do_execute(self, code: str) -> None:
        self._run(code)

    def do_complete(self, code: str, cursor_pos: int) -> None:
        self._run(self.on_complete)

    def do_interrupt(self) -> None:
        self._run(self.on_interrupt)

    def do_shutdown(self, restart: bool) -> None:
        self.names["restart"] = restart
        self._run(self.on_shutdown)

    def _run(self, code: str) -> None:
        # Compiled: after a KeyboardInterrupt leaves the exec of a text, Python ends itself with SIGINT.
        exec(compile(code, "<cell>", "exec"), self.names)


if __name__ == "__main__":
    run(AnythingKernel)
