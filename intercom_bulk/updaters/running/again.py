"""Runs that follow another: going on with it, taking it back, trying its failures again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.earlier import EarlierItems
from intercom_bulk.runs.model import Effect, Item, Outcome, Status
from intercom_bulk.updaters.running.applying import apply
from intercom_bulk.updaters.running.arguments import Arguments
from intercom_bulk.updaters.running.launch import Launch
from intercom_bulk.updaters.running.lookup import Lookup
from intercom_bulk.updaters.running.stepping import SteppedUndo, way_back
from intercom_bulk.updaters.running.undo import UndoAction

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.model import StepRecord
    from intercom_bulk.runs.options import RunOptions
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.seams import Action
    from intercom_bulk.runs.store import RunStore
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["check_undo", "resume", "retry", "undo"]

TOUCHED = (Status.DONE, Status.STARTED, Status.UNKNOWN, Status.NEEDS_REVIEW)
"""What an undo looks at: what the run did, and what it may have done."""
BEGUN = (*TOUCHED, Status.FAILED, Status.STAGED)
"""Of a composite also what stopped between its steps."""
RETRYABLE = (Status.FAILED, Status.NEEDS_REVIEW)
IN_DOUBT = (Status.STARTED, Status.UNKNOWN, Status.NEEDS_REVIEW)


def resume(updater: IntercomBulkUpdater, run_id: str, options: RunOptions) -> Run:
    """Go on with a run of any kind under its own id."""
    record = updater.workspace.store.record(run_id)
    arguments = Arguments.from_record(record.parameters, options)
    if record.kind == "apply":
        said = record.parameters
        path, digest, strict = Path(said["plan"]), str(said["digest"]), bool(said["strict"])
        return apply(updater, arguments, path, digest=digest, strict=strict, run_id=run_id)
    if record.parent is None:
        return Launch(updater, arguments, run_id=run_id).start()
    statuses = [Status(word) for word in record.parameters.get("statuses", ())]
    undoes = bool(record.parameters.get("undoes"))
    return _follow(updater, arguments, record.parent, record.kind, statuses, undoes=undoes, run_id=run_id)


def undo(updater: IntercomBulkUpdater, run_id: str, options: RunOptions) -> Run:
    """Take back what a run did. Raises `UsageError` before anything is sent where there is nothing to go by."""
    parent = check_undo(updater, run_id)
    begun = _begun_undo(updater.workspace.store, parent)
    if begun is not None:
        return resume(updater, begun.run_id, options)
    return _follow(updater, _arguments(parent, options), run_id, "undo", _touched(updater), undoes=True)


def check_undo(updater: IntercomBulkUpdater, run_id: str) -> RunRecord:
    """The record of a run that can be taken back. Raises `UsageError` where there is nothing to go by, `RunBusy`."""
    if not updater.restores:
        why = updater.irreversible or updater.not_restored or f"{type(updater).__name__} has no restore()."
        raise UsageError(f"Run {run_id} cannot be undone: {why}")
    store = updater.workspace.store
    parent = _over(store, run_id, updater)
    _refuse_without_before(store, parent, _touched(updater))
    return parent


def retry(updater: IntercomBulkUpdater, run_id: str, statuses: Sequence[Status], options: RunOptions) -> Run:
    """Try the failed items of a run again; of an undo, to undo them."""
    chosen = [Status(status) for status in statuses] or [Status.FAILED]
    if not set(chosen) <= set(RETRYABLE):
        raise UsageError(f"Only {' and '.join(RETRYABLE)} items are tried again; resume the run for the others.")
    store = updater.workspace.store
    parent = _over(store, run_id, updater)
    ledger = store.read(run_id)
    try:
        counts = ledger.counts()
    finally:
        ledger.close()
    if not any(counts.get(status) for status in chosen):
        raise UsageError(f"Run {run_id} has no {' or '.join(chosen)} items: there is nothing to try again.")
    undoes = bool(parent.parameters.get("undoes"))
    if updater.step_updaters and not undoes:
        _refuse_taken_back(store, run_id)
    return _follow(updater, _arguments(parent, options), run_id, "retry", chosen, undoes=undoes)


def _follow(
    updater: IntercomBulkUpdater,
    arguments: Arguments,
    parent: str,
    kind: str,
    statuses: Sequence[Status],
    *,
    undoes: bool,
    run_id: str | None = None,
) -> Run:
    store, since = updater.workspace.store, None
    backwards = _goes_back(store, parent, kind)
    if undoes:
        since = _began(store, parent)
        source = EarlierItems(store, parent, statuses, _ways_back(updater, parent, again=kind != "undo"))
    else:
        lookup = Lookup(updater, timeout=arguments.timeout, workers=arguments.workers)
        source = EarlierItems(store, parent, statuses, partial(_anew, lookup), per_page=lookup.per_page)
    action: Action = (
        SteppedUndo(updater, timeout=arguments.timeout, since=since, backwards=backwards)
        if updater.step_updaters
        else UndoAction(updater, timeout=arguments.timeout, since=since)
    )
    return Launch(
        updater,
        arguments,
        run_id=run_id,
        kind=kind,
        parent=parent,
        make_source=lambda _: source,
        make_action=(lambda _: action) if undoes else None,
        recorded={"statuses": [status.value for status in statuses], "undoes": undoes, "backwards": backwards},
    ).start()


def _goes_back(store: RunStore, parent: str, kind: str) -> bool:
    """Whether the steps of a composite are taken last first: by an undo, not by the undo of that."""
    was_back = bool(store.record(parent).parameters.get("backwards"))
    return not was_back if kind == "undo" else was_back


# -- from outcomes to items


def _ways_back(
    updater: IntercomBulkUpdater, parent: str, *, again: bool
) -> Callable[[Sequence[Outcome]], Sequence[Item]]:
    """What makes items of the outcomes of the run that is taken back; `again`: of an undo that is tried once more."""
    if updater.step_updaters:
        return partial(_stepped, updater.workspace.store, parent, same=again)
    make_item = _as_meant if again else _way_back
    return lambda outcomes: [make_item(outcome) for outcome in outcomes]


def _stepped(store: RunStore, run_id: str, outcomes: Sequence[Outcome], *, same: bool) -> Sequence[Item]:
    """Of a composite: an item for each that was begun, with the way back of its steps (or the `same` way again)."""
    ledger = store.read(run_id)
    try:
        steps = ledger.steps(*(outcome.item_id for outcome in outcomes))
    finally:
        ledger.close()
    known = ((outcome, steps.get(outcome.item_id, ())) for outcome in outcomes)
    return [
        _stepped_item(outcome, records, same=same)
        for outcome, records in known
        if same or outcome.status in TOUCHED or any(record.wrote for record in records)
    ]


def _stepped_item(outcome: Outcome, records: Sequence[StepRecord], *, same: bool) -> Item:
    if not same and outcome.status in IN_DOUBT:
        return _way_back(outcome)
    return Item(outcome.item_id, effect=way_back(records, same=same))


def _way_back(outcome: Outcome) -> Item:
    """The way back. What the run may have done without knowing is listed, never guessed."""
    effect = outcome.effect
    if outcome.status is not Status.DONE:
        why = "Whether the run changed it is not known: resume the run, which reads it back, or look at it."
        return Item(outcome.item_id, skip=("in_doubt", why))
    if effect is None:
        return Item(outcome.item_id, skip=("no_before", "What it was before is not on record: nothing is guessed."))
    return Item(outcome.item_id, effect=Effect(effect.after, effect.before))


def _as_meant(outcome: Outcome) -> Item:
    """The same way back once more."""
    return Item(outcome.item_id, effect=outcome.effect)


def _anew(lookup: Lookup, outcomes: Sequence[Outcome]) -> list[Item]:
    """Read again what the first run could see: days may have passed, and an undo must bring back what was then."""
    found = lookup.items([outcome.item_id for outcome in outcomes if outcome.effect is not None])
    return [_once_more(outcome, found.get(outcome.item_id)) for outcome in outcomes]


def _once_more(outcome: Outcome, found: Item | None) -> Item:
    if outcome.code == "bad_id":
        return Item(outcome.item_id, fail=(outcome.code, outcome.message or ""))
    if found is None or found.fail is not None:
        return Item(outcome.item_id, step=outcome.step)
    return replace(found, step=outcome.step)


# -- the run before


def _touched(updater: IntercomBulkUpdater) -> Sequence[Status]:
    return BEGUN if updater.step_updaters else TOUCHED


def _over(store: RunStore, run_id: str, updater: IntercomBulkUpdater) -> RunRecord:
    """The record of a run that nobody works on, and that such an updater made. Raises `RunBusy`, `UnknownRun`."""
    store.open(run_id).close()  # held by another process: says who; damaged: says so
    record = store.record(run_id)
    if record.title != type(updater).__name__:
        raise UsageError(f"Run {run_id} was made by {record.title}, and this is {type(updater).__name__}.")
    made_with = record.parameters.get("made_with") or {}
    if updater.step_updaters and made_with.get("steps") != updater.made_with["steps"]:
        raise UsageError(f"Run {run_id} was made by a {record.title} with other steps: make it with the same ones.")
    return record


def _began(store: RunStore, run_id: str) -> int | None:
    """When the run began that is taken back; `run_id` may be an undo of it, which is tried again."""
    record = store.record(run_id)
    while record.parameters.get("undoes") and record.parent is not None:
        record = store.record(record.parent)
    return record.cutoff


def _refuse_without_before(store: RunStore, parent: RunRecord, statuses: Sequence[Status]) -> None:
    ledger = store.read(parent.run_id)
    try:
        counts, known = ledger.counts(), ledger.with_before(Status.DONE)
    finally:
        ledger.close()
    if not any(counts.get(status) for status in statuses):
        raise UsageError(f"Run {parent.run_id} changed nothing: there is nothing to undo.")
    if counts.get(Status.DONE) and not known:
        raise UsageError(
            f"Run {parent.run_id} cannot be undone: what its items were before is not on record, because the action"
            " does not say what it changes, or acted on bare ids."
        )


def _refuse_taken_back(store: RunStore, run_id: str) -> None:
    """A composite is tried again from the step that failed: those before it must still stand."""
    undone = next((one for one in store.records() if one.kind == "undo" and one.parent == run_id), None)
    if undone is not None:
        raise UsageError(
            f"Run {run_id} was taken back by {undone.run_id}, and its failed items with it: start a new run on them."
        )


def _begun_undo(store: RunStore, parent: RunRecord) -> RunRecord | None:
    """An undo of the same run that was cut short; unless the run itself went on since."""
    undos = [one for one in store.records() if one.kind == "undo" and one.parent == parent.run_id]
    last = max(undos, key=lambda one: one.created_at, default=None)
    went_on = last is not None and (parent.ended_at or parent.updated_at) > last.created_at
    return last if last is not None and last.is_resumable and not went_on else None


def _arguments(parent: RunRecord, options: RunOptions) -> Arguments:
    return replace(Arguments.from_record(parent.parameters, options), max_items=None, listed=None)
