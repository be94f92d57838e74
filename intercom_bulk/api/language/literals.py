"""What a filter compares with: text, numbers, true, false, none and moments in the past; and how each is written.

Unquoted, `none`, `true`, `false`, whole and decimal numbers and spans such as `30d` are what they look like; everything
else, and whatever stands in quotes, is text. Dates are text (`2026-10-01`, `2026-10-01T09:00:00Z`), read as dates where
the field is one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeAlias

from intercom_bulk.errors import QueryError

__all__ = ["BARE", "Ago", "Value", "checked_value", "days_ago", "hours_ago", "read_bare", "write_value"]

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = 100 * 366 * 86_400
"""Seconds: nothing that anybody looks for is more than a hundred years old."""

BARE = re.compile(r'[^\s(),"]+')
"""A value that needs no quotes."""
_AGO = re.compile(r"(0|[1-9][0-9]{0,9})([smhdw])")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,18})")
_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HUGE = 10**19
_WORDS = {"none": None, "true": True, "false": False}
_LEADING = frozenset("<>=~!:^$")
"""Characters that a reader would take for a part of the operator before them."""


@dataclass(frozen=True, slots=True)
class Ago:
    """A moment so long before the run began: `Ago(30, "d")` is thirty days of 24 hours. Units: s m h d w."""

    count: int
    unit: str

    def __post_init__(self) -> None:
        """Raises `QueryError` for a span that cannot be meant."""
        if self.unit not in UNITS or isinstance(self.count, bool) or not isinstance(self.count, int):
            raise QueryError(
                f"A span is a whole number of s, m, h, d or w, such as 30d, not {self.count!r}{self.unit}."
            )
        if not 0 <= self.seconds <= LONGEST:
            raise QueryError(f"{self} ago must be a moment in the last hundred years.")

    @property
    def seconds(self) -> int:
        return self.count * UNITS[self.unit]

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


Value: TypeAlias = str | int | float | Ago | None
"""A bool is an int here, as everywhere in Python."""


def days_ago(days: float) -> Ago:
    """The moment `days` times 24 hours before the run begins: `Q.updated_at < days_ago(30)` is older than that."""
    return _ago(days, "d")


def hours_ago(hours: float) -> Ago:
    """The moment so many hours before the run begins: `Q.created_at > hours_ago(2)` is younger than that."""
    return _ago(hours, "h")


def _ago(count: float, unit: str) -> Ago:
    if isinstance(count, bool) or not isinstance(count, (int, float)) or not math.isfinite(count):
        raise QueryError(f"How long ago is a number, not {count!r}.")
    return Ago(int(count), unit) if count == int(count) else Ago(round(count * UNITS[unit]), "s")


def checked_value(value: object) -> Value:
    """The value as a filter keeps it. Raises `QueryError` for a kind of value that no filter knows."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise QueryError("A datetime in a filter needs a time zone: datetime(..., tzinfo=...), or use days_ago().")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise QueryError(f"A filter cannot compare with {value!r}.")
    if isinstance(value, int) and abs(value) >= _HUGE:
        raise QueryError(f"{str(value)[:30]} is too large for a number in a filter: write it as text, in quotes.")
    if value is None or isinstance(value, (str, int, float, Ago)):
        return value
    raise QueryError(
        f"A filter compares with text, a number, True, False, None, a date or days_ago(), not {type(value).__name__}."
    )


def read_bare(token: str) -> Value:
    """What an unquoted value means."""
    if token in _WORDS:
        return _WORDS[token]
    span = _AGO.fullmatch(token)
    if span is not None and int(span[1]) * UNITS[span[2]] <= LONGEST:
        return Ago(int(span[1]), span[2])
    for form, number in ((_WHOLE, int), (_DECIMAL, float)):
        # 007 and 1.50 are not numbers to whoever wrote them
        if form.fullmatch(token) and repr(number(token)) == token:
            return number(token)
    return token


def write_value(value: Value) -> str:
    """The value as `read_bare` and the quotes bring it back."""
    if value is None or isinstance(value, bool):
        return "none" if value is None else str(value).lower()
    if not isinstance(value, str):
        return repr(value) if isinstance(value, (int, float)) else str(value)
    if BARE.fullmatch(value) and value[0] not in _LEADING and read_bare(value) is value:
        return value
    return quoted(value)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
