"""A run under way, drawn on stderr: live on a terminal, where rich is installed; else in plain lines."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from intercom_bulk.cli.screen import printable
from intercom_bulk.display import line_of
from intercom_bulk.runs.model import LEFT_ALONE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from intercom_bulk.cli.screen import Screen
    from intercom_bulk.runs.summary import Progress

__all__ = ["Frame", "Picture", "picture"]

QUIET = 5.0
"""Seconds between two lines where nobody watches: a job without output looks hung."""
BAR = 24


@dataclass(frozen=True, slots=True)
class Frame:
    """A moment of a run, and how many items ended with which code so far."""

    progress: Progress
    codes: Mapping[str, int]

    @property
    def reasons(self) -> str:
        """Why items failed, the most frequent first."""
        failed = [(count, code) for code, count in self.codes.items() if code not in LEFT_ALONE]
        return printable(", ".join(f"{code} {count:,}" for count, code in sorted(failed, reverse=True)[:4]))


class Picture(Protocol):
    """Draws one frame after another, a few a second."""

    def draw(self, frame: Frame) -> None: ...
    def close(self) -> None:
        """Leave the cursor on a line of its own."""


def picture(screen: Screen, title: str | Callable[[], str]) -> Picture:
    """The best that can be drawn here. A `title` that changes stands on every line, one that stays on the picture."""
    named, part = (title, title) if callable(title) else ((lambda: title), None)
    if not screen.is_live:
        return _Seen(_Lines(part))
    try:
        return _Seen(_Live(named))
    except ImportError:
        return _Seen(_Line(part))


class _Seen:
    """Another picture, for as long as somebody can see it: a run does not end with the terminal that shows it."""

    def __init__(self, inner: Picture) -> None:
        self._inner: Picture | None = inner

    def draw(self, frame: Frame) -> None:
        self._unless_lost(lambda shown: shown.draw(frame))

    def close(self) -> None:
        self._unless_lost(lambda shown: shown.close())

    def _unless_lost(self, do: Callable[[Picture], None]) -> None:
        if self._inner is None:
            return
        try:
            do(self._inner)
        except OSError:
            self._inner = None


class _Lines:
    """A line every few seconds, and one for each part of the whole."""

    def __init__(self, part: Callable[[], str] | None = None) -> None:
        self._part = part
        self._drawn = ""
        self._next = 0.0
        self._waiting: Frame | None = None

    def draw(self, frame: Frame) -> None:
        self._waiting = frame
        is_other = self._part is not None and self._part() != self._drawn
        if is_other or frame.progress.elapsed >= self._next:
            self._next = frame.progress.elapsed + QUIET
            self.close()

    def close(self) -> None:
        """Say how it stands, unless that was said."""
        if self._waiting is not None:
            self._drawn = self._part() if self._part else ""
            sys.stderr.write(_text(self._waiting, 0, self._part) + "\n")
            sys.stderr.flush()
        self._waiting = None


class _Line:
    """One line that is drawn over."""

    def __init__(self, part: Callable[[], str] | None = None) -> None:
        self._part = part
        self._drawn = 0

    def draw(self, frame: Frame) -> None:
        text = _text(frame, BAR, self._part)[:79]
        sys.stderr.write("\r" + text.ljust(self._drawn))
        sys.stderr.flush()
        self._drawn = len(text)

    def close(self) -> None:
        if self._drawn:
            sys.stderr.write("\n")


class _Live:
    """A bar, the rate, the window's budget, and what failed. Raises `ImportError` without rich."""

    def __init__(self, title: Callable[[], str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = title
        console = Console(stderr=True, highlight=False)
        self._live = Live(console=console, auto_refresh=False, transient=False)
        self._begun = False

    def draw(self, frame: Frame) -> None:
        if not self._begun:
            self._begun = True
            self._live.start()
        self._live.update(_drawing(self._title(), frame), refresh=True)

    def close(self) -> None:
        if self._begun:
            self._live.stop()


def _text(frame: Frame, bar: int, part: Callable[[], str] | None) -> str:
    reasons = frame.reasons
    return (
        (f"{printable(part())}: " if part else "")
        + line_of(frame.progress, bar)
        + (f"  ({reasons})" if reasons else "")
    )


def _drawing(title: str, frame: Frame) -> Any:
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    now = frame.progress
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style="bold")
    grid.add_column(width=30)
    grid.add_column()
    total = now.total or None
    bar = ProgressBar(
        total=total or 1, completed=min(now.settled, total) if total else 0, width=30, pulse=total is None
    )
    grid.add_row("items", bar, Text(_pace(now)))
    if now.budget_used is not None:
        used = ProgressBar(total=1.0, completed=min(now.budget_used, 1.0), width=30, complete_style="yellow",
                           finished_style="red")  # fmt: skip
        grid.add_row("window", used, Text(_budget(now)))
    ends = Text.assemble((f"{now.done:,} done", "green"), f", {now.skipped:,} skipped, ")
    ends.append(f"{now.failed:,} failed", style="red" if now.failed else "")
    if now.unknown:
        ends.append(f", {now.unknown:,} in doubt", style="yellow")
    if frame.reasons:
        ends.append(f"  ({frame.reasons})")
    return Group(Text(title, style="bold", no_wrap=True, overflow="ellipsis"), grid, ends)


def _pace(now: Progress) -> str:
    told = [f"{now.settled:,} of {now.total:,}" if now.total else f"{now.settled:,}", f"{now.rate:.0f}/s"]
    if now.state.value in {"pausing", "paused"}:
        told.append(now.state.value)
    elif now.eta is not None:
        told.append(f"{int(now.eta) // 60}:{int(now.eta) % 60:02d} left")
    return "  ".join(told)


def _budget(now: Progress) -> str:
    of = f" of {now.limit:,} calls" if now.limit else ""
    ends = f", next in {now.window_ends_in:.0f} s" if now.window_ends_in is not None else ""
    return f"{now.budget_used:.0%}{of}{ends}"
