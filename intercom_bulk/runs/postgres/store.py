"""Where runs are kept: one schema of a PostgreSQL database, each run held by an advisory lock.

The lock belongs to the connection that writes the run, so it ends with the process, however that ends, and a process
that lost it cannot write any more. That takes a connection of one's own to the server: directly, or through a pooler
in session mode.
"""

from __future__ import annotations

from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, RunBusy, UnknownRun
from intercom_bulk.runs.model import Status
from intercom_bulk.runs.postgres.ledger import PostgresLedger
from intercom_bulk.runs.postgres.paging import INDEX
from intercom_bulk.runs.postgres.session import Session, who
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.wishes import TRIES, Wish, drawn_life, nobody_works

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PostgresStore"]

_STATUSES = ", ".join(f"'{status}'" for status in Status)

_MIGRATIONS = {
    "runs, items and slices": f"""
    CREATE TABLE intercom_bulk.run (
        run_id text COLLATE "C" PRIMARY KEY, run_key text UNIQUE, lease bigint NOT NULL, holder text NOT NULL,
        record text NOT NULL
    );
    CREATE TABLE intercom_bulk.item (
        run_id text COLLATE "C" NOT NULL REFERENCES intercom_bulk.run ON DELETE CASCADE,
        item_id text COLLATE "C" NOT NULL, step integer NOT NULL DEFAULT 0,
        status text NOT NULL CHECK (status IN ({_STATUSES})), attempts integer NOT NULL DEFAULT 0,
        started_at double precision, at double precision, code text, message text, request_id text, before text,
        after text, detail text, PRIMARY KEY (run_id, item_id, step)
    ) WITH (fillfactor = 60);
    CREATE TABLE intercom_bulk.slice (
        run_id text COLLATE "C" NOT NULL REFERENCES intercom_bulk.run ON DELETE CASCADE, pass integer NOT NULL,
        key text COLLATE "C" NOT NULL, lo double precision, hi double precision, until double precision, cursor text,
        position double precision, pages integer NOT NULL, done boolean NOT NULL, PRIMARY KEY (run_id, pass, key)
    );
    """,
    "steps of a composite": """
    CREATE TABLE intercom_bulk.step (
        run_id text COLLATE "C" NOT NULL REFERENCES intercom_bulk.run ON DELETE CASCADE,
        item_id text COLLATE "C" NOT NULL, step integer NOT NULL, before text, after text, at double precision,
        attempts integer NOT NULL DEFAULT 0, request_id text, code text, message text,
        PRIMARY KEY (run_id, item_id, step)
    ) WITH (fillfactor = 80);
    """,
    "wishes": """
    ALTER TABLE intercom_bulk.run ADD COLUMN life text NOT NULL DEFAULT '';
    CREATE TABLE intercom_bulk.wish (
        run_id text COLLATE "C" PRIMARY KEY REFERENCES intercom_bulk.run ON DELETE CASCADE, life text NOT NULL,
        wish text NOT NULL
    );
    """,
    "deaths of an item": "ALTER TABLE intercom_bulk.item ADD COLUMN deaths integer NOT NULL DEFAULT 0",
    "an index of what is said of items": INDEX,
}
"""By name, in order. Rows of `item` are changed twice soon after they are made: the fill factor leaves them room."""

_MIGRATION_TABLE = """
    CREATE SCHEMA IF NOT EXISTS intercom_bulk;
    CREATE TABLE IF NOT EXISTS intercom_bulk.migration (
        number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    );
"""
_STANDING = """
    WITH held AS MATERIALIZED (
        SELECT (classid::bigint << 32) | objid::bigint AS lease FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid = 1 AND granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    )
    SELECT record, lease IN (SELECT lease FROM held) FROM intercom_bulk.run
"""
_HELD = f"{_STANDING} WHERE lease IN (SELECT lease FROM held)"  # noqa: S608  our own words
_LIFE = "SELECT life FROM intercom_bulk.run WHERE run_id = %s"
_ASK = """
    INSERT INTO intercom_bulk.wish AS old (run_id, life, wish) SELECT run_id, %s, %s FROM intercom_bulk.run
    WHERE run_id = %s
    ON CONFLICT (run_id) DO UPDATE SET life = excluded.life, wish = excluded.wish
    WHERE old.life <> excluded.life OR old.wish <> 'stop'
"""
_INSERT = """
    INSERT INTO intercom_bulk.run (run_id, run_key, lease, holder, record, life) VALUES (%s, %s, %s, %s, %s, %s)
"""
_TAKE = "UPDATE intercom_bulk.run SET holder = %s, life = %s WHERE run_id = %s"
_HOLDER = "SELECT holder FROM intercom_bulk.run WHERE run_id = %s"
_OF_KEY = "SELECT run_id FROM intercom_bulk.run WHERE run_key = %s"


