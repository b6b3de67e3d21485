"""The server of one kernel: five sockets, the threads that serve them, and the one way to end.

| thread    | does                                                                                     |
|-----------|------------------------------------------------------------------------------------------|
| main      | handles shell requests one by one and runs the hooks; signals arrive here                |
| channels  | receives on shell and stdin, greets on iopub, sends streams that are due; never blocks    |
| control   | handles control requests in order; ends the kernel (shutdown, SIGTERM, parent's death)   |
| aside     | answers beside a running cell                                                            |
| heartbeat | echoes, outside of Python's interpreter lock                                             |

Signal handlers only set flags and wake. All threads but main are daemons.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any

import zmq

from ..interrupts import Interrupts, shielded
from ..kernel import comm_package, dispatch, requests
from ..kernel.errors import ExecuteError, InputWithdrawn, StdinNotAllowed
from ..kernel.kernel import Kernel
from ..kernel.outbox import ChannelName
from ..kernel.request import Request
from ..wake import Wake
from ..wire import Message, Session
from .answers import Answers
from .channels import Channel, Interest, PlainSocket
from .connection import CHANNELS
from .endpoints import Endpoints
from .group import interrupt_group
from .heartbeat import Heartbeat
from .iopub import IOPubChannel
from .logs import MessageLog, OncePerKind
from .parent import watch_parent
from .shells import ShellQueue

# Seconds that each step of the end may take; together they stay below one second: for the running hook to
# end when interrupted, for do_shutdown, and for the hook again now that do_shutdown has ended its child.
_REST_LIMIT = 0.3
_HOOK_LIMIT = 0.4
_LAST_REST_LIMIT = 0.1
_LINGER = 0.5
# Seconds for a thread to notice that all ends.
_THREAD_LIMIT = 0.3
# Seconds after which the process ends even if closing, or Python's own exit, hangs.
_CLOSE_LIMIT = 2.0
_EXIT_LIMIT = 0.7
# Milliseconds until an interrupt that has not come through is tried again: the first time, and later.
_KNOCK_AGAIN = 10
_KNOCK_SELDOM = 100
# Seconds after which an author's do_interrupt no longer holds up the control channel.
_INTERRUPT_HOOK_LIMIT = 2.0
# Seconds after the start for which a cell waits for a subscriber: libzmq tries again after 0.1 to 0.2.
_AUDIENCE_LIMIT = 0.5
# Seconds for which a question waits for its client, and between two tries.
_ASK_LIMIT = 10.0
_ASK_AGAIN = 0.05
# What launchers tell a kernel by.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Bytes of the longest topic. libzmq goes through topics recursively: one of a megabyte ends the process.
_LONGEST_TOPIC = 4096
# New subscribers that are greeted before the other channels get their turn.
_GREETINGS = 64


class Server:
    """Serves one kernel at the given endpoints, from ``start`` to the return of ``serve``.

    ``start`` and ``serve`` are called by the main thread. Sizes are in bytes, ``patience`` in seconds.
    """

    def __init__(
        self,
        kernel: Kernel,
        endpoints: Endpoints,
        *,
        flood_limit: int,
        patience: float,
        message_limit: int,
    ) -> None:
        self.kernel = kernel
        self.endpoints = endpoints
        self.log = logging.getLogger("wrapperkernel.server")
        self._limits = (flood_limit, patience, message_limit)
        info = endpoints.info
        self.session = Session(info.key, info.signature_scheme)
        self._zmq: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._heartbeat = Heartbeat(endpoints)
        self._malformed = OncePerKind(self.log)
        self._message_log = MessageLog(self.log)
        self._wake = Wake()
        self._control_wake = Wake()
        self._answers = Answers()
        self._interest = Interest()
        self._shells = ShellQueue(kernel, self._wait_for_audience)
        self._audience = threading.Event()
        self._bound_at = 0.0
        self._ending = threading.Event()
        self._ended = threading.Event()
        self._farewell = threading.Lock()
        self._said_farewell = False
        self._watched = threading.Lock()
        self._closing = threading.Lock()
        self._closed = threading.Event()
        self._parent = watch_parent(os.environ)
        self._channels: dict[ChannelName, Channel] = {}
        self._threads: list[threading.Thread] = []

    # -- start ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind, make the ports known, start the threads and say ``starting``.

        Raises BindError and ConnectionFileError, and has then left no file behind.
        """
        self._install_signals()  # first: from here on, SIGTERM too leaves no file behind
        try:
            self._open_sockets()
            self._bound_at = time.monotonic()
            self.endpoints.publish()
        except BaseException:
            self.endpoints.cleanup()
            raise
        self._extend_table()
        self.kernel.connect(self, self.session)
        comm_package.install(self.kernel.comms)
        for descriptor in (self._wake, self._shell, self._stdin, self._iopub):
            self._interest.add(descriptor.fileno())
        self._shells.start(self._shell, self._interest)
        self._start_thread(self._serve_channels, "channels")
        self._start_thread(self._serve_control, "control")

    def _open_sockets(self) -> None:
        flood_limit, patience, _ = self._limits
        common = (self.session, self._wake, self._message_log, self._malformed)
        control_common = (self.session, self._control_wake, self._message_log, self._malformed)
        # iopub first and shell last: a client whose request comes through has most likely subscribed.
        self._iopub = IOPubChannel(
            self._bound(zmq.XPUB, "iopub"), *common, limit=flood_limit, patience=patience
        )
        self._stdin = Channel("stdin", self._bound(zmq.ROUTER, "stdin"), *common)
        self._control = Channel("control", self._bound(zmq.ROUTER, "control"), *control_common)
        self._shell = Channel("shell", self._bound(zmq.ROUTER, "shell"), *common)
        self._channels = {
            "shell": self._shell,
            "stdin": self._stdin,
            "control": self._control,
            "iopub": self._iopub,
        }
        starting = self.session.compose(
            "status",
            {"execution_state": "starting"},
            identities=(f"kernel.{self.session.id}.status".encode(),),
        )
        self._iopub.say_first(starting)
        self._heartbeat.start()

    def serve(self) -> None:
        """Run ``do_start``, then handle requests until the kernel is told to end; then close everything."""
        try:
            self._call_do_start()
            self._shells.run()
        finally:
            self._watch_the_end()
            self._close()
            for number in _SIGNALS:
                # Python gives its handlers back while it exits; the next signal would change the status.
                signal.signal(number, signal.SIG_IGN)

    def _bound(self, kind: int, channel: Any) -> PlainSocket:
        socket = PlainSocket(self._zmq, kind)
        socket.sndhwm = 0  # nothing is dropped silently; the backlog of iopub is bounded by bytes
        socket.rcvhwm = 0
        socket.linger = int(_LINGER * 1000)
        socket.maxmsgsize = self._limits[2]
        if kind == zmq.XPUB:
            socket.maxmsgsize = _LONGEST_TOPIC
            socket.setsockopt(zmq.XPUB_MANUAL, 1)
        else:
            # A client that comes back under its name while its old connection is not yet known to be
            # dead must be answered (libzmq drops it otherwise).
            socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        if channel == "stdin":
            socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # what has no route is not dropped in silence
        self.endpoints.bind(socket, channel)
        return socket

    def _install_signals(self) -> None:
        interrupts = self.kernel.link.interrupts
        interrupts.install()
        interrupts.when_remembered(self._control_wake.set)
        signal.signal(signal.SIGTERM, _wake_only)
        # The number of each signal goes to the control thread at once, also while the main thread is in a
        # C function and cannot run Python's handlers.
        signal.set_wakeup_fd(self._control_wake.writer, warn_on_full_buffer=False)
        # A forked child shares that descriptor: a SIGTERM for it would end this kernel.
        os.register_at_fork(
            before=_hold_signals, after_in_parent=_release_signals, after_in_child=self._forget
        )

    @shielded
    def _forget(self) -> None:
        """Leave the sockets to the parent of a forked child, and take signals as any other process does."""
        for channel in self._channels.values():
            channel.forget()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _release_signals()

    def _start_thread(self, target: Callable[[], None], name: str) -> None:
        def work() -> None:
            try:
                target()
            finally:
                self._finish()  # without one of its threads a kernel would live on, but deaf

        thread = threading.Thread(target=work, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _call_do_start(self) -> None:
        try:
            self.kernel.call("do_start")
        except SystemExit:
            raise  # the author's word that the kernel cannot work; Python shows it and sets the status
        except BaseException:  # also KeyboardInterrupt and CancelledError, which nobody asked for
            self.log.exception("do_start failed; the kernel serves all the same")

    def _extend_table(self) -> None:
        """Put into the kernel's table what only a server can do."""
        table = self.kernel.control_requests
        shell = self.kernel.shell_requests
        shell["connect_request"] = dispatch.Entry(self._connect_request)
        shell["shutdown_request"] = shell["shutdown_request"]._replace(answer=self._shutdown_on_shell)
        table["shutdown_request"] = table["shutdown_request"]._replace(answer=self._shutdown_request)
        table["interrupt_request"] = table["interrupt_request"]._replace(answer=self._interrupt_request)

    def _connect_request(self, kernel: Kernel, request: Request) -> dict[str, Any]:
        """Answer the (deprecated) question for the ports."""
        return {f"{name}_port": self.endpoints.info.ports[name] for name in CHANNELS}

    def _shutdown_request(self, kernel: Kernel, request: Request) -> Any:
        """End the running cell, then let the kernel put its things away, within limits."""
        self._come_to_rest()
        return self._say_farewell(partial(requests.shutdown, kernel, request))

    def _shutdown_on_shell(self, kernel: Kernel, request: Request) -> Any:
        """Let the kernel put its things away; this is the main thread, so that no cell runs."""
        self._refuse_work()
        kernel.link.interrupts.decide()  # who shuts down as well must not interrupt this request
        return self._say_farewell(partial(requests.shutdown, kernel, request))

    def _say_farewell(self, call: Callable[[], Any]) -> Any:
        """Call do_shutdown, within its limit; once, however many ask the kernel to end."""
        with self._farewell:
            if self._said_farewell:
                return None
            self._said_farewell = True
            return limited(call, "do_shutdown", _HOOK_LIMIT)

    def _interrupt_request(self, kernel: Kernel, request: Request) -> Any:
        """Interrupt, with the hook its processes, and do not let do_interrupt block the control channel."""
        if kernel.link.interrupts.interrupt_running() is not None:
            interrupt_group()
        return limited(partial(kernel.call, "do_interrupt"), "do_interrupt", _INTERRUPT_HOOK_LIMIT)

    # -- the outbox of the kernel ---------------------------------------------------------------------

    def wait_for_room(self) -> None:
        """Wait while too much output waits to be sent (see ``Outbox``); at the end nobody waits."""
        if not self._ending.is_set():
            self._iopub.wait_for_room()

    def send(self, channel: ChannelName, *messages: Message) -> None:
        """Send messages (see ``Outbox``)."""
        self._channels[channel].send(*messages)

    def announce(self, compose: Callable[[], Sequence[Message]]) -> None:
        """Publish messages, perhaps a moment later (see ``Outbox``)."""
        self._iopub.announce(compose)

    def ask(self, message: Message, wanted: Callable[[], bool]) -> str:
        """Ask the frontend that sent the running request, and wait for its answer (see ``Outbox``)."""
        self._answers.open(message)
        try:
            self._put_question(message)
            while (answer := self._answers.take(message)) is None:
                if not wanted():
                    raise InputWithdrawn
                self.kernel.link.interrupts.check()  # one that came while the answers were looked at
                self._answers.wait(None)
        finally:
            self._answers.close()
        return answer

    def reconsider(self) -> None:
        """Have the open question looked at again (see ``Outbox``)."""
        self._answers.rouse()

    def _put_question(self, message: Message) -> None:
        """Send a question as soon as its client is connected on stdin; StdinNotAllowed if it does not come.

        A client that was there before the sockets finds each of them by itself, and stdin perhaps last;
        libzmq does not tell when.
        """
        until = time.monotonic() + _ASK_LIMIT
        while not self._offer_question(message):
            if time.monotonic() > until:
                raise StdinNotAllowed("the client that runs this cell is not connected on stdin")
            self.kernel.link.interrupts.check()
            self._answers.wait(_ASK_AGAIN)

    @shielded
    def _offer_question(self, message: Message) -> bool:
        self._iopub.flush()
        return self._stdin.offer(message)

    # -- the channels thread --------------------------------------------------------------------------

    def _serve_channels(self) -> None:
        more = False
        while not self._ended.is_set():
            ready = self._interest.wait(0.0 if more else self._iopub.flush_due())
            if self._wake.fileno() in ready:
                self._wake.clear()
            more = self._greet() | self._stdin.receive(self._answers.put) | self._shells.take()

    def _greet(self) -> bool:
        """Welcome new subscribers; tell whether there may be more."""
        for _ in range(_GREETINGS):
            if not self._iopub.greet():
                return False
            self._audience.set()
        return True

    def _wait_for_audience(self) -> None:
        """Wait shortly after the start, with a cell that has come already, until somebody sees its output.

        A client that was there before the sockets finds them at its next attempts, on each by itself; what
        is published until then is lost to it, and one that waits for the idle, as jupyter console, hangs.
        """
        if not self._audience.is_set():
            self._audience.wait(max(0.0, self._bound_at + _AUDIENCE_LIMIT - time.monotonic()))

    # -- the control thread ---------------------------------------------------------------------------

    def _serve_control(self) -> None:
        poll = select.poll()
        poll.register(self._control_wake, select.POLLIN)
        poll.register(self._control, select.POLLIN)
        timeout = None
        if self._parent is not None:
            if self._parent.interval is None:
                poll.register(self._parent, select.POLLIN)  # type: ignore[arg-type]  # has a descriptor then
            else:
                timeout = self._parent.interval * 1000
        interrupts = Interrupts()  # nobody fires these: they are for the hooks of this thread
        main = self.kernel.link.interrupts
        wait = _KNOCK_AGAIN
        ends = more = False

        def handle(message: Message) -> None:
            nonlocal ends
            if not ends:
                request = Request("control", message)
                dispatch.handle(self.kernel, request, interrupts)
                ends = request.ends_kernel

        while not ends and not self._ended.is_set():
            ready = poll.poll(0 if more else wait if main.unsettled else timeout)
            signals = self._control_wake.clear()
            wait = _KNOCK_AGAIN if not main.unsettled else wait if ready else min(2 * wait, _KNOCK_SELDOM)
            if signal.SIGINT in signals or (main.unsettled and not ready):
                main.knock()
            if signal.SIGTERM in signals:
                self._end("SIGTERM")
                return
            if self._parent is not None and self._parent.gone():
                self._end("the parent process has ended")
                return
            more = self._control.receive(handle)

    # -- the end --------------------------------------------------------------------------------------

    def _end(self, reason: str) -> None:
        """End the kernel without being asked by a client. Only the control thread calls."""
        self.log.info("ending: %s", reason)
        self._come_to_rest()
        try:
            self._say_farewell(partial(self.kernel.call, "do_shutdown", restart=False))
        except BaseException:  # also SystemExit, with which an author may mean to end the process
            self.log.exception("do_shutdown failed")
        self.kernel.comms.close_all()

    def _come_to_rest(self) -> None:
        """Take no new work and end the running hook, as far as it lets itself be ended."""
        self._refuse_work()
        until = time.monotonic() + _REST_LIMIT
        while not self._shells.resting.is_set() and time.monotonic() < until:
            # Again, as the first may come before the request has begun, or be swallowed by the hook; but not
            # at once, since the hook may be putting its things away.
            self.kernel.link.interrupts.interrupt_running()
            self._shells.resting.wait(_REST_LIMIT / 3)

    def _refuse_work(self) -> None:
        """Begin no request any more; those that arrive are dropped."""
        self._ending.set()
        self._shells.refuse()
        self._audience.set()

    def _finish(self) -> None:
        """Have the main thread close everything, and see to it that the process ends in any case."""
        self._ending.set()
        self._shells.stop()
        self._watch_the_end()

    def _watch_the_end(self) -> None:
        """Start the thread that ends the process in any case; at most once."""
        if self._watched.acquire(blocking=False):
            threading.Thread(target=self._see_to_the_end, name="end", daemon=True).start()

    def _see_to_the_end(self) -> None:
        """End the process though a hook, the closing or Python's exit hangs. Does nothing that may hang."""
        if not self._shells.resting.wait(_LAST_REST_LIMIT):
            threading.Thread(target=self._close_around_a_hook, name="close", daemon=True).start()
            self._closed.wait(_CLOSE_LIMIT)
        elif self._closed.wait(_CLOSE_LIMIT):
            time.sleep(_EXIT_LIMIT)  # an author's thread that is no daemon would hold the process for ever
        os._exit(0)

    def _close_around_a_hook(self) -> None:
        """Close all, though the main thread is in a hook."""
        self.log.warning("the running hook does not end; leaving without it")
        self._close()

    def _close(self) -> None:
        """Close all, in this order. Only the first call does anything; another waits for it."""
        if not self._closing.acquire(blocking=False):
            self._closed.wait(_CLOSE_LIMIT)
            return
        self._ending.set()
        self._iopub.flush()
        self._ended.set()
        self._wake.set()
        self._control_wake.set()
        self._shells.stop()
        for thread in self._threads:
            thread.join(_THREAD_LIMIT)
        for channel in self._channels.values():
            channel.close(int(_LINGER * 1000))
        self.endpoints.cleanup()
        self._heartbeat.stop()
        term = threading.Thread(target=self._zmq.term, name="zmq end", daemon=True)
        term.start()  # returns when all has left, or lingered; never, if a stuck thread holds a socket
        term.join(2 * _LINGER)
        self._malformed.close()
        self.kernel.close()
        if self._parent is not None:
            self._parent.close()
        self._closed.set()


def limited(call: Callable[[], Any], hook: str, seconds: float) -> Any:
    """Call an author's hook outside of the main thread, for at most ``seconds``.

    Nothing can end a plain function in such a thread; so after that time it is left alone and
    ExecuteError is raised.
    """
    outcome: SimpleQueue[Callable[[], Any]] = SimpleQueue()
    context = copy_context()

    def work() -> None:
        try:
            value = context.run(call)
            outcome.put(lambda: value)
        except BaseException as error:
            outcome.put(partial(_raise, error))

    threading.Thread(target=work, name=hook, daemon=True).start()
    try:
        return outcome.get(timeout=seconds)()
    except Empty:
        raise ExecuteError("HookTimeout", f"{hook} did not return within {seconds} s") from None


def _raise(error: BaseException) -> None:
    raise error


@shielded  # as the next one: Python drops what is raised in functions that it calls at a fork
def _hold_signals() -> None:
    """Let signals wait while this thread forks: they may be for the child."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


@shielded
def _release_signals() -> None:
    """Let signals come again."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def _wake_only(signum: int, frame: FrameType | None) -> None:
    """Do nothing: Python has written the signal's number to the wake-up descriptor."""
