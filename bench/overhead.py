"""CPU per item of the library against the least that does the same job: a loop of a default `requests.Session().post`.

The same sandbox, the same items, search pages included in both, as many threads in the loop as the library had at
work. Runs alternate, so that a busy machine strikes both; each pair gives a ratio, and the median counts.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict

from bench.children import Run, serve
from bench.report import Section, at_most, exactly, info

__all__ = ["plain", "tls"]

LATENCY_MS, SEARCH_MS = 20, 60
LIMIT = 60_000
FEW_THREADS = 10
"""As many as a default Session keeps connections for: the loop at its best."""


def plain(*, quick: bool) -> Section:
    """Without TLS."""
    return _compare("overhead-plain", tls=False, bar=1.0, quick=quick)


def tls(*, quick: bool) -> Section:
    """With TLS, where the loop reads the system's CA bundle again for each new connection."""
    return _compare("overhead-tls", tls=True, bar=0.5, quick=quick)


def _compare(name: str, *, tls: bool, bar: float, quick: bool) -> Section:
    items = (150 if tls else 300) if quick else (1_500 if tls else 3_000)
    repeats = 1 if quick else 3 if tls else 4
    knobs = {"latency_ms": LATENCY_MS, "search_latency_ms": SEARCH_MS, "limit_per_minute": LIMIT}
    pairs: list[tuple[Run, Run]] = []
    few: list[tuple[Run, Run]] = []
    with serve(tls=tls, conversations=items, **knobs) as site:
        for _ in range(repeats):
            ours = site.run("intercom_bulk")
            pairs.append((ours, site.run("loop", threads=round(ours.measured.busy or FEW_THREADS))))
            few.append((site.run("intercom_bulk", threads=FEW_THREADS), site.run("loop", threads=FEW_THREADS)))
    threads = statistics.median(round(ours.measured.busy or FEW_THREADS) for ours, _ in pairs)
    settled = [run.closed == run.items for pair in (*pairs, *few) for run in pair]
    figures = [
        at_most(f"{name}: CPU per item, ours / loop, {threads:g} threads in both", _ratio(pairs), bar, "{:.2f}"),
        info(f"{name}: the same with {FEW_THREADS} threads, the loop at its best", _ratio(few), "{:.2f}"),
        info(f"{name}: ours", _milliseconds(pairs, 0), "{:.2f} ms"),
        info(f"{name}: loop", _milliseconds(pairs, 1), "{:.2f} ms"),
        exactly(f"{name}: runs that left items open", settled.count(False), 0),
    ]
    data = {
        "items": items,
        "ratios": [_one_ratio(pair) for pair in pairs],
        "ratios_few": [_one_ratio(pair) for pair in few],
        "pairs": [[asdict(run.measured) for run in pair] for pair in pairs],
        "pairs_few": [[asdict(run.measured) for run in pair] for pair in few],
    }
    return Section(figures, data=data)


def _one_ratio(pair: tuple[Run, Run]) -> float:
    return pair[0].cpu_per_1000 / pair[1].cpu_per_1000


def _ratio(pairs: list[tuple[Run, Run]]) -> float:
    return statistics.median(_one_ratio(pair) for pair in pairs)


def _milliseconds(pairs: list[tuple[Run, Run]], place: int) -> float:
    return statistics.median(pair[place].cpu_per_1000 for pair in pairs)
