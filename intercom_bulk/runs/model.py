"""The words of a run: what moves through the engine, and the seams it is plugged together at.

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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intercom_bulk.runs.exclude import Exclude

__all__ = [
    "ITEM_TRANSITIONS",
    "PASSING",
    "Action",
    "Budget",
    "Effect",
    "Gate",
    "Item",
    "Outcome",
    "Page",
    "Plan",
    "Progress",
    "Receipt",
    "RunOptions",
    "RunState",
    "Slice",
    "Source",
    "Status",
    "StepRecord",
    "Summary",
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
    """Items, and the slice as it is after them: both are committed together. `total` counts the whole source."""

    items: Sequence[Item]
    after: Slice
    total: int | None = None


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


class Budget(Protocol):
    """The part of the governor's state that people want to see. Rates are per second, times in seconds."""

    @property
    def limit(self) -> int | None: ...
    @property
    def used(self) -> float | None: ...
    @property
    def rate(self) -> float: ...
    @property
    def waiting(self) -> bool: ...
    @property
    def window_ends_in(self) -> float | None: ...


class Gate(Protocol):
    """The governor, as the engine sees it."""

    @property
    def requests(self) -> int: ...
    @property
    def rate_limited(self) -> int: ...
    def concurrency(self) -> int: ...
    def budget(self) -> Budget: ...
    def set_backlog(self, key: object, calls: int | None) -> None: ...


class Source(Protocol):
    """Where items come from. Read page by page; slices may be read side by side.

    `repeatable`: acting on items may hide others from this source, so it is swept again until nothing new turns up.
    """

    @property
    def repeatable(self) -> bool: ...
    def open(self) -> Sequence[Slice]: ...
    def read(self, part: Slice) -> Page: ...
    def split(self, part: Slice) -> tuple[Slice, Slice] | None: ...


