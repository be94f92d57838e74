"""A mirror in a PostgreSQL database: a schema `mirror_<workspace>` each, with the same tables and views.

The right to write is an advisory lock of its own connection, so it ends with the process, however that ends. Full text
is a tsvector made of the words that `words.py` cuts, so it finds what SQLite's index finds.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, RunBusy
from intercom_bulk.mirror.keeping import schema
from intercom_bulk.mirror.keeping.backend import Folded, marks
from intercom_bulk.mirror.keeping.files import checked_workspace
from intercom_bulk.mirror.keeping.packing import packed_text, unpacked_text
from intercom_bulk.mirror.keeping.phase_tables import PHASE_TABLES, phase_views
from intercom_bulk.runs.postgres.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk.mirror.keeping.backend import Connection, Row, TextIndex
    from intercom_bulk.mirror.keeping.words import Wanted

__all__ = ["PostgresBackend", "TsVector"]

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
_TSVECTOR_MOST = 900_000
"""Bytes of words: PostgreSQL holds a megabyte in one tsvector, with the places where they stand."""
_PLACES = 16_383
"""The last place that a tsvector can tell."""


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


GLANCE = 4000
"""It takes some four milliseconds."""
_NEWEST = """
    SELECT key FROM (SELECT key, words FROM search_text WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?) AS newest
    WHERE words @@ ?::tsquery ORDER BY key DESC LIMIT ?
"""
_LAST = "SELECT key FROM search_text WHERE key >= ? AND key < ? ORDER BY key DESC OFFSET ? LIMIT 1"
_INDEXED = """
    WITH fitting AS MATERIALIZED (SELECT key FROM search_text WHERE words @@ ?::tsquery)
    SELECT key FROM fitting WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?
"""
"""The keys come later: PostgreSQL would read its whole index of them beside that of the words."""


class TsVector:
    """PostgreSQL's index. `glance`: so many of the newest conversations are looked through without it."""

    def __init__(self, glance: int = GLANCE) -> None:
        self._glance = glance

    def put(self, connection: Connection, texts: Sequence[tuple[int, Folded]]) -> None:
        rows = [(key, packed_text(f"{text.subject}\n{text.body}\n{text.parts}"), tsvector(text)) for key, text in texts]
        connection.execute_many(
            "INSERT INTO search_text (key, packed, words) VALUES (?, ?, ?::tsvector)"
            " ON CONFLICT (key) DO UPDATE SET packed = excluded.packed, words = excluded.words",
            rows,
        )

    def remove(self, connection: Connection, keys: Sequence[int]) -> None:
        connection.execute_many("DELETE FROM search_text WHERE key = ?", [(key,) for key in keys])

    def texts(self, connection: Connection, keys: Sequence[int]) -> dict[int, Folded]:
        if not keys:
            return {}
        sql = f"SELECT key, packed FROM search_text WHERE key IN ({marks(len(keys))})"  # noqa: S608  marks alone
        return {key: Folded(*unpacked_text(packed).split("\n")) for key, packed in connection.rows(sql, keys)}

    def compact(self, connection: Connection) -> None:
        """A row of search_text is the whole of it: VACUUM does that."""

    def find(self, connection: Connection, wanted: Wanted, lo: int, hi: int, limit: int) -> list[int]:
        """Among the newest ones first: what many conversations say is found there at once, and the index would have
        to gather them all. Left to itself PostgreSQL chooses by statistics, which a new mirror does not have.
        """
        query = tsquery(wanted)
        found = [key for (key,) in connection.rows(_NEWEST, (lo, hi, self._glance, query, limit))]
        last = connection.row(_LAST, (lo, hi, self._glance - 1)) if len(found) < limit else None
        if last is None:
            return found
        rest = connection.rows(_INDEXED, (query, lo, last[0], limit - len(found)))
        return [*found, *(key for (key,) in rest)]


def tsvector(text: Folded) -> str:
    """The words and their places, as PostgreSQL reads them; a gap between the fields, so that no phrase spans two.

    Words beyond what a tsvector can hold are left out, the latest first.
    """
    pieces: list[str] = []
    size, place = 0, 0
    for field in (text.subject, text.body, text.parts):
        place += 1
        for word in field.split():
            place += 1
            size += len(word.encode()) + 4
            if size > _TSVECTOR_MOST:
                return " ".join(pieces)
            pieces.append(f"{word}:{min(place, _PLACES)}")
    return " ".join(pieces)


def tsquery(wanted: Wanted) -> str:
    """Words consist of letters and digits: none of them is an operator."""
    terms = [" <-> ".join((*run[:-1], f"{run[-1]}:*")) for run in wanted.words]
    terms += [" <-> ".join(run) for run in wanted.phrases]
    positive = " & ".join(f"({term})" for term in terms)
    return " & ".join([positive, *(f"!({' <-> '.join(run)})" for run in wanted.unwanted)])


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
