"""`apply`: exactly the list of a plan, after a look at it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING

from intercom_bulk.cli.confirming import Question, check_answerable, confirm, described
from intercom_bulk.cli.following import check_reports, finish, follow
from intercom_bulk.cli.making import run_options, settings
from intercom_bulk.cli.screen import Screen, when
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from intercom_bulk.runs.plan import PlanReader
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["apply"]


def apply(given: argparse.Namespace) -> int:
    """Show the plan, ask, do it. With --yes the digest says which plan was looked at."""
    from intercom_bulk.runs.plan import PlanReader
    from intercom_bulk.updaters.history import Runs

    screen = Screen(given)
    check_reports(given)
    if given.yes and given.digest is None:
        raise UsageError("--yes applies a plan that somebody has looked at: say which, with --digest.")
    reader = PlanReader(given.plan, given.digest or _digest(given.plan))
    runs = Runs(settings(given))
    made = runs.updater_for(reader.header)
    if made.irreversible is not None:
        made = runs.updater_for(reader.header, irreversible=True)
    check_answerable(screen, given, irreversible=made.irreversible is not None)
    count = min(reader.header.count, given.max or reader.header.count)
    if not given.yes:
        tell = screen.show if given.dry_run else screen.say
        tell(*_described(reader, made, given.sample), "")
        if given.dry_run:
            screen.show("Nothing was changed.")
            screen.give({"digest": reader.digest, "count": count, "updater": reader.header.updater})
            return 0
        word = f"apply {count}" if made.irreversible is not None else None
        confirm(screen, given, Question(f"Apply the plan to {count:,} items?", word=word))
    run = made.apply(
        given.plan,
        digest=reader.digest,
        strict=given.strict,
        parallel_workers=given.workers,
        max_items=given.max,
        options=run_options(given),
    )
    summary = follow(run, screen, f"{reader.header.title}: {given.plan}")
    return finish(run, screen, runs, given.report, summary)


def _digest(path: Path) -> str:
    """That of the file as it is: what is shown next is what is applied."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(f"The plan {path} cannot be read ({error.strerror}): give the file that it is in.") from error


def _said(value: object) -> str:
    """What an updater was made with; steps by what they are called."""
    if isinstance(value, Mapping) and "updater" in value:
        keywords = value.get("keywords") or {}
        return " ".join((str(value["updater"]).rpartition(":")[2], *(f"{key}={one}" for key, one in keywords.items())))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value))
    return str(value)


def _described(reader: PlanReader, made: IntercomBulkUpdater, sample: int) -> Iterator[str]:
    """A plan, as a preview would show it; what it causes was shown when it was made."""
    from intercom_bulk.runs.preview import Preview, PreviewItem, seconds_needed

    header, count = reader.header, reader.header.count
    budget = (made.workspace.begin(), made.workspace.governor.budget())[1]
    reads = 2 + count // 150
    found = Preview(
        title=header.title,
        count=count,
        sample=[PreviewItem(one.id, one.before, one.after) for one in islice(reader.entries(), sample)],
        writes=count,
        reads=reads,
        seconds=seconds_needed(count + reads, budget),
        irreversible=made.irreversible,
    )
    with_what = ", ".join(f"{name} {_said(value)}" for name, value in header.made_with.items())
    label = f"{with_what or 'no arguments'}; planned {when(header.created_at)}, sha256 {reader.digest[:12]}…"
    yield from described(header.title, made, label, found)
