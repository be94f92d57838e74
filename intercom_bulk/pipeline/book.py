"""What the pipeline keeps in the mirror's database: its runs, and what its phases said. What is stored and how far a
run has come by it are always one transaction.
"""

from __future__ import annotations

import json
import re
import threading
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UnknownRun
from intercom_bulk.mirror.keeping.backend import chunks, marks
from intercom_bulk.mirror.keeping.phase_tables import CHECKPOINT, STATUS
from intercom_bulk.mirror.keeping.purging import quoted, unwanted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from intercom_bulk.insights.phase import Phase, Result
    from intercom_bulk.mirror.keeping.backend import Connection

__all__ = ["PhaseProgress", "PipelineBook", "Said", "Told", "known_runs", "packed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseProgress:
    """How a phase stands in one run of the pipeline. `state` is pending, running or done; `run_id` that of its run in
    the ledger. `done` items have a result: `stored` by this run, or `unchanged` since an earlier one; `failed` have
    none; `total` is what there is, where that is known. `seconds` are over all lives.
    """

    state: str = "pending"
    run_id: str | None = None
    is_fit: bool = False
    done: int = 0
    stored: int = 0
    unchanged: int = 0
    failed: int = 0
    total: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A run of the pipeline as the book has it. Times are epoch seconds; the range is of `created_at`, from and before.
    `status` is running, stopping, stopped, failed, interrupted or completed; `stage` fetch or process.
    """

    id: int
    status: str
    date_from: int
    date_to: int
    days: float
    auto_create_stories: bool
    phases: tuple[str, ...]
    current_phase: str
    stage: str = "fetch"
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    backfill_run_id: str | None = None
    progress: Mapping[str, PhaseProgress] = field(default_factory=dict)
    lives: int = 1
    error: str | None = None
    warning: str | None = None
    started_at: float = 0.0
    resumed_at: float = 0.0
    ended_at: float | None = None

    def phase(self, name: str) -> PhaseProgress:
        return self.progress.get(name, PhaseProgress())

    def with_phase(self, name: str, progress: PhaseProgress) -> Told:
        """As it stands when this phase stands so."""
        return replace(self, progress={**self.progress, name: progress})

    @property
    def is_over(self) -> bool:
        return self.status not in {"running", "stopping"}

    def seen_dead(self) -> Told:
        """The same, read while nobody works on it."""
        return self if self.is_over else replace(self, status="interrupted")


@dataclass(frozen=True, slots=True)
class Said:
    """A result, ready to be stored."""

    item_id: str
    input_version: str
    phase_version: str
    result: str
    vector: bytes | None = None

    @property
    def digest(self) -> str:
        """Of what others may use of it."""
        return blake2b(self.result.encode() + b"\0" + (self.vector or b""), digest_size=12).hexdigest()


_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def packed(item_id: str, input_version: str, phase_version: str, result: Result) -> Said:
    """What a phase said of an item. Raises TypeError and ValueError for what is no JSON."""
    if not hasattr(result, "items"):
        raise TypeError(f"a result is a mapping, not {type(result).__name__}")
    said = dict(result)
    vector = said.pop("vector", None)
    text = json.dumps(said, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    text = _NUL.sub(r"\1", text).encode("utf-8", "replace").decode()  # no database holds these
    return Said(item_id, input_version, phase_version, text, None if vector is None else _bytes(vector))


def _bytes(vector: Any) -> bytes:
    import numpy as np

    array = np.asarray(vector, dtype="<f4")
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError("a vector is a 1-D array of finite numbers")
    return array.tobytes()


_COLUMNS = {name: f"r.{name}" for name in (f.name for f in fields(Told))}
_COLUMNS |= {"status": STATUS, "checkpoint": CHECKPOINT}


def known_runs(on: Connection, *, run_id: int | None = None, limit: int = 50) -> list[Told]:
    """Runs as they were last written, the newest first; or the one of this id."""
    where, given = ("", (limit,)) if run_id is None else ("WHERE r.id = ?", (run_id, 1))
    sql = f"""
        SELECT {", ".join(_COLUMNS.values())} FROM pipeline_run AS r LEFT JOIN sync AS s ON s.id = r.backfill_run_id
        {where} ORDER BY r.id DESC LIMIT ?
    """  # noqa: S608  constants
    return [_told(row) for row in on.rows(sql, given)]


def _told(row: Sequence[Any]) -> Told:
    read = dict(zip(_COLUMNS, row, strict=True))
    progress = {name: PhaseProgress(**one) for name, one in json.loads(read["progress"]).items()}
    return Told(
        **read
        | {
            "auto_create_stories": bool(read["auto_create_stories"]),
            "phases": tuple(json.loads(read["phases"])),
            "checkpoint": json.loads(read["checkpoint"]),
            "progress": progress,
        }
    )


class PipelineBook:
    """Writes. Its methods may be called from several threads; each is a transaction of its own."""

    def __init__(self, on: Connection) -> None:
        self._on = on
        self._lock = threading.Lock()

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        with self._lock, self._on.atomic():
            yield

    # -- runs

    def begin(self, told: Told) -> Told:
        """A new run, under the next number. Runs that nobody ended were interrupted."""
        with self._atomic():
            self._on.execute("UPDATE pipeline_run SET status = 'interrupted' WHERE status = 'running'")
            (last,) = self._on.row("SELECT coalesce(max(id), 0) FROM pipeline_run") or (0,)
            begun = replace(told, id=int(last) + 1)
            self._on.execute(
                _INSERT,
                (
                    begun.id, begun.status, begun.date_from, begun.date_to, begun.days, begun.auto_create_stories,
                    json.dumps(begun.phases), begun.current_phase, begun.stage, "{}", begun.backfill_run_id, "{}",
                    False, 1, None, None, begun.started_at, begun.resumed_at, None,
                ),
            )  # fmt: skip
        return begun

    def begin_again(self, told: Told, *, at: float) -> Told:
        """Another life of a run. What was asked of an earlier one is not asked of this one."""
        with self._atomic():
            self._on.execute("UPDATE pipeline_run SET status = 'interrupted' WHERE status = 'running'")
            self._on.execute(
                "UPDATE pipeline_run SET status = 'running', stop_wanted = ?, lives = lives + 1, error = NULL,"
                " resumed_at = ?, ended_at = NULL WHERE id = ?",
                (False, at, told.id),
            )
            (begun,) = known_runs(self._on, run_id=told.id)
        return begun

    def save(self, told: Told) -> None:
        """How far a run has come."""
        with self._atomic():
            self._save(told)

    def end(self, told: Told, status: str, *, at: float, error: str | None = None) -> None:
        """How this life of it ended."""
        with self._atomic():
            self._save(told)
            self._on.execute(
                "UPDATE pipeline_run SET status = ?, error = ?, ended_at = ?, stop_wanted = ? WHERE id = ?",
                (status, error, at, False, told.id),
            )

    def ask_to_stop(self, run_id: int) -> bool:
        """Whether there is a life of it to be asked."""
        with self._atomic():
            sql = "UPDATE pipeline_run SET stop_wanted = ? WHERE id = ? AND status = 'running'"
            return self._on.execute(sql, (True, run_id)) == 1

    def is_asked_to_stop(self, run_id: int) -> bool:
        with self._lock:
            row = self._on.row("SELECT stop_wanted FROM pipeline_run WHERE id = ?", (run_id,))
        return row is not None and bool(row[0])

    def _save(self, told: Told) -> None:
        progress = json.dumps({name: asdict(one) for name, one in told.progress.items()})
        changed = self._on.execute(
            "UPDATE pipeline_run SET current_phase = ?, stage = ?, checkpoint = ?, backfill_run_id = ?, progress = ?,"
            " warning = ? WHERE id = ?",
            (
                told.current_phase, told.stage, json.dumps(told.checkpoint), told.backfill_run_id, progress,
                told.warning, told.id,
            ),
        )  # fmt: skip
        if not changed:
            raise UnknownRun(f"Run {told.id} of the pipeline is not in the mirror's database any more.")

    # -- what phases say

    def save_results(self, told: Told, phase: str, said: Sequence[Said], *, at: float) -> None:
        """Results, and how far the run has come by them. Of what was deleted since it was read nothing is stored."""
        with self._atomic():
            quotes = {one.item_id: quoted(one.result) for one in said}
            gone = unwanted(self._on, {*quotes, *(one for some in quotes.values() for one in some)})
            rows = [
                (phase, one.item_id, one.input_version, one.phase_version, one.digest, one.result, one.vector, told.id,
                 at)
                for one in said if one.item_id not in gone and not quotes[one.item_id] & gone
            ]  # fmt: skip
            self._on.execute_many(_UPSERT, rows)
            self._save(told)

    def save_state(self, told: Told, phase: Phase, state: bytes | None, *, at: float) -> None:
        """What `fit()` returned, and that the run has it."""
        with self._atomic():
            self._on.execute(
                "INSERT INTO phase_state VALUES (?, ?, ?, ?, ?) ON CONFLICT (phase) DO UPDATE SET"
                " version = excluded.version, state = excluded.state, run_id = excluded.run_id,"
                " stored_at = excluded.stored_at",
                (phase.name, phase.version, state, told.id, at),
            )
            self._save(told)

    def forget(self, phase: str, items: Collection[str]) -> int:
        """Results of these items."""
        count = 0
        with self._atomic():
            for batch in chunks(items):
                sql = f"DELETE FROM phase_result WHERE phase = ? AND item_id IN ({marks(len(batch))})"  # noqa: S608
                count += self._on.execute(sql, (phase, *batch))
        return count

    def close(self) -> None:
        """Let the next one work."""
        with self._lock:
            self._on.close()


_NEW = (
    "id, status, date_from, date_to, days, auto_create_stories, phases, current_phase, stage, checkpoint,"
    " backfill_run_id, progress, stop_wanted, lives, error, warning, started_at, resumed_at, ended_at"
)
_INSERT = f"INSERT INTO pipeline_run ({_NEW}) VALUES ({marks(_NEW.count(',') + 1)})"  # noqa: S608  constants
_UPSERT = """
    INSERT INTO phase_result (phase, item_id, input_version, phase_version, digest, result, vector, run_id, stored_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (phase, item_id) DO UPDATE SET input_version = excluded.input_version,
        phase_version = excluded.phase_version, digest = excluded.digest, result = excluded.result,
        vector = excluded.vector, run_id = excluded.run_id, stored_at = excluded.stored_at
"""
