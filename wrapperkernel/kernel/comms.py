"""Comms: two-way streams between objects here and objects in a frontend.

Follows "Custom Messages" of the messaging specification: ``comm_open``, ``comm_msg`` and ``comm_close``
in both directions, none of them answered. It knows no channel and no parent header: the kernel gives it
a function that publishes, and the messages that came in. What an author's callback raises goes to the
caller, who logs it as the failure of any request.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from ..interrupts import interruptible, shielded
from ..wire import Message

Callback: TypeAlias = Callable[[Message], None]
TargetCallback: TypeAlias = Callable[["Comm", Message], None]

_LOG = logging.getLogger(__name__)


class Publish(Protocol):
    """Publish one comm message on iopub, under the topic ``comm-<id>``."""

    def __call__(
        self,
        msg_type: str,
        content: dict[str, Any],
        metadata: Mapping[str, Any] | None,
        buffers: Sequence[Any],
        topic: str,
        /,
    ) -> None: ...


class Call(Protocol):
    """Call an author's callback, where interrupts may end it."""

    def __call__(self, callback: Callable[..., None], *args: Comm | Message) -> None: ...


@interruptible  # this is author's code, within handlers that must not be cut in two
def _call(callback: Callable[..., None], *args: Comm | Message) -> None:
    callback(*args)


def _nothing() -> None:
    """Do nothing."""


