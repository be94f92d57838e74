"""`mirror backfill`, `sync`, `verify` and `repair`: what the local copy takes from Intercom, by reading alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.following import follow
from intercom_bulk.cli.making import run_options, settings
from intercom_bulk.cli.mirrored import opened
from intercom_bulk.cli.screen import Screen, table, when, wrapped
from intercom_bulk.mirror.schema import SyncState
from intercom_bulk.mirror.syncing import IncrementalSync
from intercom_bulk.mirror.verify import DAY, Checked
from intercom_bulk.mirror.verify import verify as verified
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from intercom_bulk.mirror.report import SyncReport

__all__ = ["backfill", "repair", "sync", "verify"]

SHOWN = 30
"""Windows that people are shown."""


def sync(given: argparse.Namespace) -> int:
    """What has changed since the last time, and what was deleted."""
    screen = Screen(given)
    mirror = opened(given)
    with IncrementalSync(
        settings=settings(given), store=mirror.store, full=given.full, strategy=given.strategy, workers=given.workers
    ) as made:
        report = follow(made.start(run_options(given)), screen, "Sync")
    screen.show(*wrapped(str(report), rest="  "))
    told = mirror.check_sync_state()
    screen.say(*wrapped(f"{told['state']}: {told['message']}"))
    screen.give({**report.to_dict(), "sync_info": told})
    return _code(report)


def _code(report: SyncReport) -> Exit:
    if report.state is SyncState.COMPLETED:
        return Exit.SOME_FAILED if report.unread else Exit.DONE
    return Exit.INTERRUPTED if report.state is SyncState.STOPPED else Exit.HALTED


def verify(given: argparse.Namespace) -> int:
    """Every window, counted here and there; 0 where all of them agree."""
    screen, mirror = Screen(given), opened(given)
    width = int(given.window.total_seconds()) if given.window is not None else DAY
    workspace = Workspace(settings(given))
    try:
        checked = list(verified(workspace, mirror.store, given.since, given.until, width=max(width, 1)))
    finally:
        workspace.close()
    return _told(checked, screen)


def _told(checked: Sequence[Checked], screen: Screen) -> int:
    """The windows that differ, and the totals."""
    wrong = [one for one in checked if not one.is_well]
    if wrong:
        head = ("CREATED FROM", "TO", "HERE", "INTERCOM", "MISSING", "DELETED", "UNREAD")
        screen.show(*table(head, [_row(one) for one in wrong[:SHOWN]]))
        if len(wrong) > SHOWN:
            screen.show(f"and {len(wrong) - SHOWN:,} more windows")
        screen.show("")
    total = _totals(checked)
    screen.show(*wrapped(_sentence(total, len(checked), len(wrong)), rest="  "))
    if wrong:
        screen.say("To fetch what is short, and only that: intercom-bulk mirror repair")
    screen.give({**total, "windows": len(checked), "differ": [_as_json(one) for one in wrong]})
    return Exit.SOME_FAILED if wrong else Exit.DONE


def _totals(checked: Sequence[Checked]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in checked:
        total.update({name: getattr(one, name) for name in COUNTED})
    return {name: total[name] for name in COUNTED}


COUNTED = ("here", "there", "missing", "extra", "unread", "cut")


def _sentence(total: dict[str, int], windows: int, wrong: int) -> str:
    many = f"{windows:,} windows" if windows != 1 else "1 window"
    found = f"{total['here']:,} conversations here, {total['there']:,} at Intercom"
    rest = f"; {total['cut']:,} threads are longer than what Intercom shows of them" if total["cut"] else ""
    return f"{many}: {found}; {f'{wrong:,} differ' if wrong else 'all agree'}{rest}."


def _row(one: Checked) -> tuple[str, ...]:
    counts = (one.here, one.there, one.missing, one.extra, one.unread)
    return (when(one.span.lo), when(one.span.hi), *(f"{count:,}" if count else "-" for count in counts))


def _as_json(one: Checked) -> dict[str, Any]:
    return {"start": one.span.lo, "end": one.span.hi, **{name: getattr(one, name) for name in COUNTED}}
