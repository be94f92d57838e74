"""`mirror sync`, `verify` and `repair`: what the local copy takes from Intercom, by reading alone."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.ending import Exit, code_of
from intercom_bulk.cli.following import follow
from intercom_bulk.cli.making import run_options, settings
from intercom_bulk.cli.mirrored import opened, trust
from intercom_bulk.cli.screen import Screen, table, when, wrapped
from intercom_bulk.mirror.keeping.schema import SyncState
from intercom_bulk.mirror.repair import Repair
from intercom_bulk.mirror.syncing import IncrementalSync
from intercom_bulk.mirror.verify import DAY, Checked
from intercom_bulk.mirror.verify import verify as verified
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from intercom_bulk.mirror.fetching.report import SyncReport

__all__ = ["repair", "sync", "verify"]

SHOWN = 30
"""Windows that people are shown."""


def sync(given: argparse.Namespace) -> int:
    """What has changed since the last time, and what was deleted."""
    screen = Screen(given)
    mirror = opened(given)
    with IncrementalSync(
        settings=settings(given), full=given.full, strategy=given.strategy, workers=given.workers,
        contacts=not given.no_contacts, deletions=not given.no_deletions,
    ) as made:  # fmt: skip
        report = follow(made.start(run_options(given)), screen, "Sync")
    screen.show(*wrapped(str(report), rest="  "))
    told = mirror.check_sync_state()
    for line in trust(mirror, told):
        screen.say(*wrapped(line))
    screen.give({**report.to_dict(), "sync_info": told})
    return _code(report)


def _code(report: SyncReport) -> Exit:
    if report.state is SyncState.COMPLETED:
        return Exit.DONE if report.is_complete else Exit.SOME_FAILED
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


def repair(given: argparse.Namespace) -> int:
    """Fetch what is short, and count again."""
    screen, mirror = Screen(given), opened(given)
    width = int(given.window.total_seconds()) if given.window is not None else DAY
    with Repair(
        since=given.since, until=given.until, width=max(width, 1), settings=settings(given), store=mirror.store
    ) as made:
        checked = made.check()
        run = made.start(checked, run_options(given), parallel_workers=given.workers)
        if run is None:
            screen.say("Nothing is short.")
            return _told(checked, screen)
        wrong = sum(not one.is_well for one in checked)
        summary = follow(run, screen, f"Repair of {wrong:,} of {len(checked):,} windows")
        screen.say(*wrapped(str(summary), rest="  "))
        code = code_of(summary)
        return code if code > Exit.SOME_FAILED else _told(made.check(), screen)


def _told(checked: Sequence[Checked], screen: Screen) -> int:
    """The windows that differ, and the totals."""
    wrong = [one for one in checked if not one.is_well]
    if wrong:
        head = ("CREATED FROM", "TO", "HERE", "THERE", "MISSING", "EXTRA", "UNREAD", "HOLE")
        screen.show(*table(head, [_row(one) for one in wrong[:SHOWN]]))
        if len(wrong) > SHOWN:
            screen.show(f"and {len(wrong) - SHOWN:,} more")
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
    told = [f"{count:,}" if count else "-" for count in counts]
    return when(one.span.lo), when(one.span.hi), *told, "hole" if one.is_hole else "-"


def _as_json(one: Checked) -> dict[str, Any]:
    counts = {name: getattr(one, name) for name in COUNTED}
    return {"start": one.span.lo, "end": one.span.hi, "hole": one.is_hole, **counts}
