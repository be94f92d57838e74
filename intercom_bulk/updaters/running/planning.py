"""Look before you write: a preview, and a plan frozen in a file. Both are a dry run of the engine, watched."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import IntercomBulkError, UsageError
from intercom_bulk.runs.model import Effect, Item, Outcome, Receipt, RunState, Status
from intercom_bulk.runs.plan import PlanEntry, PlanFile, PlanHeader, PlanWriter, plain, recorded_parts
from intercom_bulk.runs.preview import Preview, PreviewItem, seconds_needed
from intercom_bulk.updaters.running.action import accepted_keywords
from intercom_bulk.updaters.running.door import lasting_name
from intercom_bulk.updaters.running.holdouts import customer_wrote_at, name_of, overrides
from intercom_bulk.updaters.running.launch import launched
from intercom_bulk.updaters.running.listed import ListedItems
from intercom_bulk.updaters.running.stepping import step_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from intercom_bulk.runs.exclude import Exclude
    from intercom_bulk.runs.model import Page, Slice
    from intercom_bulk.runs.seams import Action, Source
    from intercom_bulk.runs.stream import OutcomeStream
    from intercom_bulk.updaters.base import IntercomBulkUpdater
    from intercom_bulk.updaters.running.arguments import Arguments

__all__ = ["CONNECTION", "identity", "plan", "plan_and_preview", "preview", "workspace_id"]

MOST_SENTENCES = 50
"""Sentences that are counted one by one: a hook that names the item in its sentence must not fill memory."""
AND_MORE = "Other side effects."
OTHERWISE = "Other reasons."
_NO_EFFECT = "all of it, for effect() does not tell what each item was before."
_NO_RESTORE = "all of it, for there is no restore() to bring back what was."
_NOT_SEEN = "all of it, for Intercom does not tell what any of these items was before."

CONNECTION = frozenset({"base_url", "irreversible", "region"})
"""What a plan does not hold of an updater's arguments: whoever applies it says where, and what is meant."""


@dataclass(frozen=True, slots=True)
class _Sight:
    """What is remembered of an item between its page and its outcome."""

    updated_at: int | None
    customer_wrote_at: int | None
    side_effects: tuple[str, ...]
    name: str | None = None
    parts: tuple[Effect | None, ...] = ()

    @property
    def writes(self) -> int:
        """Calls of the updater that the item takes."""
        return sum(part is None or not part.is_done for part in self.parts) if self.parts else 1


class _Observer:
    """The updater's action in a dry run, with a note of each item that would be changed. It never writes."""

    max_batch = 1

    def __init__(self, inner: Action, updater: IntercomBulkUpdater, notes: dict[str, _Sight]) -> None:
        self._inner = inner
        self._updater = updater
        self._notes = notes
        self.steps = inner.steps

    def is_idempotent(self, item: Item) -> bool:
        return self._inner.is_idempotent(item)

    def prepare(self) -> None:
        self._inner.prepare()

    def effect(self, item: Item) -> Effect | None:
        effect = self._inner.effect(item)
        if item.data and (effect is None or not effect.is_done):
            data = dict(item.data)
            causes = tuple(dict.fromkeys(self._updater.side_effects(data)))
            parts = effect.parts if effect is not None else ()
            seen = data.get("updated_at"), customer_wrote_at(data)
            self._notes[item.id] = _Sight(*seen, causes, name_of(data), parts)
        return effect

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        raise RuntimeError(f"a dry run was about to write to {len(batch)} items")

    def already_done(self, item: Item) -> None:
        del item


class _Counted:
    """A source, and how many requests were needed to read it."""

    repeatable = False

    def __init__(self, inner: Source) -> None:
        self._inner = inner
        self._pages = 0

    @property
    def reads(self) -> int:
        return self._inner.reads if isinstance(self._inner, ListedItems) else self._pages

    def open(self) -> Sequence[Slice]:
        return self._inner.open()

    def read(self, part: Slice) -> Page:
        page = self._inner.read(part)
        self._pages += 1
        return page

    def split(self, part: Slice) -> tuple[Slice, Slice] | None:
        return self._inner.split(part)


