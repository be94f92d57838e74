"""The pipeline over 20,000 conversations that are in the mirror already: what a phase costs that does nothing, and what
the built-in ones take, with their memory. Each in a process of its own; the sandbox has nothing more to fetch.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from bench.mirror import document
from bench.report import Section, at_most, info
from intercom_bulk import Pipeline, Settings
from intercom_bulk.insights.phase import Phase
from intercom_bulk.mirror.keeping.schema import SyncKind
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.sandbox import SandboxOptions, SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from intercom_bulk import PipelineStatus
    from intercom_bulk.insights.phase import Document, Result

__all__ = ["run"]

COUNT, QUICK_COUNT = 20_000, 1_000
DAYS = 90
ITEM_MS, MINUTES, MEGABYTES = 0.5, 5.0, 1500.0
_TOPICS = {
    "billing": "invoice charged twice refund card declined payment receipt subscription plan price tax",
    "login": "password reset sign in account locked two factor code email verify session expired",
    "delivery": "order late package tracking address courier lost parcel shipping delayed warehouse",
    "bug": "crash error page blank button broken slow loading export fails exception stack screen",
    "api": "webhook token rate limit endpoint request json payload integration key permission scope",
    "howto": "how do I invite user change setting import contacts template report dashboard filter",
}


_COMMON = "hello please thanks team the we have a problem with our since yesterday can you look into it"


class Nothing(Phase):
    """What is left is the cost of the engine, the mirror and the ledger."""

    name: ClassVar[str] = "classification"

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        return [{"label": "none"} for _ in batch]


def _documents(count: int, now: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(20)
    common = _COMMON.split()
    words = {name: said.split() for name, said in _TOPICS.items()}
    names = sorted(words)
    for number in range(count):
        one = document(number, draw, count=count)
        topic = words[draw.choice(names)]
        created = now - 86_400 * (1 + number * (DAYS - 2) // count)
        shift = created - one["created_at"]
        one["created_at"], one["updated_at"] = created, created + 600
        one["source"] = {
            **one["source"],
            "body": f"<p>{' '.join(draw.choices(topic, k=9) + draw.choices(common, k=9))}</p>",
        }
        for part in one["conversation_parts"]["conversation_parts"]:
            part["created_at"] += shift
            part["body"] = f"<p>{' '.join(draw.choices(topic, k=8) + draw.choices(common, k=8))}</p>"
        yield one


def _fill(home: Path, count: int) -> None:
    now, batch = int(time.time()), list[dict[str, Any]]()
    with open_mirror(home, SandboxOptions().app_id) as store, store.writing() as writer:
        writer.begin_sync("made", SyncKind.BACKFILL, {}, at=now)
        for one in _documents(count, now):
            batch.append(one)
            if len(batch) == 500:
                writer.save_rows("made", batch, seen_at=now)
                batch = []
        writer.save_rows("made", batch, seen_at=now)


def _elsewhere(which: str, home: Path, site: SandboxProcess) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.pipeline", which, str(home), site.token, site.url]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=1500).stdout
    said: dict[str, Any] = json.loads(told.splitlines()[-1])
    return said


def run(*, quick: bool) -> Section:
    """The bars: 0.5 ms an item for a phase that does nothing; all built-in phases in 5 minutes and 1.5 GB."""
    count = QUICK_COUNT if quick else COUNT
    with tempfile.TemporaryDirectory() as folder, SandboxProcess(conversations=1, days=1) as site:
        home = Path(folder)
        began = time.monotonic()
        _fill(home, count)
        lines = [f"{count:,} conversations of 3 parts stored in {time.monotonic() - began:.0f} s"]
        nothing, first, again = (_elsewhere(which, home, site) for which in ("nothing", "all", "all"))
    phases = {name: one["seconds"] for name, one in first["phases"].items()}
    lines.append(f"phases: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in phases.items())}")
    lines.append(f"{first['themes']:,} themes, {first['stories']:,} stories; {first['warning'] or 'nothing failed'}")
    each = nothing["phases"]["classification"]["seconds"] / count * 1000
    figures = [
        at_most("pipeline: a phase that does nothing, an item", each, ITEM_MS, "{:.2f} ms"),
        at_most("pipeline: all phases after the fetch", sum(phases.values()), MINUTES * 60, "{:.0f} s"),
        at_most("pipeline: peak memory", first["megabytes"], MEGABYTES, "{:.0f} MB"),
        info(
            "pipeline: all phases again, nothing changed",
            sum(one["seconds"] for one in again["phases"].values()),
            "{:.1f} s",
        ),
    ]
    return Section(figures, lines)


def _run(which: str, home: str, token: str, url: str) -> PipelineStatus:
    settings = replace(Settings.build(access_token=token, base_url=url, env={}), home=Path(home))
    return Pipeline(settings=settings, phases=[Nothing()] if which == "nothing" else None).start(DAYS).result()


def main() -> None:
    status = _run(*sys.argv[1:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**status.as_dict(), "megabytes": peak}))
    if status.status != "completed":
        raise SystemExit(str(status))


if __name__ == "__main__":
    main()
