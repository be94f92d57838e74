"""The five phases: how often they are right, and how long they take, without a database.

Each size runs in a process of its own, whose peak of memory is taken; what the corpus alone takes is said beside it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.corpus import Memory, generated
from bench.quality import Quality, measured
from bench.report import Figure, Section, at_least, at_most, info, table
from intercom_bulk.insights.builtin import builtin_phases

__all__ = ["quality", "speed"]

SECONDS, MEGABYTES = 180.0, 1_000.0
_MARGIN = 1.3
"""Macro-F1 of the rules, in times of the better baseline's."""


def quality(*, quick: bool) -> Section:  # noqa: ARG001  # it takes a second
    """On messages that were held out until the rules were done."""
    found = measured("held_out")
    head = (
        "held out",
        "right",
        "macro-F1",
        "answered",
        "right of these",
        "majority",
        "F1",
        "keyword",
        "F1",
        "model alone",
    )
    rows = [_row(one) for one in found]
    figures = [
        at_least(f"insights-quality: {one.question}, macro-F1 / best baseline's", _times(one), _MARGIN, "{:.2f}")
        for one in found
    ]
    return Section(figures, [table(head, rows)], {"held_out": [asdict(one) for one in found]})


def _row(one: Quality) -> list[str]:
    shares = (one.accuracy, one.f1, one.answered, one.right_of_answered, one.majority, one.majority_f1)
    cells = [one.question, *(f"{share:.2f}" for share in (*shares, one.keyword, one.keyword_f1))]
    return [*cells, "" if one.model is None else f"{one.model:.2f}"]


def _times(one: Quality) -> float:
    return one.f1 / max(one.majority_f1, one.keyword_f1)


def speed(*, quick: bool) -> Section:
    """All five phases over generated conversations: 20,000, then 100,000."""
    figures: list[Figure] = []
    lines: list[str] = []
    data: dict[str, Any] = {}
    for count in (1_000,) if quick else (20_000, 100_000):
        one = data[str(count)] = _in_a_process(count)
        name = f"insights-speed: {count:,}"
        bar = SECONDS if count <= 20_000 else 5 * SECONDS
        figures += [
            at_most(f"{name}, all phases", one["seconds"], bar, "{:.0f} s"),
            at_most(f"{name}, peak memory", one["peak_mb"], MEGABYTES, "{:.0f} MB"),
            info(f"{name}, the corpus alone", one["corpus_mb"], "{:.0f} MB"),
            info(f"{name}, themes", one["themes"]),
            info(f"{name}, of their members of the theme's commonest kind", one["purity"], "{:.2f}"),
            info(f"{name}, of conversations about nothing without a theme", one["noise_left_out"], "{:.2f}"),
            info(f"{name}, of the others without a theme", one["others_left_out"], "{:.2f}"),
        ]
        lines += [f"{name}: {phase} {seconds:.1f} s" for phase, seconds in one["phases"].items()]
    return Section(figures, lines, data)


def _in_a_process(count: int) -> dict[str, Any]:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "bench.insights", str(count)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _measure(count: int) -> dict[str, Any]:
    corpus = Memory(generated(count))
    alone = _peak()
    phases = {}
    for phase in builtin_phases():
        start = time.perf_counter()
        corpus.run([phase])
        phases[phase.name] = round(time.perf_counter() - start, 2)
    return {
        "seconds": sum(phases.values()),
        "phases": phases,
        "corpus_mb": alone,
        "peak_mb": _peak(),
        "stories": len(corpus.said["story_creation"]),
        **_themes(corpus),
    }


def _peak() -> float:
    """MB. Not by getrusage: what it says of a new process is at least what its parent had."""
    line = re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(line[1]) / 1024 if line else 0.0


def _themes(corpus: Memory) -> dict[str, float]:
    """Generated conversations know what they are about."""
    within: dict[str, Counter[str]] = {}
    nothing, others = Counter[bool](), Counter[bool]()
    for document in corpus.given:
        about = document.attributes["about"]
        theme = corpus.said["theme_extraction"][document.id]["theme"]
        (nothing if about.endswith("mixed") else others)[theme is None] += 1
        if theme is not None:
            within.setdefault(theme, Counter())[about] += 1
    placed = sum(sum(counts.values()) for counts in within.values())
    return {
        "themes": len(within),
        "purity": sum(max(counts.values()) for counts in within.values()) / max(placed, 1),
        "noise_left_out": nothing[True] / max(nothing.total(), 1),
        "others_left_out": others[True] / max(others.total(), 1),
    }


if __name__ == "__main__":
    print(json.dumps(_measure(int(sys.argv[1]))))
