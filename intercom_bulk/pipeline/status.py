"""How a run of the pipeline stands, as the mirror's database has it: any process may look, and nothing is sent."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import LedgerError
from intercom_bulk.mirror.status import status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.status import BackfillStatus
    from intercom_bulk.pipeline.book import PhaseProgress, Told
    from intercom_bulk.runs.store import RunStore

__all__ = ["CLASSIFICATION", "RESUMABLE", "STORIES", "THEMES", "PipelineStatus", "status_from"]

CLASSIFICATION, THEMES, STORIES = "classification", "theme_extraction", "story_creation"
RESUMABLE = frozenset({"stopped", "failed", "interrupted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStatus:
    """A run of the pipeline over all its lives.

    `status` is running, stopping, stopped, failed, interrupted or completed. `current_phase` is one of `phases`; the
    fetch belongs to the first of them, with `stage` "fetch" (then "process"). `conversations_fetched` were listed by
    the search, `conversations_stored` are in the mirror with all that was said, `conversations_classified` have a
    result of the phase classification. `checkpoint` is what is stored, {} before anything is. `date_from` and `date_to`
    are the range of creation, from and before; `days` its length. `phases`: of each its state (pending, running, done),
    done, total, unchanged, failed, seconds, and its run. `eta` is the seconds to the end of what is under way. `error`
    is why it ended; `warning` what is missing all the same.
    """

    run_id: int
    status: str
    current_phase: str
    stage: str
    conversations_fetched: int = 0
    conversations_classified: int = 0
    conversations_stored: int = 0
    themes: int = 0
    stories: int = 0
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    date_from: datetime
    date_to: datetime
    days: float
    auto_create_stories: bool = True
    phases: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    api_calls: int = 0
    rate_limited: int = 0
    backfill_run_id: str | None = None
    eta: float | None = None
    error: str | None = None
    warning: str | None = None
    started_at: datetime
    ended_at: datetime | None = None
    lives: int = 1

    @property
    def resumable(self) -> bool:
        """Whether it can be gone on with."""
        return self.status in RESUMABLE

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it; times in ISO 8601."""
        times = {name: _iso(getattr(self, name)) for name in ("date_from", "date_to", "started_at", "ended_at")}
        days = int(self.days) if float(self.days).is_integer() else self.days
        return {**asdict(self), **times, "days": days, "resumable": self.resumable}

    def __str__(self) -> str:
        """One line for people."""
        where = "" if self.status == "completed" else f" in {self.current_phase} ({self.stage})"
        told = [
            f"{self.conversations_stored:,} conversations",
            f"{self.conversations_classified:,} classified",
            f"{self.themes:,} themes",
            f"{self.stories:,} stories",
        ]
        if self.eta is not None:
            told.append(f"{self.eta:.0f} s left")
        span = f"{self.date_from:%Y-%m-%d %H:%M} to {self.date_to:%Y-%m-%d %H:%M}"
        why = "".join(f"; {one}" for one in (self.error, self.warning) if one)
        return f"{self.run_id}  {self.status}{where}, {span}: {', '.join(told)}{why}"


def status_from(told: Told, store: MirrorStore, runs: RunStore) -> PipelineStatus:
    """What the book and the mirror say of it."""
    fetch = _fetch(told, store, runs)
    is_under_way = not told.is_over
    current = told.phase(told.current_phase)
    eta = fetch.eta if fetch is not None and told.stage == "fetch" else _eta(current)
    return PipelineStatus(
        run_id=told.id,
        status=told.status,
        current_phase=told.current_phase,
        stage=told.stage,
        conversations_fetched=fetch.conversations_fetched if fetch is not None else 0,
        conversations_stored=fetch.conversations_stored - fetch.threads_missing if fetch is not None else 0,
        conversations_classified=told.phase(CLASSIFICATION).done,
        themes=_count(store, told, THEMES),
        stories=told.phase(STORIES).done,
        checkpoint=told.checkpoint,
        date_from=_at(told.date_from),
        date_to=_at(told.date_to),
        days=told.days,
        auto_create_stories=told.auto_create_stories,
        phases={name: asdict(told.phase(name)) for name in told.phases},
        api_calls=fetch.api_calls if fetch is not None else 0,
        rate_limited=fetch.rate_limited if fetch is not None else 0,
        backfill_run_id=told.backfill_run_id,
        eta=eta if is_under_way else None,
        error=told.error,
        warning=told.warning,
        started_at=_at(told.started_at),
        ended_at=None if told.ended_at is None else _at(told.ended_at),
        lives=told.lives,
    )


def _fetch(told: Told, store: MirrorStore, runs: RunStore) -> BackfillStatus | None:
    """None: it has not begun, or its record was pruned."""
    if told.backfill_run_id is None:
        return None
    try:
        return status_of(store, runs.record(told.backfill_run_id))
    except LedgerError:
        return None


def _eta(phase: PhaseProgress) -> float | None:
    """By the pace of this phase so far; the ones behind it are not guessed at."""
    if phase.total is None or not phase.stored or not phase.seconds:
        return None
    return max(0.0, (phase.total - phase.done - phase.failed) * phase.seconds / phase.stored)


def _count(store: MirrorStore, told: Told, phase: str) -> int:
    """The themes that there are; before this run has worked on them, none."""
    if told.phase(phase).state == "pending":
        return 0
    with store.reading() as on:
        (count,) = on.row("SELECT count(*) FROM themes") or (0,)
    return int(count)


def _at(second: float) -> datetime:
    return datetime.fromtimestamp(second, UTC)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
