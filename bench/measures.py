"""What is measured of a kernel, one visit at a time.

A visit starts a process, uses it as a frontend would, and returns numbers by the key of their measure.
Nothing is compared or printed here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from bench.client import Client
from bench.kernels import LINES, STREAM_BYTES, Contestant
from bench.process import KernelProcess, cpu_of_program, new_connection

#: By the key of a measure, in the unit of the measure.
Sample = dict[str, float]

BARE_IMPORTS = "import zmq, traitlets.config, pexpect, jupyter_core.paths"


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of the table."""

    key: str
    label: str
    digits: int = 1


MEASURES = (
    Measure("start", "start to kernel_info_reply, ms", 0),
    Measure("first_cell", "start to first cell done, ms", 0),
    Measure("first_cpu", "CPU until the first cell, ms", 0),
    Measure("reply", "trivial cell, execute → reply p50, ms", 3),
    Measure("cell_cpu", "CPU of the kernel per cell, ms", 3),
    Measure("rss", "kernel RSS idle, MB", 1),
    Measure("pss", "kernel PSS idle, MB", 1),
    Measure("wake_ups", "wake-ups per second, idle", 1),
    Measure("burst", "cells/s, 500 sent at once", 0),
    Measure("lines_cpu", "20 000 short lines, ms of kernel CPU", 0),
    Measure("lines_lost", "20 000 short lines, lines lost", 0),
    Measure("stream", "50 MB stream, s", 2),
    Measure("stream_rss", "50 MB stream, peak RSS over idle, MB", 1),
    Measure("stream_lost", "50 MB stream, MB lost", 1),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done in a run."""

    rounds: int = 9
    long_rounds: int = 3  # the first rounds, which also measure the idle kernel and the floods
    cells: int = 300
    burst: int = 500
    idle_seconds: float = 5.0


FULL = Effort()
QUICK = Effort(rounds=2, long_rounds=1, cells=30, idle_seconds=1.0)


@contextmanager
def running(contestant: Contestant, argv: tuple[str, ...]) -> Iterator[tuple[KernelProcess, Client]]:
    """Have a process ready to be started and a client that already waits for it; end both."""
    connection = new_connection()
    process = KernelProcess(argv, contestant.programs, connection)
    client = Client(connection, publishes=contestant.publishes)
    try:
        yield process, client
    except Exception as error:
        if lines_printed := process.printed():
            error.add_note(f"it said: {lines_printed[-1]}")
        raise
    finally:
        if contestant.publishes:
            client.shut_down()
        process.stop(patience=5.0 if contestant.publishes else 0.0)
        client.close()


def visit(contestant: Contestant, effort: Effort, *, idle: bool) -> Iterator[Sample]:
    """Measure a contestant from its start to 500 requests at once, yielding what is known so far."""
    with running(contestant, contestant.argv) as (process, client):
        yield start(contestant, process, client)
        yield round_trips(contestant, process, client, effort.cells)
        if idle:
            yield at_rest(process, effort.idle_seconds)
        yield burst(contestant, client, effort.burst)


def visit_floods(contestant: Contestant) -> Iterator[Sample]:
    """Measure how a contestant prints much, in a process of its own; nothing for one that has no loop."""
    if contestant.loop_argv is None:
        return
    with running(contestant, contestant.loop_argv) as (process, client):
        start(contestant, process, client)
        yield lines(contestant, process, client)
        yield stream(contestant, process, client)


def imports(python: Path) -> Sample:
    """Measure the imports that the library cannot do without, as a process that does nothing else."""
    return {"first_cpu": 1000 * cpu_of_program([str(python), "-c", BARE_IMPORTS], python.parent)}


def start(contestant: Contestant, process: KernelProcess, client: Client) -> Sample:
    """Start the process; measure until it answers, and until its first cell is done."""
    begin = perf_counter()
    process.start()
    client.round_trip(client.request("kernel_info_request", {}))
    answered = perf_counter()
    client.round_trip(client.execute_request(contestant.cells.trivial))
    done = perf_counter()
    client.subscribe()
    return {
        "start": 1000 * (answered - begin),
        "first_cell": 1000 * (done - begin),
        "first_cpu": 1000 * process.cpu(),
    }


def round_trips(contestant: Contestant, process: KernelProcess, client: Client, cells: int) -> Sample:
    """Execute trivial cells one after the other, each after the idle of the one before."""
    requests = [client.execute_request(contestant.cells.trivial) for _ in range(cells)]
    seconds = []
    cpu = process.cpu()
    for request in requests:
        elapsed, _ = client.round_trip(request)
        client.until_idle(request)
        seconds.append(elapsed)
    cpu = process.cpu() - cpu
    return {"reply": 1000 * statistics.median(seconds), "cell_cpu": 1000 * cpu / cells}


def at_rest(process: KernelProcess, seconds: float) -> Sample:
    """Look at the kernel while nobody asks it for anything, after a second in which it may settle."""
    time.sleep(1)
    before, begin = process.wake_ups(), perf_counter()
    time.sleep(seconds)
    wake_ups = (process.wake_ups() - before) / (perf_counter() - begin)
    return {"rss": process.rss(), "pss": process.pss(), "wake_ups": wake_ups}


def burst(contestant: Contestant, client: Client, cells: int) -> Sample:
    """Send many cells at once."""
    requests = [client.execute_request(contestant.cells.trivial) for _ in range(cells)]
    seconds = client.burst(requests)
    client.until_idle(requests[-1])
    return {"burst": cells / seconds}


def lines(contestant: Contestant, process: KernelProcess, client: Client) -> Sample:
    """Print many short lines; count what arrives."""
    cpu = process.cpu()
    text = _printed(client, contestant.cells.lines)
    return {"lines_cpu": 1000 * (process.cpu() - cpu), "lines_lost": LINES - text.count("\n")}


def stream(contestant: Contestant, process: KernelProcess, client: Client) -> Sample:
    """Print 50 MB in blocks; measure the time to the last of them, the memory, and what arrives."""
    before = process.rss()
    process.forget_peak()
    begin = perf_counter()
    request = client.execute_request(contestant.cells.stream)
    client.round_trip(request)
    published = client.until_idle(request)
    seconds = perf_counter() - begin
    peak = process.peak_rss()
    size = len(_text(client, published))
    return {"stream": seconds, "stream_rss": peak - before, "stream_lost": (STREAM_BYTES - size) / 1e6}


def _printed(client: Client, code: str) -> str:
    request = client.execute_request(code)
    client.round_trip(request)
    return _text(client, client.until_idle(request))


def _text(client: Client, published: list[list[bytes]]) -> str:
    answers = [client.read(frames) for frames in published]
    return "".join(each.content["text"] for each in answers if each.msg_type == "stream")
