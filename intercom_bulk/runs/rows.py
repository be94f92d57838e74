"""Rows of SQLite, and what they mean."""

from __future__ import annotations

import json
from dataclasses import replace
from string import ascii_uppercase
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Outcome, Slice, Status, StepRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from intercom_bulk.runs.model import Effect

__all__ = ["ascii_lower", "fields_of", "outcome_of", "row_of", "slice_of", "step_of", "told_of"]


def row_of(outcome: Outcome) -> tuple[object, ...]:
    texts = (outcome.code, outcome.message, outcome.request_id, outcome.detail)
    return (outcome.status, outcome.at, *map(_storable, texts))


def ascii_lower(text: str) -> str:
    """As both databases do it: letters beyond a to z stay as they are."""
    return text.translate(_SMALL)


_SMALL = {ord(capital): capital.lower() for capital in ascii_uppercase}


def _storable(text: str | None) -> str | None:
    """Half of a surrogate pair, which somebody's message may hold, is no UTF-8."""
    return None if text is None else text.encode(errors="replace").decode()


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)


def fields_of(effect: Effect | None) -> tuple[str | None, str | None]:
    """What is kept of an effect: before and after."""
    return (None, None) if effect is None else (_json(effect.before), _json(effect.after))


def told_of(record: StepRecord) -> tuple[object, ...]:
    return (record.at, record.attempts, *map(_storable, (record.request_id, record.code, record.message)))


def step_of(row: Sequence[object]) -> StepRecord:
    step, before, after, at, attempts, *texts = row
    when = None if at is None else float(str(at))
    return StepRecord(int(str(step)), _object(before), _object(after), when, int(str(attempts)), *map(_text, texts))


def _object(text: object) -> dict[str, object] | None:
    return None if text is None else dict(json.loads(str(text)))


def outcome_of(row: tuple[object, ...]) -> Outcome:
    item_id, status, code, message, attempts, before, after, request_id, at, detail, step = row
    return Outcome(
        item_id=str(item_id),
        status=Status(str(status)),
        code=_text(code),
        message=_text(message),
        attempts=int(str(attempts)),
        before=_object(before),
        after=_object(after),
        request_id=_text(request_id),
        at=float(str(at or 0.0)),
        detail=_text(detail),
        step=int(str(step)),
    )


def slice_of(row: tuple[object, ...]) -> Slice:
    key, lo, hi, until, cursor, position, pages, done = row
    lo, hi, until, position = (None if v is None else float(str(v)) for v in (lo, hi, until, position))
    blank = Slice(str(key), lo, hi, until, _text(cursor), position)
    return replace(blank, pages=int(str(pages)), done=bool(done))


def _text(value: object) -> str | None:
    return None if value is None else str(value)
