"""Where the engine is plugged together: a source, an action and a gate make a plan, which it executes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from intercom_bulk.runs.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from intercom_bulk.runs.model import Effect, Item, Page, Receipt, Slice
    from intercom_bulk.runs.summary import Summary

__all__ = ["Action", "Budget", "Gate", "Plan", "Source"]


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
class Plan:
    """A run, ready to be executed. `workers` None: as many requests in flight as the rate needs.

    `guarded`: failures that look alike halt the run; not where they harm nobody, and the others are wanted. `facts` are
    fields of the run's record that were learned on the way. `began` (monotonic seconds) and `counted` (the gate's
    requests and 429s) are those of its very first request, which may be earlier than the engine's start. `abort` ends
    every request under way at once. `redact` takes secrets out of text that is recorded. `on_end` hears the totals
    once, when nothing is in flight any more and before the record of the run says how it ended: what it raises as a
    `LedgerError` halts the run.
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
    guarded: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)
    began: float | None = None
    counted: tuple[int, int] | None = None
    abort: Callable[[], None] = lambda: None
    redact: Callable[[str], str] = str
    on_end: Callable[[Summary], None] = lambda _: None
