"""Where words go: results to stdout, everything that is for people alone to stderr."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import textwrap
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING, Any
from unicodedata import combining, east_asian_width

try:
    import termios
except ImportError:  # pragma: no cover  Windows
    termios = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Sequence

__all__ = [
    "WIDTH",
    "Screen",
    "cells",
    "clip",
    "duration",
    "padded",
    "plain",
    "printable",
    "room",
    "table",
    "when",
    "when_exactly",
    "wrapped",
]

WIDTH = 79

_UNPRINTABLE = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]"
)
"""What moves the cursor, or turns text around. Titles and names are written by customers: one of them must not be able
to redraw the question that somebody is about to answer. Half of a surrogate pair cannot be written at all."""


class Screen:
    """stdout and stderr, as the options want them. A program that reads stdout gets JSON and nothing else."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.as_json = bool(given.json)
        self.logs = bool(given.verbose)

    def show(self, *lines: str) -> None:
        """A result, for people; with --json they see it on stderr, where it is in nobody's way."""
        _write(sys.stderr if self.as_json else sys.stdout, lines)

    def say(self, *lines: str) -> None:
        """What is no result: progress, questions, hints."""
        _write(sys.stderr, lines)

    def give(self, document: object) -> None:
        """The result, for programs: one line of JSON. Nothing without --json."""
        if self.as_json:
            _write(sys.stdout, [json.dumps(plain(document), ensure_ascii=not _is_utf8(sys.stdout))])

    def folded(self, text: str) -> list[str]:
        """Lines that break between words, for somebody who reads; one line for a log."""
        return wrapped(text) if sys.stderr.isatty() else [text]

    def ask(self, question: str) -> str | None:
        """What is typed at the end of a line; None where nobody could be asked, or nobody answers."""
        if not self.can_ask:
            return None
        _forget_typed_ahead()
        sys.stderr.write(printable(question))
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if not answer.endswith("\n"):
            sys.stderr.write("\n")
        return answer.strip() if answer else None

    @property
    def can_ask(self) -> bool:
        return sys.stdin is not None and sys.stdin.isatty()

    @property
    def is_live(self) -> bool:
        """Whether somebody watches, on a terminal that can draw, and no log lines would run through the picture."""
        return sys.stderr.isatty() and os.environ.get("TERM") != "dumb" and not self.logs


def room() -> int | None:
    """How wide a line of stdout may be: a terminal is as wide as it is; whoever reads a pipe wants all of it."""
    if not sys.stdout.isatty():
        return None
    try:
        return max(os.get_terminal_size(sys.stdout.fileno()).columns - 1, WIDTH)
    except (OSError, ValueError):
        return WIDTH


def _forget_typed_ahead() -> None:
    """What was typed before a question stood there is no answer to it. Does nothing where there is no terminal."""
    if termios is not None:
        with suppress(termios.error, OSError, ValueError):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)


def printable(text: str) -> str:
    """The text with what would steer a terminal written out, as JSON does: \\u001b."""
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _write(out: Any, lines: Iterable[str]) -> None:
    """Whoever read may have left, and what goes on does not depend on that; but a result that is lost is an error."""
    try:
        for line in lines:
            out.write(f"{printable(line)}\n")
        out.flush()
    except BrokenPipeError:
        if out is sys.stdout:
            sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  until the process ends
    except OSError:
        if out is not sys.stderr:
            raise


def _is_utf8(out: Any) -> bool:
    return str(getattr(out, "encoding", "")).lower().replace("-", "") == "utf8"


def plain(value: object) -> Any:
    """As JSON can hold it: it has no infinity, and no number that is none."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def clip(text: str, width: int = WIDTH) -> str:
    """One line that fits."""
    if cells(text) <= width:
        return text
    kept = accumulate(map(_cells, text))
    return f"{text[: sum(used < width for used in kept)]}…"


def cells(text: str) -> int:
    """How many places of a terminal a text takes: Chinese letters take two."""
    return sum(map(_cells, text))


def _cells(letter: str) -> int:
    return 0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1


def padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def wrapped(text: str, *, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None = WIDTH) -> list[str]:
    """Columns as wide as they need; the last one is cut where the screen ends. `width`: None cuts nothing."""
    widths = [max(cells(row[place]) for row in (head, *rows)) for place in range(len(head))]
    lines = (
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    )
    return [line if width is None else clip(line, width) for line in lines]


def when(at: float | None) -> str:
    """A moment, by the clock on this wall."""
    return "" if not at else datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")


def when_exactly(at: float) -> str:
    """A moment that somebody else will wait for: with the zone of this clock."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def duration(seconds: float) -> str:
    """About how long."""
    if seconds < 1.5:
        return "about a second"
    if seconds < 90:
        return f"about {seconds:.0f} seconds"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"
