"""The history of cells: the three questions, many kernels in one file, files that cannot be used."""

from __future__ import annotations

import logging
import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapperkernel.kernel.history import History, history_path

LOG = logging.getLogger("test.history")
Opener = Callable[[], History]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made on demand" / "kernel #1?.sqlite"


@pytest.fixture
def new(path: Path) -> Iterator[Opener]:
    """Return a function that starts another session in the file, as another kernel would."""
    opened: list[History] = []

    def start() -> History:
        opened.append(History(lambda: path, LOG))
        return opened[-1]

    yield start
    for history in opened:
        history.close()


def filled(history: History, *sources: str, first: int = 1) -> History:
    for line, source in enumerate(sources, first):
        history.store(line, source)
    return history


def sources(entries: list) -> list[str]:
    return [entry[2] for entry in entries]


# --- the three questions -------------------------------------------------------------------------


@pytest.mark.row("Q9")
def test_tail_is_the_last_cells_of_all_sessions_oldest_first(new: Opener) -> None:
    filled(new(), "a", "b")
    history = filled(new(), "c")
    assert history.tail(2) == [(1, 2, "b"), (2, 1, "c")]
    assert history.tail(10) == [(1, 1, "a"), (1, 2, "b"), (2, 1, "c")]
    assert history.tail(0) == history.tail(-1) == []


@pytest.mark.row("Q9")
def test_tail_goes_by_time_where_two_kernels_run_at_once(new: Opener) -> None:
    older, newer = new(), new()
    filled(older, "1")
    filled(newer, "2", "3")
    filled(older, "4", first=2)
    assert sources(older.tail(2)) == sources(newer.tail(2)) == ["3", "4"]


@pytest.mark.row("Q9")
def test_range_counts_sessions_from_the_first_or_back_from_this_one(new: Opener) -> None:
    filled(new(), "a", "b", "c")
    history = filled(new(), "d")
    assert history.range(1, 1, None) == [(1, 1, "a"), (1, 2, "b"), (1, 3, "c")]
    assert history.range(-1, 1, None) == history.range(1, 1, None)
    assert history.range(0, 1, None) == history.range(2, 1, None) == [(2, 1, "d")]
    assert history.range(-2, 1, None) == history.range(3, 1, None) == []


@pytest.mark.row("Q9")
def test_range_has_its_start_and_stops_before_its_stop(new: Opener) -> None:
    history = filled(new(), "a", "b", "c")
    assert history.range(0, 2, 3) == [(1, 2, "b")]
    assert history.range(0, 0, 2) == [(1, 1, "a")]
    assert history.range(0, 2, 2) == history.range(0, 3, 1) == []


@pytest.mark.row("Q9")
def test_range_answers_for_what_tail_named(new: Opener) -> None:
    history = filled(new(), "a", "b")
    session, line, source = history.tail(1)[0]
    assert history.range(session, line, line + 1) == [(session, line, source)]


@pytest.mark.row("Q9")
@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["echo hi", "echo ho", "ls\n-l", "Échelle"]),
        ("echo h?", ["echo hi", "echo ho"]),
        ("echo", []),
        ("*l*l", ["ls\n-l"]),
        ("ECHO*", []),
        ("echo h[a-n]", ["echo hi"]),
        ("echo h[^a-n]", ["echo ho"]),
        ("?chelle", ["Échelle"]),
        ("", []),
    ],
)
def test_search_matches_whole_cells_by_glob(new: Opener, pattern: str, found: list[str]) -> None:
    history = filled(new(), "echo hi", "echo ho", "ls\n-l", "Échelle")
    assert sources(history.search(pattern)) == found


@pytest.mark.row("Q9")
def test_search_keeps_the_last_n_and_the_last_of_what_is_equal(new: Opener) -> None:
    filled(new(), "x", "y", "x")
    history = filled(new(), "xy", "x")
    assert history.search("x*", n=2) == [(2, 1, "xy"), (2, 2, "x")]
    assert history.search("x*", unique=True) == [(2, 1, "xy"), (2, 2, "x")]
    assert history.search("*", unique=True, n=2) == [(2, 1, "xy"), (2, 2, "x")]
    assert history.search("*", n=0) == []


