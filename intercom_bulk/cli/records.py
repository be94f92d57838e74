"""What is known of a run, for people and for programs: `runs list`, `show` and `report`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.following import report_format
from intercom_bulk.cli.naming import Words
from intercom_bulk.cli.screen import Screen, clip, duration, plain, table, when, wrapped
from intercom_bulk.errors import UnknownRun, UsageError
from intercom_bulk.operations import typed
from intercom_bulk.runs import report as reporting
from intercom_bulk.runs.model import RunState, Status
from intercom_bulk.updaters.history import Runs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping

    from intercom_bulk.runs.model import Outcome
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.updaters.history import StoredRun

__all__ = ["UNDER_WAY", "as_json", "facts", "list_runs", "report", "run_named", "show"]

LAST = "last"
WORDS = {
    Status.DONE: "done",
    Status.SKIPPED: "skipped",
    Status.FAILED: "failed",
    Status.NEEDS_REVIEW: "need a look",
    Status.UNKNOWN: "in doubt",
    Status.STARTED: "under way",
    Status.STAGED: "not processed",
}
OUTCOME = ("item_id", "status", "code", "message", "attempts", "before", "after", "request_id", "at")
UNDER_WAY = frozenset({RunState.RUNNING, RunState.PAUSING})


def run_named(runs: Runs, word: str) -> str:
    """The id of a run: said in full, by a part of it that no other has, or as "last". Raises `UnknownRun`."""
    known = [record.run_id for record in runs.list()]
    if word in known:
        return word
    if word == LAST and known:
        return known[0]
    found = [run_id for run_id in known if run_id.startswith(word) or run_id.endswith(word)]
    if len(found) > 1:
        raise UnknownRun(f"There are {len(found)} runs whose id begins or ends with {word}: say more of it.")
    if not found:
        raise UnknownRun(f"There is no run {word}.")
    return found[0]


def list_runs(given: argparse.Namespace) -> int:
    """One line a run, newest first; with --json a list of them."""
    screen, runs = Screen(given), Runs()
    records = runs.list(resumable=True if given.resumable else None)[: given.count]
    rows, told = [], []
    for record in records:
        counts = runs.get(record.run_id).counts
        told.append(as_json(record, counts))
        rows.append(_row(record, counts))
    screen.give(told)
    if not records:
        screen.say("There are no runs that could be gone on with." if given.resumable else "There are no runs yet.")
    elif not screen.as_json:
        screen.show(*table(("RUN", "STATE", "DONE", "FAILED", "WHAT"), rows))
    if damaged := runs.damaged():
        many = "1 run" if len(damaged) == 1 else f"{len(damaged):,} runs"
        screen.say(*wrapped(f"{many} cannot be read: {', '.join(damaged)}", rest="  "))
    return Exit.DONE


def show(given: argparse.Namespace) -> int:
    """How a run stands, the items of one status, or all that is known of one item."""
    screen, runs = Screen(given), Runs()
    run_id = run_named(runs, given.run_id)
    if given.item is not None:
        return _show_item(runs, run_id, given.item, screen)
    stored = runs.get(run_id)
    items = _items(runs, run_id, given) if given.items else []
    screen.show(*(clip(line) for line in facts(stored)))
    if given.items:
        screen.show("", *(clip(f"  {one.item_id}  {one.code or ''}  {one.message or ''}".rstrip()) for one in items))
    document = as_json(stored.record, stored.counts) | {"codes": dict(stored.codes)}
    if given.items:
        document["items"] = [{name: getattr(one, name) for name in OUTCOME} for one in items]
    screen.give(document)
    return Exit.DONE


def report(given: argparse.Namespace) -> int:
    """To a file, by the end of its name; else to stdout."""
    screen, runs = Screen(given), Runs()
    run_id = run_named(runs, given.run_id)
    if given.output is not None:
        runs.export(run_id, given.output, given.format or report_format(given.output))
        screen.show(f"Written: {given.output}")
        screen.give({"run_id": run_id, "written": str(given.output)})
        return Exit.DONE
    if screen.as_json and given.format is None:
        _write_list(runs.outcomes(run_id))
        return Exit.DONE
    stored, form = runs.get(run_id), given.format or "markdown"
    if form == "csv":
        reporting.write_csv(stored.record, runs.outcomes(run_id), sys.stdout)
    elif form == "jsonl":
        reporting.write_jsonl(stored.record, runs.outcomes(run_id), sys.stdout)
    else:
        samples = (outcome for outcome in runs.outcomes(run_id) if outcome.code is not None)
        reporting.write_markdown(stored.record, stored.counts, stored.codes, samples, sys.stdout)
    return Exit.DONE


def _write_list(outcomes: Iterator[Outcome]) -> None:
    """One JSON document, of any length: it is never whole in memory."""
    comma = ""
    sys.stdout.write("[")
    for one in outcomes:
        sys.stdout.write(comma + json.dumps(plain({name: getattr(one, name) for name in OUTCOME})))
        comma = ", "
    sys.stdout.write("]\n")


def _show_item(runs: Runs, run_id: str, item_id: str, screen: Screen) -> int:
    found = next((one for one in runs.outcomes(run_id) if one.item_id == item_id), None)
    if found is None:
        raise UsageError(f"Run {run_id} has no item {item_id}.")
    screen.show(clip(f"{found.item_id}  {WORDS[found.status]}  {found.message or found.code or ''}".rstrip()))
    screen.show(*wrapped(_WORDS.changes(found.before or {}, found.after or {}), first="  ", rest="  "))
    steps = runs.steps(run_id, item_id)
    for one in steps:
        came = "not done" if one.at is None else "done" if one.wrote else str(one.code)
        change = _WORDS.changes(one.before or {}, one.after or {})
        screen.show(clip(f"  step {one.step + 1}  {came}  {one.message or change}".rstrip()))
    screen.give({name: getattr(found, name) for name in OUTCOME} | {"steps": [asdict(one) for one in steps]})
    return Exit.DONE


# -- in words


_WORDS = Words(lambda _, __: None)
"""Without the workspace's names: looking at a run takes no token."""


