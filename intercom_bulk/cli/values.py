"""What is typed becomes what is meant: moments, spans, pairs, names or nobody. Raises `Misread` in a sentence."""

from __future__ import annotations

import json
import math
import re
import time
from argparse import ArgumentTypeError as Misread
from datetime import datetime, timedelta
from pathlib import Path

__all__ = [
    "READERS",
    "Misread",
    "assignee",
    "body",
    "file_and_column",
    "moment",
    "pair",
    "past",
    "positive",
    "share",
    "span",
    "whole",
]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_LONGEST = 100 * 366 * 86_400
_EARLIEST = 100_000_000
"""Epoch seconds: a number below that was meant as so many days, or hours."""
_TIMES = "write 2026-12-24, 2026-12-24T08:00, or a span such as 12h, 30d"
_NOBODY = frozenset({"none", "nobody", "0", ""})


def span(text: str) -> timedelta:
    """`90s`, `45m`, `12h`, `30d`, `2w`."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise Misread(f"{text!r} is no span of time: write 45m, 12h, 30d or 2w")
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds > _LONGEST:
        raise Misread(f"{text!r} is more than a hundred years")
    return timedelta(seconds=seconds)


def moment(text: str) -> int:
    """Epoch seconds of a date or a date and a time (of this machine's zone, unless it names one), or of so long on."""
    if _SPAN.fullmatch(text.strip().lower()):
        return int(time.time() + span(text).total_seconds())
    if text.isascii() and text.isdigit():
        if int(text) < _EARLIEST:
            raise Misread(f"{text!r} is no time: did you mean {text}d? For a date, {_TIMES}")
        return int(text)
    try:
        said = datetime.fromisoformat(text.strip())
        return int((said if said.tzinfo is not None else said.astimezone()).timestamp())
    except (ValueError, OverflowError):
        raise Misread(f"{text!r} is no time: {_TIMES}") from None


def past(text: str) -> int:
    """Epoch seconds of a date or a date and a time, as `moment`; a span is so long ago."""
    if _SPAN.fullmatch(text.strip().lower()):
        return int(time.time() - span(text).total_seconds())
    return moment(text)


def assignee(text: str) -> str | None:
    """A name or an id; None for nobody."""
    return None if text.strip().lower() in _NOBODY else text.strip()


def body(text: str) -> str:
    """A text as it stands, or the content of `@FILE`. One word after the @ is the name of a file, never a text."""
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        if any(map(str.isspace, text)) and not _is_there(text[1:]):
            return text
        why = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise Misread(f"{text[1:]!r} cannot be read ({why}): give a text, or @ and the name of a file") from None


def pair(text: str) -> tuple[str, object]:
    """`NAME=TEXT`, or `NAME:=JSON` for what is no text."""
    name, sign, value = text.partition("=")
    is_json = name.endswith(":")
    name = name.removesuffix(":").strip()
    if not sign or not name:
        raise Misread(f"{text!r} is no NAME=TEXT (or NAME:=JSON)")
    if not is_json:
        return name, value
    try:
        read = json.loads(value)
        if isinstance(read, float) and not math.isfinite(read):
            raise ValueError(value)
        return name, read
    except ValueError:
        raise Misread(f"{value!r} after {name}:= is no JSON: write 42, true, false or null") from None


def file_and_column(text: str) -> tuple[str, str | None]:
    """`FILE` or `FILE:COLUMN`; `-` is what comes in by a pipe."""
    if text == "-" or _is_there(text):
        return text, None
    name, _, column = text.rpartition(":")
    return (name, column) if name and column else (text, None)


def _is_there(name: str) -> bool:
    """A name that no file can have is none."""
    try:
        return Path(name).exists()
    except (OSError, ValueError):
        return False


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    digits = text.replace(",", "").replace("_", "")
    if not (digits.isascii() and digits.isdigit()):
        raise Misread(f"{text!r} is no whole number")
    return int(digits)


def positive(text: str) -> int:
    """A whole number, 1 or more."""
    if whole(text) < 1:
        raise Misread(f"it must be 1 or more, not {text}")
    return whole(text)


def share(text: str) -> float:
    """`0.5` or `50%`."""
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise Misread(f"{text!r} is no share: write 0.5 or 50%") from None


READERS = {
    "text": str,
    "text_or_none": lambda text: text or None,
    "assignee": assignee,
    "moment": moment,
    "body": body,
    "pair": pair,
    "pairs": pair,
}
"""How the words of an `Argument` are read, by its kind."""
