"""From an expression to what it means for one resource of one workspace at one moment.

Names become ids, dates seconds, negations move down to the single conditions. Semantics: a comparison with `<` or `>`
never holds for what has no value; `!=` and every negation hold exactly where the positive form does not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from datetime import date, datetime, timedelta, tzinfo
from difflib import get_close_matches
from typing import TYPE_CHECKING, TypeAlias

from intercom_bulk.api.language.expression import And, Expression, Filter, Not, Or
from intercom_bulk.api.language.fields import Field, Kind, find_field
from intercom_bulk.api.language.forms import All, Some, Tree
from intercom_bulk.api.language.literals import Ago, Value, read_bare
from intercom_bulk.errors import QueryError, UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Among", "Binding", "Bound", "Condition", "Moments", "Names", "Ordered", "Says", "midnight"]

Names: TypeAlias = Callable[[str, str], str]
"""(kind, name or id) to id; raises `UnknownNameError`. Kinds: team, admin, tag, ticket_type, ticket_state."""

LATEST = 32_503_680_000
"""Epoch seconds of the year 3000: what lies behind it was meant in milliseconds."""
EARLIEST = 100_000_000
"""Epoch seconds of a day in 1973: a number below was meant as so many days, or hours. 0 is the beginning of time."""
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_WORD = re.compile(r"\w+")
_ALLOWED = {
    Kind.DATE: "= != in < <= > >=",
    Kind.NUMBER: "= != in < <= > >=",
    Kind.TEXT: "= != in ~ ^ $",
    Kind.WORDS: "= != in ~",
    Kind.FLAG: "= != in",
    Kind.ID: "= != in",
    Kind.IDS: "= != in",
    Kind.FREE: "= != in < <= > >= ~ ^ $",
}


@dataclass(frozen=True, slots=True)
class Among:
    """Is one of these values (of a field that holds several: has one of them), or has none where `none`."""

    values: tuple[str | int | float | bool, ...]
    none: bool = False


@dataclass(frozen=True, slots=True)
class Moments:
    """From `lo` up to, but not including, `hi`: epoch seconds, None where unbounded."""

    lo: int | None
    hi: int | None


@dataclass(frozen=True, slots=True)
class Ordered:
    """Lies before or behind a number."""

    operator: str
    number: int | float


@dataclass(frozen=True, slots=True)
class Says:
    """Contains (~), starts with (^) or ends with ($) a text."""

    operator: str
    text: str


Condition: TypeAlias = Among | Moments | Ordered | Says


@dataclass(frozen=True, slots=True)
class Bound:
    """One condition on one field, or, `negated`, its opposite; `said`: as the expression has it."""

    field: Field
    condition: Condition
    negated: bool
    said: Expression = attribute(compare=False)


@dataclass(slots=True)
class Binding:
    """What meaning depends on; `found` gathers the names that were looked up. `now`: epoch seconds."""

    resource: str
    names: Names | None
    zone: tzinfo | None
    now: float | None
    found: dict[str, None] = attribute(default_factory=dict)

    def tree(self, expression: Expression, *, negated: bool = False) -> Tree[Bound]:
        """The expression with every condition bound. Raises `QueryError` and `UnknownNameError`."""
        if isinstance(expression, Not):
            return self.tree(expression.part, negated=not negated)
        if isinstance(expression, (And, Or)):
            parts = [self.tree(part, negated=negated) for part in expression.parts]
            return _flat(All if isinstance(expression, And) != negated else Some, parts)
        if not isinstance(expression, Filter):
            raise QueryError(f"This is no filter: {expression!r}.")
        try:
            return self._filter(expression, negated=negated)
        except UnknownNameError:
            raise
        except QueryError as error:
            place = f"At character {expression.at + 1} of the query: " if expression.at is not None else ""
            text = str(error)
            raise QueryError(f"{place}{text}" if text.endswith((".", "?")) else f"{place}{text}.") from None

    def _filter(self, said: Filter, *, negated: bool) -> Tree[Bound]:
        where = find_field(self.resource, said.field)
        if said.operator not in _ALLOWED[where.kind].split():
            allowed = _ALLOWED[where.kind].replace("=", ":", 1).replace("in ", "")
            raise QueryError(f"{said.field} is a {where.kind} field and knows only {allowed}, not {said.operator}.")
        negated = negated != (said.operator == "!=")
        shown: Expression = Not(said) if negated != (said.operator == "!=") else said
        conditions = self._conditions(where, said)
        bound = [Bound(_seen_as(where, one), one, negated, shown) for one in conditions]
        return _flat(All if negated else Some, bound)

    def _conditions(self, where: Field, said: Filter) -> Sequence[Condition]:
        """The alternatives that the filter names."""
        if said.operator in {"~", "^", "$"}:
            return [Says(said.operator, _text(said))]
        if where.kind is Kind.DATE or (where.kind is Kind.FREE and self._means_date(said)):
            return self._moments(said)
        if said.operator in {"<", "<=", ">", ">="}:
            return [Ordered(said.operator, _number(said, said.values[0]))]
        plain = [value for value in said.values if value is not None and not (where.zero and value in {0, "0"})]
        return [Among(tuple(self._plain(where, said, value) for value in plain), len(plain) < len(said.values))]

    # -- values

    def _plain(self, where: Field, said: Filter, value: Value) -> str | int | float | bool:
        if where.kind is Kind.FLAG:
            return _flag(said, value)
        if where.kind is Kind.NUMBER:
            return _number(said, value)
        if where.kind is Kind.FREE:
            return str(value) if isinstance(value, Ago) else _given(value)
        text = _as_text(value)
        if not text.strip():
            raise QueryError(f"{said.field} is compared with an empty text: write {said.field}:none for what has none")
        if where.kind is Kind.WORDS and not _WORD.fullmatch(text):
            raise QueryError(f"Intercom matches {said.field} by single words: write {said.field}~ for a phrase")
        if where.choices and text not in where.choices:
            near = get_close_matches(text, where.choices, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise QueryError(f"{said.field} is one of {', '.join(where.choices)}, not {text[:60]!r}{hint}")
        return self._id(where.names, text) if where.names is not None else text

    def _id(self, kind: str, text: str) -> str:
        is_id = text.isascii() and text.isdigit()
        if self.names is None:
            if is_id:
                return text
            raise QueryError(
                f"The {kind} {text[:60]!r} is given by name, and nobody is here to look it up: give its id"
            )
        found = str(self.names(kind, text))
        if found != text:
            self.found[f"{kind} {text!r} is {found}"] = None
        return found

    def _means_date(self, said: Filter) -> bool:
        """Of a custom attribute: a span or a date after < or > can be nothing else."""
        return said.operator in {"<", "<=", ">", ">="} and isinstance(said.values[0], (Ago, str))

    def _moments(self, said: Filter) -> Sequence[Condition]:
        given = [value for value in said.values if value is not None]
        spans = [self._span(said, value) for value in given]
        if said.operator in {"=", "!=", "in"}:
            none = [Among((), none=True)] if len(given) < len(said.values) else []
            return [*(Moments(start, end) for start, end in spans), *none]
        if not spans:
            raise QueryError(
                f"{said.field} cannot be compared with none: write {said.field}:none or {said.field}!=none"
            )
        start, end = spans[0]
        return [
            {
                ">": Moments(end, None),
                ">=": Moments(start, None),
                "<": Moments(None, start),
                "<=": Moments(None, end),
            }[said.operator]
        ]

    def _span(self, said: Filter, value: Value) -> tuple[int, int]:
        """The seconds that a value covers: one, or those of a whole day."""
        if isinstance(value, str):
            bare = read_bare(value.strip())
            value = bare if isinstance(bare, (Ago, int)) else value.strip()
        if isinstance(value, Ago):
            if said.operator in {"=", "!=", "in"}:
                raise QueryError(f"{said.field}:{value} would be one second: write {said.field}<{value} or >{value}")
            return self._second(said, self._ago(value))
        if isinstance(value, str):
            return self._read_span(said, value)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise QueryError(f"{said.field} is a date, not {_as_text(value)!r}: {_DATES}")
        if value and value < EARLIEST:
            raise QueryError(f"{value} is no moment: did you mean {abs(int(value))}d? For a date, {_DATES}")
        return self._second(said, int(value))

    def _ago(self, value: Ago) -> int:
        if self.now is None:
            raise QueryError(f"{value} ago counts from the start of a run: give now= to compile_query()")
        return int(self.now) - value.seconds

    def _read_span(self, said: Filter, text: str) -> tuple[int, int]:
        try:
            if _DAY.fullmatch(text):
                day = date.fromisoformat(text)
                zone = self._known_zone(text)
                return midnight(day, zone), midnight(day + timedelta(days=1), zone)
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=self._known_zone(text))
            return self._second(said, int(moment.timestamp()))
        except (ValueError, OverflowError) as error:
            if isinstance(error, QueryError):
                raise
            raise QueryError(f"{said.field} is a date, not {text[:60]!r}: {_DATES}") from None

    def _known_zone(self, text: str) -> tzinfo:
        if self.zone is None:
            raise QueryError(f"{text} is a day somewhere, and the workspace's time zone is not known: name an offset")
        return self.zone

    def _second(self, said: Filter, at: int) -> tuple[int, int]:
        if not -LATEST < at < LATEST:
            raise QueryError(
                f"{said.field} is in epoch seconds, and {at} is after the year 3000: were milliseconds meant?"
            )
        return at, at + 1


_DATES = "write 2026-10-01, 2026-10-01T09:00:00Z, 30d, or epoch seconds"


def midnight(day: date, zone: tzinfo) -> int:
    """Epoch seconds at which a day begins there."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def _flat(kind: type[All[Bound] | Some[Bound]], parts: Sequence[Tree[Bound]]) -> Tree[Bound]:
    """One formula of these parts, without the same kind within itself."""
    if len(parts) == 1:
        return parts[0]
    flat: list[Tree[Bound]] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, kind) else (part,))
    return kind(tuple(flat))


def _seen_as(where: Field, condition: Condition) -> Field:
    """A custom attribute is what it is compared with."""
    if where.kind is Kind.FREE and isinstance(condition, Moments):
        return replace(where, kind=Kind.DATE)
    return where


def _text(said: Filter) -> str:
    text = _as_text(said.values[0]) if said.values[0] is not None else ""
    if not text.strip():
        raise QueryError(f"{said.field}{said.operator} needs a text that is not empty")
    return text


def _as_text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _given(value: Value) -> str | int | float | bool:
    if value is None or isinstance(value, Ago):
        raise QueryError("This value cannot be compared with")
    return value


def _flag(said: Filter, value: Value) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.casefold() in {"true", "yes", "false", "no"}:
        return value.casefold() in {"true", "yes"}
    raise QueryError(f"{said.field} is true or false, not {_as_text(value)!r}")


def _number(said: Filter, value: Value) -> int | float:
    if isinstance(value, str):
        value = read_bare(value.strip())
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise QueryError(f"{said.field} is compared with a number here, not {_as_text(value)!r}")
    return value
