"""The classes of the ``comm`` package, made of our comms: what libraries of widgets hold in their hands.

Imported only once that package has been. It knows the package's ways (messages as dicts, one class for
both ends) and ours, and translates; it sends nothing itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from comm.base_comm import BaseComm, BuffersType, MaybeDict
from comm.base_comm import CommManager as PackageCommManager

from ..wire import Message
from .comms import Comm, CommManager

PackageMessage: TypeAlias = dict[str, Any]


def factories(comms: CommManager) -> dict[str, Callable[..., Any]]:
    """Return what shall stand in the package under the names of its two factories."""
    manager = AdaptedManager(comms)

    def create_comm(*args: Any, **kwargs: Any) -> AdaptedComm:
        return AdaptedComm(manager, *args, **kwargs)

    def get_comm_manager() -> AdaptedManager:
        return manager

    return {"create_comm": create_comm, "get_comm_manager": get_comm_manager}


class AdaptedComm(BaseComm):
    """A comm as the package defines it, with one of ours behind it.

    The inherited methods go through the package's comm manager of the moment, which need not be ours
    any more when a widget is deleted, and ``handle_msg`` imports IPython; so none of them is used.
    """

    def __init__(self, manager: AdaptedManager, *args: Any, **kwargs: Any) -> None:
        self._manager = manager
        self._behind: Comm | None = None
        super().__init__(*args, **kwargs)  # which opens it, if it is this side that opens

    def open(self, data: MaybeDict = None, metadata: MaybeDict = None, buffers: BuffersType = None) -> None:
        """Open the frontend's end."""
        data = self._open_data if data is None else data
        target = self.target_name, data, metadata, buffers or (), self.comm_id, self.target_module
        self.stand_before(self._manager.ours.open(*target))
        self._closed = False

    def send(self, data: MaybeDict = None, metadata: MaybeDict = None, buffers: BuffersType = None) -> None:
        """Send a message to the frontend's end."""
        self._joined().send(data, metadata, buffers or ())

    def close(
        self,
        data: MaybeDict = None,
        metadata: MaybeDict = None,
        buffers: BuffersType = None,
        deleting: bool = False,
    ) -> None:
        """Close the frontend's end; the finaliser calls it too, with ``deleting``."""
        if not self._closed:
            self._closed = True
            self._manager.unregister_comm(self)
            self._joined().close(self._close_data if data is None else data, metadata, buffers or ())

    def publish_msg(
        self,
        msg_type: str,
        data: MaybeDict = None,
        metadata: MaybeDict = None,
        buffers: BuffersType = None,
        **keys: Any,
    ) -> None:
        """Publish one of the three messages, for those who call the package's hook themselves."""
        publish = {"comm_open": self.open, "comm_msg": self.send, "comm_close": self.close}[msg_type]
        publish(data, metadata, buffers)

    def handle_msg(self, msg: PackageMessage) -> None:
        """Give a ``comm_msg`` to the callback."""
        if self._msg_callback:
            self._msg_callback(msg)

    def stand_before(self, behind: Comm) -> None:
        """Take what comes to ``behind`` from the frontend."""
        self._behind = behind
        behind.on_msg(lambda message: self.handle_msg(as_package_message(message)))
        behind.on_close(self._be_closed)
        self._manager.comms[self.comm_id] = self

    def _joined(self) -> Comm:
        """Return ours. Of a comm that a frontend opened, a library may have told us no more than the id."""
        if self._behind is None:
            ours = self._manager.ours
            self.stand_before(ours.get(self.comm_id) or ours.adopt(self.target_name, self.comm_id))
        assert self._behind is not None
        return self._behind

    def _be_closed(self, message: Message) -> None:
        self._closed = True
        self._manager.unregister_comm(self)
        self.handle_close(as_package_message(message))


class AdaptedManager(PackageCommManager):
    """The package's comm manager: libraries register their targets with it and look up comms."""

    def __init__(self, ours: CommManager) -> None:
        super().__init__()
        self.ours = ours

    def register_target(self, target_name: str, f: Callable[[BaseComm, PackageMessage], None] | str) -> None:
        """Let frontends open comms to a target; ``f`` may be the dotted name of a function."""
        super().register_target(target_name, f)
        callback = self.targets[target_name]

        def opened(behind: Comm, message: Message) -> None:
            comm = AdaptedComm(self, target_name, comm_id=behind.comm_id, primary=False)
            comm.stand_before(behind)
            try:
                callback(comm, as_package_message(message))
            except BaseException:
                comm.close()
                raise

        self.ours.register_target(target_name, opened)

    def unregister_target(
        self, target_name: str, f: Callable[[BaseComm, PackageMessage], None]
    ) -> Callable[[BaseComm, PackageMessage], None]:
        """Refuse further comms to a target."""
        self.ours.unregister_target(target_name)
        return super().unregister_target(target_name, f)

    def register_comm(self, comm: BaseComm) -> str:
        """Have the messages of a comm that a frontend opened come to ``comm``."""
        if isinstance(comm, AdaptedComm):
            comm._joined()
        return super().register_comm(comm)

    def unregister_comm(self, comm: BaseComm) -> None:
        """Forget a comm; it may be forgotten already."""
        self.comms.pop(comm.comm_id, None)


def as_package_message(message: Message) -> PackageMessage:
    """Return a message as a dict, as libraries have got them from ipykernel ever since."""
    return {
        "header": message.header,
        "msg_id": message.msg_id,
        "msg_type": message.msg_type,
        "parent_header": message.parent_header,
        "metadata": message.metadata,
        "content": message.content,
        "buffers": list(message.buffers),
    }
