"""What was said in a conversation or on a ticket, and by whom: to find our own words again."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["checked_body", "is_by", "is_same_text", "parts_of", "plain_text", "shortened", "written_by"]

_TAG = re.compile(r"<[^>]*>")
_SHOWN = 60


def parts_of(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parts of a conversation or ticket that was read by its id: the newest 500, the first message not among them.

    Empty for a search result, which has none.
    """
    for name in ("conversation_parts", "ticket_parts"):
        held = item.get(name)
        if isinstance(held, dict):
            return [part for part in held.get(name) or [] if isinstance(part, dict)]
    return []


def written_by(
    entries: Iterable[Mapping[str, Any]], admin_id: str, body: str, *, since: int, kinds: Iterable[str] = ()
) -> list[Mapping[str, Any]]:
    """Those parts or notes that this teammate wrote with this text after that second; of these kinds, if any."""
    wanted = frozenset(kinds)
    return [
        entry
        for entry in entries
        if is_by(entry, admin_id)
        and (entry.get("created_at") or 0) > since
        and (not wanted or entry.get("part_type") in wanted)
        and is_same_text(str(entry.get("body") or ""), body)
    ]


def is_by(entry: Mapping[str, Any], admin_id: str) -> bool:
    """Whether the author is this teammate."""
    author = entry.get("author") or {}
    return author.get("type") == "admin" and str(author.get("id")) == admin_id


def plain_text(body: str) -> str:
    """The words of a body, without markup: Intercom gives a text back as HTML, in paragraphs of its own."""
    return " ".join(unescape(_TAG.sub(" ", body)).split())


def is_same_text(one: str, other: str) -> bool:
    """Whether two bodies say the same, and anything at all."""
    text = plain_text(one).replace(" ", "")
    return bool(text) and text == plain_text(other).replace(" ", "")


def shortened(body: str) -> str:
    """Enough of a text to know it by: the record of a run keeps it once an item."""
    text = plain_text(body)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def checked_body(body: str, what: str) -> str:
    """The text as it is. Raises `UsageError` for one without words, which could not be found again either."""
    if not isinstance(body, str) or not plain_text(body):
        raise UsageError(f"{what} must be text, or the HTML that Intercom takes, with words in it; not {body!r}.")
    return body
