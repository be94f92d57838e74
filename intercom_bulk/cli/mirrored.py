"""`mirror status`, `search`, `sql`, `export`: what the local copy knows. Intercom only says which workspace it is."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, tzinfo
from itertools import islice
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.making import settings
from intercom_bulk.cli.screen import Screen, cells, clip, room, table, when, wrapped
from intercom_bulk.errors import SettingsError, Transient, UsageError
from intercom_bulk.mirror import export as exporting
from intercom_bulk.mirror.keeping.files import checked_workspace
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.live import connect_mirror
from intercom_bulk.mirror.search import Mirror
from intercom_bulk.mirror.whose import whose
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import written

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from intercom_bulk.mirror.keeping.coverage import Coverage
    from intercom_bulk.mirror.keeping.syncs import Sync

__all__ = ["export", "opened", "search", "sql", "status", "trust"]

SOME = 100
"""Rows that people are shown."""
CELL = 40
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}


# -- opening


def opened(given: argparse.Namespace) -> Mirror:
    """The mirror of the workspace that is named, or else that the token is for. Where nobody can tell, because there is
    no token or Intercom does not answer, the only one that there is.
    """
    home, url = Settings.home_from_env()
    named = getattr(given, "workspace", None)
    if named is not None:
        if url is None and not (home / "mirror" / f"{checked_workspace(named)}.db").exists():
            raise UsageError(f"There is no mirror of workspace {named} here: check --workspace.")
        return Mirror(open_mirror(home, named, url=url), zone=_here())
    try:
        told = whose(settings(given))
    except (SettingsError, Transient) as error:
        known = sorted(path.stem for path in (home / "mirror").glob("*.db")) if url is None else []
        if len(known) != 1:
            raise _which(known, error) from error
        if isinstance(error, Transient):
            Screen(given).say(f"Intercom does not answer: this is the mirror of workspace {known[0]}.")
        return Mirror(open_mirror(home, known[0]), zone=_here())
    return Mirror(open_mirror(home, told.workspace, url=url), zone=told.zone)


def _which(known: Sequence[str], error: Exception) -> Exception:
    if known:
        return UsageError(f"Which mirror? Add --workspace with one of {', '.join(known)}.")
    return error


def _here() -> tzinfo:
    return datetime.now().astimezone().tzinfo or UTC


# -- commands


def status(given: argparse.Namespace) -> int:
    """What there is, from when to when, with which holes, and the last syncs."""
    screen, mirror = Screen(given), opened(given)
    known, state, syncs = mirror.get_sync_status(), mirror.check_sync_state(), mirror.store.syncs(5)
    under_way = "; a sync is under way" if known["sync_in_progress"] else ""
    screen.show(f"Mirror: {known['total_conversations']:,} conversations{under_way}")
    for line in trust(mirror, state):
        screen.show(*wrapped(line, first="  ", rest="  "))
    for depth, told in ((Depth.ROW, "rows"), (Depth.THREAD, "threads")):
        screen.show(*_covered(told, mirror.store.knowledge(depth).members))
    contacts = mirror.store.contact_counts()
    screen.show(_people(contacts))
    if syncs:
        head = ("SYNC", "KIND", "BEGAN", "STATE", "CHANGED", "CALLS")
        screen.show("", *table(head, [_row(sync) for sync in syncs]))
    screen.give({**known, "contacts": contacts, "sync_info": state, "syncs": [_as_json(sync) for sync in syncs]})
    return Exit.DONE


def search(given: argparse.Namespace) -> int:
    """The newest conversations with these words, and how far the answer can be trusted."""
    screen, words = Screen(given), " ".join(given.words) or None
    asked = (words, given.count, given.since, given.until)
    if given.wait is None:
        found = opened(given).search_conversations(*asked)
    else:
        with connect_mirror(settings=settings(given)) as mirror:
            found = mirror.search_conversations(*asked, wait=given.wait.total_seconds())
    screen.show(*(_found(one) for one in found))
    if not found:
        screen.say("Nothing was found.")
    screen.say(*wrapped(f"{found.sync_info['state']}: {found.sync_info['message']}"))
    screen.give(dict(found.items()))
    return Exit.DONE


def sql(given: argparse.Namespace) -> int:
    """Rows, in columns; with --json all of them."""
    screen, mirror = Screen(given), opened(given)
    most = given.count if given.count is not None else None if screen.as_json else SOME
    with mirror.store.asking(given.sql) as (names, answers):
        rows = list(islice(answers, None if most is None else most + 1))
    more, rows = most is not None and len(rows) > most, rows[:most]
    if not screen.as_json:
        width, lines = room(), table(names, [[_cell(value) for value in row] for row in rows], width=None)
        screen.show(*(line if width is None else clip(line, width) for line in lines))
        if width is not None and any(cells(line) > width for line in lines):
            screen.say("Lines are cut where the screen ends: ask for fewer columns, or add `| less -S`.")
    if more:
        screen.say(f"Only the first {most:,}: -n shows more, and `mirror export --sql` writes all of them to a file.")
    if screen.as_json and len(set(names)) < len(names):
        raise UsageError("Two columns have the same name, and JSON would keep one of them: name them apart with AS.")
    screen.give({"columns": names, "rows": [dict(zip(names, row, strict=True)) for row in rows], "more": more})
    return Exit.DONE


def export(given: argparse.Namespace) -> int:
    """To a file that appears when it is whole, or as JSON lines to stdout."""
    screen = Screen(given)
    question = given.sql or (exporting.MESSAGES if given.messages else exporting.CONVERSATIONS)
    to_stdout = str(given.output) == "-"
    form = "jsonl" if to_stdout else _format(given.output)
    mirror = opened(given)
    if to_stdout:
        exporting.write_jsonl(mirror.store, sys.stdout, sql=question)
        return Exit.DONE
    count = _write(mirror, given.output, form, question)
    screen.show(f"Written: {given.output}, {count:,} rows")
    state = mirror.check_sync_state()
    screen.say(*wrapped(f"{state['state']}: {state['message']}"))
    screen.give({"written": str(given.output), "rows": count, "sync_info": state})
    return Exit.DONE


def _format(path: Path) -> str:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"What is {path.name}? End the name of an export with .csv, .jsonl or .parquet.")
    return form


def _write(mirror: Mirror, path: Path, form: str, question: str) -> int:
    if form == "parquet":
        return exporting.write_parquet(mirror.store, path, sql=question)
    with written(path, for_excel=form == "csv") as out:
        write = exporting.write_csv if form == "csv" else exporting.write_jsonl
        return write(mirror.store, out, sql=question)


# -- in words


def trust(mirror: Mirror, rows: Mapping[str, Any]) -> Iterator[str]:
    """How far rows can be trusted, and a search for words, where threads are mirrored and that is not the same."""
    yield f"{rows['state']}: {rows['message']}"
    if mirror.store.knowledge(Depth.THREAD).members:
        words = mirror.check_sync_state(depth=Depth.THREAD)
        if words["gaps"] != rows["gaps"]:
            yield f"words: {words['state']}: {words['message']}"


def _covered(told: str, covered: Coverage) -> Iterator[str]:
    """From when to when, and the first holes."""
    if covered.start is None or covered.end is None:
        yield f"  {told:<9}none"
        return
    holes = covered.gaps(covered.start, covered.end)
    rest = f", {len(holes.spans):,} holes" if len(holes.spans) > 1 else ", 1 hole" if holes else ", without a hole"
    yield f"  {told:<9}created {when(covered.start)} to {when(covered.end)}{rest}"
    for hole in holes.spans[:3]:
        yield f"  {'':<9}  not {when(hole.lo)} to {when(hole.hi)}"


def _people(contacts: Mapping[str, int]) -> str:
    told = [f"{contacts['stored']:,} read"]
    told += [f"{contacts[name]:,} {said}" for name, said in _NOT_HERE.items() if contacts[name]]
    return f"  {'contacts':<9}{', '.join(told)}"


_NOT_HERE = {"unread": "not read", "merged": "merged into others", "gone": "deleted or archived"}


_KINDS = {SyncKind.INCREMENTAL: "sync"}


def _row(sync: Sync) -> tuple[str, ...]:
    counts = sync.counts
    return (
        sync.run_id or sync.id.removesuffix(f"-{sync.kind.value}"),  # what it is of stands beside it
        _KINDS.get(sync.kind, sync.kind.value),
        when(sync.started_at)[5:],  # the year is in the name of the run, and the screen is narrow
        sync.state.value,
        f"{counts.added + counts.changed:,}",
        f"{counts.calls:,}",
    )


def _as_json(sync: Sync) -> dict[str, Any]:
    counts = {name: getattr(sync.counts, name) for name in sync.counts.__slots__}
    names = ("id", "kind", "state", "run_id", "started_at", "ended_at", "lives", "error")
    return {**{name: getattr(sync, name) for name in names}, **counts}


def _found(one: Mapping[str, Any]) -> str:
    said = one.get("title") or one.get("subject") or " ".join(str(one.get("body") or "").split())
    who = one.get("author_name") or one.get("author_email") or ""
    return clip("  ".join((str(one["id"]), str(one["state"]), when(one["updated_at"]), *filter(None, (who, said)))))


def _cell(value: object) -> str:
    return clip("" if value is None else " ".join(str(value).split()), CELL)
