"""The search language in Python: `(Q.state == "open") & (Q.team == "Support") & (Q.updated_at < days_ago(30))`.

An expression is a value: it can be compared, printed (`str(e)` is its text form, which `parse_query` reads back) and
recorded with a run. What its fields and names mean is decided when it is compiled for a resource and a workspace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import NoReturn

from intercom_bulk.api.language.literals import Value, checked_value, quoted, write_value
from intercom_bulk.errors import QueryError

__all__ = ["FIELD", "OPERATORS", "And", "Expression", "Filter", "Named", "Not", "Or", "Q"]

OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">=", "in", "~", "^", "$"})
"""`~` contains, `^` starts with, `$` ends with."""
FIELD = re.compile(r"[^\W\d][\w.-]*")
"""A field's name that needs no quotes."""
_PARENTHESES = "Put each comparison in parentheses and join them with & | ~: (Q.state == 'open') & (Q.read == False)."


class Expression:
    """Which items to select. Join with `&` and `|`, negate with `~`; `str()` gives the text form."""

    __slots__ = ()

    def __and__(self, other: object) -> Expression:
        return And((*_parts(self, And), *_parts(_checked(other), And)))

    def __or__(self, other: object) -> Expression:
        return Or((*_parts(self, Or), *_parts(_checked(other), Or)))

    def __invert__(self) -> Expression:
        return self.part if isinstance(self, Not) else Not(self)

    def __bool__(self) -> NoReturn:
        raise QueryError(f"A filter is neither true nor false before it meets an item. {_PARENTHESES}")

    __rand__ = __and__
    __ror__ = __or__


@dataclass(frozen=True, slots=True)
class Filter(Expression):
    """One comparison. `value` is a tuple of two or more for the operator "in". `at`: where it stood in a text."""

    field: str
    operator: str
    value: Value | tuple[Value, ...]
    at: int | None = attribute(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        """Raises `QueryError` for what is no comparison."""
        if not isinstance(self.field, str) or not self.field.strip():
            raise QueryError(f"A filter needs the name of a field, not {self.field!r}.")
        if self.operator not in OPERATORS:
            raise QueryError(f"{self.field} has the operator {self.operator!r}: use one of {' '.join(OPERATORS)}.")
        if (self.operator == "in") != isinstance(self.value, tuple) or self.value == ():
            raise QueryError(f"{self.field}: a list of values goes with in_([...]), and holds at least one.")

    @property
    def values(self) -> tuple[Value, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,)

    def __str__(self) -> str:
        sign = ":" if self.operator in {"=", "in"} else self.operator
        return f"{_written(self.field)}{sign}{','.join(map(write_value, self.values))}"


@dataclass(frozen=True, slots=True)
class And(Expression):
    """All of them; made by `&`."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or(Expression):
    """Any of them; made by `|`."""

    parts: tuple[Expression, ...]

    def __str__(self) -> str:
        return " OR ".join(str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """Whatever the other does not select; made by `~`."""

    part: Expression

    def __str__(self) -> str:
        return f"-{self.part}" if isinstance(self.part, Filter) else f"-({self.part})"


class Named:
    """A field of an expression under construction: compare it, or ask `in_`, `has`, `starts`, `ends`, `is_none`."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, other: object) -> Filter:  # type: ignore[override]
        return self._compare("=", other)

    def __ne__(self, other: object) -> Filter:  # type: ignore[override]
        return self._compare("!=", other)

    def __lt__(self, other: object) -> Filter:
        return self._compare("<", other)

    def __le__(self, other: object) -> Filter:
        return self._compare("<=", other)

    def __gt__(self, other: object) -> Filter:
        return self._compare(">", other)

    def __ge__(self, other: object) -> Filter:
        return self._compare(">=", other)

    def in_(self, values: Iterable[object]) -> Filter:
        """Equal to one of these values; of a field that holds several (tags), any of these."""
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise QueryError(f"{self._name}.in_() takes a list of values, not {values!r}.")
        wanted = tuple(checked_value(value) for value in values)
        return Filter(self._name, "in", wanted) if len(wanted) != 1 else Filter(self._name, "=", wanted[0])

    def has(self, text: str) -> Filter:
        """Contains the text; case does not matter."""
        return self._compare("~", text)

    def starts(self, text: str) -> Filter:
        """Starts with the text; case does not matter."""
        return self._compare("^", text)

    def ends(self, text: str) -> Filter:
        """Ends with the text; case does not matter."""
        return self._compare("$", text)

    def is_none(self) -> Filter:
        """Has no value: unassigned, untagged, never."""
        return self._compare("=", None)

    def _compare(self, operator: str, value: object) -> Filter:
        return Filter(self._name, operator, checked_value(value))

    def __hash__(self) -> int:
        return hash(self._name)

    def __bool__(self) -> NoReturn:
        raise QueryError(f"{self!r} alone is no filter. {_PARENTHESES}")

    def __and__(self, other: object) -> NoReturn:
        raise QueryError(f"& binds tighter than ==, < and >. {_PARENTHESES}")

    __or__ = __rand__ = __ror__ = __and__

    def __repr__(self) -> str:
        return f"Q.{self._name}"


class Fields:
    """The fields to search by: `Q.state`, `Q["source.author.email"]`, `Q.custom("plan")`.

    `Q.updated_at < days_ago(30)` is what was last updated more than thirty days ago, `Q.updated_at > hours_ago(2)` what
    was updated in the last two hours; in text `updated<30d` and `updated>2h`. Both count from the start of the run.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Named:
        if name.startswith("__"):
            raise AttributeError(name)
        return Named(name)

    def __getitem__(self, name: str) -> Named:
        return Named(name)

    def custom(self, name: str) -> Named:
        """A custom attribute, by its name; of tickets, a ticket attribute by its name or id."""
        return Named(f"custom.{name}")

    def __repr__(self) -> str:
        return "Q"


Q = Fields()


def _checked(other: object) -> Expression:
    if not isinstance(other, Expression):
        raise QueryError(f"An expression cannot be joined with {other!r}. {_PARENTHESES}")
    return other


def _parts(expression: Expression, kind: type[And | Or]) -> tuple[Expression, ...]:
    return expression.parts if isinstance(expression, kind) else (expression,)


def _written(name: str) -> str:
    if FIELD.fullmatch(name):
        return name
    prefix, _, rest = name.partition(".")
    return f"custom.{quoted(rest)}" if prefix == "custom" and rest else quoted(name)
