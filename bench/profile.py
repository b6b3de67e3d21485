"""Where the time of one kernel goes: its imports, its threads, and the functions of its main thread.

Prints; the figures are for reading, not for the docs, since a profiler slows down what it looks at.
"""

from __future__ import annotations

import pstats
import subprocess
import tempfile
from pathlib import Path

from bench.kernels import Contestant
from bench.measures import round_trips, running, start
from bench.process import clean_environment

CELLS = 2000
ROWS = 30


def profile(contestant: Contestant) -> None:
    """Print three tables on a contestant that is started by ``python -m MODULE``."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        imports(contestant, Path(directory))
        threads(contestant)
        functions(contestant, Path(directory) / "profile")


def imports(contestant: Contestant, home: Path) -> None:
    """Print the modules that cost most to import on the way to ``--help``."""
    python, *arguments = contestant.argv
    command = [python, "-X", "importtime", *arguments[: arguments.index("-f")], "--help"]
    environment = clean_environment(home, contestant.programs)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if "|" in line]
    times = [(int(own), int(total), name) for own, total, name in rows if own.strip().isdigit()]
    print("imports, µs by themselves, µs with what they import:")
    for own, total, name in sorted(times, reverse=True)[:ROWS]:
        print(f"{own:8} {total:8}  {name.strip()}")


def threads(contestant: Contestant) -> None:
    """Print the CPU time of each thread per cell."""
    with running(contestant, contestant.argv) as (process, client):
        start(contestant, process, client)
        before = process.cpu_by_thread()
        sample = round_trips(contestant, process, client, CELLS)
        after = process.cpu_by_thread()
    print(f"\nthreads, µs of CPU per cell; execute → reply p50 {1000 * sample['reply']:.0f} µs:")
    for name, seconds in sorted(after.items(), key=lambda each: -each[1]):
        print(f"{1e6 * (seconds - before.get(name, 0)) / CELLS:8.1f}  {name}")


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