class Comm:
    """One end of a comm. Made by ``CommManager.open``, or for a target's callback when a frontend opens one.

    Any thread may send. Once either side has closed it, sending and closing do nothing: the message
    that says so may be under way while code here still sends.
    """

    def __init__(
        self,
        target_name: str,
        comm_id: str,
        publish: Publish,
        forget: Callable[[Comm], None],
        call: Call,
        check: Callable[[], None],
    ) -> None:
        self.target_name = target_name
        self.comm_id = comm_id
        self._publish = publish
        self._forget = forget
        self._call = call
        self._check = check
        self._closed = False
        self._on_msg: Callback | None = None
        self._on_close: Callback | None = None

    def __repr__(self) -> str:
        return f"<Comm {self.target_name} {self.comm_id}{' closed' if self._closed else ''}>"

    @property
    def closed(self) -> bool:
        """Whether either side has closed it."""
        return self._closed

    def send(
        self,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Publish a ``comm_msg``. ``buffers`` are contiguous bytes-like objects, sent as they are."""
        if not self._closed:
            self._say("comm_msg", {}, data, metadata, buffers)
            self._check()

    def close(
        self,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] = (),
    ) -> None:
        """Publish a ``comm_close``; afterwards nothing comes from or goes to the other side."""
        if not self._closed:
            self._close(data, metadata, buffers)
            self._check()

    @shielded  # closed, forgotten and published, or none of it
    def _close(
        self, data: Mapping[str, Any] | None, metadata: Mapping[str, Any] | None, buffers: Sequence[Any]
    ) -> None:
        self._closed = True
        self._forget(self)
        self._say("comm_close", {}, data, metadata, buffers)

    def on_msg(self, callback: Callback | None) -> None:
        """Call ``callback(message)`` for every ``comm_msg`` from the frontend; None stops that."""
        self._on_msg = callback

    def on_close(self, callback: Callback | None) -> None:
        """Call ``callback(message)`` when the frontend closes the comm; None stops that."""
        self._on_close = callback

    def handle_msg(self, message: Message) -> None:
        """Give a ``comm_msg`` to the callback."""
        if self._on_msg is not None:
            self._call(self._on_msg, message)

    def handle_close(self, message: Message) -> None:
        """Be closed by the frontend, and tell the callback."""
        self._closed = True
        self._forget(self)
        if self._on_close is not None:
            self._call(self._on_close, message)

    def _say(
        self,
        msg_type: str,
        target: dict[str, str],
        data: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
        buffers: Sequence[Any],
    ) -> None:
        content = {"comm_id": self.comm_id, **target, "data": dict(data or {})}
        self._publish(msg_type, content, metadata, buffers, f"comm-{self.comm_id}")


class CommManager:
    """The comms that are open, and the targets that frontends may open comms to.

    Has no lock, since a finaliser may close a comm at any moment, also in the thread that would hold
    the lock: every change is one operation on a dict. ``check`` raises an interrupt that came while a
    message was published; called where an author's code goes on.
    """

    def __init__(
        self,
        publish: Publish,
        log: logging.Logger = _LOG,
        call: Call = _call,
        check: Callable[[], None] = _nothing,
    ) -> None:
        self._publish = publish
        self._log = log
        self._call = call
        self._check = check
        self._comms: dict[str, Comm] = {}
        self._targets: dict[str, TargetCallback] = {}

    def register_target(self, name: str, callback: TargetCallback) -> None:
        """Let frontends open comms to ``name``: each calls ``callback(comm, message)``.

        The callback registers ``on_msg`` and may send. If it raises, the comm is closed again.
        """
        self._targets[name] = callback

    def unregister_target(self, name: str) -> None:
        """Refuse further comms to ``name``; those that are open stay so."""
        self._targets.pop(name, None)

    def open(
        self,
        target_name: str,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        buffers: Sequence[Any] = (),
        comm_id: str | None = None,
        target_module: str | None = None,
    ) -> Comm:
        """Open a comm to a target of the frontends; ValueError if ``comm_id`` is in use.

        A frontend that does not know the target closes it at once (``on_close`` is called).
        """
        comm = self._open(target_name, data, metadata, buffers, comm_id, target_module)
        self._check()
        return comm

    @shielded  # in the table and published, or neither
    def _open(
        self,
        target_name: str,
        data: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
        buffers: Sequence[Any],
        comm_id: str | None,
        target_module: str | None,
    ) -> Comm:
        comm = self.adopt(target_name, comm_id or os.urandom(16).hex())
        target = {"target_name": target_name}
        if target_module is not None:
            target["target_module"] = target_module
        try:
            comm._say("comm_open", target, data, metadata, buffers)
        except BaseException:  # data that is no JSON, a buffer that is not contiguous
            self._forget(comm)
            raise
        return comm

    def adopt(self, target_name: str, comm_id: str) -> Comm:
        """Return this side's end of a comm that a frontend holds open already."""
        comm = Comm(target_name, comm_id, self._publish, self._forget, self._call, self._check)
        if self._comms.setdefault(comm_id, comm) is not comm:
            raise ValueError(f"there is a comm {comm_id!r} already")
        return comm

    def get(self, comm_id: str) -> Comm | None:
        """Return the open comm of this id, if there is one."""
        return self._comms.get(comm_id)

    def info(self, target_name: str | None = None) -> dict[str, dict[str, str]]:
        """Return the ``comms`` of a ``comm_info_reply``: all open ones, or those of one target."""
        return {
            comm.comm_id: {"target_name": comm.target_name}
            for comm in list(self._comms.values())
            if target_name is None or comm.target_name == target_name
        }

    def close_all(self) -> None:
        """Close every comm, so that frontends do not take their ends for alive after a shutdown."""
        for comm in list(self._comms.values()):
            comm.close()

    @shielded
    def handle_open(self, message: Message) -> None:
        """Make this side's end of a comm that a frontend opens; close it if nobody here wants it."""
        comm_id, target_name = message.content.get("comm_id"), message.content.get("target_name")
        if not isinstance(comm_id, str) or comm_id in self._comms:
            self._log.warning("comm_open with an id that is in use, or none: %.100r", comm_id)
            return
        comm = self.adopt(str(target_name), comm_id)
        callback = self._targets.get(comm.target_name)
        if callback is None:
            self._log.debug("a comm for %.100r, which is no target here, is closed", target_name)
            comm.close()
            return
        opened = False
        try:
            self._call(callback, comm, message)
            opened = True
        finally:
            if not opened:
                comm.close()

    @shielded
    def handle_msg(self, message: Message) -> None:
        """Give a message to its comm. One for a comm that is gone is only logged."""
        comm = self._addressed(message)
        if comm is not None:
            comm.handle_msg(message)

    @shielded
    def handle_close(self, message: Message) -> None:
        """Close the comm that the frontend has closed. One that is gone is only logged."""
        comm = self._addressed(message)
        if comm is not None:
            comm.handle_close(message)

    def _addressed(self, message: Message) -> Comm | None:
        comm_id = message.content.get("comm_id")
        comm = self._comms.get(comm_id) if isinstance(comm_id, str) else None
        if comm is None:  # usual after a restart, where frontends keep comms of the kernel before
            self._log.info("%s for a comm that is not open: %.100r", message.msg_type, comm_id)
        return comm

    def _forget(self, comm: Comm) -> None:
        self._comms.pop(comm.comm_id, None)
