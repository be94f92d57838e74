"""From JSON to the arguments of an operation: what the command line reads from words, a request says in JSON.

Nothing here reads a file: `@FILE`, which the command line knows, is plain text to a service.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import intercom_bulk
from intercom_bulk import steps
from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import UsageError
from intercom_bulk.operations import OPERATIONS, STEPS
from intercom_bulk.service.refusals import NotThere

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from intercom_bulk.operations import Argument, Operation, StepWord
    from intercom_bulk.settings import Settings
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["described", "made", "row_of"]

_SPAN = re.compile(r"(\d{1,6})\s*([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOMENT = "epoch seconds, an ISO 8601 time with its zone, or a span such as 12h or 30d"
_LONGEST = 20_000
"""Characters of a text."""


def row_of(title: str) -> Operation:
    """The operation of this title, such as "close" or "contacts tag"."""
    found = next((row for row in OPERATIONS if row.title == title), None)
    if found is None:
        raise NotThere(f"There is no operation {title[:60]!r}: GET /api/operations lists them.")
    return found


def described(row: Operation) -> dict[str, Any]:
    """An operation for whoever fills in a form."""
    return {
        "operation": row.title,
        "resource": row.resource,
        "verb": row.verb,
        "help": row.help,
        "irreversible": row.irreversible,
        "by_ids": row.by_ids,
        "either": [_key(name) for name in row.either],
        "arguments": [_told(one) for one in row.arguments],
        "steps": [_step_told(word) for word in STEPS] if row.verb == "steps" else [],
    }


def _told(one: Argument) -> dict[str, Any]:
    return {
        "name": _key(one.name),
        "help": one.help,
        "kind": "choice" if one.choices else one.kind,
        "choices": list(one.choices or ()),
        "required": one.required or (one.is_place and one.kind != "pairs"),
    }


def _step_told(word: StepWord) -> dict[str, Any]:
    return {"name": _key(word.name), "help": word.help, "kind": word.kind}


def made(
    row: Operation, arguments: Mapping[str, Any], settings: Settings, *, irreversible: bool = False
) -> IntercomBulkUpdater:
    """The updater of an operation with these arguments, by their names. Raises `UsageError` in a sentence."""
    connection: dict[str, Any] = {"settings": settings, **({"irreversible": True} if irreversible else {})}
    make = getattr(intercom_bulk, row.updater)
    if row.verb == "steps":
        chosen = _steps(arguments)
        composite: IntercomBulkUpdater = make(*chosen, **connection)
        return composite
    found: IntercomBulkUpdater = make(**row.fixed, **_keywords(row, arguments), **connection)
    return found


def _key(name: str) -> str:
    return name.lstrip("-").replace("-", "_")


def _keywords(row: Operation, said: Mapping[str, Any]) -> dict[str, Any]:
    known = {_key(one.name): one for one in row.arguments}
    if unknown := sorted(set(said) - set(known)):
        takes = f"it takes {', '.join(known)}" if known else "it takes none"
        raise UsageError(f"{row.title} has no argument {unknown[0][:60]!r}: {takes}.")
    if row.either and not any(_key(name) in said for name in row.either):
        raise UsageError(f"{row.title}: to what? Pass one or more of {', '.join(map(_key, row.either))}.")
    keywords: dict[str, Any] = {}
    for name, one in known.items():
        if name not in said:
            if one.required or (one.is_place and one.kind != "pairs"):
                raise UsageError(f"{row.title} needs {name}: {one.help}.")
            continue
        value = _read(name, one, said[name])
        if one.entry is not None:
            keywords.setdefault(one.goes_to, {})[one.entry] = value
        elif one.kind != "on":
            keywords[one.goes_to] = value
        elif value:
            keywords[one.goes_to] = one.value
    return keywords


def _read(name: str, one: Argument, value: Any) -> Any:
    if one.choices:
        if value not in one.choices:
            raise UsageError(f"{name} must be one of {', '.join(one.choices)}.")
        return value
    return _of_kind(name, one.kind, value)


def _of_kind(name: str, kind: str, value: Any) -> Any:
    match kind:
        case "on":
            if not isinstance(value, bool):
                raise UsageError(f"{name} must be true or false.")
            return value
        case "pairs":
            return _pairs(name, value)
        case "moment":
            return _moment(name, value)
        case "assignee":
            return None if value is None else _text(name, value)
        case "text_or_none":
            return None if value is None or value == "" else _text(name, value)
        case _:
            return _text(name, value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # an id that somebody has as a number
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST:
        raise UsageError(f"{name} must be a text of 1 to {_LONGEST:,} characters.")
    return value


def _pairs(name: str, value: Any) -> dict[str, Any]:
    plain = (str, int, float, bool, type(None))
    if (
        not isinstance(value, dict)
        or not value
        or not all(key and isinstance(one, plain) for key, one in value.items())
    ):
        raise UsageError(f"{name} must be an object of names and texts, numbers, true, false or null.")
    return dict(value)


def _moment(name: str, value: Any) -> int:
    found: float | None = None
    if isinstance(value, int) and not isinstance(value, bool):
        found = value
    elif isinstance(value, str) and (span := _SPAN.fullmatch(value.strip().lower())):
        found = SYSTEM.time() + int(span[1]) * _UNITS[span[2]]
    elif isinstance(value, str):
        try:
            said = datetime.fromisoformat(value.strip())
            found = said.timestamp() if said.tzinfo is not None else None
        except (ValueError, OverflowError):
            found = None
    if found is None or not 100_000_000 <= found <= datetime(3000, 1, 1, tzinfo=UTC).timestamp():
        raise UsageError(f"{name} must be {_MOMENT}.")
    return int(found)


def _steps(arguments: Mapping[str, Any]) -> Sequence[Any]:
    """`{"steps": [{"note": "..."}, {"tag": "vip"}, {"close": true}]}`, in that order."""
    said = arguments.get("steps")
    words = {_key(word.name): word for word in STEPS}
    shape = f'steps must be a list such as [{{"note": "Fixed."}}, {{"close": true}}], of {", ".join(words)}'
    if set(arguments) != {"steps"} or not isinstance(said, list) or not 0 < len(said) <= 50:
        raise UsageError(f"{shape}.")
    if not all(isinstance(one, dict) and len(one) == 1 and set(one) <= set(words) for one in said):
        raise UsageError(f"{shape}; one word each.")
    return [_step(words[name], value) for one in said for name, value in one.items()]


def _step(word: StepWord, value: Any) -> Any:
    name, make = _key(word.name), getattr(steps, word.factory)
    if word.keyword is None:
        if value is not True:
            raise UsageError(f"{name} takes true.")
        return make()
    read = _of_kind(name, "pairs" if word.kind == "pair" else word.kind, value)
    return make(**{word.keyword: read}) if word.factory == "assign" else make(read)