class _Watch:
    """One dry run and what is seen of it: totals that stay small, whatever the number of items."""

    def __init__(self, updater: IntercomBulkUpdater, arguments: Arguments) -> None:
        self._updater = updater
        self._arguments = arguments
        self._notes: dict[str, _Sight] = {}
        self._source: _Counted | None = None
        self.max_batch = 1
        self.counts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.side_effects: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.begun: Callable[[Callable[[], None]], None] = lambda _: None
        self._launch = launched(updater, arguments, make_source=self._make_source, make_action=self._make_action)

    def _make_source(self, cutoff: int) -> Source:
        self._source = _Counted(self._launch.own_source(cutoff))
        return self._source

    def _make_action(self, inner: Action) -> _Observer:
        self.max_batch = inner.max_batch
        return _Observer(inner, self._updater, self._notes)

    @property
    def reads(self) -> int:
        return self._source.reads if self._source is not None else 0

    def changes(self) -> Iterator[tuple[Outcome, _Sight]]:
        """Run; the items that would be changed, in the order found. Raises what makes the run impossible."""
        with self._launch.stream() as outcomes:
            self.begun(outcomes.stop)
            for outcome in outcomes:
                sight = self._notes.pop(outcome.item_id, _BLIND)
                kind = outcome.code if _is_no_item(outcome) and outcome.code else "failed"
                self.counts[kind] += 1
                if kind == "held_out":
                    self.reasons[outcome.message or ""] += 1
                if kind not in _EXPECTED:
                    _count(self.failures, outcome.message or kind, OTHERWISE)
                if kind == "dry_run":
                    for sentence in sight.side_effects:
                        _count(self.side_effects, sentence, AND_MORE)
                    yield outcome, sight
        self._refuse_part(outcomes)

    def _refuse_part(self, outcomes: OutcomeStream) -> None:
        summary = outcomes.summary()
        if summary.state not in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}:
            raise IntercomBulkError(f"Not every item could be looked at ({summary.reason}): look again.")


_BLIND = _Sight(None, None, ())
_LEFT_OUT = ("blank", "duplicate", "left_out", "bad_id", "gone", "moved")
"""Codes of what is left out before anybody asks what would change: rows of a list that are no items, what is gone."""


_EXPECTED = ("dry_run", "already_done", "filtered", "held_out", *_LEFT_OUT)
"""Codes of the items of which something else is told than why nothing can be done with them."""


def _count(counts: Counter[str], sentence: str, else_: str) -> None:
    counts[sentence if sentence in counts or len(counts) < MOST_SENTENCES else else_] += 1


def _is_no_item(outcome: Outcome) -> bool:
    """One bad row of a list is reported; it says nothing of the items."""
    return outcome.status is Status.SKIPPED or outcome.code == "bad_id"


def preview(updater: IntercomBulkUpdater, arguments: Arguments, sample: int) -> Preview:
    """What the run would do; `sample` of its items are kept."""
    if isinstance(sample, bool) or not 0 <= sample <= 10_000:
        raise UsageError(f"sample must be from 0 to 10,000, not {sample}.")
    watch, shown = _Watch(updater, arguments), _Shown(sample)
    for outcome, sight in watch.changes():
        shown.see(outcome, sight)
    return _preview(updater, arguments, watch, shown)


class _Shown:
    """What a preview keeps of the items that would be changed: the first of them, and how many writes they all take."""

    def __init__(self, sample: int) -> None:
        self._sample = sample
        self.items: list[PreviewItem] = []
        self.writes = 0
        self.told = 0

    def see(self, outcome: Outcome, sight: _Sight) -> None:
        self.writes += sight.writes
        self.told += outcome.after is not None
        if len(self.items) < self._sample:
            self.items.append(PreviewItem(outcome.item_id, outcome.before, outcome.after, sight.name))


