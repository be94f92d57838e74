"""One run's record in PostgreSQL.

What is written inside `atomic()` gathers and travels together when the block ends, or when something is asked: two
journeys to the server for a turn of the engine, however many items it moves.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import LedgerError
from intercom_bulk.runs.ledger import Recovered
from intercom_bulk.runs.model import ITEM_TRANSITIONS, Effect, Item, Outcome, Page, Slice, Status, StepRecord
from intercom_bulk.runs.postgres.paging import COLUMNS, page_of, told_code
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.wishes import Wish

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from intercom_bulk.runs.postgres.session import Session, Statement

__all__ = ["PostgresLedger"]

_STEPS = [f"{origin}>{target}" for origin, targets in ITEM_TRANSITIONS.items() for target in targets]
"""The steps that an item may take, as the statements below compare them."""

_STAGE = """
    INSERT INTO intercom_bulk.item (item_id, before, after, run_id, status)
    SELECT new.*, runs.id, 'staged' FROM unnest(%s::text[], %s::text[], %s::text[]) AS new (item_id, before, after),
        (SELECT %s::text AS id) AS runs
    WHERE NOT EXISTS (
        SELECT FROM intercom_bulk.item AS old WHERE old.run_id = runs.id AND old.item_id = new.item_id
    )
    ON CONFLICT DO NOTHING RETURNING item_id
"""
_STAGE_STEPS = """
    INSERT INTO intercom_bulk.step (item_id, step, before, after, run_id)
    SELECT new.*, %s FROM unnest(%s::text[], %s::int[], %s::text[], %s::text[]) AS new
"""
_START = """
    UPDATE intercom_bulk.item SET status = new.status, started_at = new.started_at, attempts = attempts + 1
    FROM unnest(%s::text[], %s::text[], %s::float8[]) AS new (item_id, status, started_at)
    WHERE item.run_id = %s AND item.item_id = new.item_id
        AND item.status || '>' || new.status = ANY(%s)
"""
_SETTLE = """
    UPDATE intercom_bulk.item
    SET status = new.status, at = new.at, code = new.code, message = new.message, request_id = new.request_id,
        detail = new.detail
    FROM unnest(%s::text[], %s::text[], %s::float8[], %s::text[], %s::text[], %s::text[], %s::text[])
        AS new (item_id, status, at, code, message, request_id, detail)
    WHERE item.run_id = %s AND item.item_id = new.item_id
        AND item.status || '>' || new.status = ANY(%s)
"""
_RESTAGE = """
    UPDATE intercom_bulk.item SET status = new.status, attempts = attempts - new.unsent
    FROM unnest(%s::text[], %s::text[], %s::int[]) AS new (item_id, status, unsent)
    WHERE item.run_id = %s AND item.item_id = new.item_id
        AND item.status || '>' || new.status = ANY(%s)
"""
_FINISH = """
    UPDATE intercom_bulk.step
    SET at = new.at, attempts = new.attempts, request_id = new.request_id, code = new.code, message = new.message
    FROM unnest(%s::text[], %s::int[], %s::float8[], %s::int[], %s::text[], %s::text[], %s::text[])
        AS new (item_id, step, at, attempts, request_id, code, message)
    WHERE step.run_id = %s AND step.item_id = new.item_id AND step.step = new.step AND step.at IS NULL
"""
_ADVANCE = """
    UPDATE intercom_bulk.item SET step = new.next, deaths = 0
    FROM unnest(%s::text[], %s::int[], %s::int[]) AS new (item_id, step, next)
    WHERE item.run_id = %s AND item.item_id = new.item_id AND item.step = new.step
"""
_SAVE = "UPDATE intercom_bulk.run SET record = %s WHERE run_id = %s"
_SAVE_SLICE = """
    INSERT INTO intercom_bulk.slice (run_id, pass, key, lo, hi, until, cursor, position, pages, done)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (run_id, pass, key) DO UPDATE SET cursor = excluded.cursor, position = excluded.position,
        until = excluded.until, pages = excluded.pages, done = excluded.done
"""
_RECORD = "SELECT record FROM intercom_bulk.run WHERE run_id = %s"
_SLICES = """
    SELECT key, lo, hi, until, cursor, position, pages, done FROM intercom_bulk.slice
    WHERE run_id = %s AND pass = %s ORDER BY key
