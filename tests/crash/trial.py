"""One run, killed again and again, and the sandbox's account of it at the end."""

from __future__ import annotations

import json
import os
import select
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.runs.model import Status
from intercom_bulk.runs.store import FileStore
from intercom_bulk.sandbox import SandboxProcess
from tests.crash.doom import STEPS

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

__all__ = ["LATENCY", "SETTLE", "Life", "Trial", "Verdict", "account", "sandbox"]

LATENCY = 0.06
"""Seconds, the longest that the sandbox takes for anything."""
SETTLE = 2 * LATENCY
WORKERS = 12
ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
SWEPT = ("closed", ["102"])
"""State and tags of a conversation that took all of `STEPS`; with as many effects as steps, each was done once."""


def sandbox(items: int, **knobs: Any) -> SandboxProcess:
    """Applies an effect half-way through its 60 ms, so that a kill finds requests before and after theirs."""
    small = {"contacts": 5, "companies": 2, "tickets": 2, "limit_per_minute": 600_000}
    slow = {"latency_ms": 1000 * LATENCY, "search_latency_ms": 20}
    return SandboxProcess(conversations=items, **{**small, **slow, **knobs})


class Life:
    """A process of `tests.crash.child`. What it says comes line by line."""

    def __init__(self, site: SandboxProcess, home: Path, module: str = "tests.crash.child", **orders: Any) -> None:
        orders = {"team": site.inbox_id, "settle": SETTLE, "workers": WORKERS, **orders}
        env = {**os.environ, **site.environ(), "INTERCOM_BULK_HOME": str(home), "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(orders)], env=env, cwd=ROOT, stdout=subprocess.PIPE
        )

    def hear(self, what: str, patience: float = PATIENCE) -> dict[str, Any]:
        """Its next line, which must be this one."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], patience)
        line = self.process.stdout.readline() if ready else b""
        said: dict[str, Any] = json.loads(line) if line else {"said": None, "code": self.process.poll()}
        assert said["said"] == what, said
        return said

    def kill(self) -> None:
        """SIGKILL, and what was left to say is gone with it."""
        self.process.kill()
        self.end()

    def end(self, patience: float = PATIENCE) -> int:
        """Its exit code; -9 when it was killed."""
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def live_for(self, seconds: float) -> int | None:
        """Let it live so long, then kill it, unless it ends before."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


@dataclass
class Verdict:
    """What the sandbox counted, beside what the ledger says."""

    kind: str
    items: int
    kills: int
    lives: int = 0
    seconds: float = 0.0
    lost: int = 0
    twice: int = 0
    untrue: int = 0
    open: int = 0
    needs_review: int = 0
    written_all_the_same: int = 0
    integrity: str = "ok"
    statuses: dict[str, int] = field(default_factory=dict)

    @property
    def faults(self) -> list[str]:
        """What breaks the promise; empty when it is kept."""
        found = [
            f"{name}: {getattr(self, name)}" for name in ("lost", "twice", "untrue", "open") if getattr(self, name)
        ]
        if self.statuses.get(Status.FAILED):
            found.append(f"{self.statuses[Status.FAILED]} items failed, and the server refuses nothing")
        if self.integrity != "ok":
            found.append(self.integrity)
        if self.kind not in {"note", "steps"} and self.needs_review:
            found.append(f"{self.needs_review} items to review, which could have been sent again")
        if self.needs_review > WORKERS * self.kills:
            found.append(f"{self.needs_review} items to review after {self.kills} kills of {WORKERS} threads")
        return found

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "faults": self.faults}


class Trial:
    """One run by its key, from its first life to its end."""

    def __init__(self, site: SandboxProcess, home: Path, kind: str, key: str, *, naive: bool = False) -> None:
        self._site = site
        self._home = home
        self._kind = kind
        self._key = key
        self._naive = naive
        self.kills = 0
        self.lives = 0
        self.began = time.monotonic()

    def begin(self, **orders: Any) -> Life:
        """The next life, as far as its first word."""
        self.lives += 1
        life = Life(self._site, self._home, kind=self._kind, key=self._key, naive=self._naive, **orders)
        life.hear("up")
        return life

    def kill_at_random(self, kills: int, dice: random.Random, longest: float = 0.7) -> None:
        """Up to so many lives, each cut short at any moment; fewer when the run comes to its end."""
        for _ in range(kills):
            life = self.begin()
            if life.live_for(dice.uniform(0.0, longest)) is not None:
                life.end()
                return
            life.kill()
            self.kills += 1

    def kill_at(self, points: Iterable[tuple[str, int]]) -> None:
        """A life for each point, which dies there by its own hand."""
        for point, nth in points:
            life = self.begin(point=point, nth=nth)
            code = life.end()
            assert code == -9, f"it never came to {point}: exit code {code}"
            self.kills += 1

    def finish(self) -> Verdict:
        """A last life, which nobody disturbs, and the account."""
        life = self.begin()
        told = life.hear("over")
        assert life.end() == 0
        verdict = account(self._site, self._home, self._kind, self.kills)
        verdict.lives, verdict.seconds = self.lives, time.monotonic() - self.began
        counted = verdict.statuses
        summed = {"success": "done", "failed": "failed", "skipped": "skipped", "unknown": "needs_review"}
        assert {name: told[name] for name in summed} == {n: counted.get(s, 0) for n, s in summed.items()}
        assert told["unprocessed"] == 0
        return verdict


def account(site: SandboxProcess, home: Path, kind: str, kills: int) -> Verdict:
    """Hold the newest ledger against the server's count of effects: one for each step of an item that is done."""
    store = FileStore(home / "runs")
    record = next(store.records())
    ledger = store.read(record.run_id)
    status_of = {outcome.item_id: outcome.status for outcome in ledger.outcomes()}
    ledger.close()
    items, effects = {item["id"]: item for item in site.items()}, site.effects()
    everything, whole = set(items), len(STEPS) if kind == "steps" else 1
    done = {item_id for item_id, status in status_of.items() if status is Status.DONE}
    half = {
        item_id for item_id in done if kind == "steps" and (items[item_id]["state"], items[item_id]["tags"]) != SWEPT
    }
    review = {item_id for item_id, status in status_of.items() if status is Status.NEEDS_REVIEW}
    return Verdict(
        kind=kind,
        items=len(everything),
        kills=kills,
        lost=len(everything - set(status_of)) + sum(effects.get(item_id, 0) < whole for item_id in done) + len(half),
        twice=sum(count > whole for count in effects.values()),
        untrue=len(set(effects) - done - review),
        open=sum(status in {Status.STAGED, Status.STARTED, Status.UNKNOWN} for status in status_of.values()),
        needs_review=len(review),
        written_all_the_same=sum(effects.get(item_id, 0) for item_id in review),
        integrity=_integrity(home / "runs" / f"{record.run_id}.db"),
        statuses={str(status): count for status, count in Counter(status_of.values()).items()},
    )


def _integrity(path: Path) -> str:
    connection = sqlite3.connect(path)
    try:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])
    finally:
        connection.close()
