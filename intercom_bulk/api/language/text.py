"""The search language as text: `state:open team:"Support" (updated<30d OR -tag:vip) body~refund`.

    state:open             is                    state!=open       is not
    tag:vip,stale          is one of             -tag:vip          not (also NOT tag:vip, and before parentheses)
    updated<30d            last updated more than 30 days ago; created>2h: in the last two hours (s m h d w)
    created>=2026-10-01    a day, or a date-time, in the workspace's time zone unless it names one
    body~refund            contains; name^Ann starts with; email$example.com ends with
    team:none              has none              custom.plan:pro   a custom attribute (custom."Plan name")
    a b   a OR b   (a b)   both, either, together; a space binds tighter than OR

`str(expression)` writes what this reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from intercom_bulk.api.language.expression import FIELD, And, Expression, Filter, Or
from intercom_bulk.api.language.literals import BARE, Value, read_bare
from intercom_bulk.errors import QueryError

__all__ = ["parse_query"]

DEEPEST = 50
"""Parentheses within parentheses: far more than anybody writes."""
LONGEST = 100_000
_SIGNS = re.compile(r":(?:<=|>=|!=|<|>|=|~)|!=|!~|<=|>=|[:=<>~^$]")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SPACE = re.compile(r"\s*")
_Reading: TypeAlias = Callable[[], Expression]
_EXAMPLE = 'write field:value, such as state:open or body~"refund please"'


def parse_query(text: str) -> Expression:
    """The expression that a text means. Raises `QueryError`, with the place in the text.

    Fields and names are checked when it is compiled for a resource, also with the place.
    """
    if not isinstance(text, str):
        raise QueryError(f"A query in words must be text, not {type(text).__name__}.")
    if not text.strip():
        raise QueryError("The query is empty, and would select every item: say what to look for.")
    if len(text) > LONGEST:
        raise QueryError(f"The query is longer than {LONGEST:,} characters: put ids into a file instead.")
    return _Reader(text).whole()


@dataclass(slots=True)
class _Reader:
    """Where the reading of a text stands."""

    text: str
    at: int = 0
    depth: int = 0

    def whole(self) -> Expression:
        found = self._either()
        if self.at < len(self.text):
            raise self._wrong("this parenthesis closes nothing")
        return found

    def _either(self) -> Expression:
        parts = [self._both()]
        while self._takes_word("OR"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else _joined(parts, Or)

    def _both(self) -> Expression:
        parts = [self._term()]
        while True:
            explicit = self._takes_word("AND")
            if not explicit and (self._is_over() or self._sees_word("OR")):
                return parts[0] if len(parts) == 1 else _joined(parts, And)
            parts.append(self._term())

    def _term(self) -> Expression:
        self._skip()
        if self.at == len(self.text):
            raise self._wrong("something is missing at the end")
        if self.text[self.at] == "-":
            self.at += 1
            if not self.text[self.at : self.at + 1].strip(" \t\r\n)"):
                raise self._wrong("- stands directly before a filter or a parenthesis")
            return ~self._nested(self._term)
        if self._takes_word("NOT"):
            return ~self._nested(self._term)
        if self.text[self.at] == "(":
            return self._nested(self._parenthesis)
        return self._filter()

    def _parenthesis(self) -> Expression:
        opened = self.at
        self.at += 1
        found = self._either()
        if self.at == len(self.text):
            raise self._wrong("this parenthesis is never closed", at=opened)
        self.at += 1
        return found

    def _nested(self, read: _Reading) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self._wrong(f"more than {DEEPEST} parentheses within each other")
        found = read()
        self.depth -= 1
        return found

    def _filter(self) -> Expression:
        start = self.at
        name = self._field()
        sign = _SIGNS.match(self.text, self.at)
        if sign is None:
            raise self._wrong(f"{self.text[start : self.at] or self.text[start]!r} is no filter: {_EXAMPLE}", at=start)
        self.at = sign.end()
        operator = sign[0].lstrip(":") or "="
        values = [self._value(name)]
        while self.text[self.at : self.at + 1] == ",":
            self.at += 1
            values.append(self._value(name))
        return self._compared(name, operator, values, start)

    def _compared(self, name: str, operator: str, values: list[Value], start: int) -> Expression:
        if len(values) > 1 and operator not in {"=", "!="}:
            raise self._wrong(f"a list of values goes with {name}: only, not with {name}{operator}", at=start)
        if operator == "!~":
            return ~Filter(name, "~", values[0], start)
        if len(values) == 1:
            return Filter(name, operator, values[0], start)
        several = Filter(name, "in", tuple(values), start)
        return several if operator == "=" else ~several

    def _field(self) -> str:
        found = FIELD.match(self.text, self.at)
        name = found[0] if found is not None else ""
        self.at += len(name)
        if self.text[self.at : self.at + 1] == '"' and (not name or name.endswith(".")):
            name += self._quoted()
        return name

    def _value(self, name: str) -> Value:
        if self.text[self.at : self.at + 1] == '"':
            return self._quoted()
        found = BARE.match(self.text, self.at)
        if found is None:
            raise self._wrong(f"{name} has no value: {_EXAMPLE}, without a space between")
        self.at = found.end()
        return read_bare(found[0])

    def _quoted(self) -> str:
        found = _QUOTED.match(self.text, self.at)
        if found is None:
            raise self._wrong('this quote is never closed: end it with "')
        self.at = found.end()
        return _ESCAPED.sub(r"\1", found[1])

    # -- looking ahead

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found is not None else self.at

    def _is_over(self) -> bool:
        self._skip()
        return self.at == len(self.text) or self.text[self.at] == ")"

    def _sees_word(self, word: str) -> bool:
        """Whether a word of the language comes next; before an operator it would be the name of a field."""
        self._skip()
        end = self.at + len(word)
        if self.text[self.at : end].upper() != word:
            return False
        return end == len(self.text) or self.text[end].isspace() or self.text[end] == "("

    def _takes_word(self, word: str) -> bool:
        seen = self._sees_word(word)
        self.at += len(word) if seen else 0
        return seen

    def _wrong(self, why: str, *, at: int | None = None) -> QueryError:
        place = self.at if at is None else at
        return QueryError(f"At character {place + 1} of the query ({self.text[place : place + 20]!r}): {why}.")


def _joined(parts: list[Expression], kind: type[And | Or]) -> Expression:
    found = parts[0]
    for part in parts[1:]:
        found = found & part if kind is And else found | part
    return found
