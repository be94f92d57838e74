"""The same inbox closed by this library and by others, in one run against one sandbox process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.children import Run, has_sdk, serve
from bench.report import Figure, Section, at_most, exactly, info, table

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["plain", "tls"]

OURS = "intercom_bulk"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Who, under which name, and for how many seconds at most."""

    name: str
    title: str
    cutoff: float


ENTRIES: Sequence[_Entry] = (
    _Entry(OURS, "intercom_bulk, defaults", 180),
    _Entry("original", "original framework: 15 threads, batches of 50", 180),
    _Entry("session", "requests.Session, 64 threads, backoff", 180),
    _Entry("sdk", "python-intercom 5.0.1, sequential", 60),
)


def plain(*, quick: bool) -> Section:
    """Over plain HTTP."""
    return _contest("contest-plain", tls=False, quick=quick)


def tls(*, quick: bool) -> Section:
    """Over TLS, everybody verifying against the system's CA bundle."""
    return _contest("contest-tls", tls=True, quick=quick)


def _contest(name: str, *, tls: bool, quick: bool) -> Section:
    knobs: dict[str, Any] = {"latency_ms": 250, "search_latency_ms": 600, "limit_per_minute": 10_000}
    if quick:
        knobs |= {"latency_ms": 20, "search_latency_ms": 40}
    entries = [entry for entry in ENTRIES if entry.name != "sdk" or has_sdk()]
    with serve(tls=tls, conversations=30 if quick else 4_000 if tls else 5_000, **knobs) as site:
        runs = {
            entry.name: site.run(entry.name, cutoff=min(entry.cutoff, 5) if quick else entry.cutoff)
            for entry in entries
        }
    ours = runs[OURS]
    lines = [f"{name}: {ours.items:,} open conversations, 10,000 requests a minute, {'TLS' if tls else 'plain HTTP'}"]
    lines.append(table(_HEAD, [_row(entry, runs[entry.name], ours) for entry in entries]))
    lines.append("x: as a multiple of intercom_bulk's. Shares are of the limit, in each full window.")
    if not has_sdk():
        lines.append("python-intercom is not installed (extra `bench`): left out.")
    figures: list[Figure] = [
        exactly(f"{name}: missed by ours", ours.missed, 0),
        exactly(f"{name}: closed twice by ours", ours.twice, 0),
        exactly(f"{name}: failed of ours", ours.measured.failed, 0),
        at_most(f"{name}: 429s of ours", ours.rejected, 1),
    ]
    for other in entries[1:]:
        run = runs[other.name]
        figures.append(
            info(f"{name}: ours is faster than {other.name} by", ours.rate / max(run.rate, 1e-9), "x {:.2f}")
        )
        cpu = run.cpu_per_1000 / ours.cpu_per_1000
        figures.append(info(f"{name}: CPU per item of {other.name}, in ours", cpu, "x {:.2f}"))
    data = {entry.name: {**runs[entry.name].record(), "ratios": _ratios(runs[entry.name], ours)} for entry in entries}
    return Section(figures, lines, data)


_HEAD = (
    "client", "items/s", "x", "share of limit", "429s", "429s/1,000", "failed", "missed", "twice",
    "CPU s/1,000", "x", "peak MB", "x",
)  # fmt: skip


def _ratios(run: Run, ours: Run) -> dict[str, float | None]:
    """Everything as a multiple of ours; None where ours is zero."""
    mean, our_mean = _mean(run.shares), _mean(ours.shares)
    return {
        "rate": run.rate / ours.rate,
        "share_of_limit": mean / our_mean if mean is not None and our_mean else None,
        "rejected": run.rejected / ours.rejected if ours.rejected else None,
        "cpu_per_item": run.cpu_per_1000 / ours.cpu_per_1000,
        "peak_mb": run.measured.peak_mb / ours.measured.peak_mb,
    }


def _row(entry: _Entry, run: Run, ours: Run) -> tuple[str, ...]:
    ratios = _ratios(run, ours)
    missed = f"{run.missed:,}" + (f" (cut off at {entry.cutoff:.0f} s)" if run.measured.cut_off else "")
    return (
        entry.title,
        f"{run.rate:.1f}",
        f"{ratios['rate']:.2f}",
        " ".join(f"{share:.0%}" for share in run.shares) if len(run.shares) <= 5 else _span(run.shares),
        f"{run.rejected:,}",
        f"{1000 * run.rejected_share:.1f}",
        f"{run.measured.failed:,}",
        missed,
        f"{run.twice:,}",
        f"{run.cpu_per_1000:.2f}",
        f"{ratios['cpu_per_item']:.2f}",
        f"{run.measured.peak_mb:.0f}",
        f"{ratios['peak_mb']:.2f}",
    )


def _span(shares: Sequence[float]) -> str:
    return f"{min(shares):.0%} to {max(shares):.0%} (mean {_mean(shares) or 0:.0%})"


def _mean(shares: Sequence[float]) -> float | None:
    return sum(shares) / len(shares) if shares else None
