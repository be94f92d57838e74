"""The lists inside a contact, of which Intercom shows the first ten (OpenAPI 2.16: `has_more`)."""

from __future__ import annotations

from typing import Any

__all__ = ["held", "with_entry"]


def held(listed: Any, entry_id: str) -> bool | None:
    """Whether the list has it; None where the list is not there, or is not shown to its end."""
    if not isinstance(listed, dict):
        return None
    if any(str(entry.get("id")) == entry_id for entry in listed.get("data") or []):
        return True
    return None if listed.get("has_more") else False


def with_entry(listed: Any, entry_id: str, *, present: bool) -> dict[str, Any]:
    """The list once the entry is on it, or off."""
    known = listed if isinstance(listed, dict) else {}
    others = [entry for entry in known.get("data") or [] if str(entry.get("id")) != entry_id]
    return {**known, "data": [*others, {"id": entry_id}] if present else others}
