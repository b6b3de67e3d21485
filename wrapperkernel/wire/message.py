"""One message of the Jupyter protocol, as data.

Refuses to know how a message is packed, signed or sent, and what any message type means.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Buffer = bytes | memoryview

PROTOCOL_VERSION = "5.5"


class Message(NamedTuple):  # as unchangeable as a frozen dataclass, and made in a third of the time
    """Hold the parts of one message.

    The dicts are not copied again: whoever holds a message does not change them.
    ``identities`` is the route back on shell, control and stdin, and the topic on iopub.
    ``parent_header`` is the header of the request that caused the message, verbatim, or ``{}``.

    Messaging specification: "General Message Format".
    """

    header: dict[str, Any]
    parent_header: dict[str, Any]
    metadata: dict[str, Any]
    content: dict[str, Any]
    identities: tuple[bytes, ...] = ()
    buffers: tuple[Buffer, ...] = ()

    @property
    def msg_type(self) -> str:
        """Name the kind of message, as the header does."""
        return str(self.header["msg_type"])

    @property
    def msg_id(self) -> str:
        """Name this message among all of its session."""
        return str(self.header["msg_id"])

    @property
    def session(self) -> str:
        """Name the session that composed this message."""
        return str(self.header["session"])
