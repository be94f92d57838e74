"""What happened to each item of one run, written before and after it happens.

A file per run, one writer. A row of `item` is one item, at the step that is next; a row of `step` is one step of a
composite's item, and other runs have none.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from intercom_bulk.errors import LedgerError
from intercom_bulk.runs.database import Database
from intercom_bulk.runs.model import ITEM_TRANSITIONS, Effect, Item, Outcome, Page, Slice, Status, StepRecord
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.rows import ascii_lower, fields_of, outcome_of, row_of, slice_of, step_of, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from intercom_bulk.runs.wishes import Wish

__all__ = ["Ledger", "Recovered", "RunLedger"]

_STATUSES = ", ".join(f"'{status}'" for status in Status)

_MIGRATIONS = (
    f"""
    CREATE TABLE run (only INTEGER PRIMARY KEY CHECK (only = 1), record TEXT NOT NULL) STRICT;
    CREATE TABLE item (
        id TEXT NOT NULL, step INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL CHECK (status IN ({_STATUSES})),
        attempts INTEGER NOT NULL DEFAULT 0, started_at REAL, at REAL, code TEXT, message TEXT, request_id TEXT,
        before TEXT, after TEXT, detail TEXT, PRIMARY KEY (id, step)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE slice (
        pass INTEGER NOT NULL, key TEXT NOT NULL, cursor TEXT, position REAL, lo REAL, hi REAL, until REAL,
        pages INTEGER NOT NULL, done INTEGER NOT NULL, PRIMARY KEY (pass, key)
    ) STRICT;
    """,
    """
    CREATE TABLE step (
        id TEXT NOT NULL, step INTEGER NOT NULL, before TEXT, after TEXT, at REAL, attempts INTEGER NOT NULL DEFAULT 0,
        request_id TEXT, code TEXT, message TEXT, PRIMARY KEY (id, step)
    ) STRICT, WITHOUT ROWID;
    """,
)
_COLUMNS = "id, status, code, message, attempts, before, after, request_id, at, detail, step"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an earlier life of a run left: items to go on with, attempts whose end nobody knows, and how far it read.

    `staged` are (item, attempts so far); `doubts` are (outcome of status `unknown`, epoch seconds of the intent);
    `attempted` counts items ever sent. `steps`, by item id, are those of the staged and doubtful items of a composite.
    """

    staged: Sequence[tuple[Item, int]]
    doubts: Sequence[tuple[Outcome, float]]
    slices: Sequence[Slice]
    attempted: int
    known: int
    steps: Mapping[str, Sequence[StepRecord]] = field(default_factory=dict)


class RunLedger(Protocol):
    """One run's record, wherever it is kept. Writing is done inside `atomic()`, by one thread.

    Raises `LedgerError` when it cannot be kept, and for a step that no item may take: at the latest when `atomic()`
    ends, and then nothing of the block was kept.
    """

    def atomic(self) -> AbstractContextManager[None]:
        """All of the block or none of it; on the disk when it ends."""

    def record(self) -> RunRecord | None:
        """Who, why, with what, and how it stands."""

    def save(self, record: RunRecord) -> None: ...

    def recover(self, pass_number: int, alive_until: float = 0.0) -> Recovered:
        """Take over after another life: what was started and never settled is in doubt from now on.

        `alive_until` (epoch seconds): an intent may have waited for its turn, so what was in flight may have been sent
        as late as that.
        """

    def slices(self, pass_number: int) -> list[Slice]:
        """How far each part of the source was read."""

    def save_slice(self, part: Slice, pass_number: int) -> None:
        """A cursor is data: written with the items before it."""

    def stage(
        self, page: Page, pass_number: int, effects: Mapping[str, Effect | Exception | None] | None = None
    ) -> list[Item]:
        """Record a page and the cursor after it; the items that this run had not seen before."""

    def start(self, items: Iterable[Item], now: float) -> None:
        """The intent, before anything leaves the machine."""

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes, final or `unknown`."""

    def restage(self, items: Iterable[Item], *, attempted: bool) -> None:
        """Back to `staged`: to be tried again (`attempted`), or because the run stopped before they were sent."""

    def complete(self, item_id: str, records: Sequence[StepRecord]) -> None:
        """The steps of a composite's item that are over now, in order; the item stands at the one after them."""

    def steps(self, *item_ids: str) -> dict[str, list[StepRecord]]:
        """The steps of these items, in order, by item id; what has none is left out."""

    def counts(self) -> dict[Status, int]:
        """How many items stand where."""

    def codes(self) -> dict[str, int]:
        """How many items ended with which code."""

    def outcomes(self, *statuses: Status, newest_first: bool = False) -> Iterator[Outcome]:
        """What is recorded of the items of these statuses (of all, when none is named), in the order they settled."""

    def settled(
        self, statuses: Sequence[Status], *, below: tuple[float, str] | None = None, limit: int = 500
    ) -> list[Outcome]:
        """Newest first, at most `limit` of them, those before `below` (when, item id): data to go on from."""

    def page(
        self, *, status: Status | None = None, text: str | None = None, after: str = "", limit: int = 50
    ) -> list[Outcome]:
        """At most `limit` items whose id comes after that one, in the order of the ids' bytes: a place that stays where
        it is while the run goes on. `text`: what id, code or message contain; small and capital a to z are one.
        """

    def with_before(self, status: Status) -> int:
        """How many items of this status have what they were before on record."""

    def wish(self) -> Wish | None:
        """What another process asks of this life of the run, told once: see `RunStore.ask`. Outside `atomic()`."""

    def close(self) -> None: ...


class Ledger:
    """One run's record in a file of its own, or in a temporary one."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        read_only: bool = False,
        check: bool = False,
        on_close: Callable[[], None] | None = None,
        hear: Callable[[], Wish | None] = lambda: None,
    ) -> None:
        self._folder = None if path else tempfile.TemporaryDirectory(prefix="intercom-bulk-")
        where = path or Path(self._folder.name if self._folder else "") / "run.db"
        durable = path is not None
        self._database = Database(where, _MIGRATIONS, durable=durable, read_only=read_only, check=check)
        self._on_close = on_close
        self._hear = hear

    def atomic(self) -> AbstractContextManager[None]:
        return self._database.atomic()

    # -- the run

    def record(self) -> RunRecord | None:
        """Who, why, with what, and how it stands."""
        row = self._database.row("SELECT record FROM run")
        return RunRecord.from_json(str(row[0])) if row is not None else None

    def save(self, record: RunRecord) -> None:
        sql = "INSERT INTO run VALUES (1, ?) ON CONFLICT (only) DO UPDATE SET record=excluded.record"
        self._database.execute(sql, (record.to_json(),))

    def recover(self, pass_number: int, alive_until: float = 0.0) -> Recovered:
        """Take over after another life: what was started and never settled is in doubt from now on.

        `alive_until` (epoch seconds): an intent may have waited for its turn, so what was in flight may have been sent
        as late as that.
        """
        with self.atomic():
            sql = (
                "UPDATE item SET status=?, started_at=max(started_at, ?), code=coalesce(code, 'interrupted'),"
                " message=coalesce(message, ?) WHERE status=?"
            )
            lost = "The process ended before the answer was recorded."
            self._database.execute(sql, (Status.UNKNOWN, alive_until, lost, Status.STARTED))
            steps = self._steps("SELECT id FROM item WHERE status IN (?, ?)", (Status.STAGED, Status.UNKNOWN))
            staged = [(Item(o.item_id, effect=o.effect, step=o.step), o.attempts) for o in self.outcomes(Status.STAGED)]
            doubts = [(outcome, self._started_at(outcome.item_id)) for outcome in self.outcomes(Status.UNKNOWN)]
            sql = "SELECT count(*), coalesce(sum(attempts > 0), 0) FROM item"
            known, attempted = self._database.row(sql) or (0, 0)
        return Recovered(staged, doubts, self.slices(pass_number), int(str(attempted)), int(str(known)), steps)

    def _started_at(self, item_id: str) -> float:
        row = self._database.row("SELECT started_at FROM item WHERE id=?", (item_id,))
        return float(str(row[0] or 0.0)) if row is not None else 0.0

    # -- how far it was read

    def slices(self, pass_number: int) -> list[Slice]:
        sql = "SELECT key, lo, hi, until, cursor, position, pages, done FROM slice WHERE pass=? ORDER BY key"
        return [slice_of(row) for row in self._database.rows(sql, (pass_number,))]

    def save_slice(self, part: Slice, pass_number: int) -> None:
        """A cursor is data: written with the items before it."""
        self._database.execute(
            "INSERT INTO slice (pass, key, cursor, position, lo, hi, until, pages, done)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pass, key) DO UPDATE SET cursor=excluded.cursor,"
            " position=excluded.position, until=excluded.until, pages=excluded.pages, done=excluded.done",
            (pass_number, part.key, part.cursor, part.position, part.lo, part.hi, part.until, part.pages, part.done),
        )

    # -- items

    def stage(
        self, page: Page, pass_number: int, effects: Mapping[str, Effect | Exception | None] | None = None
    ) -> list[Item]:
        """Record a page and the cursor after it; the items that this run had not seen before.

        `effects`, by item id: what the action would change. Kept from here on, so that an undo has its `before`.
        """
        self.save_slice(page.after, pass_number)
        known = effects or {}
        return [item for item in page.items if self._is_new(item, known.get(item.id))]

    def _is_new(self, item: Item, effect: Effect | Exception | None) -> bool:
        known = effect if isinstance(effect, Effect) else None
        told = known if known is not None and known.is_known else None
        sql = (
            "INSERT INTO item (id, status, before, after) SELECT ?1, ?2, ?3, ?4"
            " WHERE NOT EXISTS (SELECT 1 FROM item WHERE id=?1)"
        )
        is_new = self._database.execute(sql, (item.id, Status.STAGED, *fields_of(told))) == 1
        if is_new and known is not None and known.parts:
            rows = [(item.id, number, *fields_of(part)) for number, part in enumerate(known.parts)]
            self._database.execute_many("INSERT INTO step (id, step, before, after) VALUES (?, ?, ?, ?)", rows)
        return is_new

    def start(self, items: Iterable[Item], now: float) -> None:
        """The intent, before anything leaves the machine."""
        rows = [(Status.STARTED, now, item.id, Status.STAGED) for item in items]
        sql = "UPDATE item SET status=?, started_at=?, attempts=attempts+1 WHERE id=? AND status=?"
        self._expect(self._database.execute_many(sql, rows), len(rows))

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes, final or `unknown`. Raises `LedgerError` for a step that no item may take."""
        sql = (
            "UPDATE item SET status=?, at=?, code=?, message=?, request_id=?, detail=?"
            " WHERE id=? AND status IN (SELECT value FROM json_each(?))"
        )
        rows = [(*row_of(outcome), outcome.item_id, _ORIGINS[outcome.status]) for outcome in outcomes]
        self._expect(self._database.execute_many(sql, rows), len(rows))

    def restage(self, items: Iterable[Item], *, attempted: bool) -> None:
        """Back to `staged`: to be tried again (`attempted`), or because the run stopped before they were sent."""
        rows = [(Status.STAGED, 0 if attempted else 1, item.id, _ORIGINS[Status.STAGED]) for item in items]
        sql = "UPDATE item SET status=?, attempts=attempts-? WHERE id=? AND status IN (SELECT value FROM json_each(?))"
        self._expect(self._database.execute_many(sql, rows), len(rows))

    def complete(self, item_id: str, records: Sequence[StepRecord]) -> None:
        """The steps of a composite's item that are over now, in order; the item stands at the one after them."""
        sql = "UPDATE step SET at=?, attempts=?, request_id=?, code=?, message=? WHERE id=? AND step=? AND at IS NULL"
        rows = [(*told_of(record), item_id, record.step) for record in records]
        self._expect(self._database.execute_many(sql, rows), len(rows))
        sql = "UPDATE item SET step=? WHERE id=? AND step=?"
        self._expect(self._database.execute(sql, (records[-1].step + 1, item_id, records[0].step)), 1)

    def steps(self, *item_ids: str) -> dict[str, list[StepRecord]]:
        """The steps of these items, in order, by item id; what has none is left out."""
        if self._database.row("SELECT 1 FROM sqlite_master WHERE name='step'") is None:
            return {}  # an older version's file, opened to be read
        return self._steps("SELECT value FROM json_each(?)", (json.dumps(item_ids),))

    def _steps(self, ids: str, parameters: Sequence[object]) -> dict[str, list[StepRecord]]:
        """`ids`: a query for them."""
        columns = "id, step, before, after, at, attempts, request_id, code, message"
        sql = f"SELECT {columns} FROM step WHERE id IN ({ids}) ORDER BY id, step"  # noqa: S608  our own words
        found: dict[str, list[StepRecord]] = {}
        for item_id, *row in self._database.rows(sql, parameters):
            found.setdefault(str(item_id), []).append(step_of(row))
        return found

    def counts(self) -> dict[Status, int]:
        """How many items stand where."""
        rows = self._database.rows("SELECT status, count(*) FROM item GROUP BY status")
        return {Status(str(status)): int(str(count)) for status, count in rows}

    def codes(self) -> dict[str, int]:
        """How many items ended with which code."""
        rows = self._database.rows("SELECT code, count(*) FROM item WHERE code IS NOT NULL GROUP BY code")
        return {str(code): int(str(count)) for code, count in rows}

    def outcomes(self, *statuses: Status, newest_first: bool = False) -> Iterator[Outcome]:
        """What is recorded of the items of these statuses (of all, when none is named), in the order they settled."""
        sql = (
            f"SELECT {_COLUMNS} FROM item"  # noqa: S608  our own names
            " WHERE status IN (SELECT value FROM json_each(?)) ORDER BY at * ?, id"
        )
        for row in self._database.rows(sql, (json.dumps(statuses or list(Status)), -1 if newest_first else 1)):
            yield outcome_of(row)

    def settled(
        self, statuses: Sequence[Status], *, below: tuple[float, str] | None = None, limit: int = 500
    ) -> list[Outcome]:
        """Newest first, at most `limit` of them, those before `below` (when, item id): data to go on from."""
        sql = (
            f"SELECT {_COLUMNS} FROM item"  # noqa: S608  our own names
            " WHERE status IN (SELECT value FROM json_each(?)) AND (coalesce(at, 0.0), id) < (?, ?)"
            " ORDER BY coalesce(at, 0.0) DESC, id DESC LIMIT ?"
        )
        at, item_id = below or (float("inf"), "")
        return [outcome_of(row) for row in self._database.rows(sql, (json.dumps(list(statuses)), at, item_id, limit))]

    def page(
        self, *, status: Status | None = None, text: str | None = None, after: str = "", limit: int = 50
    ) -> list[Outcome]:
        """At most `limit` items whose id comes after that one, in the order of the ids' bytes: a place that stays where
        it is while the run goes on. `text`: what id, code or message contain; small and capital a to z are one.
        """
        sql, values = f"SELECT {_COLUMNS} FROM item WHERE id > ?", [after, limit]  # noqa: S608  our own names
        if status is not None:
            sql, values = f"{sql} AND status = ?", [*values[:-1], status.value, limit]
        if text:
            found = (
                "instr(lower(id), ?) OR instr(lower(coalesce(code, '')), ?) OR instr(lower(coalesce(message, '')), ?)"
            )
            sql, values = f"{sql} AND ({found})", [*values[:-1], *[ascii_lower(text)] * 3, limit]
        return [outcome_of(row) for row in self._database.rows(f"{sql} ORDER BY id LIMIT ?", values)]

    def with_before(self, status: Status) -> int:
        """How many items of this status have what they were before on record."""
        sql = "SELECT count(*) FROM item WHERE status=? AND before IS NOT NULL AND after IS NOT NULL"
        (count,) = self._database.row(sql, (status,)) or (0,)
        return int(str(count))

    def wish(self) -> Wish | None:
        return self._hear()

    def close(self) -> None:
        self._database.close()
        if self._folder is not None:
            self._folder.cleanup()
        if self._on_close is not None:
            self._on_close()

    @staticmethod
    def _expect(changed: int, expected: int) -> None:
        if changed != expected:
            raise LedgerError(f"the ledger refused a step: {changed} of {expected} items were where they had to be")


_ORIGINS: Mapping[Status, str] = {
    target: json.dumps([origin for origin, targets in ITEM_TRANSITIONS.items() if target in targets])
    for target in Status
}
"""For each status, as a JSON list, those an item may come from."""
