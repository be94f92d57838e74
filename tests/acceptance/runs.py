"""Running an updater, and holding what it says of each item against what the sandbox saw."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk import (
    IntercomBulkError,
    IntercomBulkUpdater,
    Outcome,
    RunOptions,
    RunState,
    Settings,
    Status,
    Summary,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from intercom_bulk.sandbox import Sandbox

__all__ = [
    "QUICK",
    "Run",
    "assert_accounted",
    "assert_nothing_written",
    "assert_one_sentence",
    "closed",
    "connection",
    "hasty",
    "opened",
    "reason_to_halt",
    "run",
    "sent",
    "writes",
]

QUICK = RunOptions(settle=0.3)
"""Doubts are looked at soon: the sandbox is done with a request after milliseconds."""

READS = ("GET ", "POST /conversations/search", "POST /contacts/search", "POST /tickets/search", "POST /companies/list")


@dataclass(frozen=True)
class Run:
    """What a run told."""

    outcomes: list[Outcome]
    summary: Summary

    def ids(self, *statuses: Status) -> set[str]:
        return {outcome.item_id for outcome in self.outcomes if outcome.status in statuses}

    @property
    def done(self) -> set[str]:
        return self.ids(Status.DONE)


def run(updater: IntercomBulkUpdater, watch: Callable[[int], None] | None = None, **arguments: Any) -> Run:
    """`updater.stream(...)` to its end. `watch` is called with the number of outcomes so far."""
    outcomes: list[Outcome] = []
    with updater.stream(**{"options": QUICK, **arguments}) as stream:
        for outcome in stream:
            outcomes.append(outcome)
            if watch is not None:
                watch(len(outcomes))
    return Run(outcomes, stream.summary())


def connection(sandbox: Sandbox, **changes: Any) -> dict[str, Any]:
    """What an updater needs to know of the sandbox, with some of it changed."""
    return {**sandbox.settings_kwargs(), **changes}


def reason_to_halt(call: Callable[[], Run]) -> str:
    """Why a run halted: its summary says so, or, where nothing had been tried yet, an error."""
    try:
        ended = call()
    except IntercomBulkError as error:
        return str(error)
    assert ended.summary.state is RunState.HALTED
    return str(ended.summary.reason)


def hasty(sandbox: Sandbox) -> Settings:
    """Settings under which a server that says nothing is soon given up."""
    return replace(Settings.build(access_token=sandbox.token, base_url=sandbox.url), connect_timeout=0.5)


def opened(sandbox: Sandbox) -> set[str]:
    """The conversations of the inbox that are open."""
    return {item["id"] for item in sandbox.items(state="open", team=sandbox.inbox_id)}


def closed(sandbox: Sandbox) -> set[str]:
    """The conversations of the inbox that are closed."""
    return {item["id"] for item in sandbox.items(state="closed", team=sandbox.inbox_id)}


def sent(sandbox: Sandbox) -> int:
    """Requests that have reached the server, answered or not."""
    stats = sandbox.stats()
    return int(stats["total"]) + int(stats["active"])


def writes(sandbox: Sandbox) -> int:
    """Requests answered that were not reads, whatever came of them."""
    requests: dict[str, dict[str, int]] = sandbox.stats()["requests"]
    return sum(sum(counts.values()) for route, counts in requests.items() if not route.startswith(READS))


def assert_nothing_written(sandbox: Sandbox) -> None:
    assert sandbox.effects() == {}
    assert writes(sandbox) == 0


def assert_accounted(done: Run, known: Collection[str]) -> None:
    """Every item has one outcome, whose reason is said unless it is done, and the totals are those of the outcomes."""
    by_item = Counter(outcome.item_id for outcome in done.outcomes)
    assert set(by_item) == set(known)
    assert set(by_item.values()) <= {1}
    assert [o for o in done.outcomes if o.status is not Status.DONE and not (o.code and o.message)] == []
    counts = Counter(outcome.status for outcome in done.outcomes)
    final = {Status.DONE, Status.SKIPPED, Status.FAILED, Status.NEEDS_REVIEW}
    assert set(counts) <= final
    summary = done.summary
    told = (summary.success, summary.skipped, summary.failed, summary.unknown, summary.unprocessed)
    seen = tuple(counts[s] for s in (Status.DONE, Status.SKIPPED, Status.FAILED, Status.NEEDS_REVIEW))
    assert told == (*seen, 0)


def assert_one_sentence(text: str | None) -> None:
    assert text
    assert "\n" not in text
    assert 20 <= len(text) <= 300
