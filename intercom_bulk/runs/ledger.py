"""What happened to each item of one run, written before and after it happens.

A file per run, one writer. Items are keyed by (item, step); this version of the library knows runs of one step. The
file is temporary for now: it keeps memory flat and the order of writes honest, and is gone when the run ends.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from intercom_bulk.runs.database import Database
from intercom_bulk.runs.model import ITEM_TRANSITIONS, Effect, Item, Outcome, Page, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

__all__ = ["Ledger"]

_STATUSES = ", ".join(f"'{status}'" for status in Status)

_MIGRATIONS = (
    f"""
    CREATE TABLE item (
        id TEXT NOT NULL, step INTEGER NOT NULL DEFAULT 0, status TEXT NOT NULL CHECK (status IN ({_STATUSES})),
        attempts INTEGER NOT NULL DEFAULT 0, started_at REAL, at REAL, code TEXT, message TEXT, request_id TEXT,
        before TEXT, after TEXT, detail TEXT, PRIMARY KEY (id, step)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE slice (
        pass INTEGER NOT NULL, key TEXT NOT NULL, cursor TEXT, position REAL, lo REAL, hi REAL, until REAL,
        done INTEGER NOT NULL, PRIMARY KEY (pass, key)
    ) STRICT;
    """,
)


class Ledger:
    """One run's record. Every method but `close` is called inside `atomic()`, by the thread that made the ledger."""

    def __init__(self, path: Path | None = None) -> None:
        self._folder = None if path else tempfile.TemporaryDirectory(prefix="intercom-bulk-")
        where = path or Path(self._folder.name if self._folder else "") / "run.db"
        self._database = Database(where, _MIGRATIONS, durable=path is not None)

    def atomic(self) -> AbstractContextManager[None]:
        return self._database.atomic()

    def stage(
        self, page: Page, pass_number: int, effects: Mapping[str, Effect | Exception | None] | None = None
    ) -> list[Item]:
        """Record a page and the cursor after it; the items that this run had not seen before.

        `effects`, by item id: what the action would change. Kept from here on, so that an undo has its `before`.
        """
        after = page.after
        self._database.execute(
            "INSERT INTO slice VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (pass, key) DO UPDATE SET"
            " cursor=excluded.cursor, position=excluded.position, until=excluded.until, done=excluded.done",
            (pass_number, after.key, after.cursor, after.position, after.lo, after.hi, after.until, int(after.done)),
        )
        known = effects or {}
        return [item for item in page.items if self._is_new(item, known.get(item.id))]

    def _is_new(self, item: Item, effect: Effect | Exception | None) -> bool:
        before, after = (_json(effect.before), _json(effect.after)) if isinstance(effect, Effect) else (None, None)
        sql = "INSERT INTO item (id, status, before, after) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
        return self._database.execute(sql, (item.id, Status.STAGED, before, after)) == 1

    def start(self, items: Iterable[Item], now: float) -> None:
        """The intent, before anything leaves the machine."""
        rows = [(Status.STARTED, now, item.id, Status.STAGED) for item in items]
        sql = "UPDATE item SET status=?, started_at=?, attempts=attempts+1 WHERE id=? AND status=?"
        self._expect(self._database.execute_many(sql, rows), len(rows))

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Outcomes, final or `unknown`. Raises `ValueError` for a step that no item may take."""
        sql = (
            "UPDATE item SET status=?, at=?, code=?, message=?, request_id=?, detail=?"
            " WHERE id=? AND status IN (SELECT value FROM json_each(?))"
        )
        rows = [(*_row(outcome), outcome.item_id, _ORIGINS[outcome.status]) for outcome in outcomes]
        self._expect(self._database.execute_many(sql, rows), len(rows))

    def restage(self, items: Iterable[Item], *, attempted: bool) -> None:
        """Back to `staged`: to be tried again (`attempted`), or because the run stopped before they were sent."""
        rows = [(Status.STAGED, 0 if attempted else 1, item.id, _ORIGINS[Status.STAGED]) for item in items]
        sql = "UPDATE item SET status=?, attempts=attempts-? WHERE id=? AND status IN (SELECT value FROM json_each(?))"
        self._expect(self._database.execute_many(sql, rows), len(rows))

    def counts(self) -> dict[Status, int]:
        """How many items stand where."""
        rows = self._database.rows("SELECT status, count(*) FROM item GROUP BY status")
        return {Status(str(status)): int(str(count)) for status, count in rows}

    def outcomes(self, *statuses: Status) -> Iterator[Outcome]:
        """What is recorded of the items of these statuses, in the order they settled."""
        sql = (
            "SELECT id, status, code, message, attempts, before, after, request_id, at, detail FROM item"
            " WHERE status IN (SELECT value FROM json_each(?)) ORDER BY at, id"
        )
        for row in self._database.rows(sql, (json.dumps(statuses),)):
            yield _outcome(row)

    def close(self) -> None:
        self._database.close()
        if self._folder is not None:
            self._folder.cleanup()

    @staticmethod
    def _expect(changed: int, expected: int) -> None:
        if changed != expected:
            raise ValueError(f"the ledger refused a step: {changed} of {expected} items were where they had to be")


_ORIGINS: Mapping[Status, str] = {
    target: json.dumps([origin for origin, targets in ITEM_TRANSITIONS.items() if target in targets])
    for target in Status
}
"""For each status, as a JSON list, those an item may come from."""


def _row(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.status,
        outcome.at,
        outcome.code,
        outcome.message,
        outcome.request_id,
        outcome.detail,
    )


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def _outcome(row: tuple[object, ...]) -> Outcome:
    item_id, status, code, message, attempts, before, after, request_id, at, detail = row
    return Outcome(
        item_id=str(item_id),
        status=Status(str(status)),
        code=_text(code),
        message=_text(message),
        attempts=int(str(attempts)),
        before=json.loads(str(before)) if before is not None else None,
        after=json.loads(str(after)) if after is not None else None,
        request_id=_text(request_id),
        at=float(str(at or 0.0)),
        detail=_text(detail),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