def _items(runs: Runs, run_id: str, given: argparse.Namespace) -> Any:
    try:
        status = Status(given.items)
    except ValueError:
        raise UsageError(f"--items {given.items}: use one of {', '.join(Status)}.") from None
    return [*islice(runs.outcomes(run_id, status), given.count)]


def _row(record: RunRecord, counts: Mapping[Status, int]) -> tuple[str, ...]:
    what = _called(record) if record.kind == "update" else f"{record.kind}: {_called(record)}"
    why = f" ({record.reason})" if record.reason else f": {chosen}" if (chosen := _chosen(record)) else ""
    done, failed = counts.get(Status.DONE, 0), counts.get(Status.FAILED, 0)
    return record.run_id, _words(record), f"{done:,}", f"{failed:,}", what + why


def _called(record: RunRecord) -> str:
    """As it is typed here; what is done by no command is called by its class."""
    is_ours = str(record.parameters.get("updater", "")).startswith("intercom_bulk")
    said = typed(record.title, record.parameters.get("made_with") or {}) if is_ours else None
    return said or record.title


def _words(record: RunRecord) -> str:
    return record.state.value.replace("completed_with_errors", "with errors").replace("_", " ")


def _chosen(record: RunRecord) -> str:
    """Which items a run was let loose on: its search, or the list that was given."""
    listed, keywords = record.parameters.get("listed"), record.parameters.get("keywords") or {}
    if listed:
        return f"{listed['count']:,} rows of {listed['name']}"
    said = {name: one for name, one in keywords.items() if one is not None}
    query = said.pop("query", None)
    words = [query if isinstance(query, str) else json.dumps(query)] if query else []
    return " ".join([*words, *(f"{name}={one}" for name, one in said.items())])


def facts(stored: StoredRun) -> Iterator[str]:
    """How a run stands, in lines."""
    record, counts = stored.record, stored.counts
    of = f" of run {record.parent}" if record.parent else ""
    yield f"Run {record.run_id}: {_called(record)} ({record.kind}{of})"
    yield f"  state    {_words(record)}" + (f": {record.ended}" if record.ended else "")
    took = duration(max((record.ended_at or record.updated_at) - record.created_at, 0))
    yield f"  started  {when(record.created_at)}; {'so far' if record.state in UNDER_WAY else 'it took'} {took}"
    yield f"  by       {record.by or 'not known'}, workspace {record.workspace or 'not known'}"
    if chosen := _chosen(record):
        yield f"  of       {chosen}"
    if record.reason:
        yield f"  why      {record.reason}"
    told = ", ".join(f"{counts[status]:,} {word}" for status, word in WORDS.items() if counts.get(status))
    yield f"  items    {told or 'none yet'}"
    for code, count in sorted(stored.codes.items(), key=lambda each: -each[1]):
        yield f"{count:>11,}  {code}"


def as_json(record: RunRecord, counts: Mapping[Status, int]) -> dict[str, Any]:
    """The same for programs."""
    names = ("run_id", "title", "kind", "state", "run_key", "parent", "reason", "ended", "by", "workspace",
             "created_at", "updated_at", "ended_at", "total", "max_items")  # fmt: skip
    return {**{name: getattr(record, name) for name in names}, "counts": dict(counts)}
