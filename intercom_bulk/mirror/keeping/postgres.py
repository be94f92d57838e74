"""A mirror in a PostgreSQL database: a schema `mirror_<workspace>` each, with the same tables and views.

The right to write is an advisory lock of its own connection, so it ends with the process, however that ends.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, RunBusy
from intercom_bulk.mirror.keeping import schema
from intercom_bulk.mirror.keeping.files import checked_workspace
from intercom_bulk.mirror.keeping.phase_tables import PHASE_TABLES, phase_views
from intercom_bulk.mirror.keeping.tsvector import TsVector
from intercom_bulk.runs.postgres.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk.mirror.keeping.backend import Row, TextIndex

__all__ = ["PostgresBackend"]

_TYPES = {
    "integer": "bigint", "real": "double precision", "blob": "bytea", "flag": "boolean", "id": 'text COLLATE "C"',
    "strict": "", "unread": schema.UNREAD, "short": schema.SHORT,
}  # fmt: skip
_ISO = """to_char(to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
_INDEX = """
CREATE TABLE search_text (key bigint PRIMARY KEY, packed bytea NOT NULL, words tsvector NOT NULL);
CREATE INDEX search_words ON search_text USING gin (words);
"""
_MIGRATIONS = {
    "conversations, syncs and full text": (schema.TABLES + schema.SYNC_TABLES).format(**_TYPES)
    + _INDEX
    + schema.views(join_names="string_agg(name, ', ')", iso=_ISO),
    "the pipeline": PHASE_TABLES.format(**_TYPES)
    + phase_views(iso=_ISO, json="({}::json ->> '{}')", integer="bigint", real="double precision"),
}
"""By name, in order: what was released is never changed, only added to."""
_MIGRATION_TABLE = """
    CREATE TABLE migration (
        number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    );
"""
_HELD = """
    SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND (classid::bigint << 32) | objid::bigint = %s
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class PostgresBackend:
    """One schema a workspace. Takes a connection to the server itself, or through a pooler in session mode."""

    def __init__(self, url: str, workspace: str) -> None:
        self._url = url
        self._schema = f"mirror_{checked_workspace(workspace)}"
        self.index: TextIndex = TsVector()

    @property
    def place(self) -> str:
        return f"{self._url} {self._schema}"

    @property
    def workspace(self) -> str:
        return self._schema.removeprefix("mirror_")

    def read(self) -> PostgresConnection:
        session = self._session(read_only=True)
        try:
            if _version(session, self._schema) < len(_MIGRATIONS):
                self._make()
        except BaseException:
            session.close()
            raise
        return PostgresConnection(session)

    def write(self) -> PostgresConnection:
        session = self._session(read_only=False)
        try:
            self._hold(session, self._lease, "{} is syncing this mirror: wait for it, or stop it.")
            self._migrate(session)
        except BaseException:
            session.close()
            raise
        return PostgresConnection(session)

    def beside(self, *, alone: bool) -> PostgresConnection:
        session = self._session(read_only=False)
        try:
            if alone:
                self._hold(session, self._pipeline_lease, "{} works on this workspace's pipeline.")
            self._migrate(session)
        except BaseException:
            session.close()
            raise
        return PostgresConnection(session)

    def is_held(self) -> bool:
        return self._is_taken(self._lease)

    def has_pipeline(self) -> bool:
        return self._is_taken(self._pipeline_lease)

    def _is_taken(self, lease: int) -> bool:
        session = self._session(read_only=True)
        try:
            return session.row(_HELD, (lease,)) != (0,)
        finally:
            session.close()

    def _hold(self, session: Session, lease: int, refusal: str) -> None:
        if session.row("SELECT pg_try_advisory_lock(%s)", (lease,)) != (True,):
            holder = session.row(_HOLDER, (lease,))
            by = holder[0] if holder is not None and holder[0] else "Another process"
            raise RunBusy(refusal.format(by))

    def _session(self, *, read_only: bool) -> Session:
        session = Session(self._url, read_only=read_only)
        try:
            session.run((f'SET search_path = "{self._schema}"', ()))
        except BaseException:
            session.close()
            raise
        return session

    @property
    def _lease(self) -> int:
        """The number of the advisory lock: 64 bits with a sign."""
        return _number(f"intercom-bulk {self._schema}")

    @property
    def _pipeline_lease(self) -> int:
        return _number(f"intercom-bulk pipeline {self._schema}")

    def _make(self) -> None:
        session = self._session(read_only=False)
        try:
            self._migrate(session)
        finally:
            session.close()

    def _migrate(self, session: Session) -> None:
        if _version(session, self._schema) == len(_MIGRATIONS):
            return
        with session.atomic():
            session.run(("SELECT pg_advisory_xact_lock(%s)", (self._lease ^ 1,)))
            version = _version(session, self._schema)
            if version == 0:
                session.script(f'CREATE SCHEMA IF NOT EXISTS "{self._schema}"')
                session.script(_MIGRATION_TABLE)
            for number, (name, script) in list(enumerate(_MIGRATIONS.items(), start=1))[version:]:
                session.script(script)
                session.run(("INSERT INTO migration (number, name) VALUES (%s, %s)", (number, name)))

    def __repr__(self) -> str:
        return f"PostgresBackend({self._schema!r})"


def _number(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8], signed=True)


_HOLDER = """
    SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)
    WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND (classid::bigint << 32) | objid::bigint = %s
"""


class PostgresConnection:
    """A session that takes the store's statements. Raises `LedgerError` for what PostgreSQL says."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @contextmanager
    def atomic(self) -> Iterator[None]:
        with self._session.atomic():
            yield

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]:
        ((_, rows),) = self._session.run((_translated(sql), tuple(parameters)))
        return iter(rows)

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        return next(self.rows(sql, parameters), None)

    def named(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], Iterator[Row]]:
        names, rows = self._session.named(_translated(sql), tuple(parameters))
        return names, iter(rows)

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        ((changed, _),) = self._session.run((_translated(sql), tuple(parameters)))
        return changed

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> int:
        if not rows:
            return 0
        statement = _translated(sql)
        return sum(changed for changed, _ in self._session.run(*((statement, tuple(row)) for row in rows)))

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], Iterator[Row]]:
        return self._session.ask(_translated(sql), tuple(parameters))

    def close(self) -> None:
        self._session.close()


_QUOTED = re.compile(r"""('(?:[^']|'')*'|"(?:[^"]|"")*")|%|\?""")


@lru_cache(maxsize=500)
def _translated(sql: str) -> str:
    """Parameters as the driver wants them. What stands in quotes is left alone, but for its per cent signs."""
    return _QUOTED.sub(lambda found: "%s" if found[0] == "?" else found[0].replace("%", "%%"), sql)


def _version(session: Session, name: str) -> int:
    """How many migrations the schema has; 0: there is none. Raises `LedgerError` for one of a newer version."""
    if session.row("SELECT to_regclass(%s) IS NOT NULL", (f'"{name}".migration',)) != (True,):
        return 0
    (version,) = session.row(f'SELECT count(*) FROM "{name}".migration') or (0,)  # noqa: S608  checked_workspace
    if version > len(_MIGRATIONS):
        raise LedgerError(f"The schema {name} was written by a newer version of intercom-bulk: use that one.")
    return int(version)
