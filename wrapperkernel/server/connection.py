"""The connection file: where a kernel binds, and with which keys.

Reads, completes and creates the JSON file by which a launcher and a kernel agree on addresses
(kernels.rst, "Connection files"). Knows no socket: endpoints.py binds. Keys are held, never shown:
they appear in no repr, no log line and no error.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

Channel = Literal["shell", "iopub", "stdin", "control", "hb"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)

_PORT_KEYS = {f"{channel}_port": channel for channel in CHANNELS}
_OTHER_KEYS = ("ip", "key", "transport", "signature_scheme", "curve_publickey", "curve_secretkey")
_Z85 = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")
_ABSENT = (None, "")


class ConnectionFileError(ValueError):
    """A connection file that cannot be used; the text is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """What a connection file says.

    A port of 0 means that the kernel chooses. An empty ``key`` means that messages are not signed.
    ``extra`` holds the keys that are not ours, in the file's order; it is hidden like the keys, since a
    launcher may keep secrets of its own there.
    """

    transport: str = "tcp"
    ip: str = "127.0.0.1"
    ports: Mapping[Channel, int] = field(default_factory=lambda: dict.fromkeys(CHANNELS, 0))
    key: bytes = field(default=b"", repr=False)
    signature_scheme: str = "hmac-sha256"
    curve_publickey: bytes = field(default=b"", repr=False)
    curve_secretkey: bytes = field(default=b"", repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def new(cls, **extra: Any) -> ConnectionInfo:
        """Describe a kernel that nobody launched: loopback tcp, ports to be chosen, a fresh key."""
        return cls(key=os.urandom(32).hex().encode(), extra=extra)

    @classmethod
    def read(cls, path: str) -> ConnectionInfo:
        """Read and check the connection file at `path`.

        Unknown keys are kept and otherwise ignored; ports may be numbers or strings, and a missing one is
        0. Warns when other users may read or write the file. Raises ConnectionFileError.
        """
        document = _load(path)
        _warn_if_open_to_others(path)
        try:
            return _parse(document)
        except ConnectionFileError as error:
            raise ConnectionFileError(f"connection file {path}: {error}") from None

    def with_ports(self, ports: Mapping[Channel, int]) -> ConnectionInfo:
        """Return the same connection with these ports, of one channel or more, filled in."""
        return replace(self, ports={**self.ports, **ports})

    def endpoint(self, channel: Channel) -> str:
        """Return the address at which `channel` is bound, in zmq's notation."""
        port = self.ports[channel]
        if self.transport == "ipc":
            return f"ipc://{self.ip}-{port}"
        return f"tcp://{_interface(self.ip)}:{port}"

    def write_merged(self, path: str) -> None:
        """Write the ports into the existing file at `path`, for the tools that watch it.

        All else in the file stays, in its order; whoever reads meanwhile sees the old file or the new one.
        Afterwards only the user may read it. Raises ConnectionFileError.
        """
        path = os.path.realpath(path)  # os.replace would put a file in the place of a link
        document = _load(path) | self._port_entries()
        unfinished = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}")
        remove_if_there(unfinished)  # of a killed process that had our number
        try:
            _write_private(unfinished, document)
            os.replace(unfinished, path)
        except OSError as error:
            remove_if_there(unfinished)
            raise ConnectionFileError(f"cannot write the ports into {path}: {error.strerror}") from error

    def create_file(self, directory: str) -> str:
        """Create a connection file of our own, ``kernel-<pid>.json`` in `directory`; return its path.

        The directory is made when missing and gets the sticky bit where we may set it, so that nobody else
        can remove the file. A file that exists is never overwritten (two containers may share a home and a
        process id): the name then gets a number. Raises ConnectionFileError.
        """
        document = {
            **self._port_entries(),
            "ip": self.ip,
            "key": self.key.decode(),
            "transport": self.transport,
            "signature_scheme": self.signature_scheme,
            **self._curve_entries(),
            **self.extra,
        }
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            path = _create_numbered(os.path.join(directory, f"kernel-{os.getpid()}"), document)
        except OSError as error:
            raise ConnectionFileError(
                f"cannot create a connection file in {directory}: {error.strerror}; give one with -f FILE"
            ) from error
        _set_sticky_bit(directory)
        return path

    def _port_entries(self) -> dict[str, int]:
        return {key: self.ports[channel] for key, channel in _PORT_KEYS.items()}

    def _curve_entries(self) -> dict[str, str]:
        if not self.curve_secretkey:
            return {}
        return {
            "curve_publickey": self.curve_publickey.decode(),
            "curve_secretkey": self.curve_secretkey.decode(),
        }


