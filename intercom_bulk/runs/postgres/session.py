"""PostgreSQL, the one way we use it: one connection, explicit transactions, few journeys, errors in sentences."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from intercom_bulk.errors import LedgerError, SettingsError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Answer", "Session", "Statement", "who"]

Statement = tuple[str, "Sequence[object]"]
Answer = tuple[int, list[tuple[Any, ...]]]
"""How many rows a statement touched, and those it gave."""

_CLIENT: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "client_encoding": "utf8",
}
"""A server that is gone is noticed within half a minute. What the URL says wins."""

_SESSION = """
    SELECT set_config(wanted.name, wanted.value, false)
    FROM (VALUES ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'), ('tcp_keepalives_count', '3'),
                 ('idle_session_timeout', '0'), ('idle_in_transaction_session_timeout', '0'), ('lock_timeout', '10s'),
                 ('synchronous_commit', 'on')) AS wanted (name, value)
    JOIN pg_settings USING (name)
    WHERE wanted.name <> 'synchronous_commit' OR setting = 'off'
"""
"""The server, too, soon lets go of a machine that died without a word; a paused run keeps its lock; a commit is kept.
"""


_READ_ONLY = "SET default_transaction_read_only = on"


class Session:
    """A connection for one thread. Raises `LedgerError` for what PostgreSQL says, without the password."""

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        known = _parsed(url)
        self._secrets = [str(known[name]) for name in ("password", "sslpassword") if known.get(name)]
        self._where = f"{known.get('dbname', 'its database')} on {known.get('host', 'this machine')}"
        self._read_only = read_only
        self._inside = False
        self._begun = False
        self._streams = 0
        options = {"application_name": f"intercom-bulk, {who()}"[:63], **_CLIENT, **known}
        with self._spoken():
            # No prepared statements: a plan made for an empty table would outlive its time.
            self._connection = psycopg.connect(**options, autocommit=True, prepare_threshold=None)
        try:
            self.run((_SESSION, ()), *[(_READ_ONLY, ())] * read_only)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """All of the block or none of it. It costs nothing until something is asked in it."""
        if self._inside:
            raise LedgerError("a transaction of the ledger was begun inside another")
        self._inside = True
        try:
            yield
            with self._spoken():
                self._connection.commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._inside = self._begun = False

    def run(self, *statements: Statement) -> list[Answer]:
        """Several statements in one journey; what each answered."""
        with self._spoken():
            with self._connection.pipeline():
                self._begin()
                cursors = [self._connection.execute(sql, parameters) for sql, parameters in statements]
            return [(cursor.rowcount, cursor.fetchall() if cursor.description else []) for cursor in cursors]

    def named(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
        """The names of the columns, and all rows, in one journey."""
        with self._spoken():
            self._begin()
            cursor = self._connection.execute(sql, parameters)
            return tuple(column.name for column in cursor.description or ()), cursor.fetchall()

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        ((_, rows),) = self.run((sql, parameters))
        return rows[0] if rows else None

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]:
        """A person's question: the names of its columns, and its rows, which are fetched a thousand at a time. Raises
        `UsageError` for what is no question.
        """
        self._streams += 1
        # Not `Cursor.stream`: a pipeline on the same connection would inherit libpq's single-row mode from it.
        cursor = self._connection.cursor(f"question_{self._streams}", withhold=True)
        cursor.itersize = 1000
        try:
            with self._abandoned_if_it_fails(cursor):
                cursor.execute(sql, parameters)
        except (psycopg.ProgrammingError, psycopg.DataError, errors.ReadOnlySqlTransaction) as error:
            said = error.diag.message_primary or str(error)
            raise UsageError(f"This SQL cannot be answered ({self._hidden(said)}).") from error
        except psycopg.Error:
            with self._spoken():
                raise
        answers = self._answers(cursor)
        next(answers)
        return tuple(column.name for column in cursor.description or ()), answers

    @contextmanager
    def _abandoned_if_it_fails(self, cursor: psycopg.ServerCursor[Any]) -> Iterator[None]:
        try:
            yield
        except psycopg.Error:
            cursor.close()
            raise

    def _answers(self, cursor: psycopg.ServerCursor[Any]) -> Iterator[tuple[Any, ...]]:
        with self._spoken(), cursor:
            yield ()  # begun: closed before its first row is taken, it closes the cursor too
            yield from cursor

    def script(self, sql: str) -> None:
        """Several statements without parameters."""
        with self._spoken():
            self._begin()
            self._connection.execute(sql)

    def stream(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows a thousand at a time, however many; other statements may be run between them."""
        self._streams += 1
        with self._spoken():
            self._begin()
            with self._connection.cursor(f"stream_{self._streams}", withhold=True) as cursor:
                cursor.itersize = 1000
                yield from cursor.execute(sql, parameters)

    def close(self) -> None:
        """Locks are let go here and now: the server would do it, but a moment after we have gone."""
        try:
            if not self._connection.closed:
                self._connection.rollback()
                if not self._read_only:  # which holds none
                    self._connection.execute("SELECT pg_advisory_unlock_all()")
        except psycopg.Error:
            pass  # it is gone, and its locks with it
        finally:
            self._connection.close()

    def _begin(self) -> None:
        if self._inside and not self._begun:
            self._connection.execute("BEGIN")
            self._begun = True

    def _roll_back(self) -> None:
        try:
            self._connection.rollback()
        except psycopg.Error:
            self._connection.close()  # nothing of the block was kept; the error that led here is the one to tell

    @contextmanager
    def _spoken(self) -> Iterator[None]:
        """What PostgreSQL raises, as a sentence that names the database."""
        try:
            yield
        except psycopg.Error as error:
            said = error.diag.message_primary or str(error)
            shown = f"The record in {self._where} cannot be used ({self._hidden(said)}): {_advice(error)}"
            told_too_much = any(secret in str(error) for secret in self._secrets)
            raise LedgerError(shown) from (None if told_too_much else error)
        except UnicodeEncodeError as error:
            raise LedgerError(f"The record in {self._where} cannot hold this text: {error.reason}.") from error

    def _hidden(self, said: str) -> str:
        for secret in self._secrets:
            said = said.replace(secret, "…")
        return " ".join(said.split())[:300].rstrip(".")


def who() -> str:
    """This process, for whoever finds a run held."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _parsed(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(url))
    except psycopg.Error:
        # What libpq says of a malformed URL may quote a piece of the password.
        raise SettingsError("INTERCOM_BULK_HOME is no URL that PostgreSQL's client understands.") from None


def _advice(error: psycopg.Error) -> str:
    match error:
        case errors.InsufficientPrivilege():
            return "grant this role CREATE on the database, or the use of the schema intercom_bulk."
        case errors.DiskFull():
            return "make room on the server's disk, then resume."
        case errors.ReadOnlySqlTransaction():
            return "it can only be read: use the primary server."
        case psycopg.OperationalError():
            return "see that the server is up and INTERCOM_BULK_HOME is right, then try again or resume."
    return "mend it, then resume."
