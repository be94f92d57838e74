"""A mirror as an SQLite file, `<folder>/<workspace>.db`, 0600, with the lock of its one writer beside it."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, RunBusy, UsageError
from intercom_bulk.mirror.keeping import schema
from intercom_bulk.mirror.keeping.backend import Folded, marks
from intercom_bulk.mirror.keeping.packing import packed_text, unpacked_text
from intercom_bulk.runs.database import Database
from intercom_bulk.runs.holding import Held, Hold, is_held

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intercom_bulk.mirror.keeping.backend import Connection, TextIndex
    from intercom_bulk.mirror.keeping.words import Wanted

__all__ = ["FileBackend", "checked_workspace"]

PAGE_SIZE = 16_384
"""Bytes: rows with bodies are wide."""
_PATIENCE = 300
"""Milliseconds."""
_WORKSPACE = re.compile(r"[A-Za-z0-9_-]{1,50}")


def checked_workspace(workspace: str) -> str:
    """An id that may name a file and a schema."""
    if not _WORKSPACE.fullmatch(workspace):
        raise UsageError(f"{workspace[:60]!r} is not the id of a workspace: GET /me tells it as app.id_code.")
    return workspace


class FileBackend:
    """One file a workspace."""

    def __init__(self, folder: Path, workspace: str) -> None:
        self._path = folder / f"{checked_workspace(workspace)}.db"
        self._migrations = schema.sqlite()
        self.index: TextIndex = Fts5()

    @property
    def place(self) -> str:
        return str(self._path.absolute())

    @property
    def workspace(self) -> str:
        return self._path.stem

    def read(self) -> Database:
        if not self._is_made():
            self._make_folder()
            Database(self._path, self._migrations, page_size=PAGE_SIZE).close()
        return Database(self._path, self._migrations, read_only=True, any_thread=True)

    def _is_made(self) -> bool:
        if not self._path.exists() or not self._path.stat().st_size:
            return False
        known = Database(self._path, self._migrations, read_only=True)
        try:
            return known.row("PRAGMA user_version") == (len(self._migrations),)
        finally:
            known.close()

    def _make_folder(self) -> None:
        folder = self._path.parent
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"The mirror's folder cannot be made ({error.strerror}): set INTERCOM_BULK_HOME."
            ) from error

    def write(self) -> Database:
        return self._held(self._lock_path, "{} is syncing this mirror: wait for it, or stop it.")

    def beside(self, *, alone: bool) -> Database:
        if alone:
            return self._held(self._pipeline_path, "{} works on this workspace's pipeline.")
        self._make_folder()
        return Database(self._path, self._migrations, any_thread=True, page_size=PAGE_SIZE)

    def has_pipeline(self) -> bool:
        return is_held(self._pipeline_path)

    def _held(self, lock: Path, refusal: str) -> Database:
        self._make_folder()
        hold = self._hold(lock, refusal)
        try:
            return _Writable(self._path, self._migrations, hold)
        except BaseException:
            hold.release()
            raise

    def _hold(self, lock: Path, refusal: str) -> Hold:
        try:
            return Hold.taken(lock)
        except Held as error:
            raise RunBusy(refusal.format(error)) from None
        except OSError as error:
            raise LedgerError(
                f"The mirror's folder cannot be written ({error.strerror}): set INTERCOM_BULK_HOME."
            ) from error

    def is_held(self) -> bool:
        return is_held(self._lock_path)

    @property
    def _lock_path(self) -> Path:
        return self._path.with_suffix(".lock")

    @property
    def _pipeline_path(self) -> Path:
        return self._path.with_suffix(".pipeline.lock")

    def __repr__(self) -> str:
        return f"FileBackend({self._path.stem!r})"


class _Writable(Database):
    """The lock ends with the connection, or with the process, however that ends."""

    def __init__(self, path: Path, migrations: Sequence[str], hold: Hold) -> None:
        super().__init__(path, migrations, any_thread=True, page_size=PAGE_SIZE)
        self._hold = hold
        # What is deleted or replaced is overwritten with zeros: it is what customers wrote.
        self.row("PRAGMA secure_delete=ON")

    def close(self) -> None:
        # Readers that stay open keep SQLite from doing it: a copy of the one file would lack what is in the log, and
        # the log would keep what was deleted. It waits for a reader in the middle of an answer, but not for long.
        with contextlib.suppress(LedgerError):
            self.row(f"PRAGMA busy_timeout={_PATIENCE:d}")
            self.row("PRAGMA wal_checkpoint(TRUNCATE)")
        super().close()
        self._hold.release()


class Fts5:
    """SQLite's index. It is contentless: what it was given is needed to take it out, and is kept packed beside it."""

    def put(self, connection: Connection, texts: Sequence[tuple[int, Folded]]) -> None:
        keys = [key for key, _ in texts]
        self.remove(connection, keys)
        rows = [(key, text.subject, text.body, text.parts) for key, text in texts]
        connection.execute_many("INSERT INTO search_index (rowid, subject, body, parts) VALUES (?, ?, ?, ?)", rows)
        packed = [(key, packed_text(f"{text.subject}\n{text.body}\n{text.parts}")) for key, text in texts]
        connection.execute_many("INSERT INTO search_text VALUES (?, ?)", packed)

    def remove(self, connection: Connection, keys: Sequence[int]) -> None:
        known = self.texts(connection, keys)
        rows = [(key, text.subject, text.body, text.parts) for key, text in known.items()]
        if rows:
            connection.execute_many(
                "INSERT INTO search_index (search_index, rowid, subject, body, parts) VALUES ('delete', ?, ?, ?, ?)",
                rows,
            )
            connection.execute_many("DELETE FROM search_text WHERE key = ?", [(key,) for key in known])

    def texts(self, connection: Connection, keys: Sequence[int]) -> dict[int, Folded]:
        sql = f"SELECT key, packed FROM search_text WHERE key IN ({marks(len(keys))})"  # noqa: S608  marks alone
        return {key: Folded(*unpacked_text(packed).split("\n")) for key, packed in connection.rows(sql, keys)}

    def compact(self, connection: Connection) -> None:
        """What was taken out stays in older segments, marked, until they are merged."""
        connection.execute("INSERT INTO search_index (search_index) VALUES ('optimize')")

    def find(self, connection: Connection, wanted: Wanted, lo: int, hi: int, limit: int) -> list[int]:
        sql = """
            SELECT rowid FROM search_index WHERE search_index MATCH ? AND rowid >= ? AND rowid < ?
            ORDER BY rowid DESC LIMIT ?
        """
        return [key for (key,) in connection.rows(sql, (fts5_expression(wanted), lo, hi, limit))]


def fts5_expression(wanted: Wanted) -> str:
    """Words consist of letters and digits, and stand in quotes: none of them is an operator."""
    words = ['"' + " ".join(run) + '" *' for run in wanted.words]
    phrases = ['"' + " ".join(run) + '"' for run in wanted.phrases]
    positive = " AND ".join(words + phrases)
    if not wanted.unwanted:
        return positive
    negative = " OR ".join('"' + " ".join(run) + '"' for run in wanted.unwanted)
    return f"({positive}) NOT ({negative})"
