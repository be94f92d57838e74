"""Intercom's search grammar: from JSON to a filter over records.

At most two levels of groups and fifteen filters a group. Contacts compare dates by calendar days in the workspace's
time zone. Everything outside the grammar is Problem 400 `parameter_invalid`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from html import unescape
from operator import ge, gt, le, lt
from typing import Any

from intercom_bulk.sandbox.answers import Problem
from intercom_bulk.sandbox.fields import Field, find_field
from intercom_bulk.sandbox.records import Contact

__all__ = ["DEEPEST", "WIDEST", "Filter", "Grammar", "compile_query"]

WIDEST = 15
DEEPEST = 2
Test = Callable[[Any], bool]
Select = Callable[[Iterable[Any]], list[Any]]

_BY_KIND = {
    "int": frozenset({"=", "!=", "IN", "NIN", ">", "<", ">=", "<="}),
    "date": frozenset({"=", "!=", "IN", "NIN", ">", "<", ">=", "<="}),
    "str": frozenset({"=", "!=", "IN", "NIN", "~", "!~", "^", "$"}),
    "words": frozenset({"=", "!=", "IN", "NIN", "~", "!~"}),
    "bool": frozenset({"=", "!=", "IN", "NIN"}),
    "ids": frozenset({"=", "!=", "IN", "NIN"}),
}
_MARKUP, _WORD = re.compile(r"<[^>]*>"), re.compile(r"\w+")
_CONTACT_DATE = frozenset({"=", ">", "<"})
_CONTACT_TAG = frozenset({"=", "!="})


@dataclass(frozen=True, slots=True)
class Grammar:
    """What the meaning of a query depends on besides the query."""

    record_type: type
    attributes: dict[str, str]
    zone: tzinfo = UTC
    gt_inclusive: bool = False
    malformed_status: int = 400


@dataclass(frozen=True, slots=True)
class Filter:
    """`test` for one record, `select` for many (faster), `ids` where the filter names the only ids that can match."""

    test: Test
    select: Select
    ids: frozenset[Any] | None = None


def compile_query(query: Any, grammar: Grammar) -> Filter:
    """The filter that a `query` object means."""
    return _node(query, grammar, depth=1)


def _invalid(message: str, field: str | None = None, status: int = 400) -> Problem:
    if status == 500:
        return Problem(500, "server_error", "Server error")
    return Problem(400, "parameter_invalid", message, field=field)


def _node(node: Any, grammar: Grammar, depth: int) -> Filter:
    if not isinstance(node, dict) or "operator" not in node or "value" not in node:
        raise _invalid("query must have an operator and a value", "query", grammar.malformed_status)
    operator = node["operator"]
    if operator in ("AND", "OR"):
        if "field" in node:
            raise _invalid("AND and OR take no field", "operator", grammar.malformed_status)
        return _group(operator, node["value"], grammar, depth)
    if not isinstance(node.get("field"), str):
        raise _invalid("a filter must name its field", "field", grammar.malformed_status)
    return _leaf(node["field"], operator, node["value"], grammar)


def _group(operator: str, value: Any, grammar: Grammar, depth: int) -> Filter:
    if not isinstance(value, list) or not value:
        raise _invalid(f"{operator} takes a list of filters", "value", grammar.malformed_status)
    if depth > DEEPEST:
        raise _invalid(f"queries can be nested at most {DEEPEST} levels deep", "query")
    if len(value) > WIDEST:
        raise _invalid(f"a group can have at most {WIDEST} filters", "query")
    parts = [_node(child, grammar, depth + 1) for child in value]
    if len(parts) == 1:
        return parts[0]
    return _all_of(parts) if operator == "AND" else _any_of(parts)


def _all_of(parts: list[Filter]) -> Filter:
    tests = [part.test for part in parts]

    def select(records: Iterable[Any]) -> list[Any]:
        for part in parts:
            records = part.select(records)
        return list(records)

    ids = next((part.ids for part in parts if part.ids is not None), None)
    return Filter(lambda record: all(test(record) for test in tests), select, ids)


def _any_of(parts: list[Filter]) -> Filter:
    tests = [part.test for part in parts]
    test = _either(tests)
    named = [part.ids for part in parts if part.ids is not None]
    ids = frozenset().union(*named) if len(named) == len(parts) else None
    return Filter(test, lambda records: [record for record in records if test(record)], ids)


def _either(tests: list[Test]) -> Test:
    return lambda record: any(test(record) for test in tests)


def _leaf(name: str, operator: Any, value: Any, grammar: Grammar) -> Filter:
    field = find_field(grammar.record_type, name, grammar.attributes)
    if field is None:
        raise _invalid(f"{name} is not a valid search field", name)
    contact_date = grammar.record_type is Contact and field.kind == "date"
    allowed = (
        _CONTACT_DATE if contact_date else _CONTACT_TAG if name in ("tag_id", "segment_id") else _BY_KIND[field.kind]
    )
    if operator not in allowed:
        raise _invalid(f"{operator} is not a valid operator for {name}", name)
    if operator in ("IN", "NIN") and not isinstance(value, list):
        raise _invalid(f"{operator} needs a list of values", name)
    many = operator in ("IN", "NIN")
    wanted = [_coerce(one, field, name) for one in value] if many else _coerce(value, field, name)
    if contact_date:
        return _scan(_day_test(field.get, operator, wanted, grammar.zone))
    if field.kind == "words":
        return _scan(_words_test(field.get, operator, wanted))
    if field.kind == "ids":
        return _scan(_ids_test(field.get, operator, wanted))
    found = _scalar(field.get, operator, wanted, inclusive=grammar.gt_inclusive)
    if name == "id" and operator in ("=", "IN"):
        return Filter(found.test, found.select, frozenset(wanted if many else [wanted]))
    return found


def _coerce(value: Any, field: Field, name: str) -> Any:
    kind = field.kind
    if value is None:
        return 0 if name in ("admin_assignee_id", "team_assignee_id") else None
    if isinstance(value, (list, dict)):
        raise _invalid(f"{name} takes a single value here", name)
    if kind in ("int", "date"):
        if isinstance(value, bool):
            raise _invalid(f"{name} takes a number", name)
        try:
            return int(float(value)) if not isinstance(value, str) or "." in value else int(value)
        except (ValueError, OverflowError) as error:
            raise _invalid(f"{name} takes a number", name) from error
    if kind == "bool":
        if value in (True, "true"):
            return True
        if value in (False, "false"):
            return False
        raise _invalid(f"{name} takes true or false", name)
    return str(value)


def _scan(test: Test) -> Filter:
    return Filter(test, lambda records: [record for record in records if test(record)])


def _scalar(get: Callable[[Any], Any], operator: str, wanted: Any, *, inclusive: bool) -> Filter:
    if operator == "=":
        return Filter(
            lambda record: bool(get(record) == wanted),
            lambda records: [record for record in records if get(record) == wanted],
        )
    if operator in ("IN", "NIN"):
        chosen, absent = set(wanted), operator == "NIN"
        return _scan(lambda record: (get(record) in chosen) != absent)
    if operator == "!=":
        return _scan(lambda record: bool(get(record) != wanted))
    if operator in (">", ">=", "<", "<="):
        return _compare(get, operator[0] == ">", wanted, equal=inclusive or len(operator) == 2)
    return _scan(_text_test(get, operator, str(wanted).casefold()))


def _compare(get: Callable[[Any], Any], more: bool, wanted: Any, *, equal: bool) -> Filter:  # noqa: FBT001
    if wanted is None:
        raise _invalid("comparisons need a number")
    beyond = (ge if equal else gt) if more else (le if equal else lt)
    return Filter(
        lambda record: (value := get(record)) is not None and beyond(value, wanted),
        lambda records: [record for record in records if (value := get(record)) is not None and beyond(value, wanted)],
    )


def _text_test(get: Callable[[Any], Any], operator: str, wanted: str) -> Test:
    def text(record: Any) -> str:
        return str(get(record) or "").casefold()

    if operator == "~":
        return lambda record: wanted in text(record)
    if operator == "!~":
        return lambda record: wanted not in text(record)
    if operator == "^":
        return lambda record: text(record).startswith(wanted)
    return lambda record: text(record).endswith(wanted)


def _words_test(get: Callable[[Any], Any], operator: str, wanted: Any) -> Test:
    """`=` looks for a word, `~` for a text, in what a reader sees of the HTML."""

    def seen(record: Any) -> str:
        return " ".join(unescape(_MARKUP.sub(" ", get(record) or "")).split()).casefold()

    if operator in ("~", "!~"):
        text, absent = str(wanted).casefold(), operator == "!~"
        return lambda record: (text in seen(record)) != absent
    words = {str(one).casefold() for one in (wanted if isinstance(wanted, list) else [wanted])}
    absent = operator in ("!=", "NIN")
    return lambda record: words.isdisjoint(_WORD.findall(seen(record))) == absent


def _ids_test(get: Callable[[Any], tuple[str, ...]], operator: str, wanted: Any) -> Test:
    chosen = {str(one) for one in (wanted if isinstance(wanted, list) else [wanted])}
    if None in (wanted if isinstance(wanted, list) else [wanted]):
        absent = operator in ("=", "IN")
        return lambda record: (not get(record)) == absent
    if operator in ("=", "IN"):
        return lambda record: not chosen.isdisjoint(get(record))
    return lambda record: chosen.isdisjoint(get(record))


def _day_test(get: Callable[[Any], Any], operator: str, wanted: Any, zone: tzinfo) -> Test:
    if wanted is None:
        raise _invalid("dates need a number")
    day = datetime.fromtimestamp(wanted, zone).date()
    start = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    following = day + timedelta(days=1)
    end = datetime(following.year, following.month, following.day, tzinfo=zone).timestamp()
    if operator == ">":
        return lambda record: (value := get(record)) is not None and value >= end
    if operator == "<":
        return lambda record: (value := get(record)) is not None and value < start
    return lambda record: (value := get(record)) is not None and start <= value < end
