"""More of it lately, or less? Counts a day, recent against before, and only said when chance does not explain it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DAY", "trend"]

DAY = 86_400
_MOST_RECENT, _SHARE = 14, 3
"""Recent are the last third of the days, 14 at most."""
_CHANGED = 0.25
_SIGMAS = 2.0


def trend(by_day: Mapping[int, int], first: int, last: int) -> dict[str, Any]:
    """`by_day`: conversations by day number; `first` and `last`: the days of which anything is known.

    `direction` is rising, falling, steady, or unknown (fewer than six days). `per_day` and `before_per_day` are rates;
    `change` is their ratio less one, null when there was nothing before.
    """
    days = last - first + 1
    recent_days = min(_MOST_RECENT, days // _SHARE)
    if days < 2 * _SHARE:
        return {"direction": "unknown", "recent_days": days, "per_day": None, "before_per_day": None, "change": None}
    from_day = last - recent_days + 1
    recent = sum(count for day, count in by_day.items() if from_day <= day <= last)
    before = sum(count for day, count in by_day.items() if first <= day < from_day)
    rate, earlier = recent / recent_days, before / (days - recent_days)
    # If nothing had changed, the recent days would hold this share of all, give or take the root of it (Poisson).
    expected = (recent + before) * recent_days / days
    surprising = abs(recent - expected) >= _SIGMAS * math.sqrt(max(expected, 1.0))
    change = None if before == 0 else rate / earlier - 1
    direction = "steady"
    if surprising and (change is None or change >= _CHANGED):
        direction = "rising"
    elif surprising and change is not None and change <= -_CHANGED:
        direction = "falling"
    return {
        "direction": direction,
        "recent_days": recent_days,
        "per_day": round(rate, 2),
        "before_per_day": round(earlier, 2),
        "change": None if change is None else round(change, 3),
    }
