"""Fields and values as people know them: a team by its name, a moment by the clock."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from intercom_bulk.cli.screen import when_exactly
from intercom_bulk.errors import IntercomBulkError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Words"]

KINDS: Mapping[str, tuple[str, str]] = {
    "admin_assignee_id": ("teammate", "admin"),
    "owner_id": ("owner", "admin"),
    "team_assignee_id": ("team", "team"),
    "tags": ("tags", "tag"),
}
"""Field -> what people call it, and the kind of the ids in it."""
MOMENTS = frozenset({"snoozed_until"})
NOBODY = frozenset({"", "0", "None"})


class Words:
    """`name_of` (kind, id) is the workspace's list of names; asked for only where an id is to be shown."""

    def __init__(self, name_of: Callable[[str, str], str | None]) -> None:
        self._name_of = name_of

    def changes(self, before: Mapping[str, object], after: Mapping[str, object]) -> str:
        """What is another afterwards, as `state "open" -> "closed"`."""
        changed = (field for field, value in after.items() if before.get(field) != value)
        return ", ".join(
            f"{KINDS.get(field, (field, ''))[0]} {self._value(field, before.get(field))}"
            f" -> {self._value(field, after[field])}"
            for field in changed
        )

    def _value(self, field: str, value: object) -> str:
        if field in KINDS:
            kind = KINDS[field][1]
            if isinstance(value, (list, tuple)):
                return f"[{', '.join(self._name(kind, one) for one in value)}]"
            return self._name(kind, value)
        if field in MOMENTS and isinstance(value, int):
            return when_exactly(value)
        return "none" if value is None else json.dumps(value, default=str, ensure_ascii=False)

    def _name(self, kind: str, value: object) -> str:
        if str(value) in NOBODY:
            return "none"
        try:
            return self._name_of(kind, str(value)) or str(value)
        except IntercomBulkError:  # the token may not list them; the id is true all the same
            return str(value)
