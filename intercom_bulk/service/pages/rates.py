"""How much of the limit is used, and by whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.service.pages.words import count, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["rate_view"]


def rate_view(told: Mapping[str, Any]) -> dict[str, Any]:
    """Of what the desk tells: windows of ten seconds, oldest first, and the open one."""
    windows: Sequence[Mapping[str, Any]] = told["windows"]
    if not windows:
        return {"samples": [], "facts": [], "say": "No request was made yet.", "say_state": ""}
    now, last = told["now"], windows[-1]
    offered = sum(one["limit"] for one in windows)
    ours, others = sum(one["ours"] for one in windows), sum(one["others"] for one in windows)
    refused = [one for one in windows if one["refused"]]
    open_one = f"{now['used']:,} of {now['limit']:,}" if now else "none is open"
    refusals = count(sum(one["refused"] for one in refused), "refusal", "refusals") if refused else "none was refused"
    span = _span(windows, told["seconds"])
    facts = [
        ("This window", open_one, f"ends in {now['ends_in']:.0f} s" if now else "nobody here is working"),
        ("Limit", f"{last['limit']:,}", f"in ten seconds, {last['limit'] * 6:,} a minute"),
        ("Ours", percent(ours / offered) if offered else "–", f"{ours:,} requests in {span}"),
        ("Others", percent(others / offered) if offered else "–", f"{others:,} requests by other apps and scripts"),
        ("Windows with a 429", f"{len(refused):,}", refusals),
    ]
    return {
        "samples": [{**one, "at": one["ends_at"] - told["seconds"]} for one in windows],
        "facts": facts,
        "say": f"This window: {open_one} requests.",
        "say_state": str(last["limit"]),
    }  # fmt: skip


def _span(windows: Sequence[Mapping[str, Any]], seconds: int) -> str:
    minutes = len(windows) * seconds / 60
    return f"{minutes:.0f} min" if minutes >= 2 else f"{len(windows) * seconds} s"
