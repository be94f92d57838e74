"""Filters are checked before they are sent, and joined without leaving Intercom's limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk.api.query import MAX_DEPTH, MAX_FILTERS, both, checked
from intercom_bulk.errors import QueryError

LEAF = {"field": "state", "operator": "=", "value": "open"}


def group(operator: str, *members: dict[str, Any]) -> dict[str, Any]:
    return {"operator": operator, "value": list(members)}


def test_a_leaf_passes_unchanged() -> None:
    assert checked(LEAF) == LEAF


def test_a_whole_search_body_is_unwrapped() -> None:
    assert checked({"query": LEAF, "pagination": {"per_page": 5}}) == LEAF


def test_fifteen_filters_pass_and_sixteen_do_not() -> None:
    assert len(checked(group("AND", *[LEAF] * 15))["value"]) == 15
    with pytest.raises(QueryError, match="16 filters, and Intercom allows 15"):
        checked(group("AND", *[LEAF] * 16))


def test_two_levels_pass_and_three_do_not() -> None:
    checked(group("AND", group("OR", LEAF)))
    with pytest.raises(QueryError, match="3 deep, and Intercom allows 2"):
        checked(group("AND", group("OR", group("AND", LEAF))))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("state=open", "must be a dict"),
        ({"field": "state", "operator": "==", "value": "open"}, "operator '=='"),
        ({"field": "state", "operator": "="}, "no 'value'"),
        ({"field": "", "operator": "=", "value": 1}, "'field' name"),
        ({"field": "id", "operator": "IN", "value": "1"}, "must be a list"),
        ({"field": "id", "operator": "IN", "value": [1.5]}, "strings and whole numbers"),
        ({"field": "id", "operator": "=", "value": {"a": 1}}, "has a dict"),
        (group("AND"), "is empty"),
        (group("NOT", LEAF), "'AND' or 'OR'"),
        ({"operator": "AND", "value": ["state"]}, "must be a filter or a group"),
    ],
)
def test_a_malformed_query_is_refused_in_one_sentence(query: object, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        checked(query)


def test_a_leaf_among_groups_becomes_a_group_of_one() -> None:
    assert checked(group("OR", LEAF, group("AND", LEAF, LEAF)))["value"][0] == group("AND", LEAF)


def test_a_mixed_group_can_still_be_narrowed() -> None:
    mixed = checked(group("OR", LEAF, group("AND", LEAF, LEAF)))
    assert both(mixed, LEAF) is not None


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda field, value: {"field": field, "operator": "=", "value": value},
        st.sampled_from(["a", "b", "c"]),
        st.integers(0, 2),
    )


def queries() -> st.SearchStrategy[dict[str, Any]]:
    flat = st.builds(group, st.sampled_from(["AND", "OR"]), leaves())
    wide = st.lists(leaves(), min_size=1, max_size=15).flatmap(
        lambda members: st.sampled_from(["AND", "OR"]).map(lambda operator: group(operator, *members))
    )
    deep = st.lists(wide, min_size=1, max_size=15).flatmap(
        lambda members: st.sampled_from(["AND", "OR"]).map(lambda operator: group(operator, *members))
    )
    return st.one_of(leaves(), flat, wide, deep)


def selects(query: dict[str, Any], item: dict[str, int]) -> bool:
    if "field" in query:
        return bool(item[query["field"]] == query["value"])
    verdicts = [selects(member, item) for member in query["value"]]
    return all(verdicts) if query["operator"] == "AND" else any(verdicts)


def depth(query: dict[str, Any]) -> int:
    return 0 if "field" in query else 1 + max(depth(member) for member in query["value"])


def widest(query: dict[str, Any]) -> int:
    return 0 if "field" in query else max(len(query["value"]), *(widest(member) for member in query["value"]))


ITEMS = [{"a": a, "b": b, "c": c} for a in range(3) for b in range(3) for c in range(3)]


@given(queries(), leaves(), leaves())
def test_joining_selects_the_intersection_and_stays_within_the_limits(
    query: dict[str, Any], one: dict[str, Any], other: dict[str, Any]
) -> None:
    joined = both(checked(query), one, other)
    if joined is None:
        return
    assert depth(joined) <= MAX_DEPTH
    assert widest(joined) <= MAX_FILTERS
    assert checked(joined) == joined
    for item in ITEMS:
        assert selects(joined, item) == (selects(query, item) and selects(one, item) and selects(other, item))


def test_what_cannot_be_said_is_not_said() -> None:
    full = group("OR", *[group("AND", *[LEAF] * 15)] * 2)
    assert both(full, LEAF) is None
