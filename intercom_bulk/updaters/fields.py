"""Fields and custom attributes of a contact or a company, set by one PUT and named in one flat list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.attributes import checked_attributes

__all__ = ["checked_fields", "field_effect", "flat", "put_body", "with_fields"]

ATTRIBUTE = "custom_attributes."
"""What a custom attribute's name begins with among the fields of an effect."""

Kinds = Mapping[str, tuple[type, ...]]
"""What each field that can be set may hold, null aside."""


def checked_fields(fields: Mapping[str, Any], kinds: Kinds) -> dict[str, Any]:
    """Raises `UsageError` for a field that cannot be set, or a value that it cannot hold."""
    for name, value in fields.items():
        if name not in kinds:
            near = get_close_matches(name, kinds, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it must be one of {', '.join(kinds)}."
            raise UsageError(f"The field {name!r} cannot be set (custom attributes go in attributes=): {hint}")
        if value is None:
            continue
        if not isinstance(value, kinds[name]) or (isinstance(value, bool) and bool not in kinds[name]):
            wanted = " or ".join(kind.__name__ for kind in kinds[name])
            raise UsageError(f"The field {name!r} must be {wanted} or None, not {value!r}.")
    return dict(fields)


def flat(fields: Mapping[str, Any], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields, and attributes under "custom_attributes.<name>". Raises `UsageError` where there is nothing to set."""
    if not fields and not attributes:
        raise UsageError("What to set? Pass fields={'name': value}, attributes={'name': value} or both.")
    return {**fields, **{f"{ATTRIBUTE}{name}": value for name, value in checked_attributes(attributes).items()}}


def put_body(values: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a PUT that sets them; null clears."""
    body: dict[str, Any] = {name: value for name, value in values.items() if not name.startswith(ATTRIBUTE)}
    attributes = {name.removeprefix(ATTRIBUTE): v for name, v in values.items() if name.startswith(ATTRIBUTE)}
    return {**body, "custom_attributes": attributes} if attributes else body


def field_effect(
    item: Mapping[str, Any], wanted: Mapping[str, Any], shown: Callable[[str, Any], Any] = lambda _, value: value
) -> Effect:
    """`shown`: the value that would have to be set to get what the item shows of a field."""
    held = item.get("custom_attributes") or {}
    before = {
        name: held.get(name.removeprefix(ATTRIBUTE)) if name.startswith(ATTRIBUTE) else shown(name, item.get(name))
        for name in wanted
    }
    return Effect(before, wanted)


def with_fields(item: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The item once they are set."""
    body = put_body(values)
    attributes = {**(item.get("custom_attributes") or {}), **body.pop("custom_attributes", {})}
    return {**item, **body, "custom_attributes": attributes}
