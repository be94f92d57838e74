"""A run without Intercom: sources, actions and a gate made of plain Python, to drive the engine with."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.clock import SYSTEM
from intercom_bulk.runs.engine import Execution
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import Effect, Item, Outcome, Page, Receipt, Slice
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.seams import Plan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.summary import Summary


@dataclass
class Numbers:
    """0..count-1, a page at a time; `missed` are found only by a later pass."""

    count: int
    per_page: int = 50
    repeatable: bool = False
    missed: frozenset[int] = frozenset()
    total: int | None = None
    passes: int = 0
    reads: int = 0

    def open(self) -> Sequence[Slice]:
        self.passes += 1
        return [Slice("0", cursor="0")]

    def read(self, part: Slice) -> Page:
        self.reads += 1
        start = int(part.cursor or 0)
        end = min(start + self.per_page, self.count)
        numbers = [n for n in range(start, end) if self.passes > 1 or n not in self.missed]
        after = replace(part, cursor=str(end), done=end >= self.count, pages=part.pages + 1)
        return Page([Item(str(n), {"n": n}) for n in numbers], after, self.total)

    def split(self, part: Slice) -> None:
        del part


@dataclass
class Budget:
    limit: int | None = None
    used: float | None = None
    rate: float = 100.0
    waiting: bool = False
    window_ends_in: float | None = None


@dataclass
class OpenGate:
    """A gate that never closes."""

    width: int = 8
    rate: float = 100.0
    requests: int = 0
    rate_limited: int = 0
    backlogs: list[int | None] = field(default_factory=list)

    def concurrency(self) -> int:
        return self.width

    def budget(self) -> Budget:
        return Budget(rate=self.rate)

    def set_backlog(self, key: object, calls: int | None) -> None:
        del key
        self.backlogs.append(calls)


@dataclass
class Counting:
    """Counts what is done to each item; `script` may raise, or return what a read-back would see."""

    script: Callable[[str, int], Exception | None] = lambda _id, _nth: None
    seen: Callable[[str], bool | Exception | None] = lambda _id: None
    decide: Callable[[Item], Effect | None] = lambda _item: None
    idempotent: bool = False
    max_batch: int = 1
    done: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    at_once: int = 0
    peak: int = 0
    refuse: Exception | None = None

    steps: Sequence[str] = ()

    def is_idempotent(self, item: Item) -> bool:
        return self.idempotent

    def prepare(self) -> None:
        if self.refuse is not None:
            raise self.refuse

    def effect(self, item: Item) -> Effect | None:
        return self.decide(item)

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        with self.lock:
            self.at_once += 1
            self.peak = max(self.peak, self.at_once)
        try:
            return [self._one(item) for item in batch]
        finally:
            with self.lock:
                self.at_once -= 1

    def _one(self, item: Item) -> Receipt | Exception:
        with self.lock:
            self.calls[item.id] += 1
            nth = self.calls[item.id]
        error = self.script(item.id, nth)
        if error is not None:
            return error
        with self.lock:
            self.done[item.id] += 1
        return Receipt("r")

    def already_done(self, item: Item) -> bool | None:
        seen = self.seen(item.id)
        if isinstance(seen, Exception):
            raise seen
        return seen


def execution(source: Any, action: Any, *, ledger: RunLedger, **plan: Any) -> Execution:
    plan.setdefault("options", RunOptions())
    plan.setdefault("gate", OpenGate())
    plan.setdefault("settle_set", 0.0)
    plan.setdefault("settle_append", 0.0)
    return Execution(Plan(run_id="test", title="test", source=source, action=action, **plan), ledger, SYSTEM)


def run(source: Any, action: Any, **plan: Any) -> tuple[list[Outcome], Summary]:
    """A whole run: its outcomes and its summary by the ledger's count."""
    ledger = Ledger()
    try:
        execute = execution(source, action, ledger=ledger, **plan)
        outcomes = list(execute.outcomes())
        return outcomes, execute.final_summary()
    finally:
        ledger.close()
