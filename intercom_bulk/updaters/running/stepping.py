"""A composite as the engine sees it: each item's steps one after another, done or taken back by their own updaters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience, segment
from intercom_bulk.errors import IntercomBulkError, LeftAlone
from intercom_bulk.runs.model import Effect, Item
from intercom_bulk.updaters.running.action import UpdaterAction
from intercom_bulk.updaters.running.holdouts import leave_alone
from intercom_bulk.updaters.running.undo import UndoAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.runs.exclude import Exclude
    from intercom_bulk.runs.model import Receipt, StepRecord
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["NOTHING", "SteppedAction", "SteppedUndo", "effect_from", "step_names", "way_back"]

NOTHING = Effect({}, {})
"""Of a step that has nothing to do."""


def step_names(updaters: Sequence[IntercomBulkUpdater]) -> Sequence[str]:
    """What people call the steps."""
    return [one.step_name or type(one).__name__ for one in updaters]


def effect_from(updaters: Sequence[IntercomBulkUpdater], item: dict[str, Any], start: int = 0) -> Effect:
    """What the steps from `start` on change, each on the item as the steps before leave it.

    Raises `LeftAlone` where one of them would leave the item alone: known before the first one writes.
    """
    parts: list[Effect | None] = [NOTHING] * start
    names, unsure = step_names(updaters), set[str]()
    for number, one in enumerate(updaters[start:], start):
        try:
            part = _doubtful(one.effect(item), unsure)
            item = one.as_left(item)
        except LeftAlone as error:
            where = f"Step {number + 1} of {len(names)} ({names[number]})"
            raise LeftAlone(f"{where}: {error}", code=error.code) from error
        parts.append(part)
        if one.appends and part is not None:
            unsure |= {name for name, value in part.after.items() if part.before.get(name) != value}
    return Effect.of(parts)


def _doubtful(effect: Effect | None, unsure: set[str]) -> Effect | None:
    """Words may wake a snoozed conversation, or not: a step that seems done by that alone is done all the same."""
    if effect is None or not effect.is_done or not unsure & effect.after.keys():
        return effect
    return Effect({name: value for name, value in effect.before.items() if name not in unsure}, effect.after)


class SteppedAction:
    """Does the step that an item stands at."""

    max_batch = 1

    def __init__(
        self, updater: IntercomBulkUpdater, *, timeout: float, exclude: Exclude | None = None, since: int | None = None
    ) -> None:
        self._updater = updater
        self._timeout = timeout
        self._exclude = exclude
        self._actions = [UpdaterAction(one, {}, timeout=timeout, since=since) for one in updater.step_updaters]
        self.steps = step_names(updater.step_updaters)

    def is_idempotent(self, item: Item) -> bool:
        return self._actions[item.step].is_idempotent(item)

    def prepare(self) -> None:
        with patience(self._timeout):
            self._updater.prepare()

    def effect(self, item: Item) -> Effect | None:
        segment(item.id)
        if not item.data:
            return None
        data = dict(item.data)
        leave_alone(self._updater, self._exclude, data)
        return effect_from(self._updater.step_updaters, data, item.step)

    def already_done(self, item: Item) -> bool | None:
        return self._actions[item.step].already_done(_part_of(item))

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        return [result for item in batch for result in self._actions[item.step].perform([_part_of(item)])]


class SteppedUndo:
    """Takes an item's steps back, the last one first; or, of an undo, does them again (not `backwards`).

    Before the first write the item is compared whole, and each step again before its own. A step that has no way back
    stays, and is said.
    """

    max_batch = 1

    def __init__(
        self, updater: IntercomBulkUpdater, *, timeout: float, since: int | None = None, backwards: bool = True
    ) -> None:
        self._updater = updater
        self._timeout = timeout
        self._steps = list(updater.step_updaters)[:: -1 if backwards else 1]
        self._undos = [UndoAction(one, timeout=timeout, since=since) for one in self._steps]
        self.steps = step_names(self._steps)

    def is_idempotent(self, item: Item) -> bool:
        """Every try compares first."""
        del item
        return True

    def prepare(self) -> None:
        """What an undo writes was there before."""

    def effect(self, item: Item) -> Effect | None:
        return item.effect

    def already_done(self, item: Item) -> bool | None:
        return self._undos[item.step].already_done(_part_of(item))

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        return [self._one(item) for item in batch]

    def _one(self, item: Item) -> Receipt | Exception:
        one, part = self._steps[item.step], _part_of(item).effect
        if part == NOTHING:
            return LeftAlone("This step did nothing.", code="already_done")
        if part is None or not one.restores:
            why = one.irreversible or "What it was before is not on record: nothing is guessed."
            return LeftAlone(f"The step {self.steps[item.step]!r} stays: {why}", code="stays")
        if self._is_first(item):
            try:
                self._compare_whole(item)
            except IntercomBulkError as error:
                return self._undos[item.step].harmless(error)
        return self._undos[item.step].perform([_part_of(item)])[0]

    def _is_first(self, item: Item) -> bool:
        """Nothing of the item was written yet, and more than one step is to be."""
        if item.effect is None or item.effect.next_step(item.step + 1) is None:
            return False
        return all(not self._can_undo(step, part) for step, part in enumerate(item.effect.parts[: item.step]))

    def _can_undo(self, step: int, part: Effect | None) -> bool:
        return part is not None and not part.is_done and self._steps[step].restores

    def _compare_whole(self, item: Item) -> None:
        """Raises `ChangedSince` where any step finds something else than it left."""
        if item.effect is None:
            return
        with self._undos[item.step].calling():
            found = self._updater.read_item(item.id)
            for step, part in enumerate(item.effect.parts[item.step :], item.step):
                if part is not None and self._can_undo(step, part):
                    self._undos[step].compare(part, found)
                    found = self._steps[step].with_fields(found, part.after)


def way_back(records: Sequence[StepRecord], *, same: bool = False) -> Effect:
    """From the steps of an item to those of its undo; with `same`, from those of an undo to what is left of it."""
    parts = [_part_back(record, same=same) for record in records]
    return Effect.of(parts if same else parts[::-1])


def _part_back(record: StepRecord, *, same: bool) -> Effect | None:
    effect = record.effect
    if same:
        return NOTHING if record.at is not None else effect
    if not record.wrote:
        return NOTHING
    return None if effect is None else Effect(effect.after, effect.before)


def _part_of(item: Item) -> Item:
    """The item as the updater of its step gets it."""
    parts = item.effect.parts if item.effect is not None else ()
    return Item(item.id, effect=parts[item.step] if parts else None)