def _preview(updater: IntercomBulkUpdater, arguments: Arguments, watch: _Watch, shown: _Shown) -> Preview:
    counts, writes = watch.counts, math.ceil(shown.writes / watch.max_batch)
    reads = watch.reads + 2  # /me, and the sweep that finds nothing new
    budget = updater.workspace.governor.budget()
    return Preview(
        title=type(updater).__name__,
        count=counts["dry_run"],
        already=counts["already_done"],
        filtered=counts["filtered"],
        held_out=counts["held_out"],
        failed=counts.total() - sum(counts[code] for code in _EXPECTED),
        left_out={code: counts[code] for code in _LEFT_OUT if counts[code]},
        reasons=dict(watch.reasons),
        sample=tuple(shown.items),
        writes=writes,
        reads=reads,
        seconds=seconds_needed(writes + reads, budget, share=arguments.options.share),
        limit=budget.limit,
        irreversible=_irreversible(updater) or (_NOT_SEEN if counts["dry_run"] and not shown.told else None),
        side_effects=dict(watch.side_effects),
        failures=dict(watch.failures),
    )


def plan(updater: IntercomBulkUpdater, arguments: Arguments, path: Path) -> PlanFile:
    """The items that would be changed, frozen in `path`."""
    return plan_and_preview(updater, arguments, path, 0)[0]


def plan_and_preview(
    updater: IntercomBulkUpdater,
    arguments: Arguments,
    path: Path,
    sample: int,
    *,
    begun: Callable[[Callable[[], None]], None] = lambda _: None,
) -> tuple[PlanFile, Preview]:
    """Both, in one walk over the items. `begun` is given what ends the walk early, from any thread."""
    if overrides(updater, "search_items") and arguments.options.source is None:
        raise UsageError(
            f"A plan needs to see each item, and search_items() of {type(updater).__name__} yields only ids: there is"
            " nothing to compare with later."
        )
    for name, value in accepted_keywords(updater.perform_action, arguments.keywords).items():
        if not _survives(value):
            raise UsageError(f"{name}= reaches perform_action(), but a plan cannot hold it: only what JSON has.")
    with PlanWriter(path) as writer:
        watch, shown = _Watch(updater, arguments), _Shown(sample)
        watch.begun = begun
        for outcome, sight in watch.changes():
            shown.see(outcome, sight)
            before, after = outcome.before, outcome.after
            parts = recorded_parts(sight.parts)
            writer.add(PlanEntry(outcome.item_id, sight.updated_at, before, after, sight.customer_wrote_at, parts))
        if failed := watch.counts["failed"]:
            raise UsageError(f"{failed:,} items cannot be judged, for effect() or should_process() raised: no plan.")
        return writer.finish(_header(updater, arguments, writer.count)), _preview(updater, arguments, watch, shown)


def identity(updater: IntercomBulkUpdater) -> tuple[str, Mapping[str, Any]]:
    """What a plan and its apply must share: the class, and what it was made with but for the way to the workspace."""
    made_with = {name: value for name, value in updater.made_with.items() if name not in CONNECTION}
    return lasting_name(type(updater)), plain(made_with)


def workspace_id(updater: IntercomBulkUpdater) -> str | None:
    """The id of the workspace that the token opens (GET /me)."""
    return str((updater.workspace.directory.me().get("app") or {}).get("id_code") or "") or None


def _header(updater: IntercomBulkUpdater, arguments: Arguments, count: int) -> PlanHeader:
    name, made_with = identity(updater)
    exclude: Exclude | None = arguments.options.exclude
    return PlanHeader(
        updater=name,
        title=type(updater).__name__,
        made_with=made_with,
        keywords=plain(dict(arguments.keywords)),
        workspace=workspace_id(updater),
        created_at=updater.workspace.now(),
        count=count,
        exclude=exclude.to_record() if exclude is not None else None,
    )


def _irreversible(updater: IntercomBulkUpdater) -> str | None:
    if not updater.step_updaters:
        return _one_way(updater)
    told = zip(step_names(updater.step_updaters), map(_one_way, updater.step_updaters), strict=True)
    return " ".join(f"{name}: {text}" for name, text in told if text is not None) or None


def _one_way(updater: IntercomBulkUpdater) -> str | None:
    if updater.irreversible is not None:
        return updater.irreversible
    if not overrides(updater, "effect"):
        return _NO_EFFECT
    if updater.not_restored is not None:
        return f"all of it, for {updater.not_restored}"
    return None if updater.restores else _NO_RESTORE


def _survives(value: object) -> bool:
    try:
        return bool(plain(value) == value)
    except (TypeError, ValueError):
        return False