class PostgresStore:
    """Runs in the schema `intercom_bulk` of the database at `url`. Connections are opened when needed, and kept only
    by ledgers.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def create(self, record: RunRecord) -> PostgresLedger:
        session = self._writing()
        try:
            self._lock(session, record.run_id)
            life = drawn_life()
            row = (record.run_id, record.run_key, _lease(record.run_id), who(), record.to_json(), life)
            ((made, _),) = session.run((f"{_INSERT} ON CONFLICT DO NOTHING", row))
            if not made:
                self._refuse(session, record)
        except BaseException:
            session.close()
            raise
        return PostgresLedger(session, record.run_id, life)

    def open(self, run_id: str) -> PostgresLedger:
        life = drawn_life()
        return PostgresLedger(self._take(run_id, life), run_id, life)

    def read(self, run_id: str) -> PostgresLedger:
        session = Session(self._url, read_only=True)
        try:
            if not _is_made(session) or session.row(_HOLDER, (run_id,)) is None:
                raise _unknown(run_id)
        except BaseException:
            session.close()
            raise
        return PostgresLedger(session, run_id)

    def record(self, run_id: str) -> RunRecord:
        with self._look() as session:
            row = session.row(f"{_STANDING} WHERE run_id = %s", (run_id,)) if _is_made(session) else None
        if row is None:
            raise _unknown(run_id)
        return _seen(*row)

    def records(self, *, below: str | None = None) -> Iterator[RunRecord]:
        with self._look() as session:
            if _is_made(session):
                chosen = f"{_STANDING} WHERE %s::text IS NULL OR run_id < %s ORDER BY run_id DESC"
                for row in session.stream(chosen, (below, below)):
                    yield _seen(*row)

    def worked_on(self) -> Iterator[RunRecord]:
        with self._look() as session:
            if _is_made(session):
                for row in session.stream(_HELD):
                    yield _seen(*row)

    def damaged(self) -> Iterator[str]:
        """None by itself: a database is whole, or does not answer at all."""
        return iter(())

    def find_key(self, run_key: str) -> str | None:
        with self._look() as session:
            row = session.row(_OF_KEY, (run_key,)) if _is_made(session) else None
        return str(row[0]) if row is not None else None

    def remember(self, record: RunRecord) -> None:
        """The list is the runs themselves."""
        session = self._writing()
        try:
            row = (record.run_id, record.run_key, _lease(record.run_id), "", record.to_json(), "")
            session.run((f"{_INSERT} ON CONFLICT (run_id) DO UPDATE SET record = excluded.record", row))
        finally:
            session.close()

    def delete(self, run_id: str) -> None:
        session = self._take(run_id)
        try:
            session.run(("DELETE FROM intercom_bulk.run WHERE run_id = %s", (run_id,)))
        finally:
            session.close()

    def ask(self, run_id: str, wish: Wish) -> None:
        session = self._writing()
        try:
            for _ in range(TRIES):
                life = self._life(session, run_id)
                if life is not None:
                    session.run((_ASK, (life, wish.value, run_id)))
                if life == self._life(session, run_id):
                    break
        finally:
            session.close()
        if life is None:
            raise nobody_works(run_id, wish)

    def _life(self, session: Session, run_id: str) -> str | None:
        """The token of the life that holds the run; None: nobody does."""
        row = session.row(f"{_STANDING} WHERE run_id = %s", (run_id,))
        if row is None:
            raise _unknown(run_id)
        life = session.row(_LIFE, (run_id,)) if row[1] else None
        return str(life[0]) if life is not None else None

    def _take(self, run_id: str, life: str = "") -> Session:
        """A session that holds an existing run."""
        session = self._writing()
        try:
            self._lock(session, run_id)
            ((found, _),) = session.run((_TAKE, (who(), life, run_id)))
            if not found:
                raise _unknown(run_id)
        except BaseException:
            session.close()
            raise
        return session

    def _refuse(self, session: Session, record: RunRecord) -> None:
        taken = session.row(_OF_KEY, (record.run_key,))
        if taken is None:
            raise RunBusy(f"There is a run {record.run_id} already.")
        raise RunBusy(f"The key {record.run_key!r} belongs to run {taken[0]} already.")

    def _lock(self, session: Session, run_id: str) -> None:
        """Held by the session from here on."""
        answer = session.row("SELECT pg_try_advisory_lock(%s)", (_lease(run_id),))
        if answer == (True,):
            return
        holder = session.row(_HOLDER, (run_id,))
        by = holder[0] if holder is not None and holder[0] else "another process"
        raise RunBusy(f"Run {run_id} is held by {by}: wait for it, or stop it.")

    @contextmanager
    def _look(self) -> Iterator[Session]:
        session = Session(self._url, read_only=True)
        try:
            yield session
        finally:
            session.close()

    def _writing(self) -> Session:
        """A session in which the schema is as this version needs it."""
        session = Session(self._url)
        try:
            if _version(session) < len(_MIGRATIONS):
                _migrate(session)
        except BaseException:
            session.close()
            raise
        return session

    def __repr__(self) -> str:
        return "PostgresStore(…)"


def _lease(run_id: str) -> int:
    """The number of a run's advisory lock: 64 bits with a sign."""
    return int.from_bytes(sha256(f"intercom-bulk run {run_id}".encode()).digest()[:8], signed=True)


def _version(session: Session) -> int:
    """How many migrations the schema has; 0: there is none. Raises `LedgerError` for one of a newer version."""
    if session.row("SELECT to_regclass('intercom_bulk.migration') IS NOT NULL") != (True,):
        return 0
    (version,) = session.row("SELECT count(*) FROM intercom_bulk.migration") or (0,)
    if version > len(_MIGRATIONS):
        raise LedgerError("The schema intercom_bulk was written by a newer version of intercom-bulk: use that one.")
    return int(version)


def _is_made(session: Session) -> bool:
    return _version(session) > 0


def _migrate(session: Session) -> None:
    with session.atomic():
        session.run(("SELECT pg_advisory_xact_lock(%s)", (_lease("its schema"),)))
        session.script(_MIGRATION_TABLE)
        for number, (name, script) in list(enumerate(_MIGRATIONS.items(), start=1))[_version(session) :]:
            session.script(script)
            session.run(("INSERT INTO intercom_bulk.migration (number, name) VALUES (%s, %s)", (number, name)))


def _seen(record: str, held: bool) -> RunRecord:  # noqa: FBT001  a row
    known = RunRecord.from_json(record)
    return known if held else known.seen_dead()


def _unknown(run_id: str) -> UnknownRun:
    return UnknownRun(f"There is no run {run_id[:60]!r} in the database.")