def _interface(ip: str) -> str:
    """Turn the file's `ip` into zmq's notation: every interface in numbers, IPv6 in brackets."""
    if ip == "*":
        return "0.0.0.0"
    return f"[{ip}]" if ":" in ip and not ip.startswith("[") else ip


# -- the file ------------------------------------------------------------------------------------------------


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            text = file.read()
    except OSError as error:
        raise ConnectionFileError(f"cannot read the connection file {path}: {error.strerror}") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):  # JSONDecodeError holds the text, and with it the key
        document = None
    if not isinstance(document, dict):
        raise ConnectionFileError(f"connection file {path} does not hold a JSON object")
    return document


def _warn_if_open_to_others(path: str) -> None:
    try:
        mode = stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return  # just read, now gone: nobody can read it any more
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        logging.getLogger("wrapperkernel.server").warning(
            "other users may read or write connection file %s (mode %o); who has its key runs code as you",
            path,
            mode,
        )


def _write_private(path: str, document: Mapping[str, Any]) -> None:
    """Create `path`, which must not exist, whole or not at all, and open to the user alone from the start."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)  # an odd umask may have taken the user's own rights away
            json.dump(document, file, indent=2)
    except OSError:
        remove_if_there(path)
        raise


def _create_numbered(stem: str, document: Mapping[str, Any]) -> str:
    path, number = f"{stem}.json", 1
    while True:
        try:
            _write_private(path, document)
        except FileExistsError:
            number += 1
            path = f"{stem}-{number}.json"
        else:
            return path


def remove_if_there(path: str) -> None:
    """Remove the file at `path`; one that is gone, or that cannot be removed, is no error."""
    with contextlib.suppress(OSError):
        os.unlink(path)


def _set_sticky_bit(directory: str) -> None:
    with contextlib.suppress(OSError):  # a directory that is not ours; its owner decides
        mode = os.stat(directory).st_mode
        if not mode & stat.S_ISVTX:
            os.chmod(directory, stat.S_IMODE(mode) | stat.S_ISVTX)


# -- its fields (errors never show the value of a key) -------------------------------------------------------


def _parse(document: dict[str, Any]) -> ConnectionInfo:
    transport = _text(document, "transport", "tcp")
    if transport not in ("tcp", "ipc"):
        raise ConnectionFileError(f"transport {transport!r} is neither 'tcp' nor 'ipc'")
    if "key" not in document:  # never unsigned by oversight
        raise ConnectionFileError('it has no "key"; an empty one would turn signing off')
    publickey, secretkey = _curve_keys(document)
    return ConnectionInfo(
        transport=transport,
        ip=_ip(document, transport),
        ports={channel: _port(document, key, transport) for key, channel in _PORT_KEYS.items()},
        key=_text(document, "key", "").encode(),
        signature_scheme=_text(document, "signature_scheme", "hmac-sha256"),
        curve_publickey=publickey,
        curve_secretkey=secretkey,
        extra={key: value for key, value in document.items() if key not in (*_PORT_KEYS, *_OTHER_KEYS)},
    )


def _ip(document: Mapping[str, Any], transport: str) -> str:
    ip = _text(document, "ip", "127.0.0.1")
    if not ip.isprintable() or not ip:
        raise ConnectionFileError(f"ip {ip!r} is no address")
    if transport == "ipc" and ip.startswith("@"):
        raise ConnectionFileError(f"ip {ip!r} is an abstract address, and not the beginning of a path")
    return ip


def _text(document: Mapping[str, Any], key: str, default: str) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise ConnectionFileError(f"{key} must be a string, not {type(value).__name__}")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ConnectionFileError(f"{key} has half a surrogate pair in it")
    return value


def _port(document: Mapping[str, Any], key: str, transport: str) -> int:
    value = document.get(key, 0)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        value = int(value)
    if type(value) is not int or value < 0 or (transport == "tcp" and value > 65535):
        raise ConnectionFileError(f"{key} is {value!r}, which is not a port number")
    return value


def _curve_keys(document: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Return the public and the secret curve key, both empty when the file has none."""
    names = ("curve_publickey", "curve_secretkey")
    present = [name for name in names if document.get(name) not in _ABSENT]
    if not present:
        return b"", b""
    if len(present) == 1:
        raise ConnectionFileError(f"it has {present[0]} alone; encryption needs {names[0]} and {names[1]}")
    for name in names:
        value = document[name]
        if not isinstance(value, str) or len(value) != 40 or not _Z85.issuperset(value):
            raise ConnectionFileError(f"{name} is not a Z85 key of 40 characters")
    return document[names[0]].encode(), document[names[1]].encode()
