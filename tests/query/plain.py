"""A plain reading of an expression: what it selects, without compiling anything.

Works on facts: what is true of an item, by the names of the language. It shares no code with the compiler, the filter
or the sandbox's search.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import cache
from typing import Any

from intercom_bulk.api.language.expression import And, Expression, Filter, Not, Or
from intercom_bulk.api.language.literals import Ago

__all__ = ["NAMES", "Facts", "World", "selected"]

Facts = Mapping[str, Any]
Known = dict[str, frozenset[int]]
NAMES = {
    "Support": "5017691",
    "Billing": "5017692",
    "Ann Archer": "780",
    "Ben Brook": "781",
    "vip": "102",
    "bug": "104",
}
NAMES |= {"me": "780"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
DATES = {"created", "updated", "waiting", "snoozed", "signed_up", "last_seen", "closed_at", "custom.trial_ends_at"}
DATES |= {"custom.processed_at", "last_request_at"}
BY_NAME = {"team", "admin", "tag", "owner", "closed_by", "teammate"}
SPACES = re.compile(r"\s+")


@dataclass(frozen=True)
class World:
    """Now, in epoch seconds, and where the workspace is."""

    now: int
    zone: tzinfo


def selected(expression: Expression, items: Sequence[Facts], world: World, known: Known) -> frozenset[int]:
    """The places of the items that it selects; `known` keeps what each single filter selects of them."""
    if isinstance(expression, (And, Or)):
        parts = [selected(part, items, world, known) for part in expression.parts]
        return frozenset.intersection(*parts) if isinstance(expression, And) else frozenset.union(*parts)
    if isinstance(expression, Not):
        return frozenset(range(len(items))) - selected(expression.part, items, world, known)
    assert isinstance(expression, Filter)
    key = str(expression)
    if key not in known:
        known[key] = frozenset(place for place, facts in enumerate(items) if _holds(expression, facts, world))
    return known[key]


def _holds(expression: Filter, facts: Facts, world: World) -> bool:
    held = facts[expression.field]
    if expression.operator == "!=":
        return not any(_equals(expression, held, value, world) for value in expression.values)
    if expression.operator in {"=", "in"}:
        return any(_equals(expression, held, value, world) for value in expression.values)
    if expression.operator in {"~", "^", "$"}:
        return _says(expression, held)
    if held is None:
        return False
    return _orders(expression, held, world)


def _equals(said: Filter, held: Any, value: Any, world: World) -> bool:
    if value is None or (said.field in {"team", "admin"} and value == 0):
        return held is None or held == frozenset()
    if said.field in DATES:
        if held is None:
            return False
        if isinstance(value, str):
            return _day(held, world) == date.fromisoformat(value)
        return bool(held == value)
    if said.field in BY_NAME:
        value = NAMES.get(str(value), str(value))
    if isinstance(held, frozenset):
        return str(value) in held
    if said.field == "body":
        return str(value).lower() in re.findall(r"\w+", held.lower())
    if held is None:
        return False
    if isinstance(held, bool) or isinstance(value, bool):
        return held is value
    if isinstance(held, (int, float)) and isinstance(value, (int, float)) and said.field != "id":
        return held == value
    return str(held) == str(value)


def _says(said: Filter, held: Any) -> bool:
    text = SPACES.sub(" ", str(held or "")).lower()
    wanted = str(said.value).lower()
    if said.operator == "~":
        return wanted in text
    return text.startswith(wanted) if said.operator == "^" else text.endswith(wanted)


def _orders(said: Filter, held: Any, world: World) -> bool:
    value: Any = said.value
    if isinstance(value, str):
        held, value = _day(held, world), date.fromisoformat(value)
    elif isinstance(value, Ago):
        value = world.now - value.count * UNITS[value.unit]
    return bool(
        {"<": held < value, "<=": held <= value, ">": held > value, ">=": held >= value}[said.operator],
    )


@cache
def _day(second: int, world: World) -> date:
    return datetime.fromtimestamp(second, world.zone).date()
