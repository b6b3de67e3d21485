"""The floor: what a signed request and its reply cost when nothing is done in between.

One ROUTER socket in one thread: receive, verify, parse, compose, sign, send. No iopub, no bookkeeping, no
configuration, no history. Parses with orjson where it is installed, as the library does.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import zmq

loads: Callable[[bytes], Any]
dumps: Callable[[Any], bytes]
try:
    from orjson import dumps, loads
except ImportError:
    loads = json.loads
    _encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))

    def dumps(value: Any) -> bytes:
        return _encoder.encode(value).encode()


def serve(connection: dict[str, Any]) -> NoReturn:
    """Answer every request on shell, until the process is ended."""
    key = hmac.new(connection["key"].encode(), digestmod=hashlib.sha256)

    def sign(parts: list[bytes]) -> bytes:
        signature = key.copy()
        for part in parts:
            signature.update(part)
        return signature.hexdigest().encode()

    shell = zmq.Context().socket(zmq.ROUTER)
    shell.bind(f"tcp://{connection['ip']}:{connection['shell_port']}")
    count = 0
    while True:
        identity, delimiter, signature, *parts = shell.recv_multipart()
        if not hmac.compare_digest(signature, sign(parts)):
            continue
        header, _parent, _metadata, _content = (loads(part) for part in parts)
        count += 1
        reply = {
            **header,
            "msg_id": f"bare_{count}",
            "msg_type": header["msg_type"].replace("request", "reply"),
        }
        content = {"status": "ok", "execution_count": count, "user_expressions": {}, "payload": []}
        answer = [dumps(reply), dumps(header), b"{}", dumps(content)]
        shell.send_multipart([identity, delimiter, sign(answer), *answer])


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[sys.argv.index("-f") + 1]).read_text()))
