"""An echo kernel on ipykernel's base class, to measure that base without IPython.

Understands ``lines N`` and ``blocks N`` too, as loop_kernel.py does. Runs in the environment of the peers.
"""

# mypy: ignore-errors

from __future__ import annotations

from typing import Any, ClassVar

from ipykernel.kernelapp import IPKernelApp
from ipykernel.kernelbase import Kernel


class EchoKernel(Kernel):
    implementation = "bench-echo"
    implementation_version = "1"
    banner = "echo"
    language_info: ClassVar = {"name": "echo", "mimetype": "text/plain", "file_extension": ".txt"}

    async def do_execute(self, code: str, silent: bool, *_: Any, **__: Any) -> dict[str, Any]:
        what, _, number = code.partition(" ")
        if what == "lines":
            for line in range(int(number)):
                self._print(f"{line}\n")
        elif what == "blocks":
            for _ in range(int(number)):
                self._print("x" * 65536)
        elif not silent:
            self._print(code)
        return {
            "status": "ok",
            "execution_count": self.execution_count,
            "payload": [],
            "user_expressions": {},
        }

    def _print(self, text: str) -> None:
        self.send_response(self.iopub_socket, "stream", {"name": "stdout", "text": text})


if __name__ == "__main__":
    IPKernelApp.launch_instance(kernel_class=EchoKernel)
