"""Rows of filters as Intercom's JSON: at most fifteen in a group, groups two deep, leaves never beside groups."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.api.language.asking import LONGEST_LIST, Raw
from intercom_bulk.api.language.forms import All, Some, Tree
from intercom_bulk.api.query import MAX_FILTERS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from intercom_bulk.api.query import Query

__all__ = ["EVERYTHING", "laid_out", "laid_out_terms", "tidied"]

EVERYTHING: Query = {"field": "created_at", "operator": ">", "value": 0}
"""A search must have a filter."""


def tidied(tree: Tree[Raw]) -> Tree[Raw]:
    """The same formula with fewer filters: `a = 1 OR a = 2` is one IN, `a != 1 AND a != 2` one NIN."""
    if not isinstance(tree, (All, Some)):
        return tree
    parts = [tidied(part) for part in tree.parts]
    raws = [part for part in parts if isinstance(part, Raw)]
    others = [part for part in parts if not isinstance(part, Raw)]
    merged = [*_merged(raws, is_any=isinstance(tree, Some)), *others]
    if len(merged) == 1:
        return merged[0]
    return All(tuple(merged)) if isinstance(tree, All) else Some(tuple(merged))


def laid_out(rows: Sequence[tuple[Raw, ...]]) -> Query | None:
    """All of some; None where it does not fit."""
    single = _merged([row[0] for row in rows if len(row) == 1], is_any=False)
    several = [_merged(row, is_any=True) for row in rows if len(row) > 1]
    single += [row[0] for row in several if len(row) == 1]
    return _laid_out(single, [row for row in several if len(row) > 1], "AND", "OR")


def laid_out_terms(rows: Sequence[tuple[Raw, ...]]) -> Query | None:
    """Some of all; None where it does not fit. A row without a filter selects everything."""
    if any(not row for row in rows):
        return EVERYTHING
    single = _merged([row[0] for row in rows if len(row) == 1], is_any=True)
    several = [_merged(row, is_any=False) for row in rows if len(row) > 1]
    single += [row[0] for row in several if len(row) == 1]
    return _laid_out(single, [row for row in several if len(row) > 1], "OR", "AND")


def _laid_out(single: Sequence[Raw], several: Sequence[Sequence[Raw]], outer: str, inner: str) -> Query | None:
    leaves = [_leaf(raw) for raw in dict.fromkeys(single)]
    groups = [[_leaf(raw) for raw in row] for row in several]
    if not groups and len(leaves) <= MAX_FILTERS:
        return _group(outer, leaves) if len(leaves) > 1 else leaves[0] if leaves else EVERYTHING
    if not leaves and len(groups) == 1:
        chunks = _chunks(groups[0])
        if len(chunks) > MAX_FILTERS:
            return None
        return _group(inner, chunks[0] if len(chunks) == 1 else [_group(inner, chunk) for chunk in chunks])
    members = [*(_group(outer, chunk) for chunk in _chunks(leaves)), *(_group(inner, group) for group in groups)]
    if len(members) > MAX_FILTERS or any(len(group) > MAX_FILTERS for group in groups):
        return None
    return _group(outer, members)


def _chunks(filters: Sequence[Query]) -> list[list[Query]]:
    return [list(filters[start : start + MAX_FILTERS]) for start in range(0, len(filters), MAX_FILTERS)]


def _group(operator: str, members: Sequence[Query]) -> Query:
    return {"operator": operator, "value": list(members)}


def _leaf(raw: Raw) -> Query:
    value: Any = list(raw.value) if isinstance(raw.value, tuple) else raw.value
    return {"field": raw.field, "operator": raw.operator, "value": value}


def _merged(raws: Iterable[Raw], *, is_any: bool) -> list[Raw]:
    """Equalities of one field as a list, where the field knows lists; the order of first mention."""
    equal, several = ("=", "IN") if is_any else ("!=", "NIN")
    kept: dict[Hashable, list[Raw]] = {}
    for raw in dict.fromkeys(raws):
        mergeable = raw.lists and raw.operator in {equal, several} and _is_listable(raw)
        kept.setdefault((raw.field, equal) if mergeable else raw, []).append(raw)
    return [raw for same in kept.values() for raw in (same if len(same) == 1 else _as_lists(same, several))]


def _is_listable(raw: Raw) -> bool:
    """Lists hold text and whole numbers (OpenAPI 2.16, `single_filter_search_request`)."""
    return raw.value is not None and not isinstance(raw.value, (bool, float))


def _as_lists(raws: Sequence[Raw], operator: str) -> list[Raw]:
    values = dict.fromkeys(
        value for raw in raws for value in (raw.value if isinstance(raw.value, tuple) else (raw.value,))
    )
    listed = list(values)
    return [
        Raw(raws[0].field, operator, tuple(listed[start : start + LONGEST_LIST]))  # type: ignore[arg-type]
        for start in range(0, len(listed), LONGEST_LIST)
    ]
