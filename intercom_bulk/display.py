"""Progress for people: one line on a terminal, a line every few seconds elsewhere. Always on stderr."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from intercom_bulk.runs.summary import Progress, Summary

__all__ = ["ProgressLine", "line_of"]

QUIET = 5.0
"""Seconds between lines where nobody watches a terminal: a job without output looks hung."""


class ProgressLine:
    """A progress callback that draws itself."""

    def __init__(self, out: TextIO | None = None, *, width: int = 24) -> None:
        self._out = out or sys.stderr
        self._width = width
        self._live = self._out.isatty()
        self._drawn = 0
        self._next = 0.0
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        self._last = progress
        if self._live:
            text = line_of(progress, self._width)
            self._out.write("\r" + text.ljust(self._drawn))
            self._drawn = len(text)
        elif progress.elapsed >= self._next:
            self._next = progress.elapsed + QUIET
            self._out.write(line_of(progress, 0) + "\n")
        self._out.flush()

    def interrupted(self) -> None:
        """The last word when somebody stopped the run: what was done stays done."""
        said = line_of(self._last, 0) if self._last is not None else "before the first item"
        self._out.write(("\n" if self._live else "") + f"Stopped: {said}; nothing more is sent.\n")
        self._out.flush()

    def finish(self, summary: Summary) -> None:
        """The last word: the totals."""
        self._out.write(("\n" if self._live else "") + str(summary) + "\n")
        self._out.flush()


def line_of(progress: Progress, width: int) -> str:
    """One line: bar, counts, rate, time left, and how much of the current window is spent."""
    parts = []
    if progress.total:
        share = min(progress.settled / progress.total, 1.0)
        if width:
            filled = int(share * width)
            parts.append("█" * filled + "░" * (width - filled))
        parts.append(f"{progress.settled:,}/{progress.total:,}")
    else:
        parts.append(f"{progress.settled:,}")
    parts.append(f"{progress.rate:.0f}/s")
    if progress.eta is not None:
        parts.append(f"{int(progress.eta) // 60}:{int(progress.eta) % 60:02d} left")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.unknown:
        parts.append(f"{progress.unknown:,} in doubt")
    if progress.budget_used is not None:
        parts.append(f"window {progress.budget_used:.0%}")
    if progress.waiting:
        parts.append(f"waiting {progress.window_ends_in or 0:.0f} s")
    return "  ".join(parts)
