"""The heartbeat: every ping comes back as it was, whatever the kernel is doing.

A thread hands the socket to libzmq's proxy, which runs without Python's interpreter lock, so that a cell
which holds the lock for minutes still looks alive (a client gives a kernel up after one second). The
socket has a zmq.Context of its own, since terminating that is the way to end a proxy. Knows no message.
"""

from __future__ import annotations

import logging
import threading

import zmq

from .endpoints import Endpoints

_LONGEST_PING = 1 << 20
"""Bytes per frame. Pings are unsigned: without a limit, anybody could fill the memory."""


class Heartbeat:
    """Echo on the heartbeat port, from ``start`` to ``stop``."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._zmq: zmq.Context[zmq.Socket[bytes]] | None = None

    def start(self) -> None:
        """Bind, then answer pings in a daemon thread. Raises BindError."""
        self._zmq = zmq.Context()
        # ROUTER, not REP: it echoes for REQ and DEALER alike, and a client that is lost blocks nobody.
        socket = self._zmq.socket(zmq.ROUTER)
        socket.linger = 0
        socket.maxmsgsize = _LONGEST_PING
        try:
            self._endpoints.bind(socket, "hb")
        except BaseException:
            self._zmq.destroy()
            self._zmq = None
            raise
        threading.Thread(target=_echo, args=(socket,), name="heartbeat", daemon=True).start()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop answering and close the socket. Waits at most `timeout` seconds; may be called twice."""
        if self._zmq is None:
            return
        # term() has no limit of its own: it returns when the proxy's thread has closed the socket.
        closer = threading.Thread(target=self._zmq.term, name="heartbeat end", daemon=True)
        closer.start()
        closer.join(timeout)
        if closer.is_alive():
            logging.getLogger("wrapperkernel.server").warning("the heartbeat did not end in %s s", timeout)
        self._zmq = None


def _echo(socket: zmq.Socket[bytes]) -> None:
    """Send each message back to whom it came from, until the socket's zmq.Context is terminated."""
    with socket:
        try:
            zmq.proxy(socket, socket)
        except zmq.ContextTerminated:
            return
