"""Everything that routes and pages ask for, as what JSON has. It knows nothing of HTTP."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UsageError
from intercom_bulk.operations import OPERATIONS
from intercom_bulk.service.arguments import described
from intercom_bulk.service.events import Hub
from intercom_bulk.service.mirrors import Mirrors
from intercom_bulk.service.pipelines import Pipelines
from intercom_bulk.service.plans import PlanShelf
from intercom_bulk.service.pulse import Pulse
from intercom_bulk.service.rate import RateBook
from intercom_bulk.service.reports import FORMATS, report_lines
from intercom_bulk.service.runs import RunTable
from intercom_bulk.updaters.history import Runs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from intercom_bulk.pipeline.pipeline import Pipeline
    from intercom_bulk.settings import Settings

__all__ = ["Desk"]

MOST_ROWS = 500
"""Of one page of a list."""


class Desk:
    """One workspace, one home. Any thread may ask; `close()` stops what runs here, resumable, and ends the streams."""

    def __init__(
        self, settings: Settings, *, pipeline: Pipeline | None = None, longest_stream: float | None = None
    ) -> None:
        self.settings = settings
        self.ending = threading.Event()
        """Set when the service stops: the waits of its requests end by it."""
        self._runs = Runs(settings)
        self.table = RunTable(settings, self._runs)
        self.shelf = PlanShelf(settings, self._runs, self.table)
        self.hub = Hub(longest=longest_stream)
        self.rates = RateBook(settings)
        self.mirrors = Mirrors(settings)
        self.pipeline = Pipelines(settings, pipeline)
        self._pulse = Pulse(self.table, self.hub, self.rates, self._refused, self.pipeline.known_active)

    # -- runs

    def runs(self, *, after: str | None = None, limit: int = 20) -> dict[str, Any]:
        """`runs`, newest first, and `next`: the `after` of the following page, None at the end."""
        return self.table.page(after=after, limit=_rows(limit))

    def live(self) -> list[dict[str, Any]]:
        """The runs that some process works on."""
        return [self.table.view(record) for record in self.table.live()]

    def run(self, run_id: str) -> dict[str, Any]:
        """One run: record, counts, codes, progress and rates where it is worked on here. Raises `UnknownRun`."""
        return self.table.get(run_id)

    def items(
        self,
        run_id: str,
        *,
        status: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """`items` of a run in the order of their ids, and `next`."""
        return self.table.items(run_id, status=status, text=text, after=after, limit=_rows(limit))

    def pause(self, run_id: str) -> dict[str, Any]:
        return self.table.ask(run_id, "pause")

    def unpause(self, run_id: str) -> dict[str, Any]:
        return self.table.ask(run_id, "unpause")

    def stop(self, run_id: str) -> dict[str, Any]:
        return self.table.ask(run_id, "stop")

    def resume(self, run_id: str) -> dict[str, Any]:
        """The run that goes on: the same id."""
        return self.table.resume(run_id)

    def undo(self, run_id: str, *, confirm: str) -> dict[str, Any]:
        """The run that takes it back. `confirm` repeats its id, or how many items it changed: somebody has looked."""
        found = self.table.get(run_id)
        done = found["counts"]["done"]
        if confirm not in {found["run_id"], str(done)}:
            raise UsageError(
                f"To undo, confirm it: send the run's id, or the number of items that it changed ({done})."
            )
        return self.table.undo(run_id)

    def report(self, run_id: str, format: str) -> tuple[str, str, Iterator[bytes]]:
        """The name of a file, its media type and its content, piece by piece: "csv", "jsonl" or "markdown"."""
        if format not in FORMATS:
            raise UsageError(f"format must be one of {', '.join(FORMATS)}, not {format[:40]!r}.")
        stored = self.table.get(run_id)
        return report_lines(self.table.store, stored["run_id"], format)

    # -- plans

    def operations(self) -> list[dict[str, Any]]:
        """What can be planned, and with which arguments."""
        return [described(row) for row in OPERATIONS]

    def plan(
        self,
        operation: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        where: str | None = None,
        query: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        everything: bool = False,
        exclude: Mapping[str, Any] | None = None,
        max_items: int | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """What would change, with its digest; see `PlanShelf.make`."""
        return self.shelf.make(
            operation, arguments or {}, where=where, query=query, ids=ids, everything=everything, exclude=exclude,
            max_items=max_items, reason=reason,
        )  # fmt: skip

    def plans(self, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first."""
        return self.shelf.list(_rows(limit))

    def plan_view(self, digest: str) -> dict[str, Any]:
        return self.shelf.view(digest)

    def apply(
        self, digest: str, *, irreversible: bool = False, strict: bool = False, max_items: int | None = None
    ) -> dict[str, Any]:
        """The run over exactly the items of a plan; see `PlanShelf.apply`."""
        return self.shelf.apply(digest, irreversible=irreversible, strict=strict, max_items=max_items)

    # -- around

    def mirror(self) -> dict[str, Any]:
        """What the mirror holds, how fresh it is, day by day, with themes and stories; see `Mirrors.view`."""
        return self.mirrors.view()

    def rate(self) -> dict[str, Any]:
        """`windows` of ten seconds, oldest first: limit, used, ours, others, refused; `now` is the open one."""
        return self.rates.told()

    def _refused(self) -> int:
        """429s that the runs of this process met."""
        return self.table.refused()

    def picture(self, topic: str) -> bytes:
        """The first event of a stream: of one run, or of `events.ALL`. Raises `NotThere`."""
        return self._pulse.picture(topic)

    def closing(self) -> None:
        """End the streams, the plans that are being made and what waits for Intercom; ask the runs to end, resumable.
        Who serves them waits for that.
        """
        self.ending.set()
        self.hub.close()
        self.table.stopping()
        self.pipeline.stopping()
        self.shelf.stopping()

    def close(self) -> None:
        self.closing()
        self.pipeline.close()
        self.table.close()
        self._pulse.close()
        self.rates.close()


def _rows(limit: int) -> int:
    if not 1 <= limit <= MOST_ROWS:
        raise UsageError(f"limit must be from 1 to {MOST_ROWS}, not {limit}.")
    return limit
