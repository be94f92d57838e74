"""What Prometheus scrapes, read when it does. No label holds the id of a run or of anything in a workspace."""

from __future__ import annotations

import logging
from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from intercom_bulk.errors import IntercomBulkError
from intercom_bulk.runs.model import RunState, Status
from intercom_bulk.service.rate import NEAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.metrics_core import Metric

    from intercom_bulk.service.desk import Desk

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
NEWEST = 200
"""Runs whose states are counted."""
_PIPELINE = ("running", "stopping", "stopped", "failed", "interrupted", "completed")
_MIRROR = ("fresh", "partial", "stale", "none")
logger = logging.getLogger(__name__)


def exposition(desk: Desk) -> bytes:
    """The text of one scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Look(desk))
    return generate_latest(registry)


class _Look(Collector):
    """Each part by itself: what cannot be looked at is left out, and the rest is told."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        broken = 0
        for part in (self._runs, self._items, self._windows, self._mirror, self._pipeline):
            try:
                yield from list(part())
            except IntercomBulkError as error:
                broken += 1
                logger.warning("%s cannot be measured: %s", part.__name__.strip("_"), error)
        yield _gauge("parts_unmeasured", "Parts of this page that could not be looked at.", broken)

    def _runs(self) -> Iterator[Metric]:
        records = list(islice(self._desk.table.store.records(), NEWEST))
        counted = Counter(record.state for record in records)
        yield _labelled("runs", f"Of the newest {NEWEST} runs, how many are in which state.", "state",
                        {state.value: counted[state] for state in RunState})  # fmt: skip
        yield _gauge("runs_live", "Runs that a process works on, of whatever age.", len(self._desk.table.live()))

    def _items(self) -> Iterator[Metric]:
        settled = CounterMetricFamily(
            "intercom_bulk_items", "Items that runs of this process have settled since it began.", labels=["outcome"]
        )
        counted = self._desk.table.settled()
        for status in (Status.DONE, Status.FAILED, Status.SKIPPED, Status.UNKNOWN):
            settled.add_metric([status.value], counted.get(status.value, 0))
        yield settled
        running = [one.run.progress() for one in self._desk.table.worked().values() if not one.is_over]
        told = [one for one in running if one is not None]
        yield _gauge("items_per_second", "The pace of this process's runs together.", sum(one.rate for one in told))
        yield _gauge("requests_in_flight", "Of this process's runs.", sum(one.in_flight for one in told))

    def _windows(self) -> Iterator[Metric]:
        rates, now = self._desk.rates, self._desk.rates.now() or {}
        told = "of the open ten-second window"
        yield _gauge("budget_limit", f"Calls {told}.", now.get("limit", 0))
        yield _gauge("budget_used", f"Calls that all have used {told}.", now.get("used", 0))
        yield _gauge("budget_ours", f"Of those, the calls of this machine, {told}.", now.get("ours", 0))
        yield _gauge("budget_others", f"Of those, the calls of others, {told}.", now.get("others", 0))
        yield _total("windows", "Windows that were seen.", rates.windows_seen)
        yield _total("windows_near_limit", f"Windows of which {NEAR:.0%} and more were used.", rates.windows_near)
        yield _total("windows_rate_limited", "Windows with a 429.", rates.windows_refused)

    def _mirror(self) -> Iterator[Metric]:
        known = self._desk.mirrors.staleness()
        state, age = known or ("none", None)
        yield _labelled("mirror_state", "1 for the state of the mirror.", "state",
                        {name: int(name == state) for name in _MIRROR})  # fmt: skip
        if age is not None:
            yield _gauge("mirror_stale_seconds", "Since the beginning of the last sync that was completed.", age)

    def _pipeline(self) -> Iterator[Metric]:
        known = self._desk.pipeline.known_last()
        status = None if known is None else known["status"]
        yield _labelled("pipeline_state", "1 for the state of the newest run of the pipeline.", "state",
                        {name: int(name == status) for name in _PIPELINE})  # fmt: skip


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"intercom_bulk_{name}", told, value=value)


def _total(name: str, told: str, value: float) -> Metric:
    return CounterMetricFamily(f"intercom_bulk_{name}", told, value=value)


def _labelled(name: str, told: str, label: str, values: dict[str, int]) -> Metric:
    family = GaugeMetricFamily(f"intercom_bulk_{name}", told, labels=[label])
    for value, count in values.items():
        family.add_metric([value], count)
    return family
