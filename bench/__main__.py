"""Run the benchmark: every kernel in turn, round by round, then tables of what was measured.

    python -m bench                 # some minutes; makes .bench-venv/ at the first run
    python -m bench --quick         # a smoke run, whose figures mean little
    python -m bench --write         # puts the tables into docs/performance.md
    python -m bench --profile       # where the time of our echo kernel goes, instead of all that

Ends with 1 if a target was missed or not measured, 2 if our own kernel could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench import kernels, profile, report
from bench.client import NoAnswer, NotUnderstood
from bench.environments import ROOT, install_peers, install_project, versions
from bench.kernels import Contestant
from bench.measures import FULL, MEASURES, QUICK, Effort, Sample, imports, visit, visit_floods
from bench.report import Target

PAGE = ROOT / "docs" / "performance.md"
IMPORTS = "bare imports"

TARGETS = (
    Target("start to kernel_info_reply / xeus-python", "start", kernels.ECHO, 0.9, against=kernels.XEUS),
    Target("execute → reply / xeus-python", "reply", kernels.ECHO, 0.5, against=kernels.XEUS),
    Target("execute → reply / bare server", "reply", kernels.ECHO, 2.0, against=kernels.BARE),
    Target("CPU until the first cell / bare imports", "first_cpu", kernels.ECHO, 1.25, against=IMPORTS),
    Target("RSS idle, MB", "rss", kernels.ECHO, 30),
    Target("wake-ups per second, idle", "wake_ups", kernels.ECHO, 0),
    Target(
        "cells/s of 500 sent at once / xeus-python",
        "burst",
        kernels.ECHO,
        1.2,
        at_least=True,
        against=kernels.XEUS,
    ),
    Target("bash: start to first cell / xeus-python", "first_cell", kernels.BASH, 1.0, against=kernels.XEUS),
    Target("bash: execute → reply / xeus-python", "reply", kernels.BASH, 0.5, against=kernels.XEUS),
    Target("bash: execute → reply / bash_kernel", "reply", kernels.BASH, 0.01, against=kernels.BASH_KERNEL),
    Target("bash: CPU until the first cell / bare imports", "first_cpu", kernels.BASH, 1.25, against=IMPORTS),
    Target("bash: RSS idle, MB", "rss", kernels.BASH, 30),
    Target("bash: wake-ups per second, idle", "wake_ups", kernels.BASH, 0),
)


class Run:
    """All samples of one run, and what went wrong in it."""

    def __init__(self, rounds: int) -> None:
        self.results: dict[str, dict[str, list[float | None]]] = {}
        self.failures: list[str] = []
        self._rounds = rounds

    def take(self, name: str, round_: int, samples: Iterable[Sample]) -> None:
        """Keep the samples of a visit; a kernel that fails is noted, and the run goes on."""
        try:
            for sample in samples:
                for key, value in sample.items():
                    row = self.results.setdefault(name, {}).setdefault(key, [None] * self._rounds)
                    row[round_] = value
        except (NoAnswer, NotUnderstood, OSError, RuntimeError) as error:
            failure = "; ".join([f"{name}: {error}", *getattr(error, "__notes__", ())])
            say(f"  {failure}")
            if failure not in self.failures:
                self.failures.append(failure)


def measure(contestants: Sequence[Contestant], python: Path, effort: Effort) -> Run:
    """Visit everybody in each round, every second round backwards, so that a machine's drift cancels out.

    A contestant that cannot even warm up is left out.
    """
    say("warming up")  # the caches of the machine, and the byte code of each kernel
    warm_up = Run(1)
    for contestant in contestants:
        warm_up.take(contestant.name, 0, visit(contestant, QUICK, idle=False))
    run = Run(effort.rounds)
    run.failures += warm_up.failures
    turns: list[Contestant | None] = [each for each in contestants if each.name in warm_up.results]
    turns.append(None)  # nobody: the bare imports
    for round_ in range(effort.rounds):
        say(f"round {round_ + 1} of {effort.rounds}")
        long = round_ < effort.long_rounds
        for turn in turns if round_ % 2 == 0 else reversed(turns):
            if turn is None:
                run.take(IMPORTS, round_, [imports(python)])
                continue
            run.take(turn.name, round_, visit(turn, effort, idle=long))
            if long:
                run.take(turn.name, round_, visit_floods(turn))
    return run


def tables(run: Run, contestants: list[Contestant], missing: list[str], heading: str) -> str:
    """Return all that goes into the docs."""
    names = [*(each.name for each in contestants), IMPORTS]
    parts = [
        heading,
        report.targets_table(TARGETS, run.results),
        "As measured, median (minimum to maximum):",
        report.figures_table(MEASURES, names, run.results),
        "Divided by the echo kernel's figure of the same round, median (minimum to maximum):",
        report.ratios_table(MEASURES, names, kernels.ECHO, run.results),
    ]
    if notes := [*missing, *run.failures]:
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def describe(python: Path, peers: Path, effort: Effort) -> str:
    """Return a paragraph on what ran where."""
    wheels = versions(python, ["wrapperkernel", "pyzmq", "orjson"])
    if (peers / "bin" / "python").exists():
        wheels |= versions(peers / "bin" / "python", ["xeus-python", "akernel", "ipykernel"])
    listed = ", ".join(f"{name} {wheels[name]}" for name in sorted(wheels))
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()} on {os.cpu_count()} {platform.machine()} cores, "
        f"Python {platform.python_version()}, {listed}; "
        f"{effort.rounds} rounds, {effort.long_rounds} of them with idle times and floods, "
        f"{effort.cells} cells one by one in each."
    )


def say(text: str) -> None:
    """Tell the person at the terminal, without touching what is printed for the docs."""
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure our echo kernel beside others."
    )
    parser.add_argument(
        "--peers", type=Path, default=ROOT / ".bench-venv" / "peers", help="environment of the peers"
    )
    parser.add_argument(
        "--ours", type=Path, default=ROOT / ".bench-venv" / "ours", help="environment of the project"
    )
    parser.add_argument("--python", type=Path, help="use the wrapperkernel of this Python, install nothing")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure these alone")
    parser.add_argument("--rounds", type=int, help=f"default {FULL.rounds}")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--json", type=Path, help="save all samples")
    parser.add_argument("--profile", action="store_true", help="profile our echo kernel instead")
    options = parser.parse_args()

    python = options.python.absolute() if options.python else install_project(options.ours.absolute())
    if options.profile:
        profile.profile(kernels.ours(python)[0])
        return 0

    install_peers(options.peers.absolute())
    found, missing = kernels.peers(options.peers.absolute())
    contestants = [
        each for each in [*kernels.ours(python), *found] if not options.only or each.name in options.only
    ]
    effort = QUICK if options.quick else FULL
    if options.rounds:
        effort = Effort(options.rounds, min(effort.long_rounds, options.rounds), effort.cells, effort.burst)
    run = measure(contestants, python, effort)
    text = tables(run, contestants, missing, describe(python, options.peers.absolute(), effort))
    print(text)
    if options.json:
        options.json.write_text(json.dumps(run.results, indent=1))
    if options.write:
        report.write(PAGE, text)
    if kernels.ECHO not in run.results:
        return 2
    wanted = {each.name for each in contestants} | {IMPORTS} if options.only else None
    spreads = [
        (target, report.spread_of(target, run.results))
        for target in TARGETS
        if wanted is None or {target.contestant, target.against or target.contestant} <= wanted
    ]
    return int(any(spread is None or not target.met(spread) for target, spread in spreads))


if __name__ == "__main__":
    sys.exit(main())
