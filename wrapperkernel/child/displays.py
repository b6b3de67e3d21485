r"""What a child asks to be displayed: control strings become messages.

Any program can ask, by printing ``ESC ] 7771 ; OPTIONS ; PAYLOAD ESC \``. The payload is base64; the options
are pairs ``key=value`` with ``:`` between them:

- ``do``: ``display`` (the default), ``update``, ``result`` or ``clear``;
- ``type``: ``bundle`` (the default: JSON with the ``data``, ``metadata`` and ``transient`` of the messaging
  specification's ``display_data``), ``file`` (the content of a file, of which the type is found), or the MIME
  type of the payload;
- ``name``: of the file; ``id``: the display's, for later updates; ``wait=1``: clear when new output comes;
- ``part=NAME`` with ``more=1``: a piece of a payload, of which the next pieces follow under the same name.

The pictures that terminals know are displayed, too: see ``pictures``.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping

from ..kernel.display import MimeBundle
from ..kernel.iopub import IOPub
from .escapes import LARGEST, ControlString
from .pictures import Pictures

_OURS = "7771;"
_NEWLINES = {ord("\r"): None, ord("\n"): None}


class Displays:
    """The displays of one child."""

    def __init__(self) -> None:
        self._pictures = Pictures()
        self._parts: dict[str, list[str]] = {}

    def show(self, string: ControlString, iopub: IOPub) -> None:
        """Publish what a control string shows, if it is complete now; ValueError says why it cannot be."""
        if not string.body:
            raise ValueError(f"it has more than {LARGEST} characters")
        if string.kind == "]" and string.body.startswith(_OURS):
            self._follow(string.body.removeprefix(_OURS), iopub)
            return
        image = self._pictures.take(string)
        if image is not None:
            bundle = MimeBundle.of_content(image.content, image.name)
            metadata = {
                mime: {"width": image.width} for mime in bundle.data if image.width and "/plain" not in mime
            }
            iopub.display_data(bundle.data, metadata)

    def _follow(self, body: str, iopub: IOPub) -> None:
        head, _, payload = body.partition(";")
        options = dict(pair.partition("=")[::2] for pair in head.split(":") if pair)
        whole = self._whole(options, payload)
        if whole is None:
            return
        match options.get("do", "display"):
            case "clear":
                iopub.clear_output(wait=options.get("wait") == "1")
            case "display":
                bundle, display_id = _bundle(options, whole)
                transient = {"display_id": display_id} if display_id else {}
                iopub.display_data(bundle.data, bundle.metadata, transient=transient)
            case "update":
                bundle, display_id = _bundle(options, whole)
                if not display_id:
                    raise ValueError("an update needs the id of a display")
                iopub.update_display_data(bundle.data, bundle.metadata, display_id=display_id)
            case "result":
                bundle, _ = _bundle(options, whole)
                iopub.execute_result(bundle.data, bundle.metadata)
            case other:
                raise ValueError(f"there is nothing to do that is called {other!r}")

    def _whole(self, options: Mapping[str, str], payload: str) -> str | None:
        """Return the payload if it is whole with this piece."""
        name = options.get("part")
        if name is None:
            return payload
        pieces = self._parts.setdefault(name, [])
        pieces.append(payload)
        if sum(len(piece) for pieces in self._parts.values() for piece in pieces) > LARGEST:
            self._parts.clear()
            raise ValueError(f"it has more than {LARGEST} characters")
        if options.get("more") == "1":
            return None
        return "".join(self._parts.pop(name))


def _bundle(options: Mapping[str, str], payload: str) -> tuple[MimeBundle, str]:
    """Return what is to be shown, and the id of the display, if it has one."""
    try:
        content = binascii.a2b_base64(payload.translate(_NEWLINES), strict_mode=True)
    except binascii.Error as error:
        raise ValueError(f"its payload is no base64: {error}") from None
    display_id = options.get("id", "")
    kind = options.get("type", "bundle")
    if kind == "file":
        return MimeBundle.of_content(content, options.get("name", "")), display_id
    if kind != "bundle":
        return MimeBundle.of_bytes(content, kind), display_id
    described = json.loads(content)
    parts = ("data", "metadata", "transient")
    if not isinstance(described, dict) or not all(
        isinstance(described.get(part, {}), dict) for part in parts
    ):
        raise ValueError("its payload is no MIME bundle")
    data, metadata, transient = (described.get(part, {}) for part in parts)
    return MimeBundle(data, metadata), display_id or str(transient.get("display_id") or "")
