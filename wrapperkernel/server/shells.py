"""The queues behind the channels: who handles which request, when, and what is refused.

Two threads can take messages off the shell channel, one at a time. While the main thread rests, it waits
on the channel itself and handles what comes, so that no cell waits for one thread to wake another. While
it runs a cell, the channels thread takes the messages, and what may be answered beside the cell goes to
the thread ``aside``. Taking and queueing are one step under one lock, hence the order of arrival holds.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from time import monotonic

from ..interrupts import Interrupts
from ..kernel import dispatch
from ..kernel.kernel import Kernel
from ..kernel.request import Request
from ..wake import Wake
from ..wire import Message
from .channels import Channel, Interest

# Seconds that a cell may wait to be written into the history.
_SAVE_DELAY = 1.0

# Seconds for which a failed cell's reply may wait, while clients send faster than their messages are read.
_STOP_LIMIT = 1.0

# Put into the queue of ``aside`` to have the history saved.
_SAVE = object()


class ShellQueue:
    """Shell requests in order of arrival, run in the main thread; some of them beside.

    ``wait_for_audience`` is called before each cell.
    """

    def __init__(self, kernel: Kernel, wait_for_audience: Callable[[], None]) -> None:
        self._kernel = kernel
        self._wait_for_audience = wait_for_audience
        self._taking = threading.Lock()  # held to take messages off the channel and to queue them
        self._arrived: deque[Request] = deque()
        self._wake = Wake()
        self._aside = Aside(kernel)
        self._cells_arrived = 0  # written under the lock
        self._cells_done = 0  # this and the next by the main thread alone
        self._cells_refused = 0
        self._refuses = False
        self._stopped = False
        self._pid = os.getpid()
        self.resting = threading.Event()

    def start(self, channel: Channel, interest: Interest) -> None:
        """Take messages off ``channel`` from now on; ``interest`` is what the channels thread waits on."""
        self._channel = channel
        self._interest = interest
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._poll.register(self._wake, select.POLLIN)
        self._aside.start()

    def take(self) -> bool:
        """Take what has come, for the main thread; tell whether there may be more."""
        with self._taking:
            more = self._channel.receive(self._queue)
            arrived = bool(self._arrived)
        if arrived and self.resting.is_set():
            self._wake.set()
        return more

    def _queue(self, message: Message) -> None:
        if self._refuses:
            return
        request = Request("shell", message, self._stop_queue)
        if request.msg_type == "execute_request":
            self._cells_arrived += 1
            request.arrival = self._cells_arrived
        elif self._cells_arrived != self._cells_done and self._kernel.may_answer_beside(request.msg_type):
            self._aside.put(request)
            return
        self._arrived.append(request)

    def run(self) -> None:
        """Handle requests in the calling (main) thread until ``stop``."""
        try:
            while (request := self._next()) is not None:
                if not self._refuses:
                    self._handle(request)
                if os.getpid() != self._pid:
                    # A hook forked, and the child came out of the hook too. Its parent is the kernel.
                    os._exit(0)
                if self._kernel.history.unsaved:
                    self._aside.save_soon()
                if request.ends_kernel:
                    return
        finally:
            self.resting.set()

    def _next(self) -> Request | None:
        """Wait for the next request, or for ``stop`` (None); meanwhile the main thread rests."""
        if self._arrived:
            return self._arrived.popleft()
        self.resting.set()
        self._interest.disable(self._channel.fileno())
        has_waited = False
        try:
            while not self._stopped:
                with self._taking:
                    if not self._arrived and self._channel.receive(self._queue, is_expected=has_waited):
                        self._channel.wake.set()  # more has come, which nothing else would announce
                    if self._arrived:
                        return self._arrived.popleft()
                if self._wake.fileno() in [descriptor for descriptor, _ in self._poll.poll()]:
                    self._wake.clear()
                has_waited = True
            return None
        finally:
            self._interest.enable(self._channel.fileno())
            self.resting.clear()  # before the look at what is refused: whoever refuses then looks at this

    def refuse(self) -> None:
        """Begin no request any more; ``run`` goes on to wait for ``stop``."""
        self._refuses = True

    def stop(self) -> None:
        """Let ``run`` return after the request that it handles now."""
        self._refuses = True
        self._stopped = True
        self._wake.set()
        self._aside.stop()

    def _handle(self, request: Request) -> None:
        interrupts = self._kernel.link.interrupts
        if request.msg_type == "execute_request":
            self._wait_for_audience()
            refused = request.arrival <= self._cells_refused
            dispatch.handle(self._kernel, request, interrupts, dispatch.ABORTED if refused else None)
            self._cells_done = request.arrival
        elif self._kernel.may_answer_beside(request.msg_type):
            self._aside.handle_here(request, interrupts)
        else:
            dispatch.handle(self._kernel, request, interrupts)

    def _stop_queue(self) -> None:
        """Refuse every cell that has arrived by now; called before a failed cell's reply leaves."""
        until = monotonic() + _STOP_LIMIT
        with self._taking:
            while self._channel.receive(self._queue) and monotonic() < until:
                continue
            self._cells_refused = self._cells_arrived


class Aside:
    """The thread that answers requests beside a running cell, one at a time."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._queue: SimpleQueue[Request | object | None] = SimpleQueue()
        self._turn = threading.Lock()
        self._thread: threading.Thread | None = None
        self._saves_soon = False

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="aside", daemon=True)
        self._thread.start()

    def put(self, request: Request) -> None:
        """Queue a request to be answered beside."""
        self._queue.put(request)

    def save_soon(self) -> None:
        """Have the history written within ``_SAVE_DELAY``: a disk must not hold up the next cell."""
        if not self._saves_soon:
            self._saves_soon = True
            self._queue.put(_SAVE)

    def stop(self) -> None:
        """Let the thread end after what it does now."""
        self._queue.put(None)

    def handle_here(self, request: Request, interrupts: Interrupts) -> None:
        """Handle a request in the calling (main) thread, or queue it here if that would mean to wait.

        A hook that is safe beside a cell need not be safe beside itself; and a hook that hangs beside
        must not hold up the main thread.
        """
        if not self._turn.acquire(blocking=False):
            self.put(request)
            return
        try:
            dispatch.handle(self._kernel, request, interrupts)
        finally:
            self._turn.release()

    def _run(self) -> None:
        # Nobody fires these: an interrupt belongs to the request of the main thread.
        interrupts = Interrupts()
        saving: float | None = None
        while True:
            try:
                request = self._queue.get(timeout=None if saving is None else max(0.0, saving - monotonic()))
            except Empty:
                saving, self._saves_soon = None, False
                self._kernel.history.save()
                continue
            if request is None:
                return
            if request is _SAVE:
                saving = monotonic() + _SAVE_DELAY
                continue
            assert isinstance(request, Request)
            with self._turn:
                dispatch.handle(self._kernel, request, interrupts)
