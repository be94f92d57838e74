"""What may stand in a field of Intercom's JSON, taken as it comes: ids as text, numbers from text, null for nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["clean", "id_of", "json_of", "list_of", "needed_id", "number_of", "object_of", "text_of"]


def needed_id(document: Mapping[str, Any]) -> str:
    """Its own id. Raises ValueError where there is none."""
    found = id_of(document.get("id"))
    if found is None:
        raise ValueError("a document without an id cannot be stored")
    return found


def id_of(value: object) -> str | None:
    """0 is nobody, as null is (API 2.16)."""
    if value is None or isinstance(value, (bool, dict, list)):
        return None
    text = clean(str(value)).strip()
    return text if text not in {"", "0"} else None


def text_of(value: object) -> str | None:
    """Text, or a number as text; nothing of what has parts."""
    if value is None or isinstance(value, (dict, list)):
        return None
    return clean(str(value))


def clean(text: str) -> str:
    """What both databases can hold: no NUL, no half of an emoji."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def number_of(document: Mapping[str, Any], name: str) -> int | None:
    """A whole number that both databases can hold."""
    value = document.get(name)
    if isinstance(value, bool):
        return int(value)
    try:
        number = int(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) < 2**53 else None


def object_of(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Empty where there is none."""
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def list_of(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects in it."""
    value = document.get(name)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def json_of(value: Mapping[str, Any]) -> str:
    """As a column holds it."""
    return clean(json.dumps(value, ensure_ascii=False, default=str))
