"""Runs and items as JSON: what pages show and programs read."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intercom_bulk.operations import typed
from intercom_bulk.runs.model import RunState, Status
from intercom_bulk.runs.report import inbox_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.runs.model import Outcome
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.summary import Progress

__all__ = ["LIVE", "collection_of", "inbox", "item_view", "progress_view", "run_view"]

LIVE = frozenset({RunState.RUNNING, RunState.PAUSING, RunState.PAUSED})
_NAMES = ("run_id", "title", "kind", "parent", "reason", "ended", "by", "workspace", "created_at", "updated_at",
          "ended_at", "total", "max_items", "lives")  # fmt: skip
_CHANGES_NOTHING = frozenset({"backfill", "repair", "sync", "phase"})


def run_view(
    record: RunRecord,
    counts: Mapping[str, int],
    codes: Mapping[str, int],
    *,
    live: bool,
    here: bool,
    progress: Progress | None = None,
    error: str | None = None,
) -> dict[str, Any]:
    """`live`: a process works on it; `here`: this one does. `counts` and `codes` are numbers of items."""
    state = progress.state if progress is not None and live else record.state
    return {
        **{name: getattr(record, name) for name in _NAMES},
        "operation": _operation(record),
        "collection": collection_of(record),
        "state": state.value,
        "live": live,
        "here": here,
        "resumable": not live and record.is_resumable and record.kind not in _CHANGES_NOTHING,
        "counts": {status.value: counts.get(status.value, 0) for status in Status},
        "codes": dict(codes),
        "items": sum(counts.values()),
        "selection": _selection(record),
        "made_with": _plain(record.parameters.get("made_with")),
        "progress": progress_view(progress) if progress is not None else None,
        "error": error,
    }


def progress_view(progress: Progress) -> dict[str, Any]:
    """A moment of a run. Times are seconds, rates items a second, `budget_used` the window's used share (0 to 1)."""
    told = asdict(progress)
    rounded = {name: round(one, 3) if isinstance(one, float) else one for name, one in told.items()}
    return {**rounded, "state": progress.state.value, "settled": progress.settled}


def item_view(outcome: Outcome, inbox: str | None) -> dict[str, Any]:
    """One item: what it was, what it is, why not. `link` opens it in the inbox, where that is known."""
    return {
        "id": outcome.item_id,
        "status": outcome.status.value,
        "code": outcome.code,
        "message": outcome.message,
        "attempts": outcome.attempts,
        "at": outcome.at or None,
        "step": outcome.step,
        "request_id": outcome.request_id,
        "before": _plain(outcome.before),
        "after": _plain(outcome.after),
        "link": inbox + quote(outcome.item_id, safe="") if inbox and " " not in outcome.item_id else None,
    }


def collection_of(record: RunRecord) -> str:
    """What the items are."""
    made_with = record.parameters.get("made_with") or {}
    return str(record.parameters.get("collection") or made_with.get("on") or "conversations")


def inbox(record: RunRecord) -> str | None:
    """What an item's id is put behind to open it; None where there is no such place."""
    return inbox_of(record) if collection_of(record) == "conversations" else None


def _operation(record: RunRecord) -> str:
    is_ours = str(record.parameters.get("updater", "")).startswith("intercom_bulk")
    return (typed(record.title, record.parameters.get("made_with") or {}) if is_ours else None) or record.title


def _selection(record: RunRecord) -> dict[str, Any]:
    """Which items it was let loose on: a list, a plan, or the keywords of a search."""
    listed, digest = record.parameters.get("listed"), record.parameters.get("digest")
    if digest:
        return {"plan": str(digest)}
    if listed:
        return {"ids": listed.get("count"), "name": listed.get("name")}
    keywords = record.parameters.get("keywords") or {}
    return {name: one for name, one in keywords.items() if one is not None}


def _plain(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)