"""
_LOST = """
    UPDATE intercom_bulk.item
    SET status = 'unknown', started_at = greatest(started_at, %s), code = coalesce(code, 'interrupted'),
        message = coalesce(message, 'The process ended before the answer was recorded.'), deaths = deaths + 1
    WHERE run_id = %s AND status = 'started'
"""
_DEATHS = """
    SELECT item_id, deaths FROM intercom_bulk.item
    WHERE run_id = %s AND deaths > 0 AND status IN ('staged', 'unknown')
"""
_KNOWN = "SELECT count(*), count(*) FILTER (WHERE attempts > 0) FROM intercom_bulk.item WHERE run_id = %s"
_COUNTS = "SELECT status, count(*) FROM intercom_bulk.item WHERE run_id = %s GROUP BY status"
_CODES = "SELECT code, count(*) FROM intercom_bulk.item WHERE run_id = %s AND code <> '' GROUP BY code"
_OUTCOMES = f"""
    SELECT {COLUMNS} FROM intercom_bulk.item WHERE run_id = %s AND status = ANY(%s)
    ORDER BY at * %s NULLS FIRST, item_id
"""  # noqa: S608  our own names
_SETTLED = f"""
    SELECT {COLUMNS} FROM intercom_bulk.item
    WHERE run_id = %s AND status = ANY(%s) AND (coalesce(at, 0.0), item_id COLLATE "C") < (%s, %s)
    ORDER BY coalesce(at, 0.0) DESC, item_id COLLATE "C" DESC LIMIT %s
"""  # noqa: S608  our own names
_STEP_COLUMNS = "item_id, step, before, after, at, attempts, request_id, code, message"
_STEPS_OF = f"""
    SELECT {_STEP_COLUMNS} FROM intercom_bulk.step WHERE run_id = %s AND item_id = ANY(%s) ORDER BY item_id, step
"""  # noqa: S608  our own names
_OPEN_STEPS = f"""
    SELECT {_STEP_COLUMNS} FROM intercom_bulk.step WHERE run_id = %s AND item_id IN (
        SELECT item_id FROM intercom_bulk.item WHERE run_id = step.run_id AND status IN ('staged', 'unknown')
    ) ORDER BY item_id, step
"""  # noqa: S608  our own names
_WITH_BEFORE = """
    SELECT count(*) FROM intercom_bulk.item
    WHERE run_id = %s AND status = %s AND before IS NOT NULL AND after IS NOT NULL
