"""Ids in what a plan would change, and the names that people know them by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.errors import IntercomBulkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from intercom_bulk.runs.preview import PreviewItem

__all__ = ["KINDS", "names_in"]

KINDS: Mapping[str, str] = {
    "admin_assignee_id": "admin",
    "owner_id": "admin",
    "team_assignee_id": "team",
    "tags": "tag",
}
"""Field -> the kind of the ids in it."""


def names_in(sample: Iterable[PreviewItem], name_of: Callable[[str, str], str | None]) -> dict[str, dict[str, str]]:
    """Field -> id -> name, of the ids in the sample that have a name. Asked of the workspace while the plan is made:
    the page that shows it asks nobody. An id without a name is left out; it is true all the same.
    """
    found: dict[str, dict[str, str]] = {}
    for one in sample:
        for values in (one.before or {}, one.after or {}):
            for field in KINDS.keys() & values.keys():
                told = values[field]
                for value in told if isinstance(told, (list, tuple)) else (told,):
                    names = found.setdefault(field, {})
                    if str(value) not in names and (name := _name(name_of, KINDS[field], str(value))):
                        names[str(value)] = name
    return {field: names for field, names in found.items() if names}


def _name(name_of: Callable[[str, str], str | None], kind: str, value: str) -> str | None:
    if value in {"", "0", "None"}:
        return None
    try:
        return name_of(kind, value)
    except IntercomBulkError:  # the token may not list them
        return None
