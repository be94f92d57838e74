"""From the command line to the objects of the library: settings, the updater, the items, the options of a run."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import intercom_bulk
from intercom_bulk.cli.screen import Screen, wrapped
from intercom_bulk.errors import UsageError
from intercom_bulk.operations import STEPS
from intercom_bulk.settings import Settings, region_url

if TYPE_CHECKING:
    import argparse

    from intercom_bulk.operations import Operation
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["Selection", "run_options", "select", "settings", "updater"]

EVERYTHING = {"field": "created_at", "operator": ">", "value": 0}
"""Intercom's searches want a filter; this one holds for each item."""


def settings(given: argparse.Namespace) -> Settings:
    """From the environment and `.env`. A region that was typed wins over an address that was not."""
    more: dict[str, Any] = {}
    if given.audit_trail is not None:
        more["audit_trail"] = given.audit_trail
    return Settings.build(base_url=region_url(given.region) if given.region else None, **more)


# -- the updater


def updater(given: argparse.Namespace, *, irreversible: bool) -> IntercomBulkUpdater:
    """What the operation of the command line is done by. `irreversible`: what cannot be undone is meant."""
    row: Operation = given.operation
    said = vars(given)
    if row.either and not any(said.get(f"_{name.lstrip('-').replace('-', '_')}", []) != [] for name in row.either):
        shown = ["NAME=VALUE" if not name.startswith("-") else name for name in row.either]
        raise UsageError(f"{row.title}: to what? Pass {', '.join(shown[:-1])} or {shown[-1]}.")
    make = getattr(intercom_bulk, row.updater)
    connection: dict[str, Any] = {"settings": settings(given)}
    if irreversible:
        connection["irreversible"] = True
    if row.verb == "steps":
        made: IntercomBulkUpdater = make(*_steps(said.get("steps") or ()), **connection)
    else:
        made = make(**row.fixed, **arguments(row, said), **connection)
    return made


def arguments(row: Operation, said: dict[str, Any]) -> dict[str, Any]:
    """The constructor's arguments among what was said; what was not said keeps the constructor's default."""
    made: dict[str, Any] = {}
    for argument in row.arguments:
        if argument.dest not in said:
            continue
        value = said[argument.dest]
        if argument.kind == "pairs":
            if value:
                made[argument.goes_to] = dict(value)
        elif argument.entry is not None:
            made.setdefault(argument.goes_to, {})[argument.entry] = value
        else:
            made[argument.goes_to] = value
    return made


def _steps(said: Any) -> list[Any]:
    """The steps, in the order of the command line; teammate and team side by side are one step."""
    if not said:
        raise UsageError(f"steps: which? Pass one or more of {', '.join(word.name for word in STEPS)}.")
    from intercom_bulk import steps

    calls: list[tuple[str, dict[str, Any]]] = []
    for word, value in said:
        takes = {} if word.keyword is None else {word.keyword: dict([value]) if word.kind == "pair" else value}
        last = calls[-1] if calls else None
        if last is not None and last[0] == word.factory == "assign" and word.keyword not in last[1]:
            last[1].update(takes)
        elif last is not None and last[0] == word.factory == "set_attributes":
            last[1]["attributes"].update(takes["attributes"])
        else:
            calls.append((word.factory, takes))
    return [
        getattr(steps, name)(*takes.values()) if name != "assign" else steps.assign(**takes) for name, takes in calls
    ]


# -- which items


class Selection:
    """Which items: keywords of the search, or a list that replaces it. `label` says it to people."""

    def __init__(self, label: str, keywords: dict[str, Any] | None = None, source: object = None) -> None:
        self.label = label
        self.keywords = keywords or {}
        self.source = source