@pytest.mark.row("Q9")
def test_every_question_gives_the_output_too_if_asked(new: Opener) -> None:
    history = filled(new(), "1+1", "pass")
    history.store_output(1, "2")
    pairs = [(1, 1, ("1+1", "2")), (1, 2, ("pass", None))]
    assert history.tail(5, output=True) == pairs
    assert history.range(0, 1, None, output=True) == pairs
    assert history.search("*", output=True) == pairs


def test_a_count_that_comes_again_replaces_the_cell_and_its_output(new: Opener) -> None:
    history = filled(new(), "old", "other")
    history.store_output(1, "output")
    filled(history, "new")
    assert history.tail(5, output=True) == [(1, 2, ("other", None)), (1, 1, ("new", None))]


@pytest.mark.parametrize("source", ["", "\n", "a\r\nb\t\n\n", "x" * 1_000_000, "𝐀ü\u2028", "nul\0nul"])
def test_sources_come_back_as_they_were(new: Opener, source: str) -> None:
    assert filled(new(), source).tail(1) == [(1, 1, source)]


def test_lone_surrogates_are_replaced(new: Opener, caplog: pytest.LogCaptureFixture) -> None:
    history = filled(new(), "a\ud800b")
    history.store_output(1, "\udfff")
    assert history.search("a\ud800b", output=True) == [(1, 1, ("a\ufffdb", "\ufffd"))]
    assert not caplog.records


