"""How near to the limit, how many 429s, and is every item closed once: the library alone in different weathers."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.children import Run, Site, serve
from bench.report import Figure, Section, at_least, at_most, exactly, info

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["SCENARIOS", "Scenario", "least_seconds"]

LATENCY, SEARCH = 0.25, 0.6
PAGE = 150
PERCENT = "{:.1%}"
FINE_PERCENT = "{:.2%}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A sandbox with these knobs, one run of the library, and what is asked of it.

    `seconds`: about how long it takes. `aligned`: a window has just begun when it starts.
    """

    name: str
    items: int
    quick_items: int
    seconds: float
    judge: Callable[[str, Run], Sequence[Figure]]
    aligned: bool = False
    knobs: Mapping[str, Any] = field(default_factory=dict)
    quick_knobs: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, *, quick: bool) -> Section:
        """Run it."""
        knobs = {**_WEATHER, **self.knobs, **(self.quick_knobs if quick else {})}
        with serve(conversations=self.quick_items if quick else self.items, **knobs) as site:
            run = site.run("intercom_bulk", aligned=self.aligned)
        figures = [*self.judge(self.name, run), *_once(self.name, run)]
        figures += [
            info(f"{self.name}: rate", run.rate, "{:.1f}/s"),
            info(f"{self.name}: CPU per item", run.cpu_per_1000, "{:.2f} ms"),
            info(f"{self.name}: peak memory", run.measured.peak_mb, "{:.0f} MB"),
        ]
        return Section(figures, data=run.record())


_WEATHER: Mapping[str, Any] = {
    "latency_ms": 1000 * LATENCY,
    "search_latency_ms": 1000 * SEARCH,
    "limit_per_minute": 10_000,
}


def _once(name: str, run: Run) -> list[Figure]:
    return [
        exactly(f"{name}: missed", run.missed, 0),
        exactly(f"{name}: closed twice", run.twice, 0),
        exactly(f"{name}: others touched", run.strays, 0),
    ]


def _alone(least: float) -> Callable[[str, Run], Sequence[Figure]]:
    """In every full window at least this share of the limit, and at most one 429."""

    def judge(name: str, run: Run) -> Sequence[Figure]:
        worst = min(run.shares, default=None)
        return [
            at_least(f"{name}: limit used, worst of {len(run.shares)} full windows", worst, least, PERCENT),
            at_most(f"{name}: 429s in {run.requests:,} requests", run.rejected, 1),
        ]

    return judge


def _beside_cotenant(name: str, run: Run) -> Sequence[Figure]:
    rejected = run.theirs_rejected / run.theirs if run.theirs else None
    worst = min(run.left_shares, default=None)
    return [
        at_least(f"{name}: used of what it leaves, {len(run.shares)} full windows", run.left_share, 0.95, PERCENT),
        info(f"{name}: the same, worst window", worst, PERCENT),
        at_most(f"{name}: 429s of ours in {run.requests:,} requests", run.rejected_share, 0.002, FINE_PERCENT),
        at_most(f"{name}: its calls rejected, of {run.theirs:,}", rejected, 0.03, FINE_PERCENT),
    ]


def _cut(name: str, run: Run) -> Sequence[Figure]:
    lowest = min(one["limit"] for one in run.windows)
    after = [share for share, one in zip(run.shares, run.full, strict=True) if one["limit"] == lowest]
    return [
        at_most(f"{name}: 429s in {run.requests:,} requests", run.rejected_share, 0.005, FINE_PERCENT),
        info(
            f"{name}: limit used after it, worst of {len(after[1:])} full windows",
            min(after[1:], default=None),
            PERCENT,
        ),
    ]


def _blind(name: str, run: Run) -> Sequence[Figure]:
    """What is a storm? The plain strategies of reliability.md A.4 get 2 to 6 %; exponential backoff far more."""
    used = statistics.fmean(run.shares[2:]) if run.shares[2:] else None
    return [
        at_most(f"{name}: 429s in {run.requests:,} requests", run.rejected_share, 0.02, FINE_PERCENT),
        info(f"{name}: limit used, mean of {len(run.shares[2:])} full windows from the third on", used, PERCENT),
    ]


