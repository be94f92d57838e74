"""SQLite, the one way we use it: one writer connection, explicit transactions, named migrations."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["Database"]


class Database:
    """A connection for one thread. Nothing is written outside `atomic()`."""

    def __init__(self, path: Path, migrations: Sequence[str], *, durable: bool = True) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'OFF'}")
        self._connection.execute("PRAGMA foreign_keys=ON")
        self._migrate(migrations)

    def _migrate(self, migrations: Sequence[str]) -> None:
        version = int(str(self.row("PRAGMA user_version")[0]))
        for number, statements in enumerate(migrations[version:], start=version + 1):
            with self.atomic():
                for statement in filter(str.strip, statements.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version={number:d}")

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All of the block or none of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[tuple[object, ...]]:
        yield from self._connection.execute(sql, parameters)

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[object, ...]:
        """The only row there must be."""
        found: tuple[object, ...] | None = self._connection.execute(sql, parameters).fetchone()
        if found is None:
            raise LookupError("no such row")
        return found

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it changed."""
        return self._connection.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        return self._connection.executemany(sql, rows).rowcount

    def close(self) -> None:
        self._connection.close()
