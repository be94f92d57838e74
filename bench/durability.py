"""What it costs that every intent and every outcome is on the disk: a ledger on disk against a temporary one.

The same engine, a sandbox-free action that takes 50 ms, paced at 417 requests a second (25,000 a minute, Intercom's
largest limit). Pairs alternate, so that a busy machine strikes both.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from intercom_bulk.clock import SYSTEM
from intercom_bulk.runs.engine import Execution
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import Item, Page, Receipt, Slice
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.seams import Plan

if TYPE_CHECKING:
    from collections.abc import Sequence

RATE, SECONDS, LATENCY, PAIRS = 417.0, 8.0, 0.05, 3


class Gate:
    """Lets one call leave every 1/417 s."""

    requests = rate_limited = 0
    limit = used = window_ends_in = None
    rate, waiting = RATE, False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = time.monotonic()

    def concurrency(self) -> int:
        return int(1.5 * RATE * LATENCY)

    def budget(self) -> Gate:
        return self

    def set_backlog(self, key: object, calls: int | None) -> None:
        del key, calls

    def wait(self) -> None:
        with self._lock:
            at = max(self._next, time.monotonic() - 0.1)
            self._next = at + 1 / RATE
        time.sleep(max(at - time.monotonic(), 0))


@dataclass
class Items:
    count: int
    repeatable: bool = False

    def open(self) -> Sequence[Slice]:
        return [Slice("0", cursor="0")]

    def read(self, part: Slice) -> Page:
        start = int(part.cursor or 0)
        end = min(start + 150, self.count)
        after = replace(part, cursor=str(end), done=end >= self.count, pages=part.pages + 1)
        return Page([Item(str(n), {"n": n}) for n in range(start, end)], after, self.count)

    def split(self, part: Slice) -> None:
        del part


class Action:
    idempotent, max_batch = True, 1

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def prepare(self) -> None:
        return

    def effect(self, item: Item) -> None:
        del item

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        self._gate.wait()
        time.sleep(LATENCY)
        return [Receipt("r")] * len(batch)

    def already_done(self, item: Item) -> bool | None:
        del item
        return None


def measure(path: Path | None) -> tuple[float, float]:
    """Items a second, and milliseconds of CPU an item."""
    gate, ledger = Gate(), Ledger(path)
    plan = Plan(run_id="b", title="b", source=Items(round(RATE * SECONDS)), action=Action(gate), gate=gate)
    run = Execution(replace(plan, options=RunOptions(canary=0)), ledger, SYSTEM)
    began, cpu = time.monotonic(), time.process_time()
    count = sum(1 for _ in run.outcomes())
    seconds, spent = time.monotonic() - began, time.process_time() - cpu
    ledger.close()
    return count / seconds, 1000 * spent / count


def main() -> int:
    pairs = []
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        for number in range(PAIRS):
            pairs.append((measure(None), measure(Path(folder) / f"{number}.db")))
            (rate, cpu), (kept_rate, kept_cpu) = pairs[-1]
            print(f"temporary {rate:.0f}/s {cpu:.2f} ms, durable {kept_rate:.0f}/s {kept_cpu:.2f} ms CPU an item")
    rate = statistics.median(kept[0] / free[0] for free, kept in pairs)
    cpu = statistics.median(kept[1] / free[1] for free, kept in pairs)
    print(f"throughput of durable / temporary: {rate:.3f} (bar 0.90); CPU: {cpu:.2f}")
    return 0 if rate >= 0.9 else 1


if __name__ == "__main__":
    sys.exit(main())
