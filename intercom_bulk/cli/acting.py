"""An operation of the command line: look, ask, do. Nothing is written before somebody said yes to what was shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.confirming import Question, check_answerable, confirm, described, place
from intercom_bulk.cli.following import check_reports, finish, follow
from intercom_bulk.cli.making import Selection, run_options, select, settings, updater
from intercom_bulk.cli.screen import Screen
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from intercom_bulk.operations import Operation
    from intercom_bulk.runs.preview import Preview
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["act"]

MOST = 10_000
"""Items that are remembered between the question and the answer."""


def act(given: argparse.Namespace) -> int:
    """Preview, plan or do it, as the command line says."""
    screen = Screen(given)
    made = _made(given)
    if given.mode == "act" and not given.dry_run:
        return _do(made, given, screen)
    if given.mode == "plan":
        return _plan(made, given, screen)
    selection = select(given)
    found = _look(made, given, selection)
    screen.show(*described(_title(given), made, selection.label, found), "", "Nothing was changed.")
    screen.give(_as_json(found, made))
    return 0


def _made(given: argparse.Namespace) -> IntercomBulkUpdater:
    """The updater. What cannot be undone has to be meant: here the question, or --irreversible, says that it is."""
    made = updater(given, irreversible=False)
    return made if made.irreversible is None else updater(given, irreversible=True)


def _do(made: IntercomBulkUpdater, given: argparse.Namespace, screen: Screen) -> int:
    row: Operation = given.operation
    is_final = made.irreversible is not None
    check_reports(given)
    check_answerable(screen, given, irreversible=is_final)
    if not given.yes and given.ids is not None and given.ids[0] == "-":
        raise UsageError("The ids come by the pipe, so nobody can be asked: add --yes, or give a file to --ids.")
    selection = select(given)
    most, shown = given.max, {}
    if not given.yes:
        cutoff = made.workspace.begin()
        found = _look(made, given, selection, sample=MOST if is_final else given.sample)
        few = replace(found, sample=found.sample[: given.sample])
        screen.say(*described(_title(given), made, selection.label, few), "")
        if not found.count:
            return _nothing(few, made, screen)
        word = f"{row.verb} {found.count}" if is_final else None
        confirm(screen, given, Question(f"{_title(given)}: {found.count:,} {row.resource}?", word=word))
        most, shown = found.count, {"cutoff": cutoff}
        if is_final and given.run_key is None:
            selection = _exactly(found, selection)
    run = made.start(
        max_items=most,
        parallel_workers=given.workers,
        options=_options(given, selection, **shown),
        **selection.keywords,
    )
    summary = follow(run, screen, f"{_title(given)}: {selection.label}")
    from intercom_bulk.updaters.history import Runs

    runs = Runs(settings(given))
    if not (summary.known or summary.reason or given.report or given.run_key):
        runs.forget(run.run_id)
        screen.show("There is nothing to do.")
        screen.give({**summary, "total_time": summary.total_time.total_seconds(), "run_id": None, "exit": 0})
        return 0
    return finish(run, screen, runs, given.report, summary)


def _exactly(found: Preview, selection: Selection) -> Selection:
    """What was looked at, whatever matches by now: of what cannot be undone, no other item than those agreed to.

    Beyond `MOST` only their number and age bind, as for what can be undone; a plan binds any number.
    """
    if selection.source is not None or len(found.sample) < found.count:
        return selection
    return Selection(selection.label, source=[one.id for one in found.sample])


def _look(
    made: IntercomBulkUpdater, given: argparse.Namespace, selection: Selection, *, sample: int | None = None
) -> Preview:
    return made.preview(
        sample=given.sample if sample is None else sample,
        max_items=given.max,
        options=_options(given, selection),
        **selection.keywords,
    )


def _options(given: argparse.Namespace, selection: Selection, **more: Any) -> Any:
    if selection.source is not None:
        more["source"] = selection.source
    return run_options(given, **more)


def _nothing(found: Preview, made: IntercomBulkUpdater, screen: Screen) -> int:
    screen.show("There is nothing to do.")
    screen.give({**_as_json(found, made), "run_id": None})
    return 0


def _plan(made: IntercomBulkUpdater, given: argparse.Namespace, screen: Screen) -> int:
    selection = select(given)
    plan = made.plan(given.output, max_items=given.max, options=_options(given, selection), **selection.keywords)
    screen.show(
        f"{plan.path}: {plan.count:,} {given.operation.resource} to {_title(given)}, on {place(made)}",
        f"sha256 {plan.digest}",
        "",
        "Nothing was changed. To do exactly this:",
        f"  intercom-bulk apply {plan.path} --digest {plan.digest}",
    )
    screen.give({"plan": str(plan.path), "digest": plan.digest, "count": plan.count})
    return 0


def _title(given: argparse.Namespace) -> str:
    return str(given.operation.title)


def _as_json(found: Preview, made: IntercomBulkUpdater) -> dict[str, Any]:
    """The preview, for programs."""
    sample = [{"id": one.id, "name": one.name, "before": one.before, "after": one.after} for one in found.sample]
    names = ("count", "matched", "already", "filtered", "held_out", "left_out", "failed", "writes", "reads", "seconds",
             "limit", "irreversible", "side_effects", "reasons", "failures")  # fmt: skip
    return {"workspace": place(made), **{name: getattr(found, name) for name in names}, "sample": sample}