"""
_WISH = "DELETE FROM intercom_bulk.wish WHERE run_id = %s RETURNING life, wish"


class PostgresLedger:
    """The session is the ledger's own, and its lock on the run with it: whoever lost the one can no longer write."""

    def __init__(self, session: Session, run_id: str, life: str = "") -> None:
        self._session = session
        self._run_id = run_id
        self._life = life
        self._inside = False
        self._steps: dict[str, list[tuple[object, ...]]] = {}
        self._moved: dict[str, int] = {}
        self._finished: list[tuple[object, ...]] = []
        self._advanced: dict[str, tuple[int, int]] = {}
        self._slices: dict[tuple[int, str], Slice] = {}
        self._record: RunRecord | None = None

    @contextmanager
    def atomic(self) -> Iterator[None]:
        with self._session.atomic():
            self._inside = True
            try:
                yield
                self._flush()
            finally:
                self._inside = False
                self._forget()

    # -- the run

    def record(self) -> RunRecord | None:
        self._flush()
        row = self._session.row(_RECORD, (self._run_id,))
        return RunRecord.from_json(row[0]) if row is not None else None

    def save(self, record: RunRecord) -> None:
        self._record = record
        self._written()

    def recover(self, pass_number: int, alive_until: float = 0.0) -> Recovered:
        with self.atomic():
            _, (_, ((known, attempted),)) = self._session.run(
                (_LOST, (alive_until, self._run_id)), (_KNOWN, (self._run_id,))
            )
            staged = [(Item(o.item_id, effect=o.effect, step=o.step), o.attempts) for o in self.outcomes(Status.STAGED)]
            doubts = [(_outcome(row), row[0] or 0.0) for row in self._rows([Status.UNKNOWN])]
            steps = _by_item(self._session.stream(_OPEN_STEPS, (self._run_id,)))
            deaths = dict(self._session.stream(_DEATHS, (self._run_id,)))
            return Recovered(staged, doubts, self.slices(pass_number), attempted, known, steps, deaths)

    # -- how far it was read

    def slices(self, pass_number: int) -> list[Slice]:
        self._flush()
        ((_, rows),) = self._session.run((_SLICES, (self._run_id, pass_number)))
        return [Slice(*row) for row in rows]

    def save_slice(self, part: Slice, pass_number: int) -> None:
        self._slices[pass_number, part.key] = part
        self._written()

    # -- items

    def stage(
        self, page: Page, pass_number: int, effects: Mapping[str, Effect | Exception | None] | None = None
    ) -> list[Item]:
        if not self._inside:
            with self.atomic():
                return self.stage(page, pass_number, effects)
        self._slices[pass_number, page.after.key] = page.after
        first = {item.id: item for item in reversed(page.items)}
        known = [(effects or {}).get(item_id) for item_id in first]
        told = [effect if isinstance(effect, Effect) and effect.is_known else None for effect in known]
        before, after = (list(column) for column in zip(*map(_fields, told), strict=True)) if told else ([], [])
        rows = self._flush((_STAGE, (list(first), before, after, self._run_id)))
        new = {item_id for (item_id,) in rows}
        self._stage_steps({item_id: effect for item_id, effect in zip(first, known, strict=True) if item_id in new})
        return [first[item_id] for item_id in dict.fromkeys(item.id for item in page.items) if item_id in new]

    def _stage_steps(self, effects: Mapping[str, Effect | Exception | None]) -> None:
        rows = [
            (item_id, number, *_fields(part))
            for item_id, effect in effects.items()
            if isinstance(effect, Effect)
            for number, part in enumerate(effect.parts)
        ]
        if rows:
            columns = [list(column) for column in zip(*rows, strict=True)]
            self._session.run((_STAGE_STEPS, (self._run_id, *columns)))

    def start(self, items: Iterable[Item], now: float) -> None:
        for item in items:
            self._step(_START, item.id, Status.STARTED, now)

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        for o in outcomes:
            texts = (_plain(text) for text in (told_code(o.status, o.code), o.message, o.request_id, o.detail))
            self._step(_SETTLE, o.item_id, o.status, o.at, *texts)

    def restage(self, items: Iterable[Item], *, attempted: bool) -> None:
        for item in items:
            self._step(_RESTAGE, item.id, Status.STAGED, 0 if attempted else 1)

    def complete(self, item_id: str, records: Sequence[StepRecord]) -> None:
        if item_id in self._advanced:
            self._flush()
        for r in records:
            texts = (_plain(text) for text in (r.request_id, r.code, r.message))
            self._finished.append((item_id, r.step, r.at, r.attempts, *texts))
        self._advanced[item_id] = (records[0].step, records[-1].step + 1)
        self._written()

    def steps(self, *item_ids: str) -> dict[str, list[StepRecord]]:
        self._flush()
        ((_, rows),) = self._session.run((_STEPS_OF, (self._run_id, list(item_ids))))
        return _by_item(rows)

    def counts(self) -> dict[Status, int]:
        self._flush()
        ((_, rows),) = self._session.run((_COUNTS, (self._run_id,)))
        return {Status(status): count for status, count in rows}

    def codes(self) -> dict[str, int]:
        self._flush()
        ((_, rows),) = self._session.run((_CODES, (self._run_id,)))
        return dict(rows)

    def outcomes(self, *statuses: Status, newest_first: bool = False) -> Iterator[Outcome]:
        return map(_outcome, self._rows(statuses or list(Status), newest_first=newest_first))

    def settled(
        self, statuses: Sequence[Status], *, below: tuple[float, str] | None = None, limit: int = 500
    ) -> list[Outcome]:
        self._flush()
        at, item_id = below or (float("inf"), "")
        names = [status.value for status in statuses]
        ((_, rows),) = self._session.run((_SETTLED, (self._run_id, names, at, item_id, limit)))
        return [_outcome(row) for row in rows]

    def page(
        self, *, status: Status | None = None, text: str | None = None, after: str = "", limit: int = 50
    ) -> list[Outcome]:
        self._flush()
        chosen = page_of(self._run_id, status=status, text=text, after=after, limit=limit)
        ((_, rows),) = self._session.run(chosen)
        return [_outcome(row) for row in rows]

    def with_before(self, status: Status) -> int:
        self._flush()
        ((_, ((count,),)),) = self._session.run((_WITH_BEFORE, (self._run_id, status.value)))
        return int(count)

    def wish(self) -> Wish | None:
        row = self._session.row(_WISH, (self._run_id,))
        return Wish(row[1]) if row is not None and row[0] == self._life else None

    def close(self) -> None:
        self._session.close()

    def _rows(self, statuses: Sequence[Status], *, newest_first: bool = False) -> Iterator[tuple[Any, ...]]:
        self._flush()
        names = [status.value for status in statuses]
        yield from self._session.stream(_OUTCOMES, (self._run_id, names, -1 if newest_first else 1))

    # -- what gathers

    def _step(self, sql: str, item_id: str, status: Status, *values: object) -> None:
        """Steps of different items may be taken in any order, those of one item may not."""
        kinds = list(self._steps)
        kind = kinds.index(sql) if sql in self._steps else len(kinds)
        if self._moved.get(item_id, -1) >= kind:
            self._flush()
            kind = 0
        self._moved[item_id] = kind
        self._steps.setdefault(sql, []).append((item_id, status.value, *values))
        self._written()

    def _written(self) -> None:
        if not self._inside:
            with self.atomic():
                pass

    def _flush(self, last: Statement | None = None) -> list[tuple[Any, ...]]:
        """Write what has gathered, and `last`, in one journey; what that gave."""
        steps = [(sql, [list(column) for column in zip(*rows, strict=True)]) for sql, rows in self._steps.items()]
        expected = [len(rows) for rows in self._steps.values()]
        statements: list[Statement] = [(sql, [*columns, self._run_id, _STEPS]) for sql, columns in steps]
        if self._advanced:
            statements += self._completions()
            expected += [len(self._finished), len(self._advanced)]
        if self._record is not None:
            statements.append((_SAVE, (self._record.to_json(), self._run_id)))
            expected.append(1)
        statements += [(_SAVE_SLICE, self._slice_row(number, part)) for (number, _), part in self._slices.items()]
        if last is not None:
            statements.append(last)
        self._forget()
        if not statements:
            return []
        answers = self._session.run(*statements)
        for wanted, (changed, _) in zip(expected, answers, strict=False):
            if changed != wanted:
                raise LedgerError(f"the ledger refused a step: {changed} of {wanted} items were where they had to be")
        return answers[-1][1]

    def _forget(self) -> None:
        self._steps, self._moved, self._slices, self._record = {}, {}, {}, None
        self._finished, self._advanced = [], {}

    def _completions(self) -> list[Statement]:
        """What `_finished` and `_advanced` have gathered. It touches no column that the others do."""
        finished = [list(column) for column in zip(*self._finished, strict=True)]
        starts, ends = zip(*self._advanced.values(), strict=True)
        advanced = [list(self._advanced), list(starts), list(ends)]
        return [(_FINISH, [*finished, self._run_id]), (_ADVANCE, [*advanced, self._run_id])]

    def _slice_row(self, number: int, s: Slice) -> tuple[object, ...]:
        return (self._run_id, number, s.key, s.lo, s.hi, s.until, s.cursor, s.position, s.pages, s.done)


def _outcome(row: tuple[Any, ...]) -> Outcome:
    _, item_id, status, code, message, attempts, before, after, request_id, at, detail, step = row
    before, after = (None if value is None else json.loads(value) for value in (before, after))
    return Outcome(
        item_id,
        Status(status),
        code or None,
        message,
        attempts,
        before,
        after,
        request_id,
        at or 0.0,
        detail,
        step=step,
    )


def _by_item(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[StepRecord]]:
    found: dict[str, list[StepRecord]] = {}
    for item_id, step, before, after, *rest in rows:
        before, after = (None if value is None else json.loads(value) for value in (before, after))
        found.setdefault(item_id, []).append(StepRecord(step, before, after, *rest))
    return found


def _fields(effect: Effect | None) -> tuple[str | None, str | None]:
    """What is kept of an effect: before and after."""
    return (None, None) if effect is None else (_json(effect.before), _json(effect.after))


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, default=str)


def _plain(text: str | None) -> str | None:
    """What PostgreSQL's text can hold: no NUL, no half of a surrogate pair."""
    return None if text is None else text.replace("\0", "�").encode(errors="replace").decode()