SCENARIOS: Sequence[Scenario] = (
    Scenario(name="pace-250ms", items=6_000, quick_items=300, seconds=42, judge=_alone(0.97)),
    Scenario(
        name="pace-500ms", items=6_000, quick_items=300, seconds=43, judge=_alone(0.97), knobs={"latency_ms": 500}
    ),
    Scenario(
        name="pace-25000",
        items=25_000,
        quick_items=1_000,
        seconds=70,
        judge=_alone(0.90),
        knobs={"limit_per_minute": 25_000},
    ),
    Scenario(
        name="pace-clock-ahead",
        items=6_000,
        quick_items=300,
        seconds=42,
        judge=_alone(0.97),
        knobs={"clock_skew": 3},
    ),
    Scenario(
        name="pace-clock-behind",
        items=6_000,
        quick_items=300,
        seconds=42,
        judge=_alone(0.97),
        knobs={"clock_skew": -3},
    ),
    Scenario(
        name="pace-cotenant",
        items=6_000,
        quick_items=300,
        seconds=60,
        judge=_beside_cotenant,
        knobs={"cotenant_share": 0.3},
    ),
    Scenario(
        name="pace-limit-83",
        items=600,
        quick_items=60,
        seconds=78,
        judge=_alone(0.97),
        knobs={"limit_per_minute": 500},
    ),
    Scenario(  # in the middle of the second window, of which by then more than the new limit is spent
        name="pace-limit-cut",
        items=3_500,
        quick_items=300,
        seconds=60,
        judge=_cut,
        aligned=True,
        knobs={"limit_change_at": 14, "limit_change_to": 2_000},
        quick_knobs={"limit_change_at": 2, "limit_change_to": 6_000},
    ),
    Scenario(
        name="pace-no-headers",
        items=1_200,
        quick_items=60,
        seconds=55,
        judge=_blind,
        knobs={"rate_headers": False, "limit_per_minute": 2_000},
    ),
)


def least_seconds(calls: int, *, limit: int, latency: float, first_window: float = 10.0, in_first: int = -1) -> float:
    """T_min of reliability.md A.3: nobody can make so many calls faster, with A.3's own number of them in flight.

    `first_window`: seconds left in the first window; `in_first`: calls left in it (-1: all of the limit).
    """
    window = 10.0
    in_flight = min(128, max(4, math.ceil(1.5 * limit / window * latency) + 4))
    first = min(limit if in_first < 0 else in_first, first_window * in_flight / latency)
    if calls <= first:
        return max(latency, calls * latency / in_flight)
    rest = calls - first
    each = min(limit, window * in_flight / latency)
    full = math.ceil(rest / each) - 1
    return first_window + full * window + max(latency, (rest - full * each) * latency / in_flight)


def small_job(*, quick: bool) -> Section:
    """300 items: mostly latency. The slowest of a few runs, which meet the window in different phases."""
    items, times = (60, 1) if quick else (300, 5)
    with serve(conversations=items, **_WEATHER) as site:
        runs = [_timed(site) for _ in range(times)]
    least = least_seconds(items, limit=1667, latency=LATENCY)
    pages = math.ceil(items / PAGE)
    # probe, search pages, canary, last sweep
    bound = least + LATENCY + pages * SEARCH + LATENCY + SEARCH
    walls = [run.measured.wall for run in runs]
    said = f"1.2 x {bound:.2f} s (T_min {least:.2f}, probe {LATENCY}, {pages} pages, canary {LATENCY}, sweep {SEARCH})"
    figures = [
        at_most(f"pace-300: slowest of {times} runs of {items} items", max(walls), round(1.2 * bound, 3), "{:.2f} s"),
        info("pace-300: median", statistics.median(walls), "{:.2f} s"),
        exactly("pace-300: missed", sum(run.missed for run in runs), 0),
        exactly("pace-300: closed twice", sum(run.twice for run in runs), 0),
        at_most("pace-300: 429s", sum(run.rejected for run in runs), 1),
    ]
    return Section(figures, [f"pace-300: bound {said}"], data={"bound": bound, "runs": [run.record() for run in runs]})


def _timed(site: Site) -> Run:
    return site.run("intercom_bulk")
