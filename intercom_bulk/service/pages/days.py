"""Days as a calendar and as columns: where things stand in an SVG. Pure arithmetic; words are the templates'."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from intercom_bulk.service.pages.words import count as counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Cell", "Columns", "Day", "Heat", "columns", "heat", "holes"]

_SIDE = 13
_STEP = _SIDE + 3
_LEFT, _TOP = 30, 18
_WHOLE = 0.9999
"""A day counts as covered from this share on: its last seconds may be beyond the horizon."""
_HEIGHT, _FOOT, _HEAD = 150, 18, 14
_MOST_CELLS = 371
"""A year, and the days that fill its first week."""


@dataclass(frozen=True, slots=True)
class Day:
    """`covered`: the share of it (0 to 1) of which all conversations are here; `count`: how many there are."""

    day: date
    covered: float
    count: int

    @property
    def is_hole(self) -> bool:
        return self.covered < _WHOLE

    @property
    def word(self) -> str:
        if not self.is_hole:
            return "covered"
        return f"hole: {self.covered:.0%} covered" if self.covered else "hole: not fetched"

    @property
    def title(self) -> str:
        return f"{self.day:%a %d %b %Y}: {self.word}, {counted(self.count, 'conversation', 'conversations')}"


@dataclass(frozen=True, slots=True)
class Cell:
    """A square of the calendar."""

    x: int
    y: int
    tone: str
    title: str
    crossed: bool


@dataclass(frozen=True, slots=True)
class Heat:
    """Weeks from left to right, Monday at the top. `most`: conversations of the fullest day."""

    width: int
    height: int
    side: int
    cells: Sequence[Cell]
    months: Sequence[tuple[int, str]]
    weekdays: Sequence[tuple[int, str]]
    most: int
    days: Sequence[Day]

    @property
    def range(self) -> str:
        return f"{self.days[0].day:%d %b %Y} to {self.days[-1].day:%d %b %Y}"

    @property
    def label(self) -> str:
        missing = sum(day.is_hole for day in self.days)
        told = f"{missing} with holes" if missing else "none with holes"
        return f"Calendar of {len(self.days)} days, {told}. The table below says the same."


def heat(days: Sequence[Day]) -> Heat:
    """Of days in order, without a break; of the last year at most. Raises ValueError for no day."""
    days = days[-_MOST_CELLS:]
    if not days:
        raise ValueError("a calendar needs a day")
    monday = days[0].day - timedelta(days=days[0].day.weekday())
    most = max(day.count for day in days)
    cells = [_cell(day, monday, most) for day in days]
    return Heat(
        width=max(cell.x for cell in cells) + _STEP + 14,  # room for a month's name over the last week
        height=_TOP + 7 * _STEP,
        side=_SIDE,
        cells=cells,
        months=list(_months(days, monday)),
        weekdays=[(_TOP + row * _STEP + _SIDE - 2, word) for row, word in ((0, "Mon"), (2, "Wed"), (4, "Fri"))],
        most=most,
        days=days,
    )


def _cell(day: Day, monday: date, most: int) -> Cell:
    week, row = divmod((day.day - monday).days, 7)
    return Cell(_LEFT + week * _STEP, _TOP + row * _STEP, _tone(day, most), day.title, day.is_hole and not day.covered)


def _tone(day: Day, most: int) -> str:
    if day.is_hole:
        return "part" if day.covered else "hole"
    return f"h{min(4, 1 + 4 * (day.count - 1) // most)}" if day.count else "h0"


def _months(days: Sequence[Day], monday: date) -> Iterator[tuple[int, str]]:
    last = -100
    for day in days:
        x = _LEFT + (day.day - monday).days // 7 * _STEP
        if (day.day.day <= 7 or day is days[0]) and x - last >= 2 * _STEP:
            if day.day.day > 1 and day is not days[0]:
                continue
            last = x
            yield x, f"{day.day:%b}"


@dataclass(frozen=True, slots=True)
class Column:
    """`x` and `width` in percent, `y` and `height` in pixels."""

    x: str
    width: str
    y: float
    height: float
    title: str
    hole: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """A column a day. `ticks`: (percent, anchor, text)."""

    bars: Sequence[Column]
    lines: Sequence[tuple[int, str]]
    ticks: Sequence[tuple[str, str, str]]
    label: str
    note: str


def columns(days: Sequence[Day]) -> Columns:
    """How many conversations were created on each. Raises ValueError for no day."""
    days = days[-_MOST_CELLS:]
    if not days:
        raise ValueError("columns need a day")
    total, fullest = sum(day.count for day in days), max(days, key=lambda day: day.count)
    room = _HEIGHT - _FOOT - _HEAD
    top = _rounded(max(1, fullest.count))
    step = 100 / len(days)
    bars = [
        Column(
            f"{n * step + step * 0.12:.3f}", f"{step * 0.76:.3f}",
            round(_HEAD + room - room * day.count / top, 1), round(max(room * day.count / top, 1), 1),
            day.title, day.is_hole,
        )
        for n, day in enumerate(days)
    ]  # fmt: skip
    note = f"{total:,} in {counted(len(days), 'day', 'days')}, most on {fullest.day:%d %b}: {fullest.count:,}"
    return Columns(
        bars=bars,
        lines=[(_HEAD, f"{top:,}"), (_HEAD + room // 2, f"{top / 2:,.0f}"), (_HEAD + room, "")],
        ticks=[("0", "start", f"{days[0].day:%d %b}"), ("100", "end", f"{days[-1].day:%d %b}")],
        label=f"Conversations a day: {note}. The table above says the same.",
        note=note,
    )


def _rounded(most: int) -> int:
    """The next even number of one or two digits and zeros: its half reads well on an axis, too."""
    size: int = max(1, 10 ** (len(str(most)) - 2))
    steps = -(-most // size)
    return (steps + steps % 2) * size


def holes(days: Sequence[Day]) -> list[tuple[date, date]]:
    """Neighbouring days with holes, from the first to the last of each."""
    found: list[tuple[date, date]] = []
    for day in days:
        if not day.is_hole:
            continue
        if found and found[-1][1] + timedelta(days=1) == day.day:
            found[-1] = (found[-1][0], day.day)
        else:
            found.append((day.day, day.day))
    return found
