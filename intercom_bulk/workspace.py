"""The one place that composes: settings become a session, a governor, a client, a directory, a ledger."""

from __future__ import annotations

import logging
import math
import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.api import transport
from intercom_bulk.api.attempts import Attempts
from intercom_bulk.api.client import Client
from intercom_bulk.api.directory import Directory
from intercom_bulk.api.governor import Governor
from intercom_bulk.clock import SYSTEM, Clock
from intercom_bulk.errors import ApiError
from intercom_bulk.runs.engine import MAX_WORKERS
from intercom_bulk.runs.store import FileStore, RunStore

if TYPE_CHECKING:
    from intercom_bulk.settings import Settings

__all__ = ["Workspace"]

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
        self.governor = Governor(clock=clock)
        session = transport.open_session(
            base_url=settings.base_url,
            pool_size=MAX_WORKERS + 16,
            connect_timeout=settings.connect_timeout,
            total_timeout=LONGEST,
            ca_bundle=settings.ca_bundle,
            proxies=settings.proxies,
        )
        self._session = session
        self.client = Client(settings, self.governor, session)
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
        except ApiError as error:
            logger.info("the pace could not be looked up: %s", error)
        finally:
            self._probe_lock.release()

    def get(self, path: str) -> dict[str, Any]:
        """Read one thing; repeated until it is there or cannot be."""
        return self.reads.call(lambda: self.client.send("GET", path), resend=True).body

    @property
    def store(self) -> RunStore:
        """Where the runs of this workspace are kept."""
        return FileStore(self.settings.home / "runs")

    def abort(self) -> None:
        """End every request under way at once; what they did is then in doubt."""
        self._session.cut()

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    def __repr__(self) -> str:
        return f"Workspace({self.settings!r})"
