"""How a backfill stands, as the mirror's own book tells it: any process may look, and nothing is sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UnknownRun
from intercom_bulk.mirror.fetching.spans import title
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import WindowState
from intercom_bulk.mirror.keeping.wanted import count_unread
from intercom_bulk.runs.model import RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.syncs import Sync, Window
    from intercom_bulk.runs.record import RunRecord

__all__ = ["BackfillStatus", "status_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillStatus:
    """A backfill over all its lives.

    `conversations_fetched` were listed by the search; `conversations_stored` are in the mirror, created in the range;
    `threads_missing` of those are without their thread, or with an older one. `parts` were written. `windows_done` of
    `windows_total`; `holes` are those that failed, each with why; `current_window` is one that is being read. `eta` and
    `seconds` are seconds; `short` conversations have more parts than Intercom shows.
    """

    run_id: str
    state: RunState
    sync_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    depth: Depth = Depth.THREAD
    conversations_fetched: int = 0
    conversations_stored: int = 0
    threads_missing: int = 0
    parts: int = 0
    api_calls: int = 0
    rate_limited: int = 0
    seconds: float = 0.0
    windows_done: int = 0
    windows_total: int = 0
    current_window: str | None = None
    holes: tuple[str, ...] = ()
    short: int = 0
    eta: float | None = None
    reason: str | None = None

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the range is missing."""
        return self.state is RunState.COMPLETED

    def to_record(self) -> dict[str, Any]:
        """As JSON has it; times in ISO 8601."""
        told = asdict(self)
        times = {name: told[name].isoformat() for name in ("since", "until") if told[name] is not None}
        return {**told, **times, "holes": list(self.holes)}

    def __str__(self) -> str:
        """One line for people."""
        told = [f"{self.conversations_stored:,} conversations", f"{self.windows_done} of {self.windows_total} windows"]
        if self.depth is Depth.THREAD:
            told.insert(1, f"{self.parts:,} parts")
        if self.threads_missing:
            told.append(f"{self.threads_missing:,} threads to come")
        if self.holes:
            told.append(f"{len(self.holes)} holes")
        if self.eta is not None:
            told.append(f"{self.eta:.0f} s left")
        why = f" ({self.reason})" if self.reason else ""
        calls = f"{self.api_calls:,} calls, {self.rate_limited} of them 429"
        return f"{self.run_id}  {self.state.replace('_', ' ')}{why}: {', '.join(told)}; {calls}"


def status_of(store: MirrorStore, record: RunRecord) -> BackfillStatus:
    """The backfill of this run."""
    sync_id = str(record.parameters.get("sync") or record.run_id)
    try:
        sync = store.sync(sync_id)
    except UnknownRun:
        return BackfillStatus(run_id=record.run_id, state=record.state, reason=record.ended)
    lo, hi, depth = sync.question["since"], sync.question["until"], Depth(sync.question["depth"])
    windows = store.windows(sync_id)
    stored = store.count_created(lo, hi)
    missing = count_unread(store, lo, hi) if depth is Depth.THREAD else 0
    done = [window for window in windows if window.state is WindowState.STORED]
    is_under_way = record.state in {RunState.RUNNING, RunState.PAUSING, RunState.PAUSED}
    current = next((window for window in windows if window.state is WindowState.FETCHING), None)
    return BackfillStatus(
        run_id=record.run_id,
        state=record.state,
        sync_id=sync_id,
        since=datetime.fromtimestamp(lo, UTC),
        until=datetime.fromtimestamp(hi, UTC),
        depth=depth,
        conversations_fetched=sync.counts.found,
        conversations_stored=stored,
        threads_missing=missing,
        parts=sync.counts.parts,
        api_calls=sync.counts.calls,
        rate_limited=sync.counts.rate_limited,
        seconds=sync.counts.seconds,
        windows_done=len(done),
        windows_total=len(windows),
        current_window=title(current.span) if current is not None and is_under_way else None,
        holes=tuple(
            f"{title(window.span)}: {window.error}" for window in windows if window.state is WindowState.FAILED
        ),
        short=store.count_short(lo, hi),
        eta=_eta(sync, windows, stored - missing) if is_under_way else None,
        reason=record.ended,
    )


def _eta(sync: Sync, windows: Sequence[Window], whole: int) -> float | None:
    """By the pace so far, taking what was not looked at to be as dense as what was. None: nothing to go by."""
    known = [window for window in windows if window.expected is not None or window.state is WindowState.STORED]
    width = sum(len(window.span) for window in known)
    if not width or not whole or not sync.counts.seconds:
        return None
    found = sum(max(window.expected or 0, window.stored) for window in known)
    expected = found * sum(len(window.span) for window in windows) / width
    return max(0.0, sync.counts.seconds * (expected - whole) / whole)
