"""Apply a plan: exactly its list, and of that only what still is as it was when the plan was made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience, segment
from intercom_bulk.errors import ChangedSince, Gone, LeftAlone, Transient, UsageError
from intercom_bulk.runs.exclude import Exclude
from intercom_bulk.runs.model import Effect, Item, Receipt, Status
from intercom_bulk.runs.plan import PlanReader, plain
from intercom_bulk.sources import PlanSource, search_by_ids
from intercom_bulk.updaters.running.door import lasting
from intercom_bulk.updaters.running.holdouts import customer_wrote_at, leave_alone
from intercom_bulk.updaters.running.launch import launched
from intercom_bulk.updaters.running.lookup import BY_ID
from intercom_bulk.updaters.running.planning import identity, workspace_id
from intercom_bulk.updaters.running.searching import endpoint_of
from intercom_bulk.updaters.running.stepping import NOTHING, effect_from

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from intercom_bulk.api.pages import Endpoint
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.plan import PlanEntry, PlanHeader
    from intercom_bulk.runs.seams import Action
    from intercom_bulk.updaters.base import IntercomBulkUpdater
    from intercom_bulk.updaters.running.arguments import Arguments

__all__ = ["apply"]

FRESH = 60.0
"""Seconds for which a look at an item stands. An item that waited longer (a pause, a slow limit, another life of the
run) is looked at again, by itself, before it is written to."""


def apply(
    updater: IntercomBulkUpdater,
    arguments: Arguments,
    path: Path,
    *,
    digest: str,
    strict: bool,
    run_id: str | None = None,
) -> Run:
    """Start the run, or go on with `run_id`. Raises `UsageError` for a plan that is not this updater's, before that."""
    reader = PlanReader(path, digest)
    header = reader.header
    _check_maker(updater, header)
    _check_workspace(updater, header)
    _check_key(updater, arguments.options.run_key, reader.digest)
    options = replace(arguments.options, exclude=arguments.options.exclude or Exclude.from_record(header.exclude))
    arguments = replace(arguments, keywords=header.keywords, options=options)
    where = endpoint_of(updater)
    checklist = _Checklist(updater, where, options.exclude, strict=strict, timeout=arguments.timeout)

    def make_source(_: int) -> PlanSource:
        checklist.remember(reader.find(_unsettled(updater, run.run_id)))
        return PlanSource(reader, checklist.look, per_page=min(150, where.max_per_page))

    def make_action(inner: Action) -> _PlannedAction:
        return _PlannedAction(inner, checklist)

    noted = {"plan": str(path.resolve()), "digest": reader.digest, "strict": strict}
    run = launched(
        updater,
        arguments,
        run_id=run_id,
        kind="apply",
        make_source=make_source,
        make_action=make_action,
        recorded=noted,
    )
    return run.start()


def _unsettled(updater: IntercomBulkUpdater, run_id: str) -> set[str]:
    """What an earlier life of the run had read and not settled: the source will not read it again."""
    ledger = updater.workspace.store.read(run_id)
    try:
        return {outcome.item_id for outcome in ledger.outcomes(Status.STAGED, Status.STARTED, Status.UNKNOWN)}
    finally:
        ledger.close()


class _Checklist:
    """The planned items on their way, and when each was found to be as planned. Any thread."""

    def __init__(
        self, updater: IntercomBulkUpdater, where: Endpoint, exclude: Exclude | None, *, strict: bool, timeout: float
    ) -> None:
        self._updater = updater
        self._where = where
        self._exclude = exclude
        self._later = strict or where.path not in BY_ID
        self._timeout = timeout
        self._planned: dict[str, PlanEntry] = {}
        self._seen_at: dict[str, float] = {}

    def remember(self, planned: Mapping[str, PlanEntry]) -> None:
        self._planned.update(planned)

    def look(self, entries: Sequence[PlanEntry]) -> list[Item]:
        """A page of the plan: each item with what is planned for it, or with the reason why it is left alone."""
        if self._later or not entries:
            self.remember({entry.id: entry for entry in entries})
            return [_item(entry) for entry in entries]
        workspace = self._updater.workspace
        found = search_by_ids(
            workspace.client,
            workspace.reads,
            self._where,
            [entry.id for entry in entries],
            item_id=self._updater.get_item_id,
            timeout=self._timeout,
        )
        return [self._judged(entry, found.get(entry.id)) for entry in entries]

    def verify(self, item_id: str, step: int = 0) -> None:
        """Read one item and compare, unless that was done just now. Raises `LeftAlone` or `Gone`.

        `step`: those of a composite that come before it are done.
        """
        now = self._updater.workspace.clock.monotonic()
        if now - self._seen_at.get(item_id, -FRESH) < FRESH:
            return
        try:
            self._compare(self._planned[item_id], self._read(item_id), step)
        except (LeftAlone, Gone):
            self.settled(item_id)
            raise
        self._seen_at[item_id] = self._updater.workspace.clock.monotonic()

    def settled(self, item_id: str) -> None:
        self._planned.pop(item_id, None)
        self._seen_at.pop(item_id, None)

    def _judged(self, entry: PlanEntry, data: Mapping[str, Any] | None) -> Item:
        try:
            # The index may not show an item that is there: only the item itself can say that it is gone.
            self._compare(entry, self._read(entry.id) if data is None else data)
        except (LeftAlone, Gone) as error:
            return replace(_item(entry), skip=(error.code, str(error)))
        self._planned[entry.id] = entry
        self._seen_at[entry.id] = self._updater.workspace.clock.monotonic()
        return _item(entry)

    def _read(self, item_id: str) -> dict[str, Any]:
        collection = self._where.path.partition("/")[0]
        with patience(self._timeout):
            return self._updater.workspace.get(f"{collection}/{segment(item_id)}")

    def _compare(self, entry: PlanEntry, data: Mapping[str, Any], step: int = 0) -> None:
        steps, planned = self._updater.step_updaters, entry.effect
        effect = effect_from(steps, dict(data), step) if steps else self._updater.effect(dict(data))
        if steps and planned is not None:
            planned = Effect.of([*(NOTHING,) * step, *planned.parts[step:]])
            if not planned.is_known:
                effect = planned = None
        if effect is not None and effect.is_done:
            raise LeftAlone("It already is as this run would leave it.", code="already_done")
        # What it appends does not show, and so nothing at all may have changed: until the first step changes it.
        reason = _moved(entry, planned, None if self._updater.appends and not step else effect, data)
        if reason is not None:
            raise ChangedSince(reason, code="moved")
        leave_alone(self._updater, self._exclude, dict(data))
        if effect is not None and planned is not None and plain(effect.after) != plain(planned.after):
            raise UsageError(
                f"{type(self._updater).__name__} would no longer write what the plan says (item {entry.id}): make it"
                " with the same arguments, or make a new plan."
            )


