"""Break the library in the way each row mark names, and demand that its test fails (`make mutate`).

Works in copies of the whole tree, never in the tree itself. A copy comes first on the path of the test and of
every process it starts, so that kernels run the mutated library too; the copy proves that before it is used.
`python -m tests.tools.mutate [-j N] [ROW…]`
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tests.tools.marks import ROOT, Mark, Mutation, collect, complaints, read

WAIT = "20"  # seconds that a test waits for one message
LIMIT = 240  # seconds for one test; a test that a mutation makes hang has failed
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "dist", "node_modules")
PROBE = (
    "import wrapperkernel, wrapperkernel.examples as e; print(wrapperkernel.__file__); print(e.__path__[0])"
)
# A mutation may keep threads or sockets alive that Python would wait for at its exit.
PYTEST = "import os, sys, pytest; code = pytest.main(sys.argv[1:]); sys.stdout.flush(); os._exit(code)"
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=120")


class Copy:
    """A copy of the tree, and an environment in which Python imports the library from there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        shutil.copytree(ROOT, folder, ignore=NOT_COPIED, symlinks=True)
        # An installed wrapperkernel maps this package to examples/; on the path it has to be where it says.
        examples = folder / "wrapperkernel" / "examples"
        if not examples.is_symlink():
            examples.symlink_to(folder / "examples")

    def environment(self, run: str) -> dict[str, str]:
        """Return the environment of one run; `run` marks all its processes."""
        path = os.pathsep.join(filter(None, [str(self.root), os.environ.get("PYTHONPATH")]))
        # No bytecode: a mutation may keep a file's size and come within the second of the last one.
        environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "WK_MUTATION_RUN": run}
        return {**os.environ, **environment, "WRAPPERKERNEL_TEST_TIMEOUT": WAIT}

    def prove(self) -> list[str]:
        """Return where a process that starts elsewhere imports library and examples from: this copy."""
        command = [sys.executable, "-c", PROBE]
        found = subprocess.run(
            command, cwd="/", env=self.environment(""), check=True, capture_output=True, text=True
        ).stdout.splitlines()
        for path in found:
            if not path.startswith(f"{self.root}{os.sep}"):
                sys.exit(f"{path} is imported instead of the copy in {self.root}")
        return found

    def load(self, file: str) -> None:
        """Import one module; ValueError if it cannot be: then every test fails, and shows nothing."""
        name = ".".join(["wrapperkernel", *Path(file).with_suffix("").parts])
        command = [sys.executable, "-c", f"import {name}"]
        run = subprocess.run(command, cwd="/", env=self.environment(""), capture_output=True, text=True)
        if run.returncode:
            raise ValueError(f"the mutated module cannot be imported: {run.stderr.splitlines()[-1]}")

    def fails(self, tests: Sequence[str]) -> str:
        """Run the tests here; return how they failed, or nothing if they passed."""
        run = uuid.uuid4().hex
        results = self.root / "results.jsonl"
        command = [sys.executable, "-c", PYTEST, *OPTIONS, f"--results={results}"]
        try:
            code = subprocess.run(
                [*command, *tests],
                cwd=self.root,
                env=self.environment(run),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LIMIT * max(1, len(tests) // 10),
            )
        except subprocess.TimeoutExpired:
            return "hung"
        finally:
            end_processes(run)
        if code.returncode == 0:
            return ""
        if code.returncode != 1 or not results.exists() or not (record := read(results))[0]:
            raise RuntimeError(f"pytest could not run the test:\n{code.stdout[-3000:]}{code.stderr[-3000:]}")
        if any("failed" in outcomes for outcomes in record[1].values()):
            return f"failed\n{code.stdout[-6000:]}"
        return "hung"  # and was ended by the watchdog: collected, but no outcome

    def catches(self, mark: Mark, mutation: Mutation) -> str:
        """Run a mark's test on the mutated library; return how it failed, or nothing if it passed."""
        file = self.root / "wrapperkernel" / mutation.file
        source = file.read_text(encoding="utf-8")
        file.write_text(mutation.applied(source), encoding="utf-8")
        try:
            self.load(mutation.file)
            return self.fails([mark.test])
        finally:
            file.write_text(source, encoding="utf-8")


def end_processes(run: str) -> None:
    """Kill what a run left behind: a mutated kernel may not end by itself."""
    marker = f"WK_MUTATION_RUN={run}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:  # not ours to read, or gone
            continue


def main() -> int:
    """Try every mutation, print what became of it, and return how many were not caught."""
    parser = argparse.ArgumentParser(
        prog="make mutate", description="Break the library and demand failing tests."
    )
    parser.add_argument("-j", type=int, default=2, metavar="N", help="copies at work at a time")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="these rows alone")
    arguments = parser.parse_args()

    marks = collect()
    wanted = [m for m in marks if not arguments.rows or set(m.rows) & set(arguments.rows)]
    bad = list(complaints(marks)) if not arguments.rows else []
    tries = [(mark, mark.mutation) for mark in wanted if mark.mutation is not None]
    with tempfile.TemporaryDirectory(prefix="wk-mutate-") as folder, ThreadPoolExecutor(arguments.j) as pool:
        copies: queue.SimpleQueue[Copy] = queue.SimpleQueue()
        for number in range(arguments.j):
            copy = Copy(Path(folder).resolve() / str(number))
            print("library and examples come from", *copy.prove(), flush=True)
            copies.put(copy)

        def attempt(mark: Mark, mutation: Mutation) -> str:
            copy = copies.get()
            try:
                return copy.catches(mark, mutation)
            except (OSError, ValueError, RuntimeError) as error:
                return f"error: {error}"
            finally:
                copies.put(copy)

        tests = sorted({mark.test for mark, _ in tries})
        copy = copies.get()
        if tests and (how := copy.fails(tests)):
            print("The tests fail without any mutation:", how)
            return 1
        copies.put(copy)
        print(f"{len(tests)} tests pass without a mutation; now {len(tries)} mutations", flush=True)

        futures = {pool.submit(attempt, mark, mutation): (mark, mutation) for mark, mutation in tries}
        for future in as_completed(futures):
            mark, mutation = futures[future]
            how = future.result()
            caught = how.startswith(("failed", "hung"))
            if not caught:
                bad.append(f"{', '.join(mark.rows)}: {mark.test}: {how or 'survived'}: {mutation}")
            first = how.partition("\n")[0] or "SURVIVED"
            print(
                f"{','.join(mark.rows):4} {first:8} {mark.test}  {mutation.file}: {mutation.new}", flush=True
            )
    print(f"{len(tries)} mutations, {len(bad)} complaints", *bad, sep="\n")
    return len(bad)


if __name__ == "__main__":
    sys.exit(bool(main()))
