"""Which items go next: staged ones, in order, as far as the pace, the canary and the caller's limits allow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Effect, Item, Outcome, Status
from intercom_bulk.runs.verdicts import judge
from intercom_bulk.runs.walk import with_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.guard import Guard
    from intercom_bulk.runs.reading import Reading
    from intercom_bulk.runs.seams import Plan
    from intercom_bulk.runs.tally import Tally

__all__ = ["Selection", "Try"]

HELD = 20_000
"""Items that a sweep may hold in memory before it starts to act."""


@dataclass(frozen=True, slots=True)
class Try:
    """The how-manieth attempt, and when its intent was recorded (monotonic seconds).

    `again`: an earlier step of the item was attempted, so that this one is no new item even at its first attempt.
    `deaths`: how many of the attempts before ended with their process.
    """

    number: int
    started: float
    again: bool = False
    deaths: int = 0


class Selection:
    """The staged items of a run and the attempts under way. Owned by the engine's thread.

    `settle` takes the outcome of an item that needs no request.
    """

    def __init__(
        self, plan: Plan, guard: Guard, reading: Reading, tally: Tally, clock: Clock, settle: Callable[[Outcome], None]
    ) -> None:
        self._plan = plan
        self._guard = guard
        self._reading = reading
        self._tally = tally
        self._clock = clock
        self._settle = settle
        self._staged: deque[Item] = deque()
        self._tries: dict[str, Try] = {}
        self._effects: dict[str, Effect] = {}

    def __len__(self) -> int:
        return len(self._staged)

    def weigh(self, item: Item) -> Effect | Exception | None:
        """What the action would change on it; user code's own error stays with its item."""
        if item.skip is not None or item.fail is not None:
            return item.effect
        effect = self._weighed(item)
        count = len(self._plan.action.steps)
        return effect if not count or isinstance(effect, Exception) else with_steps(effect, count, item.step)

    def _weighed(self, item: Item) -> Effect | Exception | None:
        if item.effect is not None:
            return item.effect
        try:
            return self._plan.action.effect(item)
        except Exception as error:  # noqa: BLE001  user code: one item's failure, not the run's
            return error

    def take_over(self, item: Item, attempt: Try, *, staged: bool = True) -> None:
        """An item of an earlier life of the run, with the attempts it had; not staged: its last one is in doubt.

        What was begun goes first, before new items.
        """
        begun = attempt.number > 0 or attempt.again
        if begun:
            self._tries[item.id] = attempt
        if item.effect is not None:
            self._effects[item.id] = item.effect
        if staged and begun:
            self._staged.appendleft(_bare(item))
        elif staged:
            self._staged.append(_bare(item))

    def add(self, item: Item, effect: Effect | Exception | None) -> None:
        """Queue an item; what the source said of it is not kept. One that needs no request settles here, for free."""
        if isinstance(effect, Exception):
            self._settle(judge(item, effect, attempts=0, at=self._clock.time(), redact=self._plan.redact).outcome)
            return
        if effect is not None:
            self._effects[item.id] = effect
        if item.fail is not None:
            self._settle(Outcome(item.id, Status.FAILED, *item.fail, at=self._clock.time()))
        elif item.skip is not None:
            self._skip(item, *item.skip)
        elif effect is not None and effect.is_done:
            self._skip(item, "already_done", "It already is as this run would leave it.")
        else:
            self._staged.append(_bare(item))

    def step_on(self, item: Item) -> None:
        """To the front, at its next step: items are finished before new ones are begun."""
        self._tries[item.id] = Try(0, self._clock.monotonic(), again=True)
        self._staged.appendleft(item)

    def again(self, item: Item) -> None:
        """To the front: it has been waiting longest."""
        self._staged.appendleft(item)

    def current(self, item_id: str) -> Try:
        """The attempt under way."""
        return self._tries[item_id]

    def unsend(self, item: Item) -> None:
        """It never left: as if it had not been tried."""
        attempt = self._tries.pop(item.id)
        if attempt.number > 1 or attempt.again:
            self._tries[item.id] = replace(attempt, number=attempt.number - 1)
        else:
            self._tally.attempted -= 1
        self.again(item)

    def forget(self, item_id: str) -> Effect | None:
        """The item has settled; what it was and would be, where that was known."""
        self._tries.pop(item_id, None)
        return self._effects.pop(item_id, None)

    def must_hold(self) -> bool:
        """Sweeps, and a refusal without a count, read everything before they act."""
        if self._reading.finished:
            return False
        if self._plan.options.refuse_above is not None and self._reading.total is None and not self._plan.dry_run:
            return True
        return self._reading.pass_number > 1 and len(self) < HELD

    def choose(self, free: int) -> Sequence[Item]:
        """Take staged items: as many as `free` calls carry, fewer where something holds them back."""
        chosen, (room, fresh) = list[Item](), self._room(free)
        while len(chosen) < room and self.has_next() and (fresh > 0 or self._is_begun(self._staged[0])):
            item = self._staged.popleft()
            if self._plan.dry_run:
                self._tally.would_change += 1
                self._skip(item, "dry_run", "Dry run: it would be changed.")
                continue
            earlier = self._tries.get(item.id)
            self._tally.attempted += earlier is None
            fresh -= earlier is None
            now = self._clock.monotonic()
            self._tries[item.id] = replace(earlier, number=earlier.number + 1, started=now) if earlier else Try(1, now)
            chosen.append(replace(item, effect=self._effects.get(item.id)))
        return chosen

    def _room(self, free: int) -> tuple[int, int]:
        """How many items may go now, and how many of them may be new ones."""
        if self.must_hold():
            return 0, 0
        room = min(free * self._plan.action.max_batch, self._plan.batch_size)
        if self._guard.canary_open:
            # Alone and all at once: while their fate is open nothing else is risked. Each life has a canary of its own.
            return room, min(room, self._plan.options.canary - self._tally.attempted_now)
        return room, 0 if self.awaits_page() else room

    def awaits_page(self) -> bool:
        """A cursor that loops shows on the second page: no more than the canary is written before that is read."""
        return self._reading.pages < 2 and self._reading.pass_number == 1 and not self._reading.finished

    def is_retry_next(self) -> bool:
        """Whether the next item has been tried before, at this step."""
        return bool(self._staged) and self._is_begun(self._staged[0]) and self._tries[self._staged[0].id].number > 0

    def has_next(self) -> bool:
        """Whether there is an item to take: a second try or step is not a second item under `max_items`."""
        return bool(self._staged) and (not self._tally.is_spent() or self._is_begun(self._staged[0]))

    def _is_begun(self, item: Item) -> bool:
        return item.id in self._tries

    def _skip(self, item: Item, code: str, message: str) -> None:
        self._settle(Outcome(item.id, Status.SKIPPED, code, message, at=self._clock.time()))


def _bare(item: Item) -> Item:
    """Without what the source said of it."""
    return Item(item.id, step=item.step)
