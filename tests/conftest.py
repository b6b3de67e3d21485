"""What every test gets: an empty home, the marks `row`, `soak` and `repeat`, `no_leaks`, a record of results.

It refuses to know what a kernel is. The watchdog that ends a hanging run is pytest's own
(`faulthandler_timeout` in pyproject.toml).
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SKIPS_FAIL = os.environ.get("CI") == "true"
LEAK_LIMIT = 10.0  # seconds a test's threads and descriptors get to go


# --- options, marks, the run's home -----------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("wrapperkernel")
    group.addoption(
        "--results", metavar="FILE", help="write one JSON line per test: outcome, rows, mutations"
    )
    group.addoption(
        "--soak", action="store_true", help="run tests marked soak, and repeat those marked repeat"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "row(*ids, file, old, new): shows these rows of the protocol (tests/rows.py); the keywords name a"
        " change of one line of the library that must make this test fail (make mutate)",
    )
    config.addinivalue_line("markers", "soak: long, runs in `make soak` alone")
    config.addinivalue_line(
        "markers", "repeat(times): runs once in `make test` and so many times in `make soak`"
    )
    # Started in the background by a shell, or by nohup, this process ignores signals, and so would kernels.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    config.stash[HOME] = Home()
    if config.getoption("--results"):
        config.pluginmanager.register(Results(Path(config.getoption("--results"))), "wrapperkernel-results")


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[HOME].remove()


class Home:
    """An empty home for this process and all it starts: no configuration, history or kernelspec of the user.

    The variables that would lead past it go; the limit of the tests' own waits stays. pip alone keeps its
    settings and its cache, because tests that install the library may need the user's index.
    """

    def __init__(self) -> None:
        self._before = dict(os.environ)
        self.path = Path(tempfile.mkdtemp(prefix="wk-home-")).resolve()
        real = Path(self._before.get("HOME", "/"))
        pip_config = real / ".config" / "pip" / "pip.conf"
        if "PIP_CONFIG_FILE" not in os.environ and pip_config.is_file():
            os.environ["PIP_CONFIG_FILE"] = str(pip_config)
        os.environ.setdefault("PIP_CACHE_DIR", str(real / ".cache" / "pip"))
        for name in self._before.keys() - {"WRAPPERKERNEL_TEST_TIMEOUT"}:
            if name.startswith(("JUPYTER", "JPY_", "IPYTHON", "XDG_", "WRAPPERKERNEL_")):
                del os.environ[name]
        os.environ["HOME"] = str(self.path)
        os.environ["IPYTHONDIR"] = str(self.path / ".ipython")

    def remove(self) -> None:
        os.environ.clear()
        os.environ.update(self._before)
        shutil.rmtree(self.path, ignore_errors=True)


HOME = pytest.StashKey[Home]()


# --- soak and repeat ------------------------------------------------------------------------------


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("repeat")
    if mark is not None and metafunc.config.getoption("--soak"):
        times = int(os.environ.get("SOAK_REPEATS", mark.args[0]))
        metafunc.fixturenames.append("repetition")
        metafunc.parametrize("repetition", range(1, times + 1))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--soak"):
        soaks = [item for item in items if item.get_closest_marker("soak")]
        if soaks:
            items[:] = [item for item in items if item not in soaks]
            config.hook.pytest_deselected(items=soaks)


# --- a skip is a failure where CI=true: there, everything a test needs is installed ----------------


def fail_if_skipped(report: Any) -> None:
    if SKIPS_FAIL and report.skipped:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI=true allows no skip or expected failure: {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    fail_if_skipped(report)
    return report


# --- results, for `make protocol` and `make mutate` --------------------------------------------------


class Results:
    """Write a line when a test is collected (its marks) and one when it has ended (its outcome).

    A line at a time: what is in the file is true even if the run was cut short.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._outcomes: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            marks = [{"rows": list(m.args), **m.kwargs} for m in item.iter_markers("row")]
            if marks:
                self._write({"test": item.nodeid, "marks": marks})

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worst = self._outcomes.get(report.nodeid, "passed")
        if worst != "failed" and report.outcome != "passed":
            self._outcomes[report.nodeid] = report.outcome
        else:
            self._outcomes[report.nodeid] = worst

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self._write({"test": nodeid, "outcome": self._outcomes.pop(nodeid, "failed")})

    def pytest_unconfigure(self) -> None:
        self._file.close()

    def _write(self, record: dict[str, Any]) -> None:
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()


# --- leaks ------------------------------------------------------------------------------------------


def descriptors() -> dict[int, str]:
    """Return this process's open descriptors and what they lead to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of the listing itself
            continue
    return found


def children() -> set[int]:
    """Return the process ids of this process's children."""
    return {
        int(pid)
        for listing in Path("/proc/self/task").glob("*/children")
        for pid in listing.read_text().split()
    }


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """Fail if the test leaves a thread, a descriptor or a child process behind.

    They get a few seconds to go: closing a zmq context hands its descriptors to a thread of libzmq.
    """
    gc.collect()
    before = set(threading.enumerate()), descriptors(), children()
    yield
    limit = time.monotonic() + LEAK_LIMIT
    while True:
        gc.collect()
        now = descriptors()
        left = [
            *(f"thread {t.name}" for t in threading.enumerate() if t not in before[0]),
            *(f"descriptor {fd} -> {what}" for fd, what in now.items() if fd not in before[1]),
            *(f"process {pid}" for pid in children() - before[2]),
        ]
        if not left or time.monotonic() > limit:
            break
        time.sleep(0.02)  # nothing tells when another thread's descriptor has gone
    assert not left, "left behind: " + ", ".join(left)
