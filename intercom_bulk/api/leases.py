"""The file in which the processes of one host share the budget of one token.

One short write transaction each time: read what the others told, grant, write what this process tells. It is a file of
its own, apart from any ledger, and nothing in it outlives a few windows. So it is not made durable (`synchronous=OFF`),
and its journal is the old one, whose locks also work where a WAL's shared memory does not (NFS).

Whatever is wrong with the file, runs go on without it: each process then paces itself by the headers alone.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import sqlite3
import threading
import uuid
from dataclasses import astuple, fields, replace
from typing import TYPE_CHECKING

from intercom_bulk.api.peers import NEVER, STALE, Common, Member, News, Report, grant, merge
from intercom_bulk.clock import SYSTEM

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.clock import Clock

__all__ = ["Leases", "budget_key"]

logger = logging.getLogger(__name__)

VERSION = 1
BUSY = 1.0  # seconds to wait for others to finish their transactions, which take less than a millisecond
STEP = 5.0  # a wall clock that moves so far against the monotonic one: another boot, or a sleep
PATIENCE = 1.5  # seconds that a scout has to report


def _columns(kind: type[Common | Member]) -> str:
    types = {"int": "INTEGER", "bool": "INTEGER", "float": "REAL"}
    return ", ".join(f'"{one.name}" {types[str(one.type)]} NOT NULL' for one in fields(kind))


SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS common (key TEXT PRIMARY KEY, boot REAL NOT NULL, {_columns(Common)}) STRICT",
    f"CREATE TABLE IF NOT EXISTS members (key TEXT, member TEXT, boot REAL NOT NULL, {_columns(Member)},"
    " PRIMARY KEY (key, member)) STRICT",
    "CREATE TABLE IF NOT EXISTS scouts (key TEXT PRIMARY KEY, member TEXT NOT NULL, reset INTEGER NOT NULL,"
    " at REAL NOT NULL) STRICT",
)


def _insert(table: str, keys: int, kind: type[Common | Member]) -> str:
    marks = ", ".join("?" * (keys + 1 + len(fields(kind))))
    return f"INSERT OR REPLACE INTO {table} VALUES ({marks})"  # noqa: S608  names of our own


INSERT_COMMON = _insert("common", 1, Common)
INSERT_MEMBER = _insert("members", 2, Member)


def budget_key(token: str, base_url: str) -> str:
    """Names the budget without telling the token."""
    return hmac.new(b"intercom-bulk governor", f"{token}\n{base_url}".encode(), hashlib.sha256).hexdigest()[:32]


class Leases:
    """One process's (to be exact, one governor's) way into the file. Opens it when first asked to exchange."""

    def __init__(self, path: Path, key: str, *, clock: Clock = SYSTEM) -> None:
        self._path = path
        self._key = key
        self._clock = clock
        self._member = uuid.uuid4().hex
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._said = False

    def exchange(self, report: Report) -> News | None:
        """Tell, and learn what the others told; None when the file cannot be used now."""
        with self._lock:
            try:
                return self._exchange(self._open(), report)
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
                return None

    def look(self) -> tuple[Common | None, tuple[Member, ...]]:
        """What all have told, without telling anything: for who only watches. Nothing, when the file cannot be used."""
        with self._lock:
            try:
                connection = self._open()
                boot = self._clock.time() - self._clock.monotonic()
                rows = connection.execute("SELECT * FROM members WHERE key = ?", (self._key,)).fetchall()
                members = tuple(Member(*values) for _, _, theirs, *values in rows if abs(theirs - boot) <= STEP)
                return self._common(connection, boot), members
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)
                return None, ()

    def close(self) -> None:
        """Close the file; the next exchange opens it again."""
        with self._lock:
            self._shut()

    def _exchange(self, connection: sqlite3.Connection, report: Report) -> News:
        connection.execute("BEGIN IMMEDIATE")
        try:
            news = self._turn(connection, report)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return news

    def _turn(self, connection: sqlite3.Connection, report: Report) -> News:
        now = report.member.at
        boot = self._clock.time() - self._clock.monotonic()
        peers = self._peers(connection, now, boot)
        common = merge(self._common(connection, boot), report.common, now)
        granted = grant(report, peers)
        scout = self._send_scout(connection, report, common)
        told = replace(report.member, lease=report.member.lease + granted + scout)
        connection.execute(INSERT_MEMBER, (self._key, self._member, boot, *astuple(told)))
        if common is not None:
            connection.execute(INSERT_COMMON, (self._key, boot, *astuple(common)))
        return News(common, tuple(peers), granted, may_scout=scout)

    def _peers(self, connection: sqlite3.Connection, now: float, boot: float) -> list[Member]:
        rows = connection.execute("SELECT * FROM members WHERE key = ?", (self._key,)).fetchall()
        peers = []
        for _, name, theirs, *values in rows:
            member = Member(*values)
            if abs(theirs - boot) > STEP or not now - STALE <= member.at <= now + STEP:
                connection.execute("DELETE FROM members WHERE key = ? AND member = ?", (self._key, name))
            elif name != self._member:
                peers.append(member)
        return peers

    def _common(self, connection: sqlite3.Connection, boot: float) -> Common | None:
        row = connection.execute("SELECT * FROM common WHERE key = ?", (self._key,)).fetchone()
        if row is None or abs(row[1] - boot) > STEP:
            return None
        values = dict(zip((one.name for one in fields(Common)), row[2:], strict=True))
        return Common(**{**values, "shut": bool(values["shut"])})

    def _send_scout(self, connection: sqlite3.Connection, report: Report, common: Common | None) -> bool:
        """One process at a time sends the call that tells whether a window has begun, or what the limit is."""
        now, reset = report.member.at, report.member.reset
        row = connection.execute("SELECT member, reset, at FROM scouts WHERE key = ?", (self._key,)).fetchone()
        name, sent_for, sent_at = row or ("", 0, NEVER)
        if not report.scout:
            if name == self._member and not report.member.flying:
                connection.execute("DELETE FROM scouts WHERE key = ?", (self._key,))
            return False
        if reset == 0 and common is not None:
            return False
        if sent_for == reset and name != self._member and 0 <= now - sent_at < PATIENCE:
            return False
        connection.execute("INSERT OR REPLACE INTO scouts VALUES (?, ?, ?, ?)", (self._key, self._member, reset, now))
        return True

    # -- the file

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        self._connection, self._pid = None, os.getpid()  # after a fork the old one is the parent's
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=BUSY, check_same_thread=False)
        try:
            _prepare(connection)
            _forget(connection, self._clock.monotonic())
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _give_up(self, error: Exception) -> None:
        self._shut()
        level = logging.DEBUG if self._said else logging.WARNING
        self._said = True
        logger.log(
            level,
            "%s cannot be used (%s): this process does not share its pace with others on this machine. Together they"
            " may get some 429s, which are waited out.",
            self._path,
            error,
        )

    def _shut(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._pid == os.getpid():
            try:
                connection.close()
            except sqlite3.Error as error:
                logger.debug("closing %s: %s", self._path, error)

    def __repr__(self) -> str:
        return f"Leases({str(self._path)!r}, {self._key[:6]})"


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=TRUNCATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    if version > VERSION:
        raise sqlite3.DatabaseError(f"it is of a newer version, {version}")
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA user_version={VERSION:d}")
    connection.execute("COMMIT")


def _forget(connection: sqlite3.Connection, now: float) -> None:
    """Budgets that nobody spends from any more."""
    for table in ("common", "members", "scouts"):
        connection.execute(f"DELETE FROM {table} WHERE at NOT BETWEEN ? AND ?", (now - 60.0, now + 60.0))  # noqa: S608
