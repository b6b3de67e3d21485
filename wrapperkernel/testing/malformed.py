"""Frames that are no message: what a kernel must survive without executing anything.

Made from a request of the test's own choice, so that the test can tell whether it was executed after all.
"""

from __future__ import annotations

from collections.abc import Mapping

from .signer import DELIMITER, Message
from .sockets import KernelSockets


def malformed_frames(client: KernelSockets, request: Message) -> Mapping[str, list[bytes]]:
    """Return seven kinds of malformed frames by name, made of one request; send them with ``send_frames``.

    Without a key in the connection file nothing is signed, and ``unsigned`` and ``bad-signature`` are
    messages like any other.
    """
    delimiter, signature, *parts = client.frames(request)

    def signed(*changed: bytes) -> list[bytes]:
        return [DELIMITER, client.signer.sign(changed[:4]), *changed]

    return {
        "no-delimiter": [signature, *parts],
        "short": [delimiter, signature],
        "unsigned": [delimiter, b"", *parts],
        "bad-signature": [delimiter, bytes(reversed(signature)) or b"0", *parts],
        "bad-json": signed(*parts[:3], b'{"code": '),
        "not-an-object": signed(*parts[:3], b'["code"]'),
        "bad-header": signed(b"{}", *parts[1:]),
    }
