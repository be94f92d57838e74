"""What the compiled query and the filter behind it select, against a plain reading of the expression."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, event, note, settings

from intercom_bulk.api.language.compile import compile_query
from intercom_bulk.api.query import checked
from intercom_bulk.errors import QueryError
from intercom_bulk.sandbox.query import compile_query as sandbox_filter
from tests.query.plain import selected
from tests.query.worlds import NOW, Population, names, population

if TYPE_CHECKING:
    from intercom_bulk.api.language.expression import Expression

__all__ = ["agrees", "many"]

_HIDDEN = {"contacts": "tag", "conversations": "channel"}
"""What Intercom can search by, but does not show in full."""


QUICK = 1 if os.environ.get("LONG_PROOFS") else 8
"""`make soak` generates every example, `make test` one in so many."""


def many(examples: int) -> settings:
    """So many examples where proofs may be long, without a clock: other tests share the machine."""
    return settings(
        max_examples=examples // QUICK,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def agrees(expression: Expression, resource: str, zone: str) -> None:
    """The same items, `>` and `<` strict or not, and nothing that Intercom's grammar does not know."""
    items = population(resource, zone)
    try:
        made = compile_query(expression, resource, names=names, zone=items.world.zone, now=NOW)
    except QueryError as error:
        refused = _HIDDEN.get(resource, "nothing") in str(expression) and "not shown in full" in str(error)
        if not refused:
            raise
        event("refused")
        return
    event("filtered here too" if made.rest is not None else "asked exactly")
    note(made.explain())
    wanted = sorted(selected(expression, items.facts, items.world, items.known))
    for inclusive in (False, True):
        assert [place for place in _found(made.query, items, inclusive) if made.keeps(items.shown[place])] == wanted
    if made.query is not None:
        assert checked(made.query) == made.query


def _found(query: Any, items: Population, inclusive: bool) -> list[int]:
    """What the sandbox answers to the query; it refuses what is outside Intercom's limits."""
    if query is None:
        return list(range(len(items.records)))
    test = sandbox_filter(query, replace(items.grammar, gt_inclusive=inclusive)).test
    return [place for place, record in enumerate(items.records) if test(record)]
