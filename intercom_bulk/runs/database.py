"""SQLite, the one way we use it: one writer, explicit transactions, named migrations, errors in sentences."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Database", "is_damage"]


class Database:
    """A connection for one thread, or, with `any_thread`, for one thread at a time. Nothing is written outside
    `atomic()`. Raises `LedgerError` for what SQLite says.

    `durable`: a commit is on the disk when it returns (synchronous=FULL), so that what was sent is known after a power
    cut too; without it only a crash of the process is survived, and nothing is promised. `read_only` opens a file that
    another process may be writing. `page_size`: bytes of a page of a new file; large ones suit wide rows.
    """

    def __init__(
        self,
        path: Path,
        migrations: Sequence[str],
        *,
        durable: bool = True,
        read_only: bool = False,
        check: bool = False,
        any_thread: bool = False,
        page_size: int = 4096,
    ) -> None:
        self._path = path
        with self._spoken():
            self._connection = _connect(path, read_only=read_only, any_thread=any_thread)
        try:
            with self._spoken():
                self._tune(durable=durable, read_only=read_only, page_size=page_size)
                self._refuse_newer(len(migrations))
            if check:
                self._check()
            if not read_only:
                self._migrate(migrations)
        except BaseException:
            self.close()
            raise

    def _tune(self, *, durable: bool, read_only: bool, page_size: int) -> None:
        if read_only:
            self._connection.execute("PRAGMA query_only=ON")
            return
        self._connection.execute(f"PRAGMA page_size={page_size:d}")
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    def _refuse_newer(self, newest: int) -> None:
        if self._version() > newest:
            raise LedgerError(f"{self._path.name} was written by a newer version of intercom-bulk: use that one.")

    def _check(self) -> None:
        with self._spoken():
            (verdict,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if verdict != "ok":
            last = str(verdict).splitlines()[-1]
            raise LedgerError(
                f"{self._path.name} is damaged ({last}): nothing is sent; restore it or start anew."
            ) from sqlite3.DatabaseError(last)

    def _migrate(self, migrations: Sequence[str]) -> None:
        for number, statements in enumerate(migrations, start=1):
            if self._version() >= number:
                continue
            with self.atomic():
                if self._version() >= number:
                    continue  # another process that opened it at the same moment was quicker
                for statement in filter(str.strip, statements.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version={number:d}")

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """What SQLite raises, as a sentence that names the file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise LedgerError(f"The record {self._path.name} cannot be used ({error}): {_advice(error)}") from error
        except OSError as error:
            raise LedgerError(f"The record {self._path.name} cannot be used: {error.strerror}.") from error

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All of the block or none of it."""
        with self._spoken():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        with self._spoken():
            yield from self._connection.execute(sql, parameters)

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[object, ...] | None:
        """The first row, or None."""
        return next(self.rows(sql, parameters), None)

    def named(
        self, sql: str, parameters: Sequence[object] = ()
    ) -> tuple[tuple[str, ...], Iterator[tuple[object, ...]]]:
        """The names of the columns, and the rows."""
        with self._spoken():
            cursor = self._connection.execute(sql, parameters)
        return _names(cursor), self._answers(cursor)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it changed."""
        with self._spoken():
            return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        with self._spoken():
            return self._connection.executemany(sql, rows).rowcount

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], Iterator[tuple[object, ...]]]:
        """A person's question: the names of its columns, and its rows. Raises `UsageError` for what is no question."""
        try:
            cursor = self._connection.execute(sql, parameters)
        except (sqlite3.OperationalError, sqlite3.ProgrammingError, sqlite3.Warning) as error:
            raise UsageError(f"This SQL cannot be answered ({error}).") from error
        return _names(cursor), self._answers(cursor)

    def _answers(self, cursor: sqlite3.Cursor) -> Iterator[tuple[object, ...]]:
        with self._spoken():
            yield from cursor

    def close(self) -> None:
        self._connection.close()


def _names(cursor: sqlite3.Cursor) -> tuple[str, ...]:
    return tuple(str(column[0]) for column in cursor.description or ())


def _connect(path: Path, *, read_only: bool, any_thread: bool) -> sqlite3.Connection:
    if not read_only:
        _make_private(path)
    uri = path.absolute().as_uri() + ("?mode=ro" if read_only else "")
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10.0, check_same_thread=not any_thread)


def _make_private(path: Path) -> None:
    """0600 from its first moment; SQLite gives its -wal and -shm files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def is_damage(error: LedgerError) -> bool:
    """Whether the file itself is at fault, not its disk, its owner or another process."""
    return isinstance(error.__cause__, sqlite3.DatabaseError) and not isinstance(
        error.__cause__, (sqlite3.OperationalError, sqlite3.IntegrityError)
    )


def _advice(error: sqlite3.DatabaseError) -> str:
    said = str(error)
    if "full" in said or "disk I/O" in said:  # a quota, or a limit of the file's size, is an I/O error to SQLite
        return "make room on the disk, then resume."
    if "readonly" in said or "unable to open" in said:
        return "make the file and its folder writable for you."
    if "locked" in said:
        return "another process holds it; wait, or stop that one."
    return "it is damaged or no record; restore it or start anew."
