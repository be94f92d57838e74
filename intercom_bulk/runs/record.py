"""Who started a run, why, with what, and how it stands: everything about a run but its items."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.runs.model import RunState

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RESUMABLE", "RunRecord"]

RESUMABLE = frozenset({RunState.PAUSED, RunState.STOPPED, RunState.HALTED, RunState.INTERRUPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run. Times are epoch seconds.

    `kind` is "update", "undo", "apply" or "retry", or that of a run into the mirror, such as "backfill"; `parent` the
    run that an undo or a retry works on, or a backfill goes on with. `reason` is the caller's why, `ended` the engine's
    word for why it stood still. `by` is the admin of the token, `workspace` the workspace's id: a run is not resumed
    against another one. `parameters` are what the updater was made with and the search keywords, without the token.
    `cutoff`: only items created up to then belong to the run. `counts` and `codes` are the ledger's totals at the end
    of the last life, so that a list of runs reads no items; they are empty while one lives, and after one that was cut.
    """

    run_id: str
    title: str
    kind: str = "update"
    state: RunState = RunState.RUNNING
    run_key: str | None = None
    parent: str | None = None
    reason: str | None = None
    ended: str | None = None
    by: str | None = None
    workspace: str | None = None
    base_url: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    created_at: float = 0.0
    updated_at: float = 0.0
    ended_at: float | None = None
    cutoff: int | None = None
    pass_number: int = 0
    total: int | None = None
    max_items: int | None = None
    lives: int = 1
    counts: Mapping[str, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_resumable(self) -> bool:
        return self.state in RESUMABLE

    def __str__(self) -> str:
        """One line for people."""
        of = f" of {self.parent}" if self.parent else ""
        kind = "" if self.kind == "update" else f" ({self.kind}{of})"
        why = f" ({self.ended})" if self.ended else ""
        return f"{self.run_id}  {self.title}{kind}: {self.state.replace('_', ' ')}{why}"

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), ensure_ascii=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Fields that this version does not know are left out."""
        known = {f.name for f in fields(cls)}
        read = {name: value for name, value in json.loads(text).items() if name in known}
        return cls(**read | {"state": RunState(read["state"])})

    def seen_dead(self) -> RunRecord:
        """The same record, read while no process holds the run: one that was under way was interrupted."""
        under_way = {RunState.RUNNING, RunState.PAUSING}
        return replace(self, state=RunState.INTERRUPTED) if self.state in under_way else self
