"""What the mirror holds, how far it can be trusted, and where its holes are."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from intercom_bulk.service.pages.days import Day, columns, heat, holes
from intercom_bulk.service.pages.words import count, duration, sentence

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["mirror_view"]

_STATES = {"fresh": ("fresh", "good"), "partial": ("partial", "warn"), "stale": ("stale", "warn")}
_NAMED = 4
"""So many holes are named; the others are counted."""


def mirror_view(told: Mapping[str, Any]) -> dict[str, Any]:
    """Of the desk's word for it; `mirror` is None where there is none yet."""
    days = _days(told["days"])
    if not days:
        return {"mirror": None}
    info = told["sync_info"]
    word, tone = _STATES.get(info["state"], (info["state"], ""))
    missing = holes(days)
    threads = [one for one in told["days"] if one["conversations"] and one["threads"] < one["covered"]]
    total, age = sum(day.count for day in days), told["stale_seconds"]
    facts = [
        ("Conversations", f"{total:,}", f"in {count(len(days), 'day', 'days')}"),
        ("Last sync", f"{duration(age)} ago" if age is not None else "never", _last(told["syncs"])),
        ("Days with holes", f"{sum(day.is_hole for day in days):,}", f"of {len(days):,}"),
        ("Without threads", count(len(threads), "day", "days"), "rows only" if threads else "all have theirs"),
    ]  # fmt: skip
    return {
        "mirror": {
            "word": word, "tone": tone, "sentence": sentence(info["message"]), "facts": facts, "holes": missing,
            "holes_title": count(len(missing), "hole.", "holes."), "holes_text": _named(missing),
        },
        "heat": heat(days),
        "columns": columns(days),
        "themes": _themes(told),
        "side_by_side": heat(days).width <= 560,
    }  # fmt: skip


def _days(told: Sequence[Mapping[str, Any]]) -> list[Day]:
    """The first and the last are where the mirror begins and where today is: what they lack is no hole."""
    edges = {0, len(told) - 1}
    return [
        Day(
            date.fromisoformat(one["day"]),
            1.0 if n in edges and one["covered"] else one["covered"],
            one["conversations"],
        )
        for n, one in enumerate(told)
    ]


def _last(syncs: Sequence[Mapping[str, Any]]) -> str:
    last = next((one for one in syncs if one["kind"] != "deletions"), None)
    if last is None:
        return ""
    return f"{last['kind']}, {str(last['state']).replace('_', ' ')}: {last['found']:,} found, {last['calls']:,} calls"


def _named(missing: Sequence[tuple[date, date]]) -> str:
    told = [f"{lo:%d %b}" if lo == hi else f"{lo:%d %b} to {hi:%d %b}" for lo, hi in missing[-_NAMED:]]
    more = len(missing) - len(told)
    return "Conversations created then may be missing: " + ", ".join(told) + (f" and {more} more." if more else ".")


def _themes(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """By their size. What one is called is said by its story, where it is large enough to have one."""
    grouped = sum(one["conversations"] for one in told["themes"])
    titles = {str(one["id"]): one for one in told["stories"]}
    return [
        {
            "name": str(one.get("name") or titles.get(one["theme"], {}).get("title") or one["theme"]),
            "words": ", ".join(map(str, titles.get(one["theme"], {}).get("terms") or ())),
            "count": one["conversations"],
            "share": one["conversations"] / max(grouped, 1),
        }
        for one in told["themes"]
    ]
