"""The cells of all sessions of a kernel, kept in one SQLite file.

Answers the three ways of a ``history_request`` (messaging specification, "History"): the tail, a range
of one session, a search by glob. Several kernels write to one file at once. It knows no message and no
kernel, and it never fails: where the file cannot be used (read-only home, full disk, corrupt file, no
SQLite at all) it says so once in the log and remembers in memory. Answers to password requests never
come here: only cells are stored.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from ..interrupts import shielded

if TYPE_CHECKING:
    import sqlite3

# (session, line, source), or (session, line, (source, output)) where output was asked for.
Entry: TypeAlias = tuple[int, int, str] | tuple[int, int, tuple[str, str | None]]
Row: TypeAlias = tuple[int, int, str, str | None]
_T = TypeVar("_T")

FORMAT = 1  # PRAGMA user_version of the file
BUSY = 2.0  # seconds to wait for other kernels' writes, each of which takes milliseconds
KEPT = 1000  # cells taken along when a file fails in the middle of a session; a console asks for so many
LARGEST = 2**63 - 1  # of SQLite's integers

# The order of insertion, not of sessions, tells which cells are the last ones where kernels run at once.
TABLES = (
    "CREATE TABLE IF NOT EXISTS sessions (session INTEGER PRIMARY KEY AUTOINCREMENT, started TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS cells (id INTEGER PRIMARY KEY, session INTEGER NOT NULL,"
    " line INTEGER NOT NULL, source TEXT NOT NULL, output TEXT, UNIQUE (session, line))",
)
COLUMNS = "session, line, source, output"


def history_path(implementation: str) -> Path | None:
    """Return the file that keeps the history of the kernel ``implementation``; it may not exist yet.

    None if there is no home directory to keep it in.
    """
    from jupyter_core.paths import jupyter_data_dir  # most harnesses and tests never need it

    name = re.sub(r"[^A-Za-z0-9._-]+", "_", implementation).lstrip(".")[:100] or "kernel"
    try:
        return Path(jupyter_data_dir()) / "wrapperkernel" / f"{name}.sqlite"
    except RuntimeError:  # no HOME, and the system does not know this user either
        return None


def _nothing() -> None:
    """Do nothing."""


class History:
    """The cells of this session and of earlier ones; any thread may store and ask.

    Finds and opens its file, and takes a session number, when it is first used. Where ``find`` returns None,
    memory alone is meant. ``check`` raises an interrupt that came during a question, once that was answered.
    """

    def __init__(
        self, find: Callable[[], Path | None], log: logging.Logger, check: Callable[[], None] = _nothing
    ) -> None:
        self._check = check
        self._find = find
        self._path: Path | None = None  # in use
        self._log = log
        self._lock = threading.Lock()
        self._cells: _Cells | None = None
        self._closed = False
        self._later: deque[tuple[int, str, str | None]] = deque()

    @property
    def unsaved(self) -> bool:
        """Tell whether there are cells that ``store_later`` took and nobody has saved."""
        return bool(self._later)

    def store_later(self, line: int, source: str, output: str | None = None) -> None:
        """Remember a cell at no cost; it is written with the next question, ``save`` or ``close``."""
        self._later.append((line, source, output))

    def save(self) -> None:
        """Write what ``store_later`` took."""
        self._ask(lambda cells: None, None)

    @property
    def session(self) -> int:
        """The number of this session: positive, larger than that of any kernel started before it."""
        return self._ask(lambda cells: cells.session, 0)

    def store(self, line: int, source: str) -> None:
        """Remember the cell with the execution count ``line``; it replaces one of the same count."""
        self._ask(lambda cells: cells.store(line, source), None)

    def store_output(self, line: int, output: str) -> None:
        """Remember the text of the result of the cell ``line``, which has been stored before."""
        self._ask(lambda cells: cells.store_output(line, output), None)

    def tail(self, n: int, output: bool = False) -> list[Entry]:
        """Return the last ``n`` cells of all sessions, oldest first."""
        return self._entries(lambda cells: cells.tail(n), output)

    def range(self, session: int, start: int, stop: int | None, output: bool = False) -> list[Entry]:
        """Return the cells of one session from line ``start`` up to, but without, ``stop``.

        ``session`` is a session's number, or 0 for this one, -1 for the one before, and so on. None as
        ``stop`` means to the end. Entries always carry the session's number, never 0 or -1, so that
        what one answer names can be asked for again.
        """
        return self._entries(lambda cells: cells.range(session, start, stop), output)

    def search(
        self, pattern: str, n: int | None = None, unique: bool = False, output: bool = False
    ) -> list[Entry]:
        """Return the cells whose whole source matches a glob, oldest first; ``n`` keeps the last ones.

        ``*`` is any text, newlines too, ``?`` one character, ``[a-z]`` one of these, ``[^a-z]`` one
        of the others; case counts. With ``unique``, of cells with the same source only the last.
        """
        return self._entries(lambda cells: cells.search(pattern, n, unique), output)

    @shielded
    def close(self) -> None:
        """Close the file. What is stored afterwards is dropped, what is asked for is empty."""
        if self._later:
            self.save()
        with self._lock:
            self._closed = True
            if self._cells is not None:
                self._cells.close()
                self._cells = None

    def _entries(self, question: Callable[[_Cells], list[Row]], output: bool) -> list[Entry]:
        nothing: list[Row] = []
        rows = self._ask(question, nothing)
        if output:
            return [(session, line, (source, result)) for session, line, source, result in rows]
        return [(session, line, source) for session, line, source, _ in rows]

    def _ask(self, question: Callable[[_Cells], _T], otherwise: _T) -> _T:
        """Put a question to the file, or to memory if the file fails; ``otherwise`` if there is neither."""
        answer = self._answer(question, otherwise)
        self._check()
        return answer

    @shielded  # an interrupt in the middle of a transaction would leave the file locked for all kernels
    def _answer(self, question: Callable[[_Cells], _T], otherwise: _T) -> _T:
        with self._lock:
            if self._closed:
                return otherwise
            try:
                from sqlite3 import Error  # late: many sessions of tests and harnesses never store a cell
            except ImportError as error:  # a Python built without SQLite
                self._closed = True
                self._log.warning("there will be no history: %s", error)
                return otherwise
            try:
                if self._cells is None:
                    self._path = self._find()
                    self._cells = _Cells.in_memory(1) if self._path is None else _Cells.in_file(self._path)
                self._save(self._cells)
                return question(self._cells)
            except (Error, OSError) as error:
                if self._path is None:
                    return otherwise
                self._cells = self._leave_file(error)
            try:
                self._save(self._cells)
                return question(self._cells)
            except Error:
                return otherwise

    def _save(self, cells: _Cells) -> None:
        """Write the cells that wait; one that cannot be written goes on waiting."""
        while self._later:
            line, source, output = self._later[0]
            cells.store(line, source)
            if output is not None:
                cells.store_output(line, output)
            self._later.popleft()

    def _leave_file(self, error: Exception) -> _Cells:
        """Return a memory to go on with, and in it what of the past can still be read."""
        self._log.warning("history is kept in memory only: %s cannot be used (%s)", self._path, error)
        file, self._path = self._cells, None
        if file is None:
            return _Cells.in_memory(1)
        return _Cells.in_memory(file.session, file.last_words())


class _Cells:
    """The tables of one database, and the questions in SQL. Everything may raise sqlite3.Error."""

    def __init__(self, connection: sqlite3.Connection, session: int) -> None:
        self._connection = connection
        self.session = session

    @classmethod
    def in_file(cls, path: Path) -> _Cells:
        """Open the file, which is made if need be, and begin a session; OSError if it cannot be made."""
        import sqlite3

        _make_private_file(path)
        connection = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        try:
            # In write-ahead mode nobody waits for a reader, and no commit waits for the disk. The change
            # to it fails while another kernel uses the file, harmlessly: that one has changed it.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (found,) = connection.execute("PRAGMA user_version").fetchone()
            if found > FORMAT:
                raise sqlite3.NotSupportedError("written by a newer version of wrapperkernel")
            return cls(connection, _begin_session(connection))
        except BaseException:
            connection.close()
            raise

    @classmethod
    def in_memory(cls, session: int, rows: Sequence[Row] = ()) -> _Cells:
        """Make a database that lasts as long as this process, with these cells in it."""
        import sqlite3

        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        _begin_session(connection)
        connection.executemany(f"INSERT INTO cells ({COLUMNS}) VALUES (?, ?, ?, ?)", rows)
        return cls(connection, session)

    def close(self) -> None:
        self._connection.close()

    def store(self, line: int, source: str) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO cells (session, line, source) VALUES (?, ?, ?)",
            (self.session, _integer(line), _text(source)),
        )

    def store_output(self, line: int, output: str) -> None:
        self._connection.execute(
            "UPDATE cells SET output = ? WHERE session = ? AND line = ?",
            (_text(output), self.session, _integer(line)),
        )

    def tail(self, n: int) -> list[Row]:
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM cells ORDER BY id DESC LIMIT ?", (_integer(max(0, n)),)
        )
        return rows.fetchall()[::-1]

    def range(self, session: int, start: int, stop: int | None) -> list[Row]:
        if session <= 0:
            session += self.session
        end = "" if stop is None else " AND line < ?"
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM cells WHERE session = ? AND line >= ?{end} ORDER BY line",
            [_integer(number) for number in (session, start, stop) if number is not None],
        )
        return rows.fetchall()

    def search(self, pattern: str, n: int | None, unique: bool) -> list[Row]:
        import sqlite3

        pattern = _text(pattern)
        if len(pattern.encode()) > self._connection.getlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH):
            return []  # SQLite's error for it would look as if the file had failed
        found = "source GLOB ?"
        if unique:
            found = f"id IN (SELECT max(id) FROM cells WHERE {found} GROUP BY source)"
        rows = self._connection.execute(
            f"SELECT {COLUMNS} FROM cells WHERE {found} ORDER BY id DESC LIMIT ?",
            (pattern, LARGEST if n is None else _integer(max(0, n))),
        )
        return rows.fetchall()[::-1]

    def last_words(self) -> list[Row]:
        """Close a database that failed; return the last cells, as far as they can be read."""
        import sqlite3

        rows: list[Row] = []
        with suppress(sqlite3.Error):
            rows = self.tail(KEPT)
        with suppress(sqlite3.Error):
            self.close()
        return rows


def _make_private_file(path: Path) -> None:
    """See to it that the file exists and that only its user can read it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        # By name: opening and closing it would end the locks of another History of this process.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):  # a folder or a device: nothing whose rights are ours to change
            raise OSError("it is no regular file") from None
        if mode & 0o077:
            path.chmod(0o600)


def _begin_session(connection: sqlite3.Connection) -> int:
    """Make the tables if need be and take the next session number, which no other kernel gets."""
    connection.execute("BEGIN IMMEDIATE")
    for table in TABLES:
        connection.execute(table)
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    started = datetime.now(UTC).isoformat()
    session = connection.execute("INSERT INTO sessions (started) VALUES (?)", (started,)).lastrowid
    connection.execute("COMMIT")
    assert session is not None
    return session


def _text(text: str) -> str:
    """Return the text with lone surrogates replaced, which SQLite cannot store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _integer(number: int) -> int:
    """Return the number, or the nearest one that SQLite can store."""
    return max(-LARGEST, min(LARGEST, number))