def select(given: argparse.Namespace) -> Selection:
    """What --where, --query, --ids, --failed-of or --all say."""
    resource = given.operation.resource
    if given.where is not None:
        return Selection(f"{resource} where {given.where}", {"query": given.where})
    if given.query is not None:
        return Selection(f"{resource} by a query", {"query": _json(given.query)})
    if given.ids is not None:
        name, column = given.ids
        return _listed(name, column, resource)
    if given.even_if_changed and given.from_mirror is None:
        raise UsageError("--even-if-changed is for --from-mirror: leave it out, or say what the mirror is asked.")
    if given.from_mirror is not None:
        return _mirrored(given, resource)
    if given.failed_of is not None:
        return _failed(given.failed_of, resource)
    return Selection(f"all {resource}", {"query": {} if resource == "companies" else EVERYTHING})


def _json(text: str) -> object:
    told = Path(text[1:]).read_text(encoding="utf-8-sig") if text.startswith("@") else text
    try:
        return json.loads(told)
    except ValueError as error:
        raise UsageError(f"--query is no JSON ({error}); for the text form there is --where.") from error


def _listed(name: str, column: str | None, resource: str) -> Selection:
    from intercom_bulk import Ids

    if name == "-":
        return Selection(f"{resource} whose ids are piped in", source=Ids.from_lines(sys.stdin))
    path = Path(name)
    label = f"{resource} of {name}"
    if path.suffix.lower() in {".jsonl", ".ndjson"}:
        return Selection(label, source=Ids.from_jsonl(path, **({"key": column} if column else {})))
    if column is None and path.suffix.lower() not in {".csv", ".tsv"}:
        return Selection(label, source=Ids.from_lines(path))
    return Selection(label, source=Ids.from_csv(path, column))


def _mirrored(given: argparse.Namespace, resource: str) -> Selection:
    """SQL, or the query language where it does not begin as SQL does."""
    from intercom_bulk.cli.mirrored import opened

    text, more = given.from_mirror, {"even_if_changed": given.even_if_changed}
    is_sql = text.lstrip().split(None, 1)[:1] and text.lstrip().split(None, 1)[0].lower() in {"select", "with"}
    if not is_sql and resource != "conversations":
        raise UsageError(f"The mirror finds {resource} by SQL only: --from-mirror 'SELECT ...'.")
    mirror = opened(given)
    source = mirror.sql(text, **more) if is_sql else mirror.query(text, **more)
    known = mirror.check_sync_state()
    if not known["data_complete"]:
        Screen(given).say(*wrapped(f"The mirror is {known['state']}: {known['message']}", rest="  "))
    return Selection(f"{resource} of the mirror: {text}", source=source)


def _failed(word: str, resource: str) -> Selection:
    from intercom_bulk import Ids, Runs, Status
    from intercom_bulk.cli.records import run_named

    runs = Runs()
    run_id = run_named(runs, word)
    stored = runs.get(run_id)
    about = stored.record.parameters.get("collection", resource)
    if about != resource:  # a ticket and a conversation may have the same id
        raise UsageError(f"The items of run {run_id} are {about}, not {resource}.")
    if not stored.counts.get(Status.FAILED):
        raise UsageError(f"Run {run_id} has no failed items.")
    source = Ids(outcome.item_id for outcome in runs.outcomes(run_id, Status.FAILED))
    return Selection(f"{resource} that failed in run {run_id}", source=source)


# -- how


def run_options(given: argparse.Namespace, **more: Any) -> Any:
    """`RunOptions` of the command line; what was not said keeps the library's default."""
    from intercom_bulk import Exclude, RunOptions

    for name in ("share", "reserve", "reason", "run_key", "refuse_above"):
        if getattr(given, name, None) is not None:
            more.setdefault(name, getattr(given, name))
    recent = getattr(given, "exclude_recent", None)
    priority, sla = getattr(given, "exclude_priority", False), getattr(given, "exclude_sla", False)
    if recent is not None or priority or sla:
        more["exclude"] = Exclude(customer_wrote_within=recent, priority=priority, sla=sla)
    return RunOptions(**more)
