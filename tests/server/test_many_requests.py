"""Ten thousand requests of two clients in a storm of interrupts: one reply and one idle each, in order."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from wrapperkernel.testing.client import KernelClient
from wrapperkernel.testing.exchange import REPLY_OF
from wrapperkernel.testing.process import KernelProcess

Start = Callable[..., KernelProcess]
Message = Mapping[str, Any]

IN_FLIGHT = 20

# What clients ask for, again and again. Cells that take time get interrupts while they do; some fail, and
# those behind them are refused.
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("execute_request", {"code": "say('hello\\n')"}),
    (
        "execute_request",
        {"code": "for n in range(5): say(f'{n}\\n')\nkernel.iopub.display_data({'text/plain': '5'})"},
    ),
    ("execute_request", {"code": "import time; time.sleep(0.002)", "silent": True}),
    ("execute_request", {"code": ""}),
    ("execute_request", {"code": "raise ExecuteError('Failed', 'as told')"}),
    ("execute_request", {"code": "raise ExecuteError('Failed', 'as told')", "stop_on_error": False}),
    ("execute_request", {"code": "1 + 1", "user_expressions": {"x": "1"}}),
    ("complete_request", {"code": "ker", "cursor_pos": 3}),
    ("inspect_request", {"code": "kernel", "cursor_pos": 3, "detail_level": 0}),
    ("is_complete_request", {"code": "kernel"}),
    ("history_request", {"hist_access_type": "tail", "n": 2, "output": False, "raw": True}),
    ("kernel_info_request", {}),
    ("comm_info_request", {}),
    ("comm_open", {"comm_id": "1", "target_name": "nobody", "data": {}}),
    ("comm_msg", {"comm_id": "1", "data": {}}),
    ("nonsense_request", {}),
)


class Asker:
    """A client that keeps its requests in flight, and the account of what came back for each of them."""

    def __init__(self, client: KernelClient, number: int, seed: int) -> None:
        self.client = client
        self.left = number
        self.asked: list[str] = []
        self.open: dict[str, set[str]] = {}  # msg_id → what it still waits for
        self.replied: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self.states: dict[str, list[str]] = {}  # of all requests of all clients
        self.span: dict[str, tuple[int, int]] = {}  # of the same: places of the first and last message
        self._place = 0
        self._random = random.Random(seed)

    def ask(self) -> None:
        """Send requests until enough are in flight: more than so many, as answers come in bunches."""
        while self.left and len(self.open) < 2 * IN_FLIGHT:
            msg_type, content = self._random.choice(REQUESTS)
            send = self.client.execute_request if msg_type == "execute_request" else None
            msg_id = send(**content) if send is not None else self.client.request("shell", msg_type, content)
            self.open[msg_id] = {"idle", "reply"} if msg_type in REPLY_OF else {"idle"}
            self.asked.append(msg_id)
            self.left -= 1

    def read(self) -> None:
        """Wait for something to come, and take all that has."""
        self.client._read(["shell", "iopub"], "anything at all", self.client._deadline(None))
        for message in self.client.receive_all("shell"):
            msg_id = message["parent_header"]["msg_id"]
            self.replied.append(msg_id)
            self.outcomes[message["content"].get("ename", "ok")] += 1
            self._close(msg_id, "reply")
        for message in self.client.receive_all("iopub"):
            state = message["content"].get("execution_state", message["msg_type"])
            msg_id = message["parent_header"].get("msg_id", "")
            self.states.setdefault(msg_id, []).append(state)
            self._place += 1
            self.span[msg_id] = (self.span.get(msg_id, (self._place, 0))[0], self._place)
            if state == "idle" and msg_id in self.client.sent:
                self._close(msg_id, "idle")

    def _close(self, msg_id: str, what: str) -> None:
        """Strike out what came; KeyError if it came twice, or nobody had asked."""
        self.open[msg_id].remove(what)
        if not self.open[msg_id]:
            del self.open[msg_id]

    @property
    def cells(self) -> list[str]:
        return [m for m, msg_type in self.types(self.asked) if msg_type == "execute_request"]

    def types(self, msg_ids: list[str]) -> list[tuple[str, str]]:
        return [(msg_id, self.client.sent[msg_id]["msg_type"]) for msg_id in msg_ids]

    def check(self) -> None:
        """Compare what came with what was asked for."""
        assert [m for m, msg_type in self.types(self.replied) if msg_type == "execute_request"] == self.cells
        wanted = Counter(m for m, msg_type in self.types(self.asked) if msg_type in REPLY_OF)
        assert Counter(self.replied) == wanted


def check_states(asker: Asker, msg_ids: set[str]) -> None:
    """Every request of anybody, as this client saw it: busy first, idle once and last."""
    for msg_id in msg_ids:
        states = asker.states[msg_id]
        assert states[0] == "busy"
        assert states.count("idle") == 1
        # A cell that something was answered beside says again, behind the idle of that, that it is busy.
        assert states[-1] == "idle"


def check_order(asker: Asker, cells: list[str]) -> None:
    """Cells of all clients, as this one saw them: no two at a time."""
    ordered = sorted(cells, key=lambda msg_id: asker.span[msg_id])
    for one, other in pairwise(ordered):
        assert asker.span[one][1] < asker.span[other][0]


class Storm:
    """Threads that interrupt the kernel and ask things on control, until it is enough."""

    def __init__(self, kernel: KernelProcess, seed: int) -> None:
        self._kernel = kernel
        self._seed = seed
        self._enough = threading.Event()
        self._failures: list[BaseException] = []
        self.asked: set[str] = set()
        self._threads = [
            threading.Thread(target=self._watched, args=(each,)) for each in (self._signals, self._asks)
        ]

    def __enter__(self) -> Storm:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._enough.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures, self._failures

    def _watched(self, storm: Callable[[random.Random], None]) -> None:
        try:
            storm(random.Random(self._seed))
        except BaseException as error:
            self._failures.append(error)

    def _signals(self, pauses: random.Random) -> None:
        while not self._enough.wait(pauses.choice([0, 0.0003, 0.002, 0.02])):
            os.kill(self._kernel.pid, signal.SIGINT)

    def _asks(self, pauses: random.Random) -> None:
        channels = ("control",)
        with self._kernel.client(channels=channels) as client:
            types = ("interrupt_request", "kernel_info_request", "usage_request", "debug_request")
            while not self._enough.wait(pauses.choice([0, 0.001, 0.01])):
                batch = [
                    client.request("control", pauses.choice(types)) for _ in range(pauses.randrange(1, 6))
                ]
                self.asked.update(batch)
                for msg_id in batch:
                    assert client.receive("control")["parent_header"]["msg_id"] == msg_id


def leftovers(kernel: KernelProcess, *folders: Path) -> dict[str, Any]:
    """Return what a kernel may leak: descriptors by kind, threads, files."""
    descriptors = Counter()
    for name in os.listdir(f"/proc/{kernel.pid}/fd"):
        target = os.readlink(f"/proc/{kernel.pid}/fd/{name}")
        descriptors[target if target.startswith("/") else target.partition(":")[0]] += 1
    files = [str(path) for folder in folders for path in sorted(folder.rglob("*"))]
    return {
        "descriptors": descriptors,
        "threads": len(os.listdir(f"/proc/{kernel.pid}/task")),
        "files": files,
    }


@pytest.fixture
def lonely(start: Start, tmp_path: Path) -> Iterator[tuple[KernelProcess, list[Path]]]:
    """A kernel in folders of its own."""
    folders = [tmp_path / name for name in ("cwd", "tmp", "home")]
    for folder in folders:
        folder.mkdir()
    cwd, tmp, home = folders
    with start(cwd=cwd, env={"TMPDIR": str(tmp), "HOME": str(home)}) as kernel:
        yield kernel, folders


def run_storm(kernel: KernelProcess, number: int, seed: int) -> Counter[str]:
    """Send so many requests and check what comes back; return how the requests ended."""
    with kernel.client(checking=False) as one, kernel.client(checking=False) as other:
        for client in (one, other):
            client.wait_ready()
        askers = [Asker(client, number // 2, seed + n) for n, client in enumerate((one, other))]
        with Storm(kernel, seed) as storm:
            waiting = deque(askers)
            while waiting:
                for asker in list(waiting):
                    asker.ask()
                    if asker.open:
                        asker.read()
                    else:
                        waiting.remove(asker)
        for asker in askers:
            asker.check()
        everything = {msg_id for asker in askers for msg_id in asker.asked} | storm.asked
        for asker in askers:
            # What the other asked for last may come later than one's own last.
            while any("idle" not in asker.states.get(msg_id, ()) for msg_id in everything):
                asker.read()
            check_states(asker, everything)
            check_order(asker, [cell for each in askers for cell in each.cells])
            for each in askers:
                assert sorted(each.cells, key=lambda cell: asker.span[cell]) == each.cells
        return askers[0].outcomes + askers[1].outcomes


@pytest.mark.row("R1", "R4", "S8")
@pytest.mark.repeat(20)
def test_ten_thousand_requests_in_a_storm_of_interrupts(
    lonely: tuple[KernelProcess, list[Path]],
) -> None:
    kernel, folders = lonely
    seed = int(os.environ.get("SEED", random.randrange(1 << 30)))
    print(f"SEED={seed}")  # shown if it fails
    with kernel.client(checking=False) as client:
        client.wait_ready()

        def settled(connections: int) -> dict[str, Any]:
            """Wait until so many connections are left: those that were closed are noticed by and by."""
            for _ in range(1000):
                client.exchange("shell", "history_request", {"hist_access_type": "tail", "n": 1})
                client.receive_all("iopub")
                found = leftovers(kernel, *folders)
                if found["descriptors"]["socket"] == connections:
                    break
            return found

        connections = leftovers(kernel)["descriptors"]["socket"]
        run_storm(kernel, 400, seed)  # what is made on first use is no leak
        before = settled(connections)
        outcomes = run_storm(kernel, 10_000, seed)
        # That it was a storm: some were interrupted, some refused behind a failure, most were not.
        assert outcomes["KeyboardInterrupt"] > 0
        assert outcomes["ExecutionAborted"] > 0
        assert outcomes["ok"] > 1000
        after = settled(connections)
        for what, found in before.items():
            assert after[what] == found, what
        assert client.execute("say('alive')").stdout == "alive"


FLOODS = """
import threading, time
def flood(publish):
    while flooding:
        publish()
        time.sleep(0.0002)
