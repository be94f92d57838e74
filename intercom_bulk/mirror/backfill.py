"""A backfill: everything created in a stretch of time, into the mirror. It can be killed at any moment and gone on with
on any day: it reads what is missing of the range that it began with, and nothing else.
"""

from __future__ import annotations

import threading
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.fetching.contacts import Contacts, WithContacts
from intercom_bulk.mirror.fetching.launch import Ending, MirrorLaunch, Work, ended_as
from intercom_bulk.mirror.fetching.spans import DAY, days_of
from intercom_bulk.mirror.fetching.threads import ThreadFetch
from intercom_bulk.mirror.fetching.windows import LANES, WindowSource
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.moments import second_of
from intercom_bulk.mirror.status import BackfillStatus, status_of
from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.wishes import Wish
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import Workspace, run_store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo
    from pathlib import Path

    from intercom_bulk.mirror.fetching.launch import Given
    from intercom_bulk.mirror.moments import Moment
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.summary import Summary

__all__ = ["PERIODS", "Backfill"]

PERIODS = {"day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
"""Days back from now."""
_DAYS = 90
_OVER = frozenset({RunState.COMPLETED})


class Backfill:
    """Conversations created from `since` up to, not including, `until` (None: now); or in the last `days`; or in the
    last `period` ("day", "week", "month", "quarter", "year"). Without any of them: the last 90 days.

    `depth` is "thread" (whole conversations, a call for each that is new or changed) or "row" (what a search shows, a
    call for 150). `contacts`: who they are with, too (a call for 150 that are not here). Times without a zone are in
    `zone`. One at a time writes to a workspace's mirror.
    """

    def __init__(
        self,
        *,
        days: float | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        period: str | None = None,
        depth: Depth | str = Depth.THREAD,
        contacts: bool = True,
        zone: tzinfo = UTC,
        settings: Settings | None = None,
        workspace: Workspace | None = None,
        access_token: str | None = None,
        region: str | None = None,
        base_url: str | None = None,
    ) -> None:
        """`workspace`: to ask with, and left open. Raises `UsageError` for a range that is none."""
        if workspace is not None:
            settings = workspace.settings
        self._settings = settings or Settings.build(access_token=access_token, region=region, base_url=base_url)
        self._range = _checked_range(days, since, until, period, zone)
        if depth not in set(Depth):
            raise UsageError(f"depth must be 'thread' or 'row', not {depth!r}.")
        self._depth = Depth(depth)
        self._contacts = contacts
        self._lock = threading.Lock()
        self._workspace = workspace
        self._is_lent = workspace is not None
        self._run: Run | None = None

    def run(
        self, options: RunOptions | None = None, *, parallel_workers: int | None = None, timeout: float = 30.0
    ) -> BackfillStatus:
        """Begin, and wait for the end. Raises what made it impossible."""
        started = self.start(options, parallel_workers=parallel_workers, timeout=timeout)
        started.result()
        return self.status(started.run_id)

    def start(
        self,
        options: RunOptions | None = None,
        *,
        parallel_workers: int | None = None,
        timeout: float = 30.0,
        name: str | None = None,
    ) -> Run:
        """Begin in the background. What is there can be asked for at once, and grows. `name`: the id of the new run,
        for who has to write it down before it begins.
        """
        parameters = {"depth": self._depth.value, "contacts": self._contacts}
        return self._launch(options, parallel_workers, timeout, parameters=parameters, name=name)

    def resume(self, run_id: str, options: RunOptions | None = None) -> Run:
        """Go on with a backfill under its own id; one that ended with holes goes on as a run that follows it. Raises
        `UsageError` where nothing is missing.
        """
        record = self._workspace_now().store.record(run_id)
        _check_kind(record)
        told = dict(record.parameters)
        workers, timeout = told.get("workers"), float(told.get("timeout") or 30.0)
        if record.is_resumable:
            return self._launch(options, workers, timeout, parameters=told, run_id=run_id)
        if record.state in _OVER:
            raise UsageError(f"Backfill {run_id} is complete: there is nothing to go on with.")
        told = {name: told[name] for name in ("depth", "contacts") if name in told} | {
            "sync": told.get("sync") or run_id
        }
        return self._launch(options, workers, timeout, parameters=told, parent=run_id)

    def stop(self, run_id: str | None = None) -> None:
        """Ask the backfill that this object started to end, resumable; or any other, in whatever process, by its id."""
        if run_id is not None:
            self._workspace_now().store.ask(run_id, Wish.STOP)
        elif self._run is not None:
            self._run.stop()

    def status(self, run_id: str | None = None) -> BackfillStatus:
        """How the backfill stands that this object started last, or any other by its id; nothing is sent.

        Raises `UsageError` where none was started, `UnknownRun`.
        """
        chosen = run_id or (self._run.run_id if self._run is not None else None)
        if chosen is None:
            raise UsageError("This backfill was not started: start() it, or name one by its run_id (see history()).")
        record = run_store(self._settings.home, self._settings.ledger_url).record(chosen)
        _check_kind(record)
        return _told(record, self._settings.home, self._settings.ledger_url)

    @classmethod
    def history(cls, *, settings: Settings | None = None) -> list[BackfillStatus]:
        """Every backfill that there is a record of, the newest first. It takes no token."""
        place = (settings.home, settings.ledger_url) if settings is not None else Settings.home_from_env()
        chosen = [record for record in run_store(*place).records() if record.kind in _KINDS]
        chosen.sort(key=lambda record: record.created_at, reverse=True)
        return [_told(record, *place) for record in chosen]

    def close(self) -> None:
        """Close the connections. A backfill under way is not waited for: `stop()` it first."""
        with self._lock:
            workspace, self._workspace = self._workspace, None
        if workspace is not None and not self._is_lent:
            workspace.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Backfill(depth={self._depth.value!r}, run={self._run.run_id if self._run else None})"

    def _workspace_now(self) -> Workspace:
        with self._lock:
            if self._workspace is None:
                self._workspace = Workspace(self._settings)
            return self._workspace

    def _launch(
        self,
        options: RunOptions | None,
        workers: int | None,
        timeout: float,
        *,
        parameters: Mapping[str, Any],
        run_id: str | None = None,
        parent: str | None = None,
        name: str | None = None,
    ) -> Run:
        self._run = MirrorLaunch(
            workspace=self._workspace_now(),
            kind=SyncKind.BACKFILL,
            title="Backfill",
            question=partial(self._question, Depth(parameters["depth"])),
            make_work=partial(_work, with_contacts=bool(parameters.get("contacts", True))),
            parameters=parameters,
            options=options or RunOptions(),
            workers=workers,
            timeout=timeout,
            run_id=run_id,
            parent=parent,
            name=name,
        ).start()
        return self._run

    def _question(self, depth: Depth, now: int) -> Mapping[str, Any]:
        """In seconds of its own: on whatever day it is gone on with, this is the range."""
        since, until, width = self._range
        hi = now + 1 if until is None else min(int(until), now + 1)
        lo = int(since) if since is not None else hi - int(width)
        if lo >= hi:
            raise UsageError("A backfill needs a range in the past: `since` is not before `until`, or not before now.")
        return {"since": max(lo, 0), "until": hi, "depth": depth.value}


_KINDS = frozenset({SyncKind.BACKFILL.value})


def _work(given: Given, *, with_contacts: bool) -> Work:
    sync, writer = given.sync, given.writer
    depth = Depth(sync.question["depth"])
    known = given.store.windows(sync.id)
    if not known:
        writer.plan_windows(sync.id, days_of(sync.question["since"], sync.question["until"]))
    elif given.life == 1:  # it follows one that ended with holes
        writer.reopen_windows(sync.id)
    contacts = Contacts(given.workspace, given.store, writer, timeout=given.timeout)
    if with_contacts and known:
        contacts.offer_range(sync.question["since"], sync.question["until"])
    source = WindowSource(
        given.workspace,
        given.store,
        writer,
        sync.id,
        depth=depth,
        meter=given.meter,
        timeout=given.timeout,
        lanes=LANES if given.workers is None else max(1, min(LANES, given.workers // 2)),
        life=given.life,
        on_rows=contacts.offer if with_contacts else lambda _: None,
    )
    fetch = ThreadFetch(
        given.workspace,
        given.store,
        writer,
        sync.id,
        meter=given.meter,
        timeout=given.timeout,
        on_settled=source.settled,
    )

    def end(summary: Summary) -> Ending:
        wanting, state = source.close(), ended_as(summary)
        return Ending(SyncState.HOLES if wanting and state is SyncState.COMPLETED else state)

    return Work(WithContacts(source, contacts), fetch, end)


def _told(record: RunRecord, home: Path, url: str | None) -> BackfillStatus:
    if record.workspace is None:
        return BackfillStatus(run_id=record.run_id, state=record.state)
    with open_mirror(home, record.workspace, url=url) as store:
        return status_of(store, record)


def _check_kind(record: RunRecord) -> None:
    if record.kind not in _KINDS:
        raise UsageError(f"Run {record.run_id} is no backfill but a {record.title}: see Runs().")


def _checked_range(
    days: float | None, since: Moment | None, until: Moment | None, period: str | None, zone: tzinfo
) -> tuple[float | None, float | None, float]:
    """`since`, `until`, and how long before `until` it begins where `since` is not said."""
    if sum(one is not None for one in (days, since, period)) > 1:
        raise UsageError("Say one of days=, since= and period=: each of them says where the backfill begins.")
    if period is not None and period not in PERIODS:
        raise UsageError(f"period must be one of {', '.join(PERIODS)}, not {period!r}.")
    if days is not None and (isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 < days <= 36_500):
        raise UsageError(f"days must be more than 0, not {days!r}.")
    chosen = days if days is not None else PERIODS[period] if period is not None else _DAYS
    lo = None if since is None else second_of(since, zone)
    hi = None if until is None else second_of(until, zone)
    return lo, hi, chosen * DAY
