"""python -m tests.crash.backfill [--kills 50] [--conversations 6000] [--seed N]

Kills a backfill at random moments and goes on with it, until so many processes are dead; then lets it end and holds the
mirror against the sandbox, row for row and part for part, and the calls of all lives against those of an undisturbed
one. Exit status 1 when a promise is broken, or when it was over before so many were dead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk import Backfill, RunState
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.runs.model import Status
from intercom_bulk.runs.store import FileStore
from intercom_bulk.sandbox import SandboxOptions, SandboxProcess
from tests.mirror.truth import differences, everything

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["A_KILL", "Scene", "Verdict", "at_random", "in_flight", "trial"]

MODULE = "tests.crash.backfill"
ROOT = Path(__file__).parents[2]
A_KILL = 150
"""Calls that a kill may cost: what was in flight, and what every life begins with."""
DAYS = 7
LATENCY_MS = 60
PATIENCE = 180.0
SHARE = 1.5
"""Of an undisturbed life all lives together last three quarters, on average: work is left for the last one."""


@dataclass(frozen=True)
class Scene:
    """Where lives are cut short; `seconds`: how long an undisturbed one takes."""

    site: SandboxProcess
    home: Path
    seconds: float

    def begin(self) -> subprocess.Popen[bytes]:
        """The next life, as far as its first word."""
        env = {**os.environ, **self.site.environ(), "INTERCOM_BULK_HOME": str(self.home), "PYTHONPATH": str(ROOT)}
        life = subprocess.Popen([sys.executable, "-m", MODULE, "--go-on"], env=env, cwd=ROOT, stdout=subprocess.PIPE)
        assert life.stdout is not None
        life.stdout.readline()
        return life


@dataclass(frozen=True)
class Verdict:
    """What a killed backfill left, beside an undisturbed one."""

    conversations: int
    kills: int
    lives: int
    seconds: float
    calls: int
    undisturbed: int
    wrong: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def go_on() -> int:
    """What the process does that dies: begins, or goes on with what is unfinished."""
    sys.stdout.write("up\n")
    sys.stdout.flush()
    with Backfill(days=DAYS) as backfill:
        unfinished = [one for one in backfill.history() if one.state is not RunState.COMPLETED]
        run = backfill.resume(unfinished[0].run_id) if unfinished else backfill.start()
        return 0 if run.result().state is RunState.COMPLETED else 1


def _end(life: subprocess.Popen[bytes]) -> int:
    try:
        return life.wait(PATIENCE)
    finally:
        life.kill()
        if life.stdout is not None:
            life.stdout.close()


def at_random(kills: int, dice: random.Random) -> Callable[[Scene], int]:
    """So many lives, each cut short at any moment; fewer when the backfill comes to its end before."""

    def cut(scene: Scene) -> int:
        longest = SHARE * scene.seconds / kills
        for number in range(kills):
            life = scene.begin()
            try:
                life.wait(dice.uniform(0.0, longest))
            except subprocess.TimeoutExpired:
                life.kill()
            if _end(life) >= 0:
                return number
        return kills

    return cut


def in_flight(times: int) -> Callable[[Scene], int]:
    """So many lives, each cut short when a thread was asked for, and not answered, that all lives before asked for."""

    def cut(scene: Scene) -> int:
        scene.site.set(latency_ms=2 * LATENCY_MS)  # nothing is answered between the look and the kill
        for nth in range(1, times + 1):
            life = scene.begin()
            while not _is_asked_for(scene.home, nth):
                _tick(life)
            life.kill()
            _end(life)
        return times

    return cut


def _is_asked_for(home: Path, nth: int) -> bool:
    store = FileStore(home / "runs")
    for record in store.records():
        ledger = store.read(record.run_id)
        asked = [outcome.attempts for outcome in ledger.outcomes(Status.STARTED)]
        ledger.close()
        return max(asked, default=0) >= nth
    return False


def _tick(life: subprocess.Popen[bytes]) -> None:
    try:
        code = life.wait(0.01)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError(f"it came to its end: exit code {code}")


def _calls(site: SandboxProcess) -> int:
    return sum(sum(by.values()) for by in site.stats()["requests"].values())


def trial(cut: Callable[[Scene], int], conversations: int, folder: Path) -> Verdict:
    """`cut` ends lives, and says how many; then a last one is left alone."""
    began = time.monotonic()
    knobs: dict[str, Any] = {
        "contacts": 20,
        "companies": 2,
        "tickets": 2,
        "parts": 2,
        "latency_ms": LATENCY_MS,
        "search_latency_ms": 150,
    }
    with SandboxProcess(conversations=conversations, days=DAYS - 1, **knobs) as site:
        life = Scene(site, folder / "undisturbed", 0.0).begin()
        up = time.monotonic()
        faults = [] if _end(life) == 0 else ["the undisturbed backfill failed"]
        undisturbed = _calls(site)
        home = folder / "killed"
        scene = Scene(site, home, time.monotonic() - up)
        killed = cut(scene)
        site.set(latency_ms=LATENCY_MS)
        code = _end(scene.begin())
        calls = _calls(site) - undisturbed
        site.set(latency_ms=0, search_latency_ms=0, limit_per_minute=6_000_000)
        truth = everything(site.environ()["INTERCOM_BASE_URL"], site.token)
        with open_mirror(home, SandboxOptions().app_id) as store:
            wrong = differences(store, truth)
            oldest = min(one["created_at"] for one in truth.values())
            if oldest not in store.knowledge(Depth.THREAD).members:
                faults.append("the mirror does not know that it is whole")
        if code != 0:
            faults.append(f"the last life ended with {code}")
        if wrong:
            faults.append(f"{len(wrong)} of {len(truth)} conversations are not as in Intercom: {wrong[:3]}")
        if calls > undisturbed + A_KILL * killed:
            faults.append(f"{calls} calls, undisturbed {undisturbed}, for {killed} kills")
        seconds = time.monotonic() - began
        return Verdict(len(truth), killed, killed + 1, seconds, calls, undisturbed, wrong, faults)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--conversations", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--go-on", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.go_on:
        return go_on()
    with tempfile.TemporaryDirectory() as folder:
        verdict = trial(at_random(given.kills, random.Random(given.seed)), given.conversations, Path(folder))
    if verdict.kills < given.kills:
        verdict.faults.append(f"it was over after {verdict.kills} kills: name more conversations")
    sys.stdout.write(json.dumps({"seed": given.seed, **asdict(verdict)}, indent=1) + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
