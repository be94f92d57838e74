"""Figures, bars, tables, and the JSON of a whole bench."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "Figure",
    "Section",
    "at_least",
    "at_most",
    "broken",
    "exactly",
    "info",
    "machine",
    "settled",
    "table",
    "verdict",
    "write",
]

_PACKAGES = ("intercom-bulk", "requests", "urllib3", "orjson", "uvicorn", "uvloop", "python-intercom")


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `ok` None: there is no bar, or the run was too short to tell."""

    name: str
    text: str
    bar: str = ""
    ok: bool | None = None
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """What one bench found. `lines` are printed as they are, `data` goes into the JSON."""

    figures: Sequence[Figure]
    lines: Sequence[str] = ()
    data: dict[str, Any] = field(default_factory=dict)


def at_most(name: str, value: float | None, bar: float, form: str = "{:g}") -> Figure:
    """Good when low. `value` None: not measured."""
    ok = None if value is None else value <= bar
    return Figure(name, _text(value, form), f"<= {form.format(bar)}", ok, value)


def at_least(name: str, value: float | None, bar: float, form: str = "{:g}") -> Figure:
    """Good when high."""
    ok = None if value is None else value >= bar
    return Figure(name, _text(value, form), f">= {form.format(bar)}", ok, value)


def exactly(name: str, value: float, bar: float) -> Figure:
    """Good when equal."""
    return Figure(name, f"{value:g}", f"= {bar:g}", value == bar, value)


def info(name: str, value: float | None, form: str = "{:g}") -> Figure:
    """Worth knowing; no bar."""
    return Figure(name, _text(value, form), value=value)


def broken(name: str, error: BaseException) -> Figure:
    """A bench that could not be run is a missed bar."""
    words = str(error).strip().splitlines()
    return Figure(name, f"{type(error).__name__}: {words[-1] if words else ''}"[:120], "runs", ok=False)


def _text(value: float | None, form: str) -> str:
    return "too short to tell" if value is None else form.format(value)


def settled(figure: Figure) -> Figure:
    """In a full run a bar that could not be measured is missed."""
    return replace(figure, ok=False) if figure.bar and figure.ok is None else figure


def verdict(figure: Figure) -> str:
    """The last column."""
    return "-" if figure.ok is None else "ok" if figure.ok else "MISSED"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as they need to be; all but the first to the right."""
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        return " | ".join([first, *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])

    rule = "-+-".join("-" * width for width in widths)
    return "\n".join([line(head), rule, *(line(row) for row in rows)])


def machine() -> dict[str, Any]:
    """Where and on what this was measured."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = None
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": versions,
    }


def _commit() -> str | None:
    """The commit, with a plus sign when the checkout differs from it."""
    try:
        words = subprocess.run(
            ["git", "describe", "--always", "--dirty=+"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return None
    return words.stdout.strip() or None


def write(path: Path, about: dict[str, Any], sections: dict[str, Section]) -> None:
    """Everything so far as JSON: an interrupted bench leaves what it had."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figures = [{"bench": name, **asdict(one)} for name, section in sections.items() for one in section.figures]
    data = {name: section.data for name, section in sections.items()}
    path.write_text(json.dumps({**about, "figures": figures, "benches": data}, indent=1) + "\n", encoding="utf-8")
