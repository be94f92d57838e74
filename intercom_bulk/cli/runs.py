"""What can be done with a run: ask its process, go on, try again, take back, forget."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.backfilling import go_on
from intercom_bulk.cli.confirming import Question, check_answerable, confirm
from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.following import check_reports, finish, follow
from intercom_bulk.cli.making import run_options, settings
from intercom_bulk.cli.records import facts, run_named
from intercom_bulk.cli.screen import Screen, clip
from intercom_bulk.errors import UsageError
from intercom_bulk.runs.model import RunState, Status
from intercom_bulk.updaters.history import Runs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from intercom_bulk.runs.handle import Run

__all__ = ["pause", "prune", "resume", "retry", "stop", "undo"]


def pause(given: argparse.Namespace) -> int:
    """It sends nothing more, and goes on when it is told to."""
    runs = Runs()
    run_id = run_named(runs, given.run_id)
    runs.pause(run_id)
    return _asked(given, run_id, f"Asked to pause. To go on: intercom-bulk runs resume {run_id}")


def stop(given: argparse.Namespace) -> int:
    """It ends, and can be resumed."""
    runs = Runs()
    run_id = run_named(runs, given.run_id)
    runs.stop(run_id)
    return _asked(given, run_id, f"Asked to stop. To go on later: intercom-bulk runs resume {run_id}")


def _asked(given: argparse.Namespace, run_id: str, told: str) -> int:
    screen = Screen(given)
    screen.show(told)
    screen.give({"run_id": run_id, "asked": True})
    return Exit.DONE


def resume(given: argparse.Namespace) -> int:
    """In the process that has paused it, where that lives; else here."""
    runs = Runs()
    run_id = run_named(runs, given.run_id)
    if runs.check_resume(run_id).state in {RunState.PAUSED, RunState.PAUSING}:
        with suppress(UsageError):  # the process that has paused it is no more
            runs.unpause(run_id)
            return _asked(given, run_id, f"Asked to go on. To follow it: intercom-bulk runs watch {run_id}")
    if runs.get(run_id).record.kind == "backfill":
        return go_on(given, run_id)
    return _another(given, "Go on with", lambda runs, run_id, options: runs.resume(run_id, options=options))


def undo(given: argparse.Namespace) -> int:
    """Itself a run."""
    return _another(given, "Take back", lambda runs, run_id, options: runs.undo(run_id, options=options), is_undo=True)


def retry(given: argparse.Namespace) -> int:
    """A run over the failed items."""
    statuses = (Status.FAILED, Status.NEEDS_REVIEW) if given.needs_review else (Status.FAILED,)
    return _another(
        given,
        "Try again the failed items of",
        lambda runs, run_id, options: runs.retry_failed(run_id, statuses=statuses, options=options),
    )


def _another(
    given: argparse.Namespace, verb: str, start: Callable[[Runs, str, Any], Run], *, is_undo: bool = False
) -> int:
    """Ask, start it, follow it."""
    screen = Screen(given)
    check_reports(given)
    run_id = run_named(Runs(), given.run_id)
    stored = Runs().get(run_id)
    is_final = not is_undo and bool((stored.record.parameters.get("made_with") or {}).get("irreversible"))
    check_answerable(screen, given, irreversible=is_final)
    runs = Runs(settings(given))
    if is_undo:
        runs.check_undo(run_id)
    if not given.yes:
        screen.say(*(clip(line) for line in facts(stored)), "")
        word = f"{verb.split()[0].lower()} {run_id[-6:]}" if is_final else None
        confirm(screen, given, Question(f"{verb} run {run_id}?", word=word))
    run = start(runs, run_id, run_options(given))
    summary = follow(run, screen, f"{verb} {run_id}")
    return finish(run, screen, runs, given.report, summary, is_undo=is_undo)


def prune(given: argparse.Namespace) -> int:
    """Delete the records of old runs; asked once, for they cannot be undone afterwards."""
    screen, runs = Screen(given), Runs()
    check_answerable(screen, given, irreversible=False)
    confirm(screen, given, Question(f"Forget the runs that ended more than {given.older_than} days ago?"))
    gone = runs.prune(given.older_than, resumable=given.resumable)
    screen.show(f"Forgotten: {len(gone):,} runs.")
    screen.give({"forgotten": gone})
    return Exit.DONE
