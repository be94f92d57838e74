"""What a run would do, in numbers and in words for somebody who is about to start it."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from intercom_bulk.runs.seams import Budget

__all__ = ["Preview", "PreviewItem", "seconds_needed"]

WIDTH = 79
WINDOW = 10.0
"""Seconds of one rate-limit window."""
_LEFT_OUT = {
    "gone": "do not exist (any more)",
    "blank": "rows of the list are blank",
    "duplicate": "rows of the list repeat an id",
    "moved": "have changed since they were chosen",
    "left_out": "rows of the list are settled already, by their status",
    "bad_id": "rows of the list HAVE NO USABLE ID",
}
_AS_BY_HAND = "Workflows, SLAs, surveys and webhooks fire for each of them, as if a teammate did it by hand."


@dataclass(frozen=True, slots=True)
class PreviewItem:
    """One item as it is and as it would be; None where the updater cannot tell. `name`: what people know it by."""

    id: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run with the same arguments would do; nothing was written to find out.

    `count` items would be changed; `already` are as intended, `filtered` by should_process(), `held_out` by exclude=
    (`reasons` says how many for which), `left_out` are gone or rows of a list that are no items (how many by code),
    `failed` cannot be judged or done (`failures`: how many for which reason); `matched` is all of them. `writes` (one
    an item) and `reads` are the calls needed, `seconds` they take at the limit as it is now (None: not known).
    `irreversible` says what cannot be undone and why, None: all of it can. `side_effects`: sentence -> items that it is
    true of.
    """

    title: str
    count: int
    already: int = 0
    filtered: int = 0
    held_out: int = 0
    failed: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    reasons: Mapping[str, int] = field(default_factory=dict)
    sample: Sequence[PreviewItem] = ()
    writes: int = 0
    reads: int = 0
    seconds: float | None = None
    limit: int | None = None
    irreversible: str | None = None
    side_effects: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def matched(self) -> int:
        """Every item that was looked at."""
        judged = self.count + self.already + self.filtered + self.held_out + self.failed
        return judged + sum(self.left_out.values())

    @property
    def calls(self) -> int:
        """Requests of the whole run."""
        return self.writes + self.reads

    def __str__(self) -> str:
        lines = [f"{self.title}: a preview. Nothing was written.", "", *self._counts()]
        if self.sample:
            few = f", {len(self.sample)} of {self.count:,}" if len(self.sample) < self.count else ""
            lines += ["", f"What would change{few}:", *(_short(_shown(item)) for item in self.sample)]
        lines += ["", *_wrapped(self._cost()), *_wrapped(self._way_back())]
        if self.count:
            lines += ["", "What else it causes:", *self._consequences()]
        return "\n".join(lines)

    def _counts(self) -> Iterator[str]:
        yield _row(self.count, "would be changed")
        for count, text in (
            (self.already, "already are as intended: left alone"),
            (self.filtered, "left out by should_process()"),
            *((count, f"held out: {reason}") for reason, count in self.reasons.items()),
            *((count, _LEFT_OUT.get(code, code)) for code, count in self.left_out.items()),
            (self.failed, "CANNOT BE JUDGED: effect() or should_process() raised; see a dry run"),
        ):
            if count:
                yield _row(count, text)
        yield _row(self.matched, "match in all")

    def _cost(self) -> str:
        if not self.count:
            return "There is nothing to do."
        cost = f"It needs {self.writes:,} writes and about {self.reads:,} reads"
        if self.seconds is None:
            return f"{cost}; how long that takes is not known, for Intercom does not say its limit."
        told = f" of {self.limit:,} calls in ten seconds" if self.limit else ""
        return f"{cost}: {_duration(self.seconds)} at the limit{told} as it is now."

    def _way_back(self) -> str:
        if self.irreversible is not None:
            return f"WHAT CANNOT BE UNDONE: {self.irreversible}"
        return "It can be undone, item by item, where nobody changes the item in between."

    def _consequences(self) -> Iterator[str]:
        for sentence, count in sorted(self.side_effects.items(), key=lambda each: -each[1]):
            yield from _wrapped(sentence, first=f"{count:>9,}  ", rest=" " * 11)
        yield from _wrapped(_AS_BY_HAND, first=" " * 11, rest=" " * 11)


def seconds_needed(calls: int, budget: Budget, *, share: float = 1.0) -> float | None:
    """How long so many calls take at the limit as it is now; None where it is not known.

    What the open window has left is spread over it, whole windows follow (reliability.md A.3).
    """
    if not budget.limit:
        return calls / budget.rate if budget.rate > 0 else None
    per_window = budget.limit * share
    rest = WINDOW if budget.window_ends_in is None else min(max(budget.window_ends_in, 0.0), WINDOW)
    left = min(per_window, budget.limit * (1.0 - (budget.used or 0.0)))
    if calls <= left:
        return rest * calls / left
    return rest + (calls - left) * WINDOW / per_window


def _row(count: int, text: str) -> str:
    return _short(f"{count:>9,}  {text}")


def _shown(item: PreviewItem) -> str:
    if item.after is None:
        return f"  {item.id}"
    before = item.before or {}
    changed = (key for key, value in item.after.items() if before.get(key) != value)
    told = ", ".join(f"{key} {_value(before.get(key))} -> {_value(item.after[key])}" for key in changed)
    return f"  {item.id}  {told}"


def _value(value: Any) -> str:
    return "none" if value is None else json.dumps(value, default=str)


def _short(line: str) -> str:
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"


def _wrapped(text: str, *, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _duration(seconds: float) -> str:
    if seconds <= 1:
        return "about a second"
    if seconds < 90:
        return f"about {math.ceil(seconds)} seconds"
    if seconds < 5400:
        return f"about {math.ceil(seconds / 60)} minutes"
    return f"about {seconds / 3600:.1f} hours"
