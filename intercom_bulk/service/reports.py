"""Reports of a run, written while they are sent: none is whole in memory, and none needs a file."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from intercom_bulk.runs import report
from intercom_bulk.runs.model import Status
from intercom_bulk.service.views import collection_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.model import Outcome
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.store import RunStore

__all__ = ["FORMATS", "report_lines"]

FORMATS = ("csv", "jsonl", "markdown")
_KINDS = {"csv": ("csv", "text/csv"), "jsonl": ("jsonl", "application/x-ndjson"), "markdown": ("md", "text/markdown")}
PIECE = 500
"""Items that are read at a time."""


def report_lines(store: RunStore, run_id: str, format: str) -> tuple[str, str, Iterator[bytes]]:
    """The name of a file, its media type, its content."""
    ending, kind = _KINDS[format]
    record = store.record(run_id)
    pieces = _markdown(store, record) if format == "markdown" else _pieces(store, record, format)
    return f"{record.run_id}.{ending}", f"{kind}; charset=utf-8", pieces


def _pieces(store: RunStore, record: RunRecord, format: str) -> Iterator[bytes]:
    """Page by page, each by a connection of its own: whoever reads slowly, or stops, holds nothing open."""
    after, first = "", True
    while True:
        ledger = store.read(record.run_id)
        try:
            found = ledger.page(after=after, limit=PIECE)
        finally:
            ledger.close()
        text = _written(record, found, format)
        # Each piece is written with what heads a report, which only the first one keeps.
        mark = "\ufeff" if first and format == "csv" else ""  # Excel reads UTF-8 only where it is told
        yield (mark + text if first else text.partition("\n")[2]).encode()
        if len(found) < PIECE:
            return
        after, first = found[-1].item_id, False


def _written(record: RunRecord, outcomes: list[Outcome], format: str) -> str:
    out = io.StringIO(newline="")
    if format == "csv":
        report.write_csv(record, outcomes, out, collection=collection_of(record))
    else:
        report.write_jsonl(record, outcomes, out)
    return out.getvalue()


def _markdown(store: RunStore, record: RunRecord) -> Iterator[bytes]:
    out, ledger = io.StringIO(), store.read(record.run_id)
    try:
        counts, codes = ledger.counts(), ledger.codes()
        report.write_markdown(record, counts, codes, _samples(ledger, len(codes)), out)
    finally:
        ledger.close()
    yield out.getvalue().encode()


def _samples(ledger: RunLedger, wanted: int) -> Iterator[Outcome]:
    """One of each code, and no more of the items than that takes."""
    seen: set[str] = set()
    for outcome in ledger.outcomes(*(status for status in Status if status is not Status.DONE)):
        if outcome.code is not None and outcome.code not in seen:
            seen.add(outcome.code)
            yield outcome
        if len(seen) >= wanted:
            return
