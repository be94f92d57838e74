"""The one place that composes: settings become a session, a governor, a client, a directory, a ledger."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.api import transport
from intercom_bulk.api.attempts import Attempts
from intercom_bulk.api.client import Client
from intercom_bulk.api.directory import Directory
from intercom_bulk.api.governor import Governor
from intercom_bulk.clock import SYSTEM, Clock
from intercom_bulk.runs.engine import MAX_WORKERS
from intercom_bulk.runs.ledger import Ledger

if TYPE_CHECKING:
    from intercom_bulk.settings import Settings

__all__ = ["Workspace"]

WINDOW = 10.0
"""Seconds of one rate-limit window (docs: rate limiting)."""


class Workspace:
    """One Intercom workspace, as one token sees it. Shared by everything that runs against it in this process."""

    def __init__(self, settings: Settings, *, reserve: float = 0.05, share: float = 1.0, clock: Clock = SYSTEM) -> None:
        self.settings = settings
        self.clock = clock
        self.governor = Governor(reserve=reserve, share=share, clock=clock)
        session = transport.open_session(
            base_url=settings.base_url,
            pool_size=MAX_WORKERS + 16,
            connect_timeout=settings.connect_timeout,
            ca_bundle=settings.ca_bundle,
            proxies=settings.proxies,
        )
        self._session = session
        self.client = Client(settings, self.governor, session)
        self.reads = Attempts(clock, tries=8)
        self.writes = Attempts(clock, tries=4)
        self.outer_attempts = Attempts(clock, tries=3)
        self.directory = Directory(self.client, self.reads)
        self._probe_lock = threading.Lock()
        self._last_probe = clock.monotonic()

    def begin(self) -> int:
        """The first request of a run: is the token good, and what time is it over there (epoch seconds)?"""
        answer = self.directory.refresh()
        self._last_probe = self.clock.monotonic()
        return answer.date if answer.date is not None else int(self.clock.time())

    def keep_pace_known(self) -> None:
        """Calls made outside the client bring no rate headers: once a window, a request of ours does."""
        if self.clock.monotonic() - self._last_probe < WINDOW or not self._probe_lock.acquire(blocking=False):
            return
        try:
            self._last_probe = self.clock.monotonic()
            self.directory.refresh()
        finally:
            self._probe_lock.release()

    def get(self, path: str, *, timeout: float = 30.0) -> dict[str, Any]:
        """Read one thing; repeated until it is there or cannot be."""
        return self.reads.call(lambda: self.client.send("GET", path, timeout=timeout), resend=True).body

    def new_ledger(self) -> Ledger:
        """A fresh record for one run."""
        return Ledger()

    def close(self) -> None:
        """Close every connection."""
        self._session.close()

    def __repr__(self) -> str:
        return f"Workspace({self.settings!r})"