flooding = True
for publish in (lambda: say("flood\\n"), lambda: kernel.iopub.display_data({"text/plain": "flood"})):
    threading.Thread(target=flood, args=(publish,), daemon=True).start()
"""


def ask_in_a_flood(kernel: KernelProcess, number: int) -> None:
    with kernel.client(checking=False) as one, kernel.client(checking=False) as other:
        for client in (one, other):
            client.wait_ready()
            client.sockets["iopub"].unsubscribe(b"")
        assert one.reply(one.execute_request(FLOODS))["content"]["status"] == "ok"
        requests = [
            ("execute_request", {"code": "pass", "silent": True}),
            ("complete_request", {"code": "ker", "cursor_pos": 3}),
            ("kernel_info_request", {}),
        ]
        flights: dict[KernelClient, deque[str]] = {one: deque(), other: deque()}
        for count in range(number):
            for client, flight in flights.items():
                flight.append(client.request("shell", *requests[count % 3]))
                if len(flight) > IN_FLIGHT:
                    client.reply(flight.popleft())
        for client, flight in flights.items():
            while flight:
                client.reply(flight.popleft())
        assert one.reply(one.execute_request("flooding = False"))["content"]["status"] == "ok"


@pytest.mark.row("S8")
def test_two_clients_are_answered_beside_threads_that_flood(start: Start) -> None:
    with start() as kernel:
        ask_in_a_flood(kernel, 1000)


@pytest.mark.soak
def test_two_clients_with_thirty_thousand_requests_each(start: Start) -> None:
    with start() as kernel:
        ask_in_a_flood(kernel, 30_000)
