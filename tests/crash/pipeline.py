"""python -m tests.crash.pipeline [--kills 40] [--conversations 1500] [--builtin] [--seed N]

Kills a run of the pipeline (kill -9) in its fetch and in every phase, sooner or later in it, and resumes it by its id
in another process, until so many are dead; then lets it end. Its results are held against an undisturbed run's, and
what was processed more than once is counted: at most one batch for each kill. Exit status 1 when a promise is broken.
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
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.sandbox import SandboxOptions, SandboxProcess
from tests.mirror.truth import differences, everything
from tests.pipeline.phases import Counting, Grouping, Wording, noted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk.insights.phase import Document, Phase
    from intercom_bulk.mirror.keeping.store import MirrorStore

__all__ = ["Verdict", "trial"]

MODULE = "tests.crash.pipeline"
ROOT = Path(__file__).parents[2]
DAYS = 4
PATIENCE = 180.0
FETCH = "fetch"


@dataclass(frozen=True)
class Verdict:
    """What a killed run left, beside an undisturbed one. `redone`: documents processed again, of `batch` at most."""

    conversations: int
    kills: dict[str, int]
    lives: int
    seconds: float
    redone: int
    batch: int
    calls: int
    undisturbed: int
    faults: list[str] = field(default_factory=list)


# -- what the process does that dies


def phases(*, builtin: bool, batch: int, log: Path) -> list[Phase]:
    """A moment for each batch, so that there is time to die in it."""
    if not builtin:
        made: list[Phase] = [Counting(log, _dawdle), Wording(log, _dawdle), Grouping(log, _dawdle)]
    else:
        from intercom_bulk.insights.builtin import builtin_phases

        made = [noted(phase, log, _dawdle) for phase in builtin_phases()]
    for phase in made:
        phase.batch_size = min(batch, phase.batch_size)
    return made


def _dawdle(_: Sequence[Document]) -> None:
    time.sleep(0.03)


def go_on(*, builtin: bool, batch: int, log: Path) -> int:
    """Begins, or goes on with what is unfinished."""
    pipeline = Pipeline(phases=phases(builtin=builtin, batch=batch, log=log))
    known = pipeline.history(1)
    run = pipeline.resume(known[0].run_id) if known else pipeline.start(DAYS)
    status = run.result()
    sys.stderr.write(f"{status}\n" if status.status != "completed" else "")
    return 0 if status.status == "completed" else 1


# -- what kills it


class Trial:
    """One run of the pipeline and its lives."""

    def __init__(
        self, site: SandboxProcess, folder: Path, *, builtin: bool, batch: int, url: str | None = None
    ) -> None:
        self.site, self.home, self.url = site, folder / "home", url
        self.log = folder / "log"
        self._arguments = ["--log", str(self.log), "--batch", str(batch), *(["--builtin"] if builtin else [])]
        folder.mkdir(parents=True, exist_ok=True)

    def begin(self) -> subprocess.Popen[bytes]:
        home = self.url or str(self.home)
        env = {**os.environ, **self.site.environ(), "INTERCOM_BULK_HOME": home, "PYTHONPATH": str(ROOT)}
        if self.url is not None:
            env["XDG_STATE_HOME"] = str(self.home)
        command = [sys.executable, "-m", MODULE, "--go-on", *self._arguments]
        return subprocess.Popen(command, env=env, cwd=ROOT)

    def end(self, life: subprocess.Popen[bytes]) -> int:
        try:
            return life.wait(PATIENCE)
        finally:
            life.kill()
            life.wait()

    def mirror(self) -> MirrorStore:
        return open_mirror(self.home, SandboxOptions().app_id, url=self.url)

    def stage(self) -> str | None:
        """Where the run is: fetch, or the phase that is at work; None before there is one."""
        with self.mirror() as store:
            rows = store.sql("SELECT stage, current_phase, status FROM pipeline_run ORDER BY id DESC LIMIT 1").rows
        return None if not rows else FETCH if rows[0][0] == FETCH else str(rows[0][1])

    def kill_in(self, stage: str, after: float) -> bool:
        """A life that dies so many seconds after it came there; False: it was over before."""
        life = self.begin()
        ends = time.monotonic() + PATIENCE
        while life.poll() is None and time.monotonic() < ends:
            if self.stage() == stage:
                break
            time.sleep(0.01)
        time.sleep(after)
        died = life.poll() is None
        life.kill()
        life.wait()
        return died

    def results(self) -> list[tuple[Any, ...]]:
        """What was worked out, but for when and by which run."""
        with self.mirror() as store:
            sql = "SELECT phase, item_id, input_version, phase_version, result, vector FROM phase_result ORDER BY 1, 2"
            return [tuple(row) for row in store.sql(sql).rows]

    def redone(self) -> int:
        """How often a document was processed that had been before."""
        counts = Counter(self.log.read_text().splitlines())
        return sum(counts.values()) - len(counts)


def _calls(site: SandboxProcess) -> int:
    return sum(sum(by.values()) for by in site.stats()["requests"].values())


def _places(names: Sequence[str], kills: int, dice: random.Random) -> Iterator[tuple[str, float]]:
    """Each stage in turn, sooner or later in it."""
    for number in range(kills):
        yield names[number % len(names)], dice.uniform(0.0, 0.25)


def trial(
    kills: int, conversations: int, folder: Path, dice: random.Random, *, builtin: bool = False, batch: int = 50,
    url: str | None = None, stages: Sequence[str] | None = None, latency: float = 30.0,
) -> Verdict:  # fmt: skip
    """`stages`: where it is killed; None: in all of them, one after another."""
    began = time.monotonic()
    knobs: dict[str, Any] = {"contacts": 20, "companies": 2, "tickets": 2, "parts": 3, "latency_ms": latency}
    with SandboxProcess(conversations=conversations, days=DAYS - 1, **knobs) as site:
        calm = Trial(site, folder / "undisturbed", builtin=builtin, batch=batch)
        faults = [] if calm.end(calm.begin()) == 0 else ["the undisturbed run failed"]
        undisturbed = _calls(site)
        killed = Trial(site, folder / "killed", builtin=builtin, batch=batch, url=url)
        known = (phase.name for phase in phases(builtin=builtin, batch=batch, log=killed.log))
        names = [FETCH, *known] if stages is None else list(stages)
        died: Counter[str] = Counter()
        # A stage that is over does not come again: the kills of each come before those of the next one.
        for stage, after in sorted(_places(names, kills, dice), key=lambda place: names.index(place[0])):
            died[stage] += killed.kill_in(stage, after)
            if not died[stage] and killed.stage() is None:
                faults.append(f"nothing came to {stage}")
        code = killed.end(killed.begin()) if not _is_completed(killed) else 0
        calls = _calls(site) - undisturbed
        site.set(latency_ms=0, limit_per_minute=6_000_000)
        with killed.mirror() as store:
            wrong = differences(store, everything(site.environ()["INTERCOM_BASE_URL"], site.token))
            ids = [row[0] for row in store.sql("SELECT id FROM pipeline_run").rows]
        found, wanted = killed.results(), calm.results()
        total, redone = sum(died.values()), killed.redone()
        if code != 0:
            faults.append(f"the last life ended with {code}")
        if ids != [1]:
            faults.append(f"there are the runs {ids}: the one was to be gone on with")
        if found != wanted:
            differ = sorted(set(map(repr, found)) ^ set(map(repr, wanted)))
            faults.append(f"{len(differ)} results are not those of the undisturbed run: {differ[:2]}")
        if wrong:
            faults.append(f"{len(wrong)} conversations are not as in Intercom: {wrong[:3]}")
        if redone > batch * total:
            faults.append(f"{redone} documents were processed again after {total} kills, by {batch}")
        return Verdict(
            conversations, dict(died), total + 1, time.monotonic() - began, redone, batch, calls, undisturbed, faults
        )


def _is_completed(one: Trial) -> bool:
    with one.mirror() as store:
        return store.sql("SELECT status FROM pipeline_run").rows == [("completed",)]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=__doc__)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--conversations", type=int, default=1500)
    parser.add_argument("--builtin", action="store_true", help="the phases of the package, in place of the test's own")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--go-on", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--log", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.go_on:
        return go_on(builtin=given.builtin, batch=given.batch, log=given.log)
    with tempfile.TemporaryDirectory() as folder:
        dice = random.Random(given.seed)
        verdict = trial(given.kills, given.conversations, Path(folder), dice, builtin=given.builtin, batch=given.batch)
    sys.stdout.write(json.dumps({"seed": given.seed, **asdict(verdict)}, indent=1) + "\n")
    return 1 if verdict.faults else 0


if __name__ == "__main__":
    sys.exit(main())
