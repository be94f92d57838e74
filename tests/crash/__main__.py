"""python -m tests.crash [--kills 200] [--items 20000] [--out crash.json] [--seed N]

Kills runs at random moments, then at every named point, each for closing, tagging, adding notes and all three in
steps, and holds what the ledger says against the sandbox's own count. Then: the naive twin, which must fail; a resume
after nine tenths; memory; a list of 50,000 ids with its usual flaws.
Exit status 1 when a promise is broken. At most half an hour.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.crash.doom import BETWEEN, FIRST_LIFE, KINDS, SECOND_LIFE
from tests.crash.listed import listed
from tests.crash.memory import growth
from tests.crash.test_kills import requests_after_a_kill
from tests.crash.trial import Trial, Verdict, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ITEMS = 400
KILLS_A_RUN = 14
IN_FLIGHT = ("after-commit:intents", 2)
"""How the first life dies, so that a second one has something to doubt."""
REPEATED = {"intents", "outcomes", "step"}
MOST_GROWTH = 20.0
"""Megabytes."""


def at_random(kills: int, seed: int) -> Iterator[Verdict]:
    """Runs of each kind in turn, until so many processes were killed."""
    dice, done, number = random.Random(seed), 0, 0
    while done < kills:
        kind = KINDS[number % len(KINDS)]
        number += 1
        verdict = _trial(kind, lambda trial, left=kills - done: trial.kill_at_random(min(left, KILLS_A_RUN), dice))
        done += verdict.kills
        yield verdict


def at_points() -> Iterator[tuple[str, Verdict]]:
    """A run for each named point and kind; two of the points of a second life in a row."""
    for kind in KINDS:
        for point in (*FIRST_LIFE, *(BETWEEN if kind == "steps" else ())):
            nth = 15 if point.endswith("-send") else 2 if point.partition(":")[2] in REPEATED else 1
            yield point, _trial(kind, lambda trial, at=(point, nth): trial.kill_at([at]), items=60)
        for point in SECOND_LIFE:
            if point == "before-commit:again" and kind in {"note", "steps"}:
                continue  # a note is never sent again, and it is the first of the steps
            yield point, _trial(kind, lambda trial, at=point: trial.kill_at([IN_FLIGHT, (at, 1), (at, 1)]), items=60)


def _trial(kind: str, kill: Any, *, items: int = ITEMS, naive: bool = False) -> Verdict:
    with tempfile.TemporaryDirectory() as folder, sandbox(items) as site:
        trial = Trial(site, Path(folder), kind, "crash", naive=naive)
        kill(trial)
        return trial.finish()


def _print(rows: Sequence[Sequence[object]]) -> None:
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        sys.stdout.write("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)) + "\n")
    sys.stdout.flush()


def _row(name: str, verdicts: Sequence[Verdict]) -> tuple[object, ...]:
    total: Counter[str] = Counter()
    for one in verdicts:
        total.update(items=one.items, kills=one.kills, lives=one.lives, lost=one.lost, twice=one.twice)
        total.update(review=one.needs_review, written=one.written_all_the_same, faults=len(one.faults))
        total.update(seconds=round(one.seconds))
    columns = ("items", "kills", "lives", "lost", "twice", "review", "written", "faults", "seconds")
    return (name, len(verdicts), *(total[column] for column in columns))


_HEAD = ("", "runs", "items", "kills", "lives", "lost", "twice", "to review", "of these written", "faults", "seconds")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--items", type=int, default=20_000, help="of the run that is resumed after nine tenths")
    parser.add_argument("--many", type=int, default=1_000_000, help="items of the memory test")
    parser.add_argument("--listed", type=int, default=50_000, help="rows of the list of ids")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--out", type=Path, default=Path("crash.json"))
    given = parser.parse_args(arguments)
    began = time.monotonic()
    sys.stdout.write(f"seed {given.seed}\n")
    rows: list[tuple[object, ...]] = [_HEAD]
    randomly = list(at_random(given.kills, given.seed))
    rows += [_row(f"random, {kind}", [one for one in randomly if one.kind == kind]) for kind in KINDS]
    _print(rows)
    points = list(at_points())
    names = dict.fromkeys(point for point, _ in points)
    rows += [_row(f"at {name}", [one for point, one in points if point == name]) for name in names]
    _print(rows)
    naive = _trial("close", lambda trial: trial.kill_at([("after-send", 40)] * 3), naive=True)
    rows.append(_row("naive twin (must have faults)", [naive]))
    _print(rows)
    whole, rest = requests_after_a_kill(Path(tempfile.mkdtemp()), given.items)
    sys.stdout.write(f"\nresume at 90 % of {given.items:,}: {rest:,} of {whole:,} requests, {rest / whole:.1%}\n")
    grown = growth(10_000, given.many)
    sys.stdout.write(f"memory: {grown:.1f} MB more with {given.many:,} items than with 10,000\n")
    few, many = listed(5_000), listed(given.listed)
    grown_by_list = (many["peak"] - few["peak"]) / 2**20
    sys.stdout.write(
        f"a list of {given.listed:,} ids: {many['seconds']:.0f} s, {many['peak'] / 2**20:.1f} MB,"
        f" {grown_by_list:.1f} MB more than with 5,000; {'' if many.is_accounted else 'NOT '}all rows accounted for\n"
    )
    faults = [fault for one in [*randomly, *(verdict for _, verdict in points)] for fault in one.faults]
    if not naive.twice:
        faults.append("the naive twin passes: the test proves nothing")
    if rest > 0.12 * whole:
        faults.append("the resumed run began again")
    if grown > MOST_GROWTH:
        faults.append("memory grows with the number of items")
    if grown_by_list > MOST_GROWTH or not (few.is_accounted and many.is_accounted):
        faults.append("a list of ids takes memory by its length, or loses rows")
    seconds = time.monotonic() - began
    said = {
        "seed": given.seed,
        "seconds": seconds,
        "random": [one.record() for one in randomly],
        "points": [{"point": point, **one.record()} for point, one in points],
        "naive": naive.record(),
        "resume": {"items": given.items, "whole": whole, "rest": rest},
        "memory_mb": grown,
        "listed": [few, many],
        "faults": faults,
    }
    given.out.write_text(json.dumps(said, indent=1), encoding="utf-8")
    sys.stdout.write(f"{len(faults)} faults; {seconds:.0f} s; {given.out}\n" + "".join(f"  {f}\n" for f in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
