"""A kernel of ours that can print much: ``lines N`` and ``blocks N`` (of 64 KiB), each by a call of stream.

The echo kernel has no loop, and one call with all of the text would measure nothing.
"""

from __future__ import annotations

from typing import Any

from wrapperkernel import Kernel, run


class LoopKernel(Kernel):
    implementation = "bench-loop"
    implementation_version = "1"
    banner = "lines N, blocks N"
    language_info = {"name": "loop", "mimetype": "text/plain", "file_extension": ".txt"}  # noqa: RUF012

    def do_execute(self, code: str) -> dict[str, Any] | None:
        what, _, number = code.partition(" ")
        if what == "lines":
            for line in range(int(number)):
                self.iopub.stream(f"{line}\n")
        elif what == "blocks":
            for _ in range(int(number)):
                self.iopub.stream("x" * 65536)
        return None


if __name__ == "__main__":
    run(LoopKernel)