class _PlannedAction:
    """`UpdaterAction` for the items of a plan: none is written to that was not seen to be as planned."""

    def __init__(self, inner: Action, checklist: _Checklist) -> None:
        self._inner = inner
        self.max_batch, self.steps = inner.max_batch, inner.steps
        self._checklist = checklist

    def is_idempotent(self, item: Item) -> bool:
        return self._inner.is_idempotent(item)

    def prepare(self) -> None:
        self._inner.prepare()

    def effect(self, item: Item) -> Effect | None:
        return item.effect

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        refused = {item.id: error for item in batch if (error := self._refused(item)) is not None}
        fit = [item for item in batch if item.id not in refused]
        done = dict(zip((item.id for item in fit), self._inner.perform(fit) if fit else (), strict=True))
        for item in fit:
            if isinstance(done[item.id], Receipt) and self._is_last(item):
                self._checklist.settled(item.id)
        return [refused.get(item.id) or done[item.id] for item in batch]

    def already_done(self, item: Item) -> bool | None:
        return self._inner.already_done(item)

    @staticmethod
    def _is_last(item: Item) -> bool:
        return item.effect is None or item.effect.next_step(item.step + 1) is None

    def _refused(self, item: Item) -> Exception | None:
        """Why the item is not to be written to."""
        try:
            self._checklist.verify(item.id, item.step)
        except (LeftAlone, Gone, UsageError) as error:
            return error
        except Transient as error:
            # Only a read went wrong: nothing is in doubt.
            return Transient(str(error), sent=False, code=error.code, status=error.status, request_id=error.request_id)
        return None


def _item(entry: PlanEntry) -> Item:
    return Item(entry.id, effect=entry.effect)


def _moved(entry: PlanEntry, planned: Effect | None, effect: Effect | None, data: Mapping[str, Any]) -> str | None:
    """Why an item no longer is the one that was planned; None: it is."""
    if effect is None or planned is None:
        # Which fields matter is not known, so any change counts.
        return "It was changed since the plan was made." if data.get("updated_at") != entry.updated_at else None
    now, then = plain(effect.before), plain(planned.before)
    if now != then:
        names = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
        return f"It was changed since the plan was made: {', '.join(names)}."
    wrote_at = customer_wrote_at(data)
    if wrote_at is not None and wrote_at > (entry.customer_wrote_at or 0):
        return "The customer wrote since the plan was made."
    return None


def _check_maker(updater: IntercomBulkUpdater, header: PlanHeader) -> None:
    name, made_with = identity(updater)
    if name != lasting(header.updater):
        raise UsageError(f"This plan was made by {header.updater}, not by {name}: apply it with that one.")
    if made_with != header.made_with:
        wrong = sorted(
            key for key in {*made_with, *header.made_with} if made_with.get(key) != header.made_with.get(key)
        )
        raise UsageError(
            f"This plan was made by a {header.title} with other arguments ({', '.join(wrong) or 'order'}): make it with"
            " the same ones."
        )


def _check_workspace(updater: IntercomBulkUpdater, header: PlanHeader) -> None:
    here = workspace_id(updater)
    if here != header.workspace:
        raise UsageError(
            f"This plan is for workspace {header.workspace}, and this token opens {here}: use the token of that one."
        )


def _check_key(updater: IntercomBulkUpdater, run_key: str | None, digest: str) -> None:
    """A key goes on with its run: it must be one of this plan."""
    store = updater.workspace.store
    known = store.find_key(run_key) if run_key is not None else None
    if known is not None and store.record(known).parameters.get("digest") != digest:
        raise UsageError(f"run_key={run_key!r} belongs to run {known}, which applies another plan: choose another key.")
