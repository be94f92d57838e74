"""How much memory a run takes, in a process of its own: `python -m tests.crash.memory 10000`."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import Item, Page, Receipt, Slice
from tests.runs.machine import OpenGate, execution

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["growth", "own_peak"]

ROOT = Path(__file__).parents[2]
PER_PAGE = 150


@dataclass
class Generated:
    """Items that exist only while somebody looks."""

    count: int
    repeatable: bool = False

    def open(self) -> Sequence[Slice]:
        return [Slice("0", cursor="0")]

    def read(self, part: Slice) -> Page:
        start = int(part.cursor or 0)
        end = min(start + PER_PAGE, self.count)
        after = replace(part, cursor=str(end), done=end >= self.count, pages=part.pages + 1)
        return Page([Item(str(n), {"n": n}) for n in range(start, end)], after, self.count)

    def split(self, part: Slice) -> None:
        del part


class Nothing:
    """Done at once."""

    max_batch = 50
    steps: Sequence[str] = ()

    def is_idempotent(self, item: Item) -> bool:
        del item
        return True

    def prepare(self) -> None:
        return

    def effect(self, item: Item) -> None:
        del item

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        return [Receipt("r")] * len(batch)

    def already_done(self, item: Item) -> bool | None:
        del item
        return None


def growth(few: int, many: int) -> float:
    """Megabytes of peak memory that many items take more than few."""
    return (_peak(many) - _peak(few)) / 2**20


def _peak(count: int) -> int:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.crash.memory", str(count)]
    said = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True)
    return int(said.stdout)


def main(count: int) -> int:
    ledger = Ledger()
    gate = OpenGate(width=32, rate=20_000.0)
    run = execution(Generated(count), Nothing(), ledger=ledger, gate=gate, batch_size=1_600)
    settled = sum(1 for _ in run.outcomes())
    ledger.close()
    assert settled == count
    return own_peak()


def own_peak() -> int:
    """Bytes. Linux hands `ru_maxrss` down from the process that started this one, so its own word is asked first."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.stdout.write(str(main(int(sys.argv[1]))))
