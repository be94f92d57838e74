"""What Intercom's search can be asked of one condition: filters that select every item that meets it, or just those.

Two spellings. The careful one selects exactly what meets the condition, where that can be said at all: the description
of the API leaves open whether `>` and `<` include equality, so `f > 5` is asked as `f > 5 AND f != 5`. The wide one
takes a filter less and may select a little more, which is sorted out here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from intercom_bulk.api.language.binding import Among, Bound, Moments, Ordered, Says, midnight
from intercom_bulk.api.language.fields import Field, Kind
from intercom_bulk.api.language.forms import All, Some, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LONGEST_LIST", "Ask", "Raw", "ask"]

LONGEST_LIST = 150
"""Values of one IN: as many as are known to work (the length that Intercom takes is not documented)."""
DATE_LIKE = 100_000_000
"""A number this large may be a date, of which Intercom would compare the day."""
NOON = timedelta(hours=12)
DAY = timedelta(days=1)

Scalar: TypeAlias = str | int | float | bool | None


class Raw(NamedTuple):
    """One filter of Intercom's grammar; a tuple stands for a list. `lists`: whether the field knows IN and NIN."""

    field: str
    operator: str
    value: Scalar | tuple[str | int, ...]
    lists: bool = True


@dataclass(frozen=True, slots=True)
class Ask:
    """Filters that select at least what meets a condition; `why` they select more, None where they do not."""

    tree: Tree[Raw]
    why: str | None = None


def ask(bound: Bound, zone: tzinfo | None, *, careful: bool) -> Ask:
    """What to ask of Intercom."""
    where, condition = bound.field, bound.condition
    if not where.searchable:
        return Ask(All(()), f"Intercom cannot search by {where.name}")
    if isinstance(condition, Among):
        return _among(where, condition, negated=bound.negated)
    if isinstance(condition, Says):
        return _says(where, condition, negated=bound.negated)
    if isinstance(condition, Ordered):
        return _ordered(where, condition, negated=bound.negated, careful=careful)
    if where.whole_days:
        return _days(where, condition, zone, negated=bound.negated)
    return _seconds(where, condition, negated=bound.negated, careful=careful)


# -- equality


def _among(where: Field, condition: Among, *, negated: bool) -> Ask:
    if where.kind is Kind.DATE and where.whole_days:
        return Ask(All(()), f"Intercom does not tell which contacts have no {where.name}")
    if any(isinstance(value, float) for value in condition.values):
        return Ask(All(()), "Intercom's search takes whole numbers only")
    if where.kind is Kind.FREE and where.whole_days and (condition.none or any(map(_may_be_date, condition.values))):
        return Ask(All(()), f"{where.name} may be a date, which Intercom compares by days")
    values = [_sent(where, value) for value in condition.values]
    nothing: list[Scalar] = [None] if condition.none else []
    if condition.none and where.zero:
        nothing.append(_sent(where, "0"))
    equal, several = ("!=", "NIN") if negated else ("=", "IN")
    parts = [Raw(where.name, equal, value, where.lists) for value in nothing]
    parts += _listed(where, values, equal, several)
    return Ask(_one(All if negated else Some, parts))


def _listed(where: Field, values: Sequence[str | int | bool], equal: str, several: str) -> list[Raw]:
    if len(values) < 2 or not where.lists or where.kind is Kind.FLAG:
        return [Raw(where.name, equal, value, where.lists) for value in values]
    chunks = [values[start : start + LONGEST_LIST] for start in range(0, len(values), LONGEST_LIST)]
    return [Raw(where.name, several, tuple(chunk)) for chunk in chunks]


def _may_be_date(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) >= DATE_LIKE


def _sent(where: Field, value: str | float | bool) -> str | int | bool:  # noqa: FBT001
    if where.as_number and isinstance(value, str) and value.isdigit():
        return int(value)
    return value  # type: ignore[return-value]  # decimals were sorted out


# -- text


def _says(where: Field, condition: Says, *, negated: bool) -> Ask:
    if not negated:
        return Ask(Raw(where.name, condition.operator, condition.text))
    if condition.operator == "~":
        return Ask(Raw(where.name, "!~", condition.text))
    return Ask(
        All(()), f"Intercom has no operator for what does not {'start' if condition.operator == '^' else 'end'} so"
    )


# -- numbers and seconds


def _ordered(where: Field, condition: Ordered, *, negated: bool, careful: bool) -> Ask:
    if negated and where.kind is Kind.FREE:
        # What is no number, or is not set, belongs to it too.
        return Ask(All(()), f"{where.name} may be no number at all")
    operator, number = condition.operator, condition.number
    if negated:
        operator = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[operator]
    if where.kind is Kind.FREE and where.whole_days and _may_be_date(number):
        slack = 2 * int(DAY.total_seconds())
        shifted = math.floor(number) - slack if operator[0] == ">" else math.ceil(number) + slack
        return Ask(
            Raw(where.name, operator[0], shifted), f"{where.name} may be a date, which Intercom compares by days"
        )
    ordered = _compared(where, operator, number, careful=careful)
    missing = Raw(where.name, "=", None)
    return Ask(_one(Some, [ordered.tree, missing]), ordered.why) if negated and where.nullable else ordered


