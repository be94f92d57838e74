"""A story as Markdown. Titles, tags and quotes are customers' words, and are shown as words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intercom_bulk.insights.text import escape_markdown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["as_markdown"]

_FENCES = re.compile(r"`{3,}")
_FACETS = (
    ("label", "Kind"),
    ("contact_reason", "Reason"),
    ("product_area", "Area"),
    ("sentiment", "Sentiment"),
    ("urgency", "Urgency"),
    ("language", "Language"),
)


def as_markdown(story: Mapping[str, Any]) -> str:
    """A heading, the numbers, quotes with links, and the command that would be next."""
    lines = [f"## {escape_markdown(story['title'])}", "", _numbers(story), ""]
    for key, name in _FACETS:
        shares = _shares(story["counts"].get(key) or {}, story["size"])
        if shares:
            lines.append(f"- {name}: {shares}")
    lines.append("")
    for quote in story["quotes"]:
        day = _day(quote["created_at"])
        link = f" ([{day}]({quote['url']}))" if quote["url"] else f" ({day})"
        lines += [f"> {escape_markdown(quote['text'])}{link}", ""]
    command = story["suggestion"]["command"]
    fence = "`" * max([3, *(len(run) + 1 for run in _FENCES.findall(command))])
    lines.append(f"Next, if you like: tag them (the tag must exist). {_reach(story['suggestion'])}")
    lines += ["", f"{fence}bash", command, fence, ""]
    return "\n".join(lines)


def _numbers(story: Mapping[str, Any]) -> str:
    trend = story["trend"]
    direction = "too few days for a trend" if trend["direction"] == "unknown" else trend["direction"]
    if trend["per_day"] is not None:
        direction += f": {trend['per_day']:g} a day in the last {trend['recent_days']} days"
        direction += f", {trend['before_per_day']:g} before"
    span = f"{_day(story['first_at'])} to {_day(story['last_at'])}"
    return f"{story['theme']}, {story['size']:,} conversations, {span}, {direction}."


def _shares(counts: Mapping[str, int], size: int) -> str:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:3]
    return ", ".join(f"{escape_markdown(name)} {100 * count / size:.0f} %" for name, count in ranked)


def _reach(suggestion: Mapping[str, Any]) -> str:
    found, of_theme, size = suggestion["found"], suggestion["of_theme"], suggestion["size"]
    others = f", and {found - of_theme:,} others" if found > of_theme else ""
    return f"This finds {of_theme:,} of the {size:,}{others}."


def _day(at: int) -> str:
    return datetime.fromtimestamp(max(at, 0), UTC).date().isoformat()
