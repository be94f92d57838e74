"""Intercom's search filters: checked against its limits before anything is sent, and joined without breaking them.

The grammar (OpenAPI 2.16, `search_request`): a leaf is `{"field", "operator", "value"}`, a group is
`{"operator": "AND" | "OR", "value": [...]}`, of at most fifteen members, nested at most two groups deep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intercom_bulk.errors import QueryError

__all__ = ["MAX_DEPTH", "MAX_FILTERS", "OPERATORS", "both", "checked"]

Query = dict[str, Any]

MAX_FILTERS = 15
MAX_DEPTH = 2
OPERATORS = frozenset({"=", "!=", "IN", "NIN", ">", "<", ">=", "<=", "~", "!~", "^", "$"})


def checked(query: object) -> Query:
    """The same query in plain dicts, with mixed groups made uniform; raises `QueryError` with what to change."""
    if not isinstance(query, Mapping):
        raise QueryError(
            "A search query must be a dict such as {'field': 'state', 'operator': '=', 'value': 'open'},"
            f" not {type(query).__name__}."
        )
    node = query.get("query", query) if "field" not in query and "operator" not in query else query
    if not isinstance(node, Mapping):
        raise QueryError("The 'query' of a search must be a dict.")
    return _node(node, depth=1)


def both(query: Query, *leaves: Query) -> Query | None:
    """`query AND leaves` within the limits, or None where Intercom has no way to say it."""
    if "field" in query:
        return {"operator": "AND", "value": [query, *leaves]}
    members = query["value"]
    if query["operator"] == "AND" and _is_flat(query):
        if len(members) + len(leaves) <= MAX_FILTERS:
            return {"operator": "AND", "value": [*members, *leaves]}
        return {"operator": "AND", "value": [query, {"operator": "AND", "value": list(leaves)}]}
    if _is_flat(query):
        return {"operator": "AND", "value": [query, {"operator": "AND", "value": list(leaves)}]}
    if query["operator"] == "AND" and len(members) < MAX_FILTERS:
        return {"operator": "AND", "value": [*members, {"operator": "AND", "value": list(leaves)}]}
    return _distributed(query, leaves)


def _distributed(query: Query, leaves: tuple[Query, ...]) -> Query | None:
    """(A or B) and C is (A and C) or (B and C), where A and B are AND groups with room for C."""
    roomy = all(
        group["operator"] == "AND" and len(group["value"]) + len(leaves) <= MAX_FILTERS for group in query["value"]
    )
    if query["operator"] != "OR" or not roomy:
        return None
    return {
        "operator": "OR",
        "value": [{"operator": "AND", "value": [*group["value"], *leaves]} for group in query["value"]],
    }


def _node(node: Mapping[str, Any], *, depth: int) -> Query:
    return _leaf(node) if "field" in node else _group(node, depth=depth)


def _leaf(node: Mapping[str, Any]) -> Query:
    field, operator = node.get("field"), node.get("operator")
    if not isinstance(field, str) or not field:
        raise QueryError(f"A filter needs a 'field' name, not {field!r}.")
    if operator not in OPERATORS:
        raise QueryError(
            f"The filter on {field!r} has the operator {operator!r}: use one of {' '.join(sorted(OPERATORS))}."
        )
    if "value" not in node:
        raise QueryError(f"The filter on {field!r} has no 'value'.")
    value = node["value"]
    if operator in {"IN", "NIN"}:
        if not isinstance(value, (list, tuple)):
            raise QueryError(f"The filter on {field!r} uses {operator}: its value must be a list.")
        if not all(isinstance(member, (str, int)) for member in value):
            raise QueryError(f"The filter on {field!r} uses {operator}: its list may hold strings and whole numbers.")
        value = list(value)
    elif value is not None and not isinstance(value, (str, int, float, bool)):
        raise QueryError(
            f"The filter on {field!r} has a {type(value).__name__}: use a string, number, boolean or null."
        )
    return {"field": field, "operator": operator, "value": value}


def _group(node: Mapping[str, Any], *, depth: int) -> Query:
    operator, members = node.get("operator"), node.get("value")
    if operator not in {"AND", "OR"} or not isinstance(members, (list, tuple)):
        raise QueryError("A group of filters must look like {'operator': 'AND' or 'OR', 'value': [filters]}.")
    if not members:
        raise QueryError(f"A group of filters ({operator}) is empty: Intercom needs at least one filter.")
    if depth > MAX_DEPTH:
        raise QueryError(f"The query nests groups {depth} deep, and Intercom allows {MAX_DEPTH}: flatten it.")
    if len(members) > MAX_FILTERS:
        raise QueryError(
            f"A group has {len(members)} filters, and Intercom allows {MAX_FILTERS} in each AND or OR:"
            " use IN, or split the run."
        )
    if not all(isinstance(member, Mapping) for member in members):
        raise QueryError("Every member of a group must be a filter or a group (a dict).")
    return {
        "operator": operator,
        "value": _uniform([_node(member, depth=depth + 1) for member in members], depth),
    }


def _uniform(members: list[Query], depth: int) -> list[Query]:
    """Intercom's schema knows groups of leaves and groups of groups: a leaf among groups becomes a group of one."""
    if depth < MAX_DEPTH and any("field" not in member for member in members):
        return [{"operator": "AND", "value": [member]} if "field" in member else member for member in members]
    return members


def _is_flat(query: Query) -> bool:
    return all("field" in member for member in query["value"])
