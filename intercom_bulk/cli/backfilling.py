"""`mirror backfill`, and going on with one: a run whose progress is the mirror's, not the ledger's."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.ending import Exit, code_of
from intercom_bulk.cli.following import check_reports, follow, report_format
from intercom_bulk.cli.making import run_options, settings
from intercom_bulk.cli.records import run_named
from intercom_bulk.cli.screen import Screen, clip, wrapped
from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.backfill import Backfill
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.runs.model import RunState
from intercom_bulk.updaters.history import Runs

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from intercom_bulk.mirror.status import BackfillStatus
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.summary import Progress, Summary

__all__ = ["backfill", "go_on"]

SHOWN = 30
"""Holes that people are shown."""
LOOK = 1.0
"""Seconds between two looks at the mirror's book."""
_ON_THE_WAY = frozenset({RunState.RUNNING, RunState.PAUSING, RunState.PAUSED})


def backfill(given: argparse.Namespace) -> int:
    """Begin one, or go on with one; to its end."""
    check_reports(given)
    if given.run_id is not None:
        return go_on(given, run_named(Runs(), given.run_id))
    if given.until is not None and given.since is None:
        raise UsageError("--until is for --since: say from when the backfill is to begin.")
    depth = Depth.ROW if given.rows_only else Depth.THREAD
    with Backfill(
        days=given.days, period=given.period, since=given.since, until=given.until, depth=depth,
        contacts=not given.no_contacts, settings=settings(given),
    ) as made:  # fmt: skip
        return _followed(made, made.start(run_options(given), parallel_workers=given.workers), given)


def go_on(given: argparse.Namespace, run_id: str) -> int:
    """Over the range, at the depth and with the workers that it began with."""
    check_reports(given)
    for name in ("until", "rows_only", "no_contacts", "workers"):
        if getattr(given, name, None):
            said = name.replace("_", "-")
            raise UsageError(f"--{said} is for a new backfill: one that is gone on with keeps what it began with.")
    with Backfill(settings=settings(given)) as made:
        return _followed(made, made.resume(run_id, run_options(given)), given)


def _followed(made: Backfill, run: Run, given: argparse.Namespace) -> int:
    screen = Screen(given)
    summary = follow(_Watched(made, run), screen, f"Backfill {run.run_id}")
    told = made.status(run.run_id)
    screen.show(*wrapped(str(told), rest="  "))
    screen.show(*(clip(f"  a hole: {hole}") for hole in told.holes[:SHOWN]))
    for path in given.report:
        Runs().export(run.run_id, path, report_format(path))
        screen.show(f"Written: {path}")
    code = code_of(summary)
    if code is not Exit.DONE:
        screen.say(f"To go on: intercom-bulk mirror backfill --resume {run.run_id}")
    screen.give({**_plain(told), "exit": int(code)})
    return code


def _plain(told: BackfillStatus) -> dict[str, Any]:
    """For programs."""
    return {**asdict(told), **{name: _iso(getattr(told, name)) for name in ("since", "until")}}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


class _Watched:
    """The run, with the progress that people want: rows have no items, and how much is left the windows tell."""

    def __init__(self, made: Backfill, run: Run) -> None:
        self._made = made
        self._run = run
        self._told: BackfillStatus | None = None
        self._next = 0.0
        self.wait, self.stop, self.abort = run.wait, run.stop, run.abort

    def summary(self) -> Summary:
        return self._run.summary()

    def result(self) -> Summary:
        return self._run.result()

    def progress(self) -> Progress | None:
        now = self._run.progress()
        if now is None:
            return None
        if SYSTEM.monotonic() >= self._next or now.state not in _ON_THE_WAY:
            self._told, self._next = self._made.status(self._run.run_id), SYSTEM.monotonic() + LOOK
        told = self._told
        if told is None or told.sync_id is None:
            return now
        if told.depth is Depth.ROW:
            listed = told.conversations_fetched
            return replace(now, done=listed, rate=listed / max(now.elapsed, 0.1), total=None, eta=told.eta)
        return replace(now, eta=told.eta) if now.total is None else now
