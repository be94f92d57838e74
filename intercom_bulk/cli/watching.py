"""`runs watch`: follow a run that another process works on, by its record."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.progress import Frame, picture
from intercom_bulk.cli.records import UNDER_WAY, as_json, facts, run_named
from intercom_bulk.cli.screen import Screen, clip
from intercom_bulk.clock import SYSTEM
from intercom_bulk.runs.model import RunState, Status
from intercom_bulk.runs.summary import Progress
from intercom_bulk.updaters.history import Runs

if TYPE_CHECKING:
    import argparse

    from intercom_bulk.updaters.history import StoredRun

__all__ = ["watch"]

SECOND = 1.0
SETTLED = (Status.DONE, Status.SKIPPED, Status.FAILED, Status.NEEDS_REVIEW)
IN_DOUBT = (Status.STARTED, Status.UNKNOWN)


def watch(given: argparse.Namespace) -> int:
    """Follow a run until it stands still; it may be another process's. Ctrl-C ends the watching, not the run."""
    screen, runs = Screen(given), Runs()
    run_id = run_named(runs, given.run_id)
    stored = runs.get(run_id)
    drawn, began, before = picture(screen, f"{stored.record.title} {run_id}"), SYSTEM.monotonic(), None
    try:
        while True:
            now = SYSTEM.monotonic()
            settled = sum(stored.counts.get(status, 0) for status in SETTLED)
            rate = 0.0 if before is None else (settled - before[1]) / max(now - before[0], 1e-3)
            before = (now, settled)
            drawn.draw(Frame(_progress(stored, rate, now - began), stored.codes))
            if stored.record.state not in UNDER_WAY:
                break
            SYSTEM.sleep(SECOND)
            stored = runs.get(run_id)
    except KeyboardInterrupt:
        drawn.close()
        screen.say(f"Run {run_id} goes on; nobody watches it any more.")
        return Exit.INTERRUPTED
    drawn.close()
    screen.show(*(clip(line) for line in facts(stored)))
    screen.give(as_json(stored.record, stored.counts) | {"codes": dict(stored.codes)})
    return _code(stored)


def _progress(stored: StoredRun, rate: float, elapsed: float) -> Progress:
    """What the record tells of the moment; of the window's budget it tells nothing."""
    counts = Counter(dict(stored.counts))
    total, settled = stored.record.total, sum(counts[status] for status in SETTLED)
    left = None if total is None else max(total - settled, 0)
    return Progress(
        done=counts[Status.DONE],
        failed=counts[Status.FAILED],
        skipped=counts[Status.SKIPPED],
        unknown=sum(counts[status] for status in (*IN_DOUBT, Status.NEEDS_REVIEW)),
        total=total,
        in_flight=counts[Status.STARTED],
        rate=rate,
        eta=left / rate if left is not None and rate > 0 else None,
        budget_used=None,
        limit=None,
        waiting=False,
        window_ends_in=None,
        elapsed=elapsed,
        state=stored.record.state,
    )


def _code(stored: StoredRun) -> int:
    state, counts = stored.record.state, stored.counts
    if state is RunState.HALTED:
        return Exit.HALTED
    if stored.record.is_resumable:
        return Exit.INTERRUPTED
    failed = any(counts.get(status) for status in (Status.FAILED, Status.NEEDS_REVIEW, *IN_DOUBT))
    return Exit.SOME_FAILED if failed else Exit.DONE
