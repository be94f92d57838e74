"""One item's way through the steps of a composite. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import PASSING, Effect, Outcome, Status, StepRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Walk", "with_steps"]

_DONE = "It already is as this step would leave it."


def with_steps(effect: Effect | None, count: int, start: int = 0) -> Effect:
    """The effect of a composite of `count` steps, where the source or a plan did not say what each one changes.

    The steps before `start` are over.
    """
    if effect is not None and effect.parts:
        return effect
    parts = (Effect({}, {}),) * start + (None,) * (count - start)
    return Effect({}, {}, parts) if effect is None else replace(effect, parts=parts)


@dataclass(frozen=True, slots=True)
class Walk:
    """How far the item came: `step` is next, `attempts` were needed for those before it.

    `wrote`: one of them changed the item. `notes`: what they had to say.
    """

    effect: Effect
    step: int = 0
    attempts: int = 0
    wrote: bool = False
    codes: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @classmethod
    def recovered(cls, effect: Effect | None, records: Sequence[StepRecord]) -> Walk:
        """As an earlier life of the run left it."""
        parts = tuple(record.effect for record in records)
        walk = cls(replace(effect or Effect({}, {}), parts=parts))
        for record in records:
            walk = walk if record.at is None else walk.after(record)
        return walk

    @property
    def is_over(self) -> bool:
        return self.step >= len(self.effect.parts)

    def attempts_in_all(self, last: Outcome) -> int:
        """Those of every step; `last` counts those of the one that it ended at."""
        return self.attempts + (0 if self.is_over else last.attempts)

    def after(self, record: StepRecord) -> Walk:
        """The same item when this step is over too."""
        notes = (record.message,) if record.message and record.code != "already_done" else ()
        return replace(
            self,
            step=record.step + 1,
            attempts=self.attempts + record.attempts,
            wrote=self.wrote or record.wrote,
            codes=self.codes | ({record.code} if record.code is not None else frozenset()),
            notes=self.notes + notes,
        )

    def already_done(self, at: float) -> list[StepRecord]:
        """The steps from here to the next one that has something to do: they are over."""
        end = self.effect.next_step(self.step)
        steps = range(self.step, len(self.effect.parts) if end is None else end)
        return [StepRecord(step, at=at, code="already_done", message=_DONE) for step in steps]

    def passes(self, outcome: Outcome) -> bool:
        """Whether the item goes on after this end of an attempt."""
        return outcome.status is Status.DONE or (outcome.status is Status.SKIPPED and outcome.code in PASSING)

    def arrived(self, last: Outcome) -> Outcome:
        """The end of the item after its last step; nothing was written where every step was passed."""
        message = " ".join(self.notes) or None
        if self.wrote:
            return replace(last, status=Status.DONE, code=None, message=message, step=self.step)
        code = "stays" if "stays" in self.codes else "already_done"
        text = message or "It already is as this run would leave it."
        return replace(last, status=Status.SKIPPED, code=code, message=text, step=self.step)

    def stopped(self, last: Outcome, names: Sequence[str]) -> Outcome:
        """The end of the item at this step. What was begun and not finished is no skip."""
        status = Status.FAILED if last.status is Status.SKIPPED and self.wrote else last.status
        where = f"Step {self.step + 1} of {len(names)} ({names[self.step]})"
        return replace(last, status=status, message=f"{where}: {last.message}", step=self.step)