def test_numbers_and_patterns_beyond_all_measure_are_no_error(
    new: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    history = filled(new(), "a")
    huge = 10**30
    assert history.tail(huge) == history.range(0, -huge, huge) == history.search("*", n=huge) == [(1, 1, "a")]
    assert history.range(huge, 1, None) == history.range(-huge, 1, None) == []
    assert history.search("*a" * 100_000) == []
    assert not caplog.records


class Glob:
    """What a glob means, said slowly: the oracle for search."""

    def __init__(self, parts: list[str]) -> None:
        self.parts = parts

    def matches(self, text: str) -> bool:
        reached = {0}
        for part in self.parts:
            if part == "*":
                reached = set(range(min(reached, default=len(text) + 1), len(text) + 1))
            else:
                reached = {at + 1 for at in reached if at < len(text) and part in ("?", text[at])}
        return len(text) in reached


ALPHABET = "ab\n.\\%_é𝐀'"  # what is special to SQL, LIKE and regular expressions, but not to globs
words = st.text(ALPHABET, max_size=8)


@given(st.lists(words, max_size=8), st.lists(st.sampled_from([*ALPHABET, "*", "?"]), max_size=8))
@pytest.mark.row("Q9")
def test_search_finds_what_the_glob_means(stored: list[str], parts: list[str]) -> None:
    history = filled(History(lambda: None, LOG), *stored)
    expected = [source for source in stored if Glob(parts).matches(source)]
    assert sources(history.search("".join(parts))) == expected
    unique = sources(history.search("".join(parts), unique=True))
    assert sorted(unique) == sorted(set(expected))
    history.close()


@given(st.lists(words, max_size=5), st.integers(-1, 6), st.none() | st.integers(-1, 6), st.integers(0, 6))
def test_range_and_tail_are_slices(stored: list[str], start: int, stop: int | None, n: int) -> None:
    history = filled(History(lambda: None, LOG), *stored)
    cells = [(1, line, source) for line, source in enumerate(stored, 1)]
    inside = [cell for cell in cells if cell[1] >= start and (stop is None or cell[1] < stop)]
    assert history.range(0, start, stop) == inside
    assert history.tail(n) == cells[max(0, len(cells) - n) :]
    history.close()


# --- sessions, files, threads ----------------------------------------------------------------------


def test_nothing_is_opened_before_the_first_use(new: Opener, path: Path) -> None:
    history = new()
    assert not path.parent.exists()
    assert history.tail(1) == []
    assert path.exists()
    assert history.session == 1


def test_sqlite_is_imported_only_when_used() -> None:
    code = (
        "import sys, logging; from pathlib import Path; from wrapperkernel.kernel.history import History;"
        "History(lambda: Path('unused'), logging.getLogger()).close(); sys.exit('sqlite3' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_is_private_whatever_the_umask_and_whoever_made_it(new: Opener, path: Path) -> None:
    before = os.umask(0)
    try:
        filled(new(), "secret")
    finally:
        os.umask(before)
    made = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert set(made.values()) == {0o600}, made
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0

    path.chmod(0o644)
    filled(new(), "more")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_comes_after_close_is_dropped(new: Opener) -> None:
    history = filled(new(), "a")
    history.close()
    history.close()
    history.store(2, "b")
    assert history.tail(5) == []
    assert sources(new().tail(5)) == ["a"]


def test_two_in_one_process_do_not_disturb_each_other(new: Opener) -> None:
    first, second = filled(new(), "a"), filled(new(), "b")
    first.close()
    filled(second, "c", first=2)
    assert sources(new().tail(5)) == ["a", "b", "c"]


def test_threads_share_one_history(new: Opener, caplog: pytest.LogCaptureFixture) -> None:
    history = new()
    start = threading.Barrier(4)

    def store(thread: int) -> None:
        start.wait(30)
        for line in range(50):
            history.store(thread * 50 + line, f"{thread}")
            history.tail(3)

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.range(0, 0, None)) == 200
    assert not caplog.records


KERNEL = """
import logging, sys
from pathlib import Path
from wrapperkernel.kernel.history import History

logging.basicConfig(stream=sys.stdout)  # a warning would spoil the answer below
history = History(lambda: Path(sys.argv[1]), logging.getLogger())
print("ready", flush=True)
sys.stdin.readline()
for line in range(1, 101):
    history.store(line, f"cell {line}")
    history.search("*9", unique=True)
session, cells = history.session, history.range(0, 1, None)
history.close()
print(session, cells == [(session, line, f"cell {line}") for line in range(1, 101)])
"""


@pytest.mark.row("Q9")
def test_several_processes_write_to_one_file_at_once(path: Path, new: Opener) -> None:
    kernels = [
        subprocess.Popen(
            [sys.executable, "-c", KERNEL, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for kernel in kernels:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == "ready\n"
    for kernel in kernels:  # all make the file and take their session number at the same time
        assert kernel.stdin is not None
        kernel.stdin.write("\n")
        kernel.stdin.flush()
    answers = [kernel.communicate(timeout=60)[0].split() for kernel in kernels]
    assert sorted(answers) == [[str(session), "True"] for session in range(1, 7)]

    history = new()
    assert history.session == 7
    assert all(len(history.range(session, 1, None)) == 100 for session in range(1, 7))


def test_a_killed_kernel_leaves_what_it_stored(path: Path, new: Opener) -> None:
    code = (
        "import logging, os, sys; from pathlib import Path; from wrapperkernel.kernel.history import History;"
        "History(lambda: Path(sys.argv[1]), logging.getLogger()).store(1, 'last'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == -9
    assert new().tail(5) == [(1, 1, "last")]


def test_reading_does_not_wait_for_a_writer(new: Opener, path: Path) -> None:
    history = filled(new(), "a")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("INSERT INTO cells (session, line, source) VALUES (9, 9, 'under way')")
    assert sources(history.tail(5)) == ["a"]
    writer.execute("COMMIT")
    assert sources(history.tail(5)) == ["a", "under way"]
    writer.close()


# --- files that cannot be used -----------------------------------------------------------------------


def works_in_memory(history: History, caplog: pytest.LogCaptureFixture) -> None:
    """Assert that a history goes on, with one warning, as if nothing had happened."""
    filled(history, "a", "b")
    history.store_output(2, "out")
    assert history.tail(1, output=True) == [(history.session, 2, ("b", "out"))]
    assert sources(history.search("?", unique=True)) == sources(history.range(0, 1, None)) == ["a", "b"]
    history.close()
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_no_path_is_memory_and_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    history = filled(History(lambda: None, LOG), "a")
    assert history.tail(1) == [(1, 1, "a")]
    history.close()
    assert not caplog.records


@pytest.mark.row("Q9")
@pytest.mark.parametrize("place", ["/proc/history/k.sqlite", "/dev/null/k.sqlite", "/sys/k.sqlite"])
def test_a_place_where_nothing_can_be_made(place: str, caplog: pytest.LogCaptureFixture) -> None:
    works_in_memory(History(lambda: Path(place), LOG), caplog)
    assert place in caplog.text


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_left_as_it_is(
    make: Callable[[Path], None], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    make(path)
    path.chmod(0o755)
    works_in_memory(History(lambda: path, LOG), caplog)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "content",
    [b"this is not a database, but long enough to be looked at" * 100, b"SQLite format 3\0" + b"\xff" * 5000],
)
def test_a_corrupt_file(path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    works_in_memory(History(lambda: path, LOG), caplog)
    assert path.read_bytes() == content


def test_a_file_that_is_damaged_while_in_use(
    new: Opener, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    history = filled(new(), "before")
    intruder = sqlite3.connect(path, isolation_level=None)
    intruder.execute("DROP TABLE cells")
    intruder.close()
    works_in_memory(history, caplog)


def test_a_database_of_something_else_or_of_a_newer_version(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 99")
    other.commit()
    other.close()
    works_in_memory(History(lambda: path, LOG), caplog)
    assert "newer" in caplog.text


def test_a_file_that_somebody_keeps_locked(
    new: Opener, path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wrapperkernel.kernel.history.BUSY", 0.05)
    history = filled(new(), "kept")
    hog = sqlite3.connect(path, isolation_level=None)
    hog.execute("BEGIN IMMEDIATE")
    works_in_memory(history, caplog)
    hog.close()


def test_a_python_without_sqlite(
    path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlite3", None)
    history = filled(History(lambda: path, LOG), "a")
    assert history.tail(1) == history.search("*") == history.range(0, 1, None) == []
    assert history.session == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]


# Written in a process of its own, since limits and rights cannot be had back.
CONFINED = """
import logging, os, resource, sys
from pathlib import Path
import sqlite3
from wrapperkernel.kernel.history import History

path = Path(sys.argv[1])
logging.basicConfig(stream=sys.stdout, format="%(levelname)s")
history = History(lambda: path, logging.getLogger())
if sys.argv[2] == "full disk":
    history.store(1, "early")
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
    for line in range(2, 100):
        history.store(line, "x" * 10_000)
    assert [entry[1] for entry in history.range(0, 1, None)] == list(range(1, 100))
else:
    path.parent.mkdir()
    path.touch(0o400)
    path.parent.chmod(0o500)
    if os.geteuid() == 0:  # rights mean nothing to root
        os.chown(path, 65534, 65534)
        os.chown(path.parent, 65534, 65534)
        os.chmod(path.parent.parent, 0o755)
        os.seteuid(65534)
    history.store(1, "early")
    assert history.tail(5) == [(1, 1, "early")]
    path.parent.chmod(0o700)
    os.seteuid(os.getuid())
history.close()
"""


@pytest.mark.row("Q9")
@pytest.mark.parametrize("trouble", ["full disk", "read-only"])
def test_a_disk_that_refuses(trouble: str) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are behind folders closed to other users
        command = [sys.executable, "-c", CONFINED, f"{folder}/home/k.sqlite", trouble]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout == "WARNING\n"


# --- where the file is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("implementation", "name"),
    [
        ("bash", "bash.sqlite"),
        ("My Kernel/../x", "My_Kernel_.._x.sqlite"),
        ("..", "kernel.sqlite"),
        ("", "kernel.sqlite"),
        ("é" * 300, "_.sqlite"),
        ("k" * 300, "k" * 100 + ".sqlite"),
    ],
)
def test_one_file_per_implementation_in_the_data_folder(
    implementation: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    assert history_path(implementation) == tmp_path / "wrapperkernel" / name


def test_no_home_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(self: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", nobody)
    assert history_path("bash") is None
