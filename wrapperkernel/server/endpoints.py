"""Binding the five sockets of a kernel, and taking away what that left on the disk.

Sets what must be set before a socket is bound (encryption, IPv6), chooses ports, and turns a refused
bind into one sentence. Knows no message and no channel's purpose. Called from the main thread.
"""

from __future__ import annotations

import errno
import os
import socket as unix
import stat

import zmq

from .connection import Channel, ConnectionFileError, ConnectionInfo, remove_if_there

_REASONS = {
    errno.EADDRINUSE: "another process uses it",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENODEV: "this machine has no such address",
    errno.EACCES: "permission denied",
}


class BindError(Exception):
    """A socket that could not be bound; the text is one sentence that names channel and endpoint."""

    def __init__(self, channel: str, endpoint: str, reason: str) -> None:
        super().__init__(f"cannot bind the {channel} socket to {endpoint}: {reason}")
        self.channel = channel
        self.endpoint = endpoint


class Endpoints:
    """The addresses of one kernel: bind to them, publish them, and clean up behind them.

    ``path`` is the connection file that a launcher gave; without one, ``publish`` makes a file of our own.
    ``info`` learns the ports as they are bound.
    """

    def __init__(self, info: ConnectionInfo, path: str | None = None) -> None:
        self.info = info
        self.path = path
        self._asked = dict(info.ports)
        self._made: list[str] = []
        self._pid = os.getpid()

    def bind(self, socket: zmq.Socket[bytes], channel: Channel) -> int:
        """Bind `socket` as `channel`, encrypted when the file has curve keys, and return its port.

        A port of 0 is chosen here. Raises BindError, and ConnectionFileError for keys that cannot be used.
        """
        if self.info.curve_secretkey:
            self._encrypt(socket)
        bind = self._bind_ipc if self.info.transport == "ipc" else self._bind_tcp
        port = bind(socket, channel)
        self.info = self.info.with_ports({channel: port})
        return port

    def publish(self) -> str:
        """Make the chosen ports known and return the connection file's path.

        A launcher's file is rewritten only when it left a port to us. Raises ConnectionFileError.
        """
        if self.path is None:
            from jupyter_core.paths import jupyter_runtime_dir  # dear, and not needed with -f

            self.path = self.info.create_file(jupyter_runtime_dir())
            self._made.append(os.path.abspath(self.path))
        elif self.info.ports != self._asked:
            self.info.write_merged(self.path)
        return self.path

    def cleanup(self) -> None:
        """Remove the files made here: ipc sockets and a connection file of our own. May be called twice.

        Does nothing in a forked child, whose parent still needs them.
        """
        if os.getpid() != self._pid:
            return
        while self._made:
            remove_if_there(self._made.pop())

    def _encrypt(self, socket: zmq.Socket[bytes]) -> None:
        """Let in those alone who have the keys of the connection file. Works on sockets not bound yet."""
        public, secret = self.info.curve_publickey, self.info.curve_secretkey
        if not zmq.has("curve"):
            raise ConnectionFileError("the connection file asks for encryption, which this libzmq cannot do")
        if not _belong_together(public, secret):  # else every client would wait for ever
            raise ConnectionFileError(
                "curve_publickey and curve_secretkey of the connection file are no pair"
            )
        socket.curve_secretkey = secret
        socket.curve_publickey = public
        socket.curve_server = True

    def _bind_tcp(self, socket: zmq.Socket[bytes], channel: Channel) -> int:
        endpoint = self.info.endpoint(channel)
        socket.ipv6 = endpoint.startswith("tcp://[")
        try:
            socket.bind(endpoint)
        except zmq.ZMQError as error:
            raise BindError(channel, endpoint, _reason(error.errno)) from None
        return int(socket.get_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def _bind_ipc(self, socket: zmq.Socket[bytes], channel: Channel) -> int:
        """Bind to the path of the given number, or of the smallest number that no file has.

        libzmq itself would unlink whatever is at the path: another kernel's socket, a user's file. So the
        path is claimed here, which the system refuses if it exists, and libzmq gets what listens there.
        """
        given = self.info.ports[channel]
        port = given or 1
        while True:
            endpoint = self.info.with_ports({channel: port}).endpoint(channel)
            path = endpoint.removeprefix("ipc://")
            if len(os.fsencode(path)) > zmq.IPC_PATH_MAX_LEN:
                reason = f"a socket's path has at most {zmq.IPC_PATH_MAX_LEN} bytes"
                raise BindError(channel, endpoint, reason)
            if given:
                _remove_abandoned(path)
            try:
                listener = _listen(path)
                break
            except OSError as error:
                if given or error.errno != errno.EADDRINUSE:
                    raise BindError(channel, endpoint, _reason(error.errno)) from None
            port += 1
        self._made.append(os.path.abspath(path))  # users' code may change the working directory
        with listener:
            socket.setsockopt(zmq.USE_FD, listener.fileno())
            socket.bind(endpoint)
            listener.detach()  # libzmq closes it
        return port


def _belong_together(public: bytes, secret: bytes) -> bool:
    try:
        return zmq.curve_public(secret) == public
    except (zmq.ZMQError, ValueError):
        return False


def _listen(path: str) -> unix.socket:
    """Return a socket that listens at the new file `path`, to which only the user may connect."""
    listener = unix.socket(unix.AF_UNIX, unix.SOCK_STREAM)
    try:
        listener.bind(path)
        try:
            os.chmod(path, 0o600)  # before anyone can connect
            listener.listen(128)
        except OSError:
            remove_if_there(path)
            raise
    except OSError:
        listener.close()
        raise
    return listener


def _remove_abandoned(path: str) -> None:
    """Remove the socket that a killed kernel left at `path`; leave what is alive, or not a socket."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except OSError:
        return
    with unix.socket(unix.AF_UNIX, unix.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            remove_if_there(path)
        except OSError:
            return  # not ours to judge; the bind that follows says why


def _reason(number: int | None) -> str:
    number = number or 0
    return _REASONS.get(number) or os.strerror(number)
