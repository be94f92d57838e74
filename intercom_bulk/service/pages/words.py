"""Numbers, times and states as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = [
    "STATES",
    "STATUSES",
    "ago",
    "clock",
    "count",
    "duration",
    "iso",
    "number",
    "percent",
    "sentence",
    "shown",
    "state_word",
]

STATES = {
    "running": ("running", "live"),
    "pausing": ("pausing", "live"),
    "stopping": ("stopping", "live"),
    "paused": ("paused", "warn"),
    "stopped": ("stopped", "warn"),
    "interrupted": ("interrupted", "warn"),
    "halted": ("halted", "bad"),
    "failed": ("failed", "bad"),
    "completed": ("completed", "good"),
    "completed_with_errors": ("completed with errors", "warn"),
}
"""State of a run: its words, and the tone that they are said in."""

STATUSES = {
    "staged": ("to come", ""),
    "started": ("in flight", "live"),
    "done": ("done", "good"),
    "skipped": ("skipped", ""),
    "failed": ("failed", "bad"),
    "unknown": ("in doubt", "doubt"),
    "needs_review": ("to review", "doubt"),
}
"""Status of an item: its words, and the tone that they are said in."""

_LONGEST = 160


def state_word(state: str) -> tuple[str, str]:
    """What is said of a state that this page does not know is the state."""
    return STATES.get(state, (state.replace("_", " "), ""))


def number(value: float | None) -> str:
    """With commas between thousands; a dash where it is not known."""
    return "–" if value is None else f"{value:,.0f}"


def count(many: int, one: str, more: str) -> str:
    """A number and its noun."""
    return f"{many:,} {one if many == 1 else more}"


def percent(share: float) -> str:
    """Of 1. Neither 100 % before all are over, nor 0 % once one is."""
    if 0 < share < 0.001:
        return "0.1 %"
    return f"{min(share * 100, 99.9) if share < 1 else 100:.{0 if share in (0, 1) else 1}f} %"


def duration(seconds: float | None) -> str:
    """The two largest units: 42 s, 5 min 30 s, 2 h 5 min, 3 d 4 h."""
    if seconds is None:
        return "–"
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    for unit, name, smaller, lesser in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name} {rest} {lesser}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def _moment(at: float | str) -> datetime:
    found = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)
    return found.astimezone(UTC) if found.tzinfo is not None else found.replace(tzinfo=UTC)


def iso(at: float | str) -> str:
    """Epoch seconds, or ISO 8601 already."""
    return _moment(at).isoformat(timespec="seconds")


def clock(at: float | str) -> str:
    """To the second, UTC."""
    return f"{_moment(at):%Y-%m-%d %H:%M:%S}"


def ago(at: float | str, now: float) -> str:
    """How long before `now`, in the largest unit; from a month on, the day."""
    moment = _moment(at)
    seconds = now - moment.timestamp()
    if seconds < 0:
        return f"in {duration(-seconds)}"
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= unit:
            return f"{moment:%Y-%m-%d}" if seconds >= 30 * 86_400 else f"{int(seconds // unit)} {name} ago"
    return "just now" if seconds < 5 else f"{int(seconds)} s ago"


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def shown(value: object) -> str:
    """A value of a field, in a cell: short, and never empty."""
    match value:
        case None | "":
            return "nothing"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            text = ", ".join(shown(one) for one in value) or "nothing"
        case dict():
            text = ", ".join(f"{name}: {shown(one)}" for name, one in value.items()) or "nothing"
        case _:
            text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
