"""The names that kernels written for ipykernel import, so that they move by changing their import.

``from ipykernel.kernelbase import Kernel`` becomes ``from wrapperkernel.compat import Kernel``, and
``from ipykernel.kernelapp import IPKernelApp`` likewise. New kernels need nothing of this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .kernel import kernel as modern
from .kernel.errors import StdinNotAllowed as StdinNotImplementedError
from .server.app import run

__all__ = ["IPKernelApp", "Kernel", "StdinNotImplementedError"]

# Names of arguments that ``send_response`` of old fills in when they are missing.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "stream": {"name": "stdout", "text": ""},
    "display_data": {"data": {}, "metadata": {}, "transient": {}},
    "update_display_data": {"metadata": {}},
    "execute_result": {"data": {}, "metadata": {}},
    "clear_output": {"wait": False},
    "error": {"ename": "Error", "evalue": "", "traceback": []},
}


class Kernel(modern.Kernel):
    """``ipykernel.kernelbase.Kernel`` as wrapper kernels knew it."""

    @property
    def iopub_socket(self) -> str:
        """What ``send_response`` takes as its first argument; there is no socket to be had."""
        return "iopub"

    @property
    def session(self) -> Any:
        """The session that composes messages."""
        return self.link.session

    @property
    def _parent_header(self) -> dict[str, Any]:
        request = self.link.parent
        return {} if request is None else {"header": request.header, "content": request.content}

    def get_parent(self, channel: str | None = None) -> dict[str, Any]:
        """Return the request that is being handled, as a dict with ``header`` and ``content``."""
        return self._parent_header

    @property
    def _allow_stdin(self) -> bool:
        request = self.link.current
        return request is not None and request.allow_stdin

    def send_response(
        self,
        stream: Any,
        msg_or_type: str,
        content: Mapping[str, Any] | None = None,
        ident: Any = None,
        buffers: Sequence[Any] | None = None,
        track: bool = False,
        header: Any = None,
        metadata: Mapping[str, Any] | None = None,
        channel: str | None = None,
    ) -> None:
        """Publish a message on iopub as a side effect of the running request."""
        whole = {**_DEFAULTS.get(msg_or_type, {}), **(content or {})}
        if msg_or_type == "stream":
            self.iopub.stream(str(whole["text"]), str(whole["name"]))
        elif msg_or_type == "error":
            self.iopub.error(whole["ename"], whole["evalue"], whole["traceback"])
        elif msg_or_type == "execute_result":
            self.iopub.execute_result({"text/plain": "", **whole["data"]}, whole["metadata"])
        else:
            self.iopub.send(msg_or_type, whole, metadata=metadata, buffers=buffers or ())

    def raw_input(self, prompt: str = "") -> str:
        """Ask the frontend for a line."""
        return self.stdin.input(str(prompt))

    def getpass(self, prompt: str = "", stream: Any = None) -> str:
        """Ask the frontend for a password."""
        return self.stdin.getpass(str(prompt))


class IPKernelApp:
    """``ipykernel.kernelapp.IPKernelApp``, as far as the ``__main__`` of a wrapper kernel uses it."""

    @classmethod
    def launch_instance(cls, argv: Sequence[str] | None = None, **kwargs: Any) -> None:
        """Run the kernel class given as ``kernel_class``."""
        run(kwargs["kernel_class"], argv)
