"""The demo: close a simulated inbox at the speed limit of the API, and ask the server what it saw of it."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from intercom_bulk import RunState, bulk_close_hybrid
from intercom_bulk.sandbox import SandboxProcess

if TYPE_CHECKING:
    from intercom_bulk import Summary

__all__ = ["WHAT_NEXT", "share_used", "show", "troubles"]

TEAM = "Support"
WINDOW = 10  # seconds, the API's

INTRODUCTION = """\
A simulated workspace at {url}: {conversations:,} open conversations in the {team} inbox,
{latency_ms:g} ms to answer, {search_latency_ms:g} ms to search, {limit:,} requests a minute allowed.
Now: bulk_close_hybrid("{team}")
"""
WHAT_NEXT = """\
All is well. What next?
  intercom-bulk sandbox            a simulated workspace to rehearse on
  export INTERCOM_ACCESS_TOKEN=... your own token, or put it into .env (chmod 600)
  intercom-bulk doctor             is all well with it?
  intercom-bulk preview close --where 'state:open team:NAME'
                                   what would be closed: it changes nothing"""


def show(conversations: int, latency_ms: float, search_latency_ms: float, *, what_next: str = WHAT_NEXT) -> int:
    """0 if everything was as it should be; latencies in milliseconds."""
    knobs: dict[str, Any] = {
        "conversations": conversations,
        "latency_ms": latency_ms,
        "search_latency_ms": search_latency_ms,
    }
    # The next window begins soon after the run does: so there is one which the run had from edge to edge.
    edge = int(time.time() + 3) % WINDOW
    try:
        with TemporaryDirectory() as home, SandboxProcess(window_phase=edge, **knobs) as sandbox:
            os.environ["INTERCOM_BULK_HOME"] = home  # a rehearsal does not belong into the history of your runs
            print(INTRODUCTION.format(url=sandbox.url, limit=sandbox.options.limit_per_minute, team=TEAM, **knobs))
            sys.stdout.flush()
            summary = bulk_close_hybrid(TEAM, **sandbox.settings_kwargs())
            found = report(summary, sandbox)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
    print("\n".join(f"NOT WELL: {trouble}" for trouble in found) or what_next)
    return 1 if found else 0


def report(summary: Summary, sandbox: SandboxProcess) -> list[str]:
    """Print both accounts, the library's and the server's; what they leave to be desired."""
    items, statuses = sandbox.items(), sandbox.stats()["statuses"]
    effects = Counter(sandbox.effects().values())
    still_open = sum(item["state"] == "open" for item in items)
    refused, last_close = statuses.get("429", 0), max(item["updated_at"] for item in items)
    seconds = summary.total_time.total_seconds()
    print("\nThe library says")
    print(f"  {summary.success:,} done, {summary.failed:,} failed, {summary.skipped:,} skipped,", end=" ")
    print(f"{summary.unknown:,} to review: {summary.state}")
    print(f"  {seconds:.1f} s, {summary.rate:.0f} items/s")
    print("The server counted")
    print(f"  {effects[1]:,} closed once, {effects.total() - effects[1]:,} more than once, {still_open:,} still open")
    print(f"  {sum(statuses.values()):,} requests, {refused:,} of them refused with 429")
    print(f"  {share_used(sandbox.windows(), last_close)}\n")
    return troubles(summary, sandbox.options.conversations, effects, still_open, refused)


def troubles(summary: Summary, expected: int, effects: Counter[int], still_open: int, refused: int) -> list[str]:
    """Everything that is not as it should be, in sentences."""
    checks = {
        f"the run ended as {summary.state}: {summary.reason or dict(summary.codes)}": (
            summary.state is RunState.COMPLETED
        ),
        f"{summary.success:,} done instead of {expected:,}": summary.success == expected,
        f"the server saw {effects[1]:,} closed once instead of {expected:,}": effects[1] == expected,
        f"some were closed more than once: {dict(effects)}": set(effects) <= {1},
        f"{still_open:,} are still open": still_open == 0,
        f"{refused:,} requests were refused with 429": refused == 0,
    }
    return [sentence for sentence, is_well in checks.items() if not is_well]


def share_used(windows: list[dict[str, float]], last_close: float) -> str:
    """Of the windows that had work from edge to edge: neither the run's first, nor one that outlasted the work."""
    first = next(window["start"] for window in windows if window["used"])
    full = [window for window in windows if first < window["start"] <= last_close - WINDOW]
    if not full:
        return "no window had work from edge to edge, so nothing can be said of the share of the limit used"
    shares = ", ".join(f"{window['used'] / window['limit']:.1%}" for window in full)
    return f"{shares} of the limit used in the {WINDOW}-second windows that had work from edge to edge ({len(full)})"