def _compared(where: Field, operator: str, number: float, *, careful: bool) -> Ask:
    """f < 5 is (f < 5 and f != 5), f <= 5 is (f < 5 or f = 5), whatever `<` means."""
    sign, with_equal = operator[0], len(operator) == 2
    whole = number == int(number)
    if careful and whole:
        strict, equal = Raw(where.name, sign, int(number)), int(number)
        if with_equal:
            return Ask(Some((strict, Raw(where.name, "=", equal))))
        return Ask(All((strict, Raw(where.name, "!=", equal))))
    if sign == ">":
        asked = math.ceil(number) - 1 if with_equal else math.floor(number)
    else:
        asked = math.floor(number) + 1 if with_equal else math.ceil(number)
    return Ask(Raw(where.name, sign, asked), _OPEN if whole else "Intercom's search takes whole numbers only")


_OPEN = "Intercom's description leaves open whether < and > include equality"


def _seconds(where: Field, condition: Moments, *, negated: bool, careful: bool) -> Ask:
    lo, hi = condition.lo, condition.hi
    if lo is not None and hi == lo + 1:
        return Ask(Raw(where.name, "!=" if negated else "=", lo))
    sides: list[Tree[Raw]] = []
    if lo is not None:
        sides.append(_before(where, lo, careful=careful) if negated else _from(where, lo, careful=careful))
    if hi is not None:
        sides.append(_from(where, hi, careful=careful) if negated else _before(where, hi, careful=careful))
    if negated and where.nullable:
        sides.append(Raw(where.name, "=", None))
    return Ask(_one(Some if negated else All, sides), None if careful else _OPEN)


def _from(where: Field, second: int, *, careful: bool) -> Tree[Raw]:
    later = Raw(where.name, ">", second - 1)
    return All((later, Raw(where.name, "!=", second - 1))) if careful else later


def _before(where: Field, second: int, *, careful: bool) -> Tree[Raw]:
    earlier = Raw(where.name, "<", second)
    return All((earlier, Raw(where.name, "!=", second))) if careful else earlier


# -- days


def _days(where: Field, condition: Moments, zone: tzinfo | None, *, negated: bool) -> Ask:
    """Contacts are searched by days: the day of a moment is asked for whole, and sorted out here."""
    lo, hi = condition.lo, condition.hi
    why = f"contacts are searched by whole days ({zone or 'of a zone that is not known'})"
    if negated:
        if where.nullable:
            return Ask(All(()), f"Intercom does not tell which contacts have no {where.name}")
        sides = [_until_day(where, lo, zone)] if lo is not None else []
        sides += [_from_day(where, hi, zone)] if hi is not None else []
        exact = all(_is_midnight(at, zone) for at in (lo, hi) if at is not None)
        return Ask(_one(Some, sides), None if exact else why)
    exact = all(_is_midnight(at, zone) for at in (lo, hi) if at is not None)
    if lo is not None and hi is not None and zone is not None and _day_of(lo, zone) == _day_of(hi - 1, zone):
        return Ask(Raw(where.name, "=", lo, lists=False), None if exact else why)
    sides = [_from_day(where, lo, zone)] if lo is not None else []
    sides += [_until_day(where, hi, zone)] if hi is not None else []
    return Ask(_one(All, sides), None if exact else why)


def _from_day(where: Field, at: int, zone: tzinfo | None) -> Raw:
    """From the start of the day of `at`: after the day before."""
    if zone is None:
        return Raw(where.name, ">", at - 2 * int(DAY.total_seconds()), lists=False)
    return Raw(where.name, ">", midnight(_day_of(at, zone), zone) - int(NOON.total_seconds()), lists=False)


def _until_day(where: Field, at: int, zone: tzinfo | None) -> Raw:
    """Up to the end of the day of the second before `at`: before the day after."""
    if zone is None:
        return Raw(where.name, "<", at + 2 * int(DAY.total_seconds()), lists=False)
    following = midnight(_day_of(at - 1, zone) + DAY, zone)
    return Raw(where.name, "<", following + int(NOON.total_seconds()), lists=False)


def _day_of(at: int, zone: tzinfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


def _is_midnight(at: int, zone: tzinfo | None) -> bool:
    return zone is not None and midnight(_day_of(at, zone), zone) == at


def _one(kind: type[All[Raw] | Some[Raw]], parts: Sequence[Tree[Raw]]) -> Tree[Raw]:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))