class Action(Protocol):
    """What is done to the items, `max_batch` of them at a time.

    `steps` are the names of a composite's steps, each item's one after another; empty for all other actions.
    """

    @property
    def steps(self) -> Sequence[str]: ...
    @property
    def max_batch(self) -> int: ...
    def is_idempotent(self, item: Item) -> bool:
        """Whether a second effect would be harmless, so that an attempt whose answer was lost may be repeated."""

    def prepare(self) -> None:
        """Check, with reads only, what every item needs (names, permissions). Runs once, before the first write."""

    def effect(self, item: Item) -> Effect | None: ...
    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]: ...
    def already_done(self, item: Item) -> bool | None:
        """Read the item back: whether the action shows on it. None: this action cannot tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A moment of a run. `total`, `eta` (seconds) and `limit` are None while they are not known."""

    done: int
    failed: int
    skipped: int
    unknown: int
    total: int | None
    in_flight: int
    rate: float
    eta: float | None
    budget_used: float | None
    limit: int | None
    waiting: bool
    window_ends_in: float | None
    elapsed: float
    state: RunState

    @property
    def settled(self) -> int:
        return self.done + self.failed + self.skipped


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Everything about a run that is not a search keyword. The defaults are the safe ones.

    `reason`: why, for the record. `run_key`: your own name for the run; starting again with the same one goes on with
    that run instead of starting another. `progress`: called about four times a second, from the run's own thread.
    `refuse_above`: refuse, before any write, when more items match (a dry run only counts). `cutoff`: of a search only
    items created up to then (epoch seconds; None: up to the start), so that what was looked at is what is done.
    `source`: a list of ids in place of the search, see `Ids`; any iterable of ids will do. `exclude`: items to hold
    out, see `Exclude`. `canary`: how many items go first, alone (0: none). `reserve`: share of the limit kept free for
    others until late in each window. `share`: hard cap on our part of it. `settle`: seconds from an attempt without an
    answer to the look at the item (None: 5 for an idempotent action, else the larger of the read time-out and 60).
    `tries`: attempts an item gets. `patience`: seconds that Intercom may answer nothing before the run halts,
    resumable. `resend_unknown`: repeat even what cannot be proved absent.
    """

    reason: str | None = None
    run_key: str | None = None
    progress: Callable[[Progress], None] | None = None
    refuse_above: int | None = None
    cutoff: int | None = None
    source: Ids | Iterable[object] | None = None
    exclude: Exclude | None = None
    canary: int = 10
    reserve: float = 0.05
    share: float = 1.0
    settle: float | None = None
    tries: int = 4
    patience: float = 120.0
    resend_unknown: bool = False

    def __post_init__(self) -> None:
        """Raises `UsageError` for a value that cannot be meant."""
        if not 0.0 <= self.reserve < 1.0:
            raise UsageError(f"reserve must be at least 0 and less than 1, not {self.reserve!r}.")
        if not 0.0 < self.share <= 1.0:
            raise UsageError(f"share must be more than 0 and at most 1, not {self.share!r}.")
        if self.canary < 0 or self.tries < 1:
            raise UsageError(f"canary must be 0 or more and tries 1 or more, not {self.canary!r} and {self.tries!r}.")
        if self.settle is not None and self.settle < 0:
            raise UsageError(f"settle must be 0 seconds or more, or None, not {self.settle!r}.")
        if self.refuse_above is not None and self.refuse_above < 0:
            raise UsageError(f"refuse_above must be 0 or more, or None, not {self.refuse_above!r}.")
        if self.source is not None and not isinstance(self.source, Ids):
            # Here, so that a generator which a preview has read is the same list to the run.
            object.__setattr__(self, "source", Ids(self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A run, ready to be executed. `workers` None: as many requests in flight as the rate needs.

    `facts` are fields of the run's record that were learned on the way. `began` (monotonic seconds) and `counted` (the
    gate's requests and 429s) are those of its very first request, which may be earlier than the engine's start.
    `abort` ends every request under way at once. `redact` takes secrets out of text that is recorded. `on_end` hears
    the totals once, when nothing is in flight any more and before the record of the run says how it ended: what it
    raises as a `LedgerError` halts the run.
    """

    run_id: str
    title: str
    kind: str = "update"
    source: Source
    action: Action
    gate: Gate
    options: RunOptions = field(default_factory=RunOptions)
    workers: int | None = None
    batch_size: int = 50
    max_items: int | None = None
    settle_set: float = 5.0
    settle_append: float = 60.0
    dry_run: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    began: float | None = None
    counted: tuple[int, int] | None = None
    abort: Callable[[], None] = lambda: None
    redact: Callable[[str], str] = str
    on_end: Callable[[Summary], None] = lambda _: None


@dataclass(frozen=True, eq=False)
class Summary(Mapping[str, Any]):
    """The end of a run, as attributes and, like the original script's result, as a mapping.

    `success + failed + skipped + unknown + unprocessed` are the items known. `total_time` is a timedelta, `rate` items
    settled per second, `would_change` what a dry run would have written, `bottleneck` whether `parallel_workers` held
    the run back, `reason` why it halted.
    """

    success: int = 0
    failed: int = 0
    skipped: int = 0
    unknown: int = 0
    unprocessed: int = 0
    total_time: timedelta = timedelta(0)
    rate: float = 0.0
    requests: int = 0
    rate_limited: int = 0
    state: RunState = RunState.COMPLETED
    run_id: str = ""
    reason: str | None = None
    dry_run: bool = False
    would_change: int = 0
    bottleneck: bool = False
    codes: Mapping[str, int] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        if key not in _SUMMARY_KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(_SUMMARY_KEYS)

    def __len__(self) -> int:
        return len(_SUMMARY_KEYS)

    def __str__(self) -> str:
        parts = [f"{self.success:,} done", f"{self.failed:,} failed", f"{self.skipped:,} skipped"]
        if self.dry_run:
            parts = [
                f"dry run: {self.would_change:,} would be changed",
                f"{self.skipped - self.would_change:,} would not",
            ]
        if self.unknown:
            parts.append(f"{self.unknown:,} to review")
        if self.unprocessed:
            parts.append(f"{self.unprocessed:,} not processed")
        text = f"{', '.join(parts)} in {self.total_time.total_seconds():.1f} s ({self.rate:.1f} items/s)"
        return f"{text}; {self.state}: {self.reason}" if self.reason else text


_SUMMARY_KEYS = tuple(f.name for f in fields(Summary))
