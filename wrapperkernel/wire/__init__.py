"""Messages of the Jupyter protocol as data: JSON, signatures, frames.

Refuses to know sockets, threads and what a kernel is; imports nothing else of this package.
"""

from .encoding import decode, encode
from .message import PROTOCOL_VERSION, Buffer, Message
from .replay import ReplayGuard
from .session import DELIMITER, Session, WireError
from .signature import Signer, UnknownScheme

__all__ = [
    "DELIMITER",
    "PROTOCOL_VERSION",
    "Buffer",
    "Message",
    "ReplayGuard",
    "Session",
    "Signer",
    "UnknownScheme",
    "WireError",
    "decode",
    "encode",
]
