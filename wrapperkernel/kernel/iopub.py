"""Publishing: one method for each message of the iopub channel, named as the message.

Any thread may call them. What a silent request publishes is dropped here, in one place. It does not
coalesce and does not send: that is the outbox's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..interrupts import shielded
from . import replies
from .display import DisplayHandle, MimeBundle
from .request import Link, Request

_LOG = logging.getLogger("wrapperkernel.kernel")

# Longer texts are published piece by piece, so that an interrupt and the pace of streams apply between.
PIECE = 256 * 1024


class IOPub:
    """The iopub channel as a kernel author sees it: ``self.iopub``.

    Output belongs to the request that the calling thread handles; in a thread of the author's own, to
    the latest cell. ``under(request)`` fixes it to another one.
    """

    def __init__(self, link: Link, shows_silent: Callable[[], bool], under: Request | None = None) -> None:
        self._link = link
        self._shows_silent = shows_silent
        self._under = under

    def under(self, request: Request) -> IOPub:
        """Return an iopub whose messages belong to ``request``, for use by threads and callbacks."""
        return IOPub(self._link, self._shows_silent, request)

    def stream(self, text: str, name: str = "stdout") -> None:
        """Publish text of ``stdout`` or ``stderr``; consecutive texts may arrive as one."""
        if name not in ("stdout", "stderr"):
            raise ValueError(f"a stream is named stdout or stderr, not {name!r}")
        if not isinstance(text, str):  # bytes would arrive as base64
            raise TypeError(f"a stream carries str, not {type(text).__name__}")
        for start in range(0, len(text), PIECE):
            self.send("stream", {"name": name, "text": text[start : start + PIECE]})

    def display_data(
        self,
        data: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        *,
        transient: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Publish a MIME bundle (type → value; bytes become base64)."""
        content = {"data": dict(data), "metadata": dict(metadata or {}), "transient": dict(transient or {})}
        self.send("display_data", content, buffers=buffers)

    def update_display_data(
        self, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None, *, display_id: str
    ) -> None:
        """Replace every display published under ``display_id``, also those of earlier cells."""
        transient = {"display_id": display_id}
        content = {"data": dict(data), "metadata": dict(metadata or {}), "transient": transient}
        self.send("update_display_data", content)

    def execute_result(self, data: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> None:
        """Publish the value of the cell; ``data`` must hold ``text/plain`` (ValueError otherwise)."""
        if "text/plain" not in data:
            raise ValueError("an execute_result must hold text/plain")
        request = self._under or self._link.parent
        count = request.execution_count if request is not None else None
        if request is not None:
            request.result = str(data["text/plain"])
        content = {"execution_count": count or 0, "data": dict(data), "metadata": dict(metadata or {})}
        self.send("execute_result", content)

    def clear_output(self, wait: bool = False) -> None:
        """Clear the output of the cell, at once or (``wait``) when the next output comes."""
        self.send("clear_output", {"wait": bool(wait)})

    def error(self, ename: str, evalue: str = "", traceback: Sequence[str] = ()) -> None:
        """Publish a failure, which is then the reply's as well; a cell has one, and a second is dropped.

        A hook that fails raises ExecuteError instead, which publishes and replies.
        """
        content = replies.error_content(ename, evalue, traceback)
        del content["status"]
        self._publish_error(content)
        self._link.interrupts.check()

    def display(self, value: Any) -> DisplayHandle:
        """Publish any value as its MIME bundle says (``MimeBundle.of``); return a handle to update it."""
        return self._display(MimeBundle.of(value))

    def display_bytes(self, data: bytes, mime: str) -> DisplayHandle:
        """Publish bytes of the MIME type ``mime``; return a handle to update the display."""
        return self._display(MimeBundle.of_bytes(data, mime))

    def send(
        self,
        msg_type: str,
        content: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        topic: str | None = None,
    ) -> None:
        """Publish a message of any type: for those that have no method here.

        Waits while too much output waits to be sent; that wait is where an interrupt ends a flood.
        """
        request = self._under or self._link.parent
        if self._is_dropped(request):
            return
        self._link.outbox.wait_for_room()
        self._link.publish(msg_type, content, request, metadata=metadata, buffers=buffers, topic=topic)
        self._link.interrupts.check()

    @shielded  # published and known to be so, or neither
    def _publish_error(self, content: dict[str, Any]) -> None:
        request = self._under or self._link.parent
        if request is not None:
            if request.error is not None:
                _LOG.warning(
                    "dropped a second error of one cell: %s: %s", content["ename"], content["evalue"]
                )
                return
            request.error = content
        if not self._is_dropped(request):
            self._link.publish("error", content, request)

    def _is_dropped(self, request: Request | None) -> bool:
        return request is not None and request.silent and not self._shows_silent()

    def _display(self, bundle: MimeBundle) -> DisplayHandle:
        handle = DisplayHandle.new(self.update_display_data)
        transient = {"display_id": handle.display_id}
        self.display_data(bundle.data, bundle.metadata, transient=transient)
        return handle
