"""The one place that composes: settings become a session, a governor, a client, a directory, a ledger."""

from __future__ import annotations

import logging
import math
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from intercom_bulk.api import transport
from intercom_bulk.api.attempts import Attempts
from intercom_bulk.api.audit import AuditTrail
from intercom_bulk.api.client import Client
from intercom_bulk.api.directory import Directory
from intercom_bulk.api.governor import Governor
from intercom_bulk.api.leases import Leases, budget_key
from intercom_bulk.clock import SYSTEM, Clock
from intercom_bulk.errors import ApiError, LedgerError, SettingsError, UsageError
from intercom_bulk.runs.engine import MAX_WORKERS
from intercom_bulk.runs.store import FileStore, RunStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from intercom_bulk.settings import Settings

__all__ = ["Workspace", "run_store", "written"]

LONGEST = 1800.0
"""Seconds: no exchange takes longer, whatever patience its caller has."""
logger = logging.getLogger(__name__)

WINDOW = 10.0
"""Seconds of one rate-limit window (docs: rate limiting)."""


class Workspace:
    """One Intercom workspace, as one token sees it. Shared by everything that runs against it in this process."""

    def __init__(self, settings: Settings, *, clock: Clock = SYSTEM) -> None:
        self.settings = settings
        self.clock = clock
        key = budget_key(settings.access_token, settings.base_url)
        self.governor = Governor(clock=clock, shared=Leases(settings.home / "governor.db", key, clock=clock))
        session = transport.open_session(
            base_url=settings.base_url,
            pool_size=MAX_WORKERS + 16,
            connect_timeout=settings.connect_timeout,
            total_timeout=LONGEST,
            ca_bundle=settings.ca_bundle,
            proxies=settings.proxies,
        )
        self._session = session
        trail = settings.audit_trail
        self.client = Client(
            settings,
            self.governor,
            session,
            trail=AuditTrail(trail, token=settings.access_token) if trail is not None else None,
        )
        self.reads = Attempts(clock, tries=10)
        self.writes = Attempts(clock, tries=4)
        self.outer_attempts = Attempts(clock, tries=4)
        self.looks = Attempts(clock, tries=2)
        self.directory = Directory(self.client, Attempts(clock, tries=5))
        self._probe_lock = threading.Lock()
        self._last_probe = clock.monotonic()
        self._ahead: float | None = None

    def begin(self) -> int:
        """The first request of a run: is the token good, and what time is it over there?

        The last epoch second that was over, by the server's clock, before this was asked. `Date` has whole seconds
        and is of the answer: what was created up to a journey before it may be newer than the run.
        """
        asked = self.clock.monotonic()
        answer = self.directory.refresh()
        self._last_probe = self.clock.monotonic()
        if answer.date is None:
            return int(self.clock.time()) - 1
        self._ahead = answer.date - self._last_probe
        return math.floor(answer.date - (self._last_probe - asked)) - 1

    def now(self) -> float:
        """Epoch seconds by the server's clock, as of the last `begin()`: a wrong clock of ours changes no decision."""
        return self.clock.time() if self._ahead is None else self.clock.monotonic() + self._ahead

    def keep_pace_known(self) -> None:
        """Calls made outside the client bring no rate headers: once a window, a request of ours does."""
        if self.clock.monotonic() - self._last_probe < WINDOW or not self._probe_lock.acquire(blocking=False):
            return
        try:
            self._last_probe = self.clock.monotonic()
            self.directory.refresh()
        except (ApiError, LedgerError) as error:  # what was done in the meantime is done: the next call will say it
            logger.info("the pace could not be looked up: %s", error)
        finally:
            self._probe_lock.release()

    def get(self, path: str, **params: str) -> dict[str, Any]:
        """Read one thing; repeated until it is there or cannot be."""
        return self.reads.call(lambda: self.client.send("GET", path, params=params), resend=True).body

    @property
    def store(self) -> RunStore:
        """Where the runs of this workspace are kept."""
        return run_store(self.settings.home, self.settings.ledger_url)

    @property
    def inputs(self) -> Path:
        """Where the lists of ids that runs began with are kept, each for as long as a run needs it."""
        return self.settings.home / "inputs"

    def abort(self) -> None:
        """End every request under way at once; what they did is then in doubt."""
        self._session.cut()

    def close(self) -> None:
        """Close every connection, and leave what is unused of the budget to others."""
        self.governor.close()
        self._session.close()

    def __repr__(self) -> str:
        return f"Workspace({self.settings!r})"


def _database(url: str) -> RunStore:
    """The driver is an extra, and nobody else waits for its import."""
    try:
        from intercom_bulk.runs.postgres import PostgresStore
    except ImportError as error:
        raise SettingsError(
            "INTERCOM_BULK_HOME names a PostgreSQL database: pip install 'intercom-bulk[postgres]'."
        ) from error
    return PostgresStore(url)


def run_store(home: Path, url: str | None = None) -> RunStore:
    """The runs that are kept under `home`, or in the database that `url` names."""
    return FileStore(home / "runs") if url is None else _database(url)


@contextmanager
def written(path: Path, *, for_excel: bool = False) -> Iterator[TextIO]:
    """A private text file that appears under its name when it is whole. Excel reads UTF-8 only where it is told."""
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(opened, "w", encoding="utf-8-sig" if for_excel else "utf-8", newline="") as out:  # noqa: PTH123
            yield out
        part.replace(path)
    except OSError as error:
        raise UsageError(f"{path.name} cannot be written there ({error.strerror}): choose another place.") from error
    finally:
        part.unlink(missing_ok=True)
