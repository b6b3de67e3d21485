"""Where the time of one kernel goes: its imports, its threads, and the functions of its main thread.

Prints; the figures are for reading, not for the docs, since a profiler slows down what it looks at.
"""

from __future__ import annotations

import pstats
import tempfile
from pathlib import Path

from bench.kernels import Contestant
from bench.measures import round_trips, running, start

CELLS = 2000
ROWS = 30


def profile(contestant: Contestant) -> None:
    """Print three tables on a contestant whose first argument is Python."""
    imports(contestant)
    threads(contestant)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        functions(contestant, Path(directory) / "profile")


def imports(contestant: Contestant) -> None:
    """Print the modules that cost most to import until the first cell is done."""
    python, *arguments = contestant.argv
    with running(contestant, (python, "-X", "importtime", *arguments)) as (process, client):
        start(contestant, process, client)
        printed = process.printed()
    rows = [line.removeprefix("import time:").split("|") for line in printed if line.count("|") == 2]
    times = [(int(own), int(total), name.strip()) for own, total, name in rows if own.strip().isdigit()]
    print(f"imports, {len(times)} modules, µs by themselves, µs with what they import:")
    for own, total, name in sorted(times, reverse=True)[:ROWS]:
        print(f"{own:8} {total:8}  {name}")


def threads(contestant: Contestant) -> None:
    """Print the CPU time and the wake-ups of each thread per cell."""
    with running(contestant, contestant.argv) as (process, client):
        start(contestant, process, client)
        before = process.threads()
        sample = round_trips(contestant, process, client, CELLS)
        after = process.threads()
    print(f"\nthreads, µs of CPU and wake-ups per cell; execute → reply p50 {1000 * sample['reply']:.0f} µs:")
    for name, (seconds, wakes) in after.items():
        seconds_before, wakes_before = before.get(name, (0.0, 0))
        print(
            f"{1e6 * (seconds - seconds_before) / CELLS:8.1f} {(wakes - wakes_before) / CELLS:8.2f}  {name}"
        )


def functions(contestant: Contestant, file: Path) -> None:
    """Print the functions of the main thread by their own time, from the start to the end of the process."""
    python, *arguments = contestant.argv
    argv = (python, "-m", "cProfile", "-o", str(file), *arguments)
    with running(contestant, argv) as (process, client):
        start(contestant, process, client)
        round_trips(contestant, process, client, CELLS)
    if not file.exists():
        print("\nno profile: the process left without writing it")
        return
    print(f"\nfunctions of the main thread, {CELLS} cells:")
    pstats.Stats(str(file)).strip_dirs().sort_stats("tottime").print_stats(ROWS)
