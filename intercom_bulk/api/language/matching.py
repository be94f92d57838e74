"""Whether an item's JSON, as a search shows it, meets a condition: the part of a search that is done here."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.language.binding import Among, Bound, Moments, Ordered, Says
from intercom_bulk.api.language.fields import Kind
from intercom_bulk.api.language.forms import Tree, holds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.api.language.fields import Field

__all__ = ["matches", "text_of_html"]

_TAG = re.compile(r"<[^>]*>")
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"\w+")


def matches(tree: Tree[Bound], item: Mapping[str, Any]) -> bool:
    """Whether the item is selected. Every field of the tree must be one that results show."""
    return holds(tree, lambda bound: _meets(bound, item))


def text_of_html(body: str) -> str:
    """What a reader sees of it, on one line."""
    return _SPACE.sub(" ", html.unescape(_TAG.sub(" ", body))).strip()


def _meets(bound: Bound, item: Mapping[str, Any]) -> bool:
    where, condition = bound.field, bound.condition
    if where.read is None:
        raise AssertionError(f"{where.name} cannot be judged from a search result")
    value = where.read(item)
    if isinstance(condition, Among):
        met = _is_among(condition, where, value)
    elif isinstance(condition, Moments):
        met = _is_within(condition, value)
    elif isinstance(condition, Ordered):
        met = _is_ordered(condition, value)
    else:
        met = _says(condition, where, value)
    return met != bound.negated


def _is_among(condition: Among, where: Field, value: Any) -> bool:
    if where.kind is Kind.IDS:
        held = {str(one) for one in value or () if one is not None}
        return (condition.none and not held) or any(one in held for one in condition.values)
    if value is None or (where.zero and str(value) in {"0", ""}):
        return condition.none
    if where.kind is Kind.WORDS:
        said = {word.casefold() for word in _WORD.findall(text_of_html(str(value)))}
        return any(str(one).casefold() in said for one in condition.values)
    return any(_is_same(value, one) for one in condition.values)


def _is_same(value: Any, wanted: str | float | bool) -> bool:  # noqa: FBT001
    """Ids come as numbers or text, custom attributes as whatever they are."""
    if isinstance(value, bool) or isinstance(wanted, bool):
        return str(value).lower() == str(wanted).lower()
    if isinstance(value, (int, float)) and isinstance(wanted, (int, float)):
        return value == wanted
    return str(value) == str(wanted)


def _is_within(condition: Moments, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return (condition.lo is None or value >= condition.lo) and (condition.hi is None or value < condition.hi)


def _is_ordered(condition: Ordered, value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    number = condition.number
    if condition.operator in {"<", "<="}:
        return value < number or (condition.operator == "<=" and value == number)
    return value > number or (condition.operator == ">=" and value == number)


def _says(condition: Says, where: Field, value: Any) -> bool:
    text = "" if value is None else text_of_html(str(value)) if where.kind is Kind.WORDS else str(value)
    text, wanted = text.casefold(), condition.text.casefold()
    if condition.operator == "~":
        return wanted in text
    return text.startswith(wanted) if condition.operator == "^" else text.endswith(wanted)
