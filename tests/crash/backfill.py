"""python -m tests.crash.backfill [--kills 50] [--conversations 3000] [--seed N]

Kills a backfill at random moments and goes on with it, until so many processes are dead; then lets it end and holds the
mirror against the sandbox, row for row and part for part, and the calls of all lives against those of an undisturbed
one. Exit status 1 when a promise is broken.
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
from intercom_bulk.mirror.proofs import Depth
from intercom_bulk.mirror.store import open_mirror
from intercom_bulk.sandbox import SandboxOptions, SandboxProcess
from tests.mirror.truth import differences, everything

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["A_KILL", "Verdict", "trial"]

MODULE = "tests.crash.backfill"
ROOT = Path(__file__).parents[2]
A_KILL = 150
"""Calls that a kill may cost: what was in flight, and what every life begins with."""
DAYS = 7
PATIENCE = 120.0


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


def _begin(site: SandboxProcess, home: Path) -> subprocess.Popen[bytes]:
    env = {**os.environ, **site.environ(), "INTERCOM_BULK_HOME": str(home), "PYTHONPATH": str(ROOT)}
    life = subprocess.Popen([sys.executable, "-m", MODULE, "--go-on"], env=env, cwd=ROOT, stdout=subprocess.PIPE)
    assert life.stdout is not None
    life.stdout.readline()
    return life


def _end(life: subprocess.Popen[bytes]) -> int:
    try:
        return life.wait(PATIENCE)
    finally:
        life.kill()
        if life.stdout is not None:
            life.stdout.close()


def _kill(site: SandboxProcess, home: Path, kills: int, dice: random.Random, longest: float) -> tuple[int, int]:
    """So many lives cut short, if it does not end before, and a last one: how many were, and how the last one ended."""
    for number in range(kills):
        life = _begin(site, home)
        try:
            life.wait(dice.uniform(0.0, longest))
        except subprocess.TimeoutExpired:
            life.kill()
            _end(life)
        else:
            return number, _end(life)
    return kills, _end(_begin(site, home))


def _calls(site: SandboxProcess) -> int:
    return sum(sum(by.values()) for by in site.stats()["requests"].values())


def trial(kills: int, conversations: int, folder: Path, dice: random.Random, *, longest: float = 1.5) -> Verdict:
    """`longest`: seconds that a life may last before it is killed."""
    began = time.monotonic()
    knobs: dict[str, Any] = {
        "contacts": 20,
        "companies": 2,
        "tickets": 2,
        "parts": 2,
        "latency_ms": 60,
        "search_latency_ms": 150,
    }
    with SandboxProcess(conversations=conversations, days=DAYS - 1, **knobs) as site:
        faults = [] if _end(_begin(site, folder / "undisturbed")) == 0 else ["the undisturbed backfill failed"]
        undisturbed = _calls(site)
        home = folder / "killed"
        killed, code = _kill(site, home, kills, dice, longest)
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
    parser.add_argument("--conversations", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--go-on", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.go_on:
        return go_on()
    with tempfile.TemporaryDirectory() as folder:
        verdict = trial(given.kills, given.conversations, Path(folder), random.Random(given.seed))
    sys.stdout.write(json.dumps({"seed": given.seed, **asdict(verdict)}, indent=1) + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
