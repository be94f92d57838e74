"""Expressions to try: every field and operator, values at the edges, nested, narrow and far too wide."""

from __future__ import annotations

import random
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from intercom_bulk.api.language.expression import Expression, Filter
from intercom_bulk.api.language.literals import Ago
from tests.query.plain import DATES
from tests.query.worlds import ADMINS, TAGS, TEAMS, Population, population

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["expressions", "filters"]

Draw = random.Random
POOL = 3_000
"""Filters to choose from: one draw of the test's for a whole filter, where building each took ten times as long."""
ORDERS = ("<", "<=", ">", ">=")
NUMBERS = (-1, 0, 1, 2, 3, 2.5, 0.1, 120_000_000)
PIECES = ("refund", "Hello, q", "on 1", "PERSON", "free", "o", "Ticket 1", "example", "ques", "1")


@cache
def expressions(resource: str, zone: str) -> st.SearchStrategy[Expression]:
    """Single ones, a few nested, and now and then a row of up to thirty alternatives or conditions of several each."""
    one: st.SearchStrategy[Expression] = st.sampled_from(filters(resource, zone))
    few = _joined(st.lists(one, min_size=1, max_size=4))
    nested = _joined(st.lists(few | one, min_size=1, max_size=4))
    deeper = _joined(st.lists(nested | one, min_size=2, max_size=3))
    wide = _joined(st.lists(few | one, min_size=8, max_size=30))
    return st.integers(0, 19).flatmap(lambda kind: wide if kind == 19 else (one, few, nested, deeper)[kind % 4])


@cache
def filters(resource: str, zone: str) -> list[Filter]:
    """Always the same for the same arguments."""
    items, draw = population(resource, zone), random.Random(f"filters of {resource} {zone}")
    dates = [name for name in items.facts[0] if name in DATES]
    fields = [*dates, *dates, *_FIELDS[resource]]
    return list(dict.fromkeys(_filter(draw.choice(fields), resource, items, draw) for _ in range(POOL)))


def _joined(parts: st.SearchStrategy[list[Expression]]) -> st.SearchStrategy[Expression]:
    return st.builds(_join, parts, st.sampled_from(("&", "|", "~&", "~|")))


def _join(parts: list[Expression], sign: str) -> Expression:
    found = parts[0]
    for part in parts[1:]:
        found = found & part if sign[-1] == "&" else found | part
    return ~found if sign[0] == "~" else found


def _filter(name: str, resource: str, items: Population, draw: Draw) -> Filter:
    if name in DATES:
        return _of_date(name, items, draw)
    kind = _FIELDS[resource][name]
    if kind in {"text", "words"} and draw.random() < 0.4:
        return Filter(name, draw.choice("~" if kind == "words" else "~^$"), draw.choice(PIECES))
    if kind == "number" and draw.random() < 0.6:
        return Filter(name, draw.choice(ORDERS), draw.choice(NUMBERS))
    return _equal(name, lambda: draw.choice(_values(name, kind, items)), draw)


def _equal(name: str, value: Callable[[], Any], draw: Draw) -> Filter:
    operator = draw.choice(("=", "!=", "in"))
    return Filter(name, operator, tuple(value() for _ in range(draw.randint(2, 4))) if operator == "in" else value())


def _of_date(name: str, items: Population, draw: Draw) -> Filter:
    def second() -> int:
        return draw.choice(items.seconds) + draw.choice((-1, 0, 0, 1))

    def day() -> str:
        return str(datetime.fromtimestamp(draw.choice(items.seconds), items.world.zone).date())

    def ago() -> Ago:
        return Ago(draw.randrange(60), draw.choice("mhd")) if draw.random() < 0.9 else Ago(1, "w")

    # Nothing says that what a custom attribute is equal to is a date: a day would be a text.
    if name.startswith("custom.") or draw.random() < 0.6:
        return Filter(name, draw.choice(ORDERS), draw.choice((second, day, ago))())
    return _equal(name, lambda: draw.choice((second, second, day, day, lambda: None))(), draw)


def _values(name: str, kind: str, items: Population) -> list[Any]:
    if kind in _VALUES:
        return _VALUES[kind]
    held = [fact[name] for fact in items.facts]
    if kind == "contact":
        return [*sorted({one for several in held for one in several})[:5], None]
    if kind == "id":
        return held[:20]
    if kind == "choice":
        return sorted(set(held))
    return [*sorted(set(held), key=repr)[:12], None, *(["nobody has this"] if kind == "text" else [])]


_VALUES: dict[str, list[Any]] = {
    "words": ["hello", "QUESTION", "7", "17", "quest", 12],
    "flag": [True, False],
    "flag or none": [True, False, None],
    "team": [*TEAMS, 5017691, "Support", "Billing", None, 0],
    "admin": [*ADMINS, 781, "Ann Archer", "me", None],
    "teammate": [*ADMINS, 781, "Ann Archer", "me", None],
    "owner": [*ADMINS, 781, "Ben Brook", None],
    "tag": [*TAGS, 101, "vip", "bug", None],
}

_FIELDS: dict[str, dict[str, str]] = {
    "conversations": {
        "id": "id", "state": "choice", "open": "flag", "read": "flag", "priority": "text", "team": "team",
        "admin": "admin", "tag": "tag", "contact": "contact", "teammate": "teammate", "closed_by": "owner",
        "count_reopens": "number", "title": "text", "body": "words", "channel": "text", "custom.issue_type": "text",
        "custom.priority_score": "number", "custom.processed": "flag or none",
    },
    "contacts": {
        "id": "id", "role": "choice", "name": "text", "email": "text", "email_domain": "text", "phone": "text",
        "external_id": "text", "owner": "owner", "unsubscribed": "flag", "tag": "tag", "custom.plan": "text",
        "custom.score": "number", "custom.active": "flag or none",
    },
    "tickets": {
        "id": "id", "team": "team", "admin": "admin", "open": "flag", "state": "choice", "ticket_state": "choice",
        "title": "text", "description": "text", "category": "choice", "ticket_type": "choice", "contact": "contact",
        "custom.severity": "text",
    },
    "companies": {
        "id": "id", "company_id": "text", "name": "text", "plan": "text", "user_count": "number", "tag": "tag",
        "custom.seats": "number", "custom.industry": "text",
    },
}  # fmt: skip
