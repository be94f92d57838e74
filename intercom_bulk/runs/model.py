"""The words of a run: its items and what becomes of them.

run    running -> completed | completed_with_errors
       running -> pausing -> paused -> running
       running -> stopped                    (Ctrl-C, the iterator closed)
       running -> halted                     (a guard, 401/403, no room for the ledger)
       interrupted: what a running run is called when its process is dead
       paused, stopped, halted and interrupted runs are resumed under the same id

item   staged -> started -> done | skipped | failed | unknown
       staged -> skipped | failed            (decided without a request)
       started -> staged                     (the run stopped before it was sent, or another step follows)
       unknown -> done | staged | skipped | failed | needs_review
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = [
    "ITEM_TRANSITIONS",
    "LEFT_ALONE",
    "PASSING",
    "Effect",
    "Item",
    "Outcome",
    "Page",
    "Receipt",
    "RunState",
    "Slice",
    "Status",
    "StepRecord",
]


class Status(StrEnum):
    """Where one item stands."""

    STAGED = "staged"
    STARTED = "started"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NEEDS_REVIEW = "needs_review"


ITEM_TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.STAGED: frozenset({Status.STARTED, Status.SKIPPED, Status.FAILED}),
    Status.STARTED: frozenset({Status.STAGED, Status.DONE, Status.SKIPPED, Status.FAILED, Status.UNKNOWN}),
    Status.UNKNOWN: frozenset({Status.DONE, Status.STAGED, Status.SKIPPED, Status.FAILED, Status.NEEDS_REVIEW}),
    Status.DONE: frozenset(),
    Status.SKIPPED: frozenset(),
    Status.FAILED: frozenset(),
    Status.NEEDS_REVIEW: frozenset(),
}
"""From which status an item may go to which. The ledger refuses every other step."""


class RunState(StrEnum):
    """Where a run stands."""

    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    INTERRUPTED = "interrupted"
    STOPPED = "stopped"
    HALTED = "halted"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"


@dataclass(frozen=True, slots=True)
class Effect:
    """The fields an action writes, as they are (`before`) and as it leaves them (`after`).

    `parts`: the effects of a composite's steps, in order, each on the item as the steps before leave it; None for a
    step that cannot tell. Empty parts (`Effect({}, {})`) are steps with nothing to do.
    """

    before: Mapping[str, Any]
    after: Mapping[str, Any]
    parts: tuple[Effect | None, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[Effect | None]) -> Effect:
        """A composite's: what the first step found of each field, and what the last one leaves."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for part in parts:
            if part is not None:
                before, after = {**part.before, **before}, {**after, **part.after}
        return cls(before, after, tuple(parts))

    @property
    def is_known(self) -> bool:
        """Whether it says anything: a composite may be of steps that cannot tell."""
        return not self.parts or bool(self.before or self.after)

    @property
    def is_done(self) -> bool:
        """Whether the item already is as the action would leave it."""
        if self.parts:
            return self.next_step(0) is None
        return all(key in self.before and self.before[key] == value for key, value in self.after.items())

    def next_step(self, start: int) -> int | None:
        """The first step from `start` on that has something to do; None: the rest is done.

        What comes after a step that cannot tell is never taken for done.
        """
        for number, part in enumerate(self.parts):
            if part is None:
                return max(number, start) if start < len(self.parts) else None
            if number >= start and not part.is_done:
                return number
        return None


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to act on. `data` is what the source said of it: the search result, or empty for a bare id.

    `effect`: known already, from a plan or an earlier run. `skip`: (code, sentence) why it is not to be acted on;
    `fail`: why it cannot be. `row`: the row of a list that it came from; a repetition is recorded under that.
    `step`: of a composite, the one that is next; those before it are over.
    """

    id: str
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    effect: Effect | None = None
    skip: tuple[str, str] | None = None
    fail: tuple[str, str] | None = None
    row: str | None = None
    step: int = 0


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a source that one reader walks. The cursor is data: stored, compared, resumed.

    `lo` and `hi` bound the question that the cursor belongs to (epoch seconds, inclusive; None: unbounded); `until` is
    where this reader may stop, earlier than `hi` once somebody else took over the rest; `position` is the sort key of
    the last item read.
    """

    key: str
    lo: float | None = None
    hi: float | None = None
    until: float | None = None
    cursor: str | None = None
    position: float | None = None
    pages: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """Items, and the slice as it is after them: both are committed together. `total` counts the whole source; a source
    that learns on the way how much of it is new says instead how many items are `left`, in all its slices.
    """

    items: Sequence[Item]
    after: Slice
    total: int | None = None
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The server's word that an action on one item was applied. `note`: a sentence, where that needs one."""

    request_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened to one item. `code` and `message` say why, unless it is done. `at` is in epoch seconds.

    `step`: how many steps of a composite are over; 0 for all other runs. `attempts` are those of all its steps.
    """

    item_id: str
    status: Status
    code: str | None = None
    message: str | None = None
    attempts: int = 0
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    request_id: str | None = None
    at: float = 0.0
    detail: str | None = field(default=None, repr=False)
    target: bool = False
    step: int = 0

    @property
    def effect(self) -> Effect | None:
        """What the item was and was to be, where both are known."""
        return Effect(self.before, self.after) if self.before is not None and self.after is not None else None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One step of a composite on one item: what it changes, and what came of it.

    `at` is in epoch seconds, None: it is not over. `code`: why it needed no request (see `PASSING`).
    """

    step: int
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    at: float | None = None
    attempts: int = 0
    request_id: str | None = None
    code: str | None = None
    message: str | None = None

    @property
    def wrote(self) -> bool:
        """Whether it changed the item."""
        return self.at is not None and self.code is None

    @property
    def effect(self) -> Effect | None:
        return Effect(self.before, self.after) if self.before is not None and self.after is not None else None


PASSING = frozenset({"already_done", "stays"})
"""Codes with which a step is over without a request, and the item goes on to the next one."""

LEFT_ALONE = PASSING | {
    "blank", "changed_since", "closed", "dry_run", "duplicate", "filtered", "gone", "held_out", "left_out", "moved",
}  # fmt: skip
"""Codes of items that were skipped: no failures."""
