"""The runs that were, and what can still be done with them."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import RunBusy, UsageError
from intercom_bulk.runs import report
from intercom_bulk.runs.inputs import forget_inputs
from intercom_bulk.runs.model import RunState, Status
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.wishes import Wish
from intercom_bulk.settings import Settings, region_url
from intercom_bulk.updaters.base import IntercomBulkUpdater
from intercom_bulk.updaters.running import again
from intercom_bulk.updaters.running.door import lasting
from intercom_bulk.updaters.running.planning import CONNECTION
from intercom_bulk.workspace import run_store, written

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike

    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.model import Outcome, StepRecord
    from intercom_bulk.runs.plan import PlanHeader

__all__ = ["Runs", "StoredRun"]

DAY = 86_400.0
FINISHED = frozenset({RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS})
FORMATS = ("csv", "jsonl", "markdown")


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as it stands: its record, how many items are where, and how many ended with which code."""

    record: RunRecord
    counts: Mapping[Status, int] = field(default_factory=dict)
    codes: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """One line for people."""
        told = [f"{self.counts[status]:,} {_words(status)}" for status in Status if self.counts.get(status)]
        return f"{self.record}; {', '.join(told) or 'no items'}"


class Runs:
    """The history under one home folder (None: `INTERCOM_BULK_HOME`). Looking at it needs no token.

    What goes on with a run needs the updater that it was made with: it is made again from the record, with the token of
    `settings` (None: the environment), or given as `updater`.
    """

    def __init__(self, settings: Settings | None = None, *, home: str | PathLike[str] | None = None) -> None:
        self._settings = settings
        found = (settings.home, settings.ledger_url) if settings is not None else None
        self._home, url = (Path(home), None) if home is not None else found or Settings.home_from_env()
        self._store = run_store(self._home, url)

    def list(self, *, resumable: bool | None = None) -> list[RunRecord]:
        """Every run, newest first. `resumable`: only those that can be gone on with (False: only the others)."""
        chosen = (one for one in self._store.records() if resumable is None or one.is_resumable == resumable)
        return sorted(chosen, key=lambda record: record.created_at, reverse=True)

    def damaged(self) -> tuple[str, ...]:
        """The runs that are there and cannot be read: `list()` leaves them out."""
        return tuple(self._store.damaged())

    def get(self, run_id: str) -> StoredRun:
        """How a run stands; its process may be working on it. Raises `UnknownRun`."""
        record = self._store.record(run_id)
        ledger = self._store.read(run_id)
        try:
            return StoredRun(record, ledger.counts(), ledger.codes())
        finally:
            ledger.close()

    def outcomes(self, run_id: str, *statuses: Status | str) -> Iterator[Outcome]:
        """What happened to the items (of these statuses, when some are named), in the order they settled."""
        ledger = self._store.read(run_id)
        try:
            yield from ledger.outcomes(*map(Status, statuses))
        finally:
            ledger.close()

    def steps(self, run_id: str, item_id: str) -> Sequence[StepRecord]:
        """The steps of one item of a composite, in order, and what came of each; empty for other runs."""
        ledger = self._store.read(run_id)
        try:
            return ledger.steps(item_id).get(item_id, ())
        finally:
            ledger.close()

    def pause(self, run_id: str) -> None:
        """Ask the process that works on a run to send nothing more until `unpause()`; what is in flight ends.

        It hears this within a second, unless whoever reads its outcomes keeps it waiting. Raises `UsageError` where no
        process works on the run, `UnknownRun`.
        """
        self._store.ask(run_id, Wish.PAUSE)

    def unpause(self, run_id: str) -> None:
        """Ask the process that holds a paused run to go on; see `pause()`. One that ended is resumed by `resume()`."""
        self._store.ask(run_id, Wish.UNPAUSE)

    def stop(self, run_id: str) -> None:
        """Ask the process that works on a run to end it, resumable; see `pause()`. It is not waited for."""
        self._store.ask(run_id, Wish.STOP)

    def resume(
        self, run_id: str, updater: IntercomBulkUpdater | None = None, *, options: RunOptions | None = None
    ) -> Run:
        """Go on with a run that was paused, stopped, halted or interrupted, under its own id."""
        record = self.check_resume(run_id)
        return (updater or self._updater_of(record)).resume(run_id, options=options)

    def retry_failed(
        self,
        run_id: str,
        updater: IntercomBulkUpdater | None = None,
        *,
        statuses: tuple[Status | str, ...] = (Status.FAILED,),
        options: RunOptions | None = None,
    ) -> Run:
        """A run over the failed items of another; `statuses` may name needs_review too: those are done regardless."""
        chosen = [Status(status) for status in statuses]
        made = updater or self._updater_of(self._store.record(run_id))
        return again.retry(made, run_id, chosen, options or RunOptions())

    def undo(
        self, run_id: str, updater: IntercomBulkUpdater | None = None, *, options: RunOptions | None = None
    ) -> Run:
        """A run that takes back what another did, newest first: see `IntercomBulkUpdater.undo`."""
        return (updater or self._updater_of(self._store.record(run_id))).undo(run_id, options=options)

    def check_resume(self, run_id: str) -> RunRecord:
        """Its record. Raises `UsageError` where `resume()` would, for a run that is over."""
        record = self._store.record(run_id)
        if record.state in FINISHED:
            raise UsageError(f"Run {run_id} is over ({record.state}): there is nothing to go on with.")
        return record

    def check_undo(self, run_id: str) -> None:
        """Raises `UsageError` where `undo()` would, before it is asked for; sends nothing."""
        again.check_undo(self._updater_of(self._store.record(run_id)), run_id)

    def updater_of(self, run_id: str) -> IntercomBulkUpdater:
        """The updater that a run was made with, made again. Raises `UsageError` where that cannot be done."""
        return self._updater_of(self._store.record(run_id))

    def updater_for(self, plan: PlanHeader, *, irreversible: bool = False) -> IntercomBulkUpdater:
        """The updater that a plan was made with, made again. Raises `UsageError` where that cannot be done."""
        accepted = {"irreversible": True} if irreversible else {}
        said = {name: value for name, value in plan.made_with.items() if name not in CONNECTION}  # a file's word on
        made = {"updater": plan.updater, "made_with": {**said, **accepted}}  # where the token goes counts for nothing
        return self._updater_of(RunRecord(run_id="of this plan", title=plan.title, parameters=made))

    def export(self, run_id: str, path: str | PathLike[str], format: str = "csv") -> Path:
        """Write what happened to each item to a file, whole or not at all: "csv", "jsonl", or a "markdown" summary."""
        if format not in FORMATS:
            raise UsageError(f"format must be one of {', '.join(FORMATS)}, not {format!r}.")
        stored, where = self.get(run_id), Path(path)
        with written(where, for_excel=format == "csv") as out:
            if format == "csv":
                report.write_csv(stored.record, self.outcomes(run_id), out, collection=_collection(stored.record))
            elif format == "jsonl":
                report.write_jsonl(stored.record, self.outcomes(run_id), out)
            else:
                report.write_markdown(stored.record, stored.counts, stored.codes, self._samples(run_id), out)
        return where

    def prune(self, older_than_days: float = 90, *, resumable: bool = False) -> Sequence[str]:
        """Delete the files of runs that ended before that; their ids.

        Runs that could be gone on with are kept unless `resumable`, and a run that somebody works on always. Lists of
        ids that no run has any more go with them, unless they are of today.
        """
        if older_than_days < 0:
            raise UsageError(f"older_than_days must be 0 or more, not {older_than_days}.")
        before = SYSTEM.time() - older_than_days * DAY
        pruned = tuple(
            record.run_id
            for record in self.list()
            if record.state in FINISHED or (resumable and record.is_resumable)
            if (record.ended_at or record.updated_at) <= before and self._delete(record.run_id)
        )
        lists = [record.parameters.get("listed") or {} for record in self.list()]
        forget_inputs(self._home / "inputs", {str(one.get("digest")) for one in lists}, SYSTEM.time() - DAY)
        return pruned

    def forget(self, run_id: str) -> None:
        """Delete the record of one run. Raises `RunBusy` while somebody works on it, `UnknownRun`."""
        self._store.delete(run_id)

    def __repr__(self) -> str:
        return f"Runs({str(self._home)!r})"

    def _delete(self, run_id: str) -> bool:
        try:
            self._store.delete(run_id)
        except RunBusy:
            return False
        return True

    def _samples(self, run_id: str) -> Iterator[Outcome]:
        return (outcome for outcome in self.outcomes(run_id) if outcome.code is not None)

    def _updater_of(self, record: RunRecord) -> IntercomBulkUpdater:
        """The updater as it was made, from the record's parameters. Raises `UsageError` where that cannot be done."""
        if record.kind == "phase":
            number = record.parameters.get("pipeline")
            raise UsageError(
                f"Run {record.run_id} is a phase of run {number} of the pipeline: go on with that one, by"
                f" Pipeline().resume({number})."
            )
        if record.kind in _OF_THE_MIRROR:
            raise UsageError(f"Run {record.run_id} is a {record.kind} of the mirror: {_OF_THE_MIRROR[record.kind]}")
        name = str(record.parameters.get("updater") or "")
        made_with = dict(record.parameters.get("made_with") or {})
        cls = _class_named(name, record.run_id)
        settings = self._settings_for(made_with)
        takes = inspect.signature(cls.__init__).parameters.values()
        if any(one.name in {"settings", "connection"} or one.kind is one.VAR_KEYWORD for one in takes):
            made_with = {
                key: value for key, value in made_with.items() if key not in {"admin_id", "region", "base_url"}
            }
            made_with["settings"] = settings
        try:
            made = cls.remade(made_with)
        except (TypeError, UsageError) as error:
            raise UsageError(
                f"{name} cannot be made again from the record of run {record.run_id} ({error}): pass updater=."
            ) from error
        made.made_with = dict(record.parameters.get("made_with") or {})  # what became settings too: a plan compares it
        return made

    def _settings_for(self, made_with: Mapping[str, Any]) -> Settings:
        admin_id, region = made_with.get("admin_id"), made_with.get("region")
        if self._settings is not None:
            found = self._settings
            admin = found.admin_id if admin_id is None else str(admin_id)
            return replace(found, admin_id=admin, home=self._home)
        url = made_with.get("base_url") or (region_url(region) if region else None)
        return replace(Settings.build(base_url=url, admin_id=admin_id), home=self._home)


_OF_THE_MIRROR = {
    "backfill": "go on with it by Backfill().resume(run_id).",
    "repair": "another one finds what is still short: Repair().run().",
    "sync": "what it left, the next sync does: IncrementalSync().run().",
}
"""Runs that change nothing in Intercom, by kind: what to do with one instead."""


def _words(status: Status) -> str:
    return {Status.STAGED: "not processed", Status.STARTED: "in flight"}.get(status, status.replace("_", " "))


def _class_named(name: str, run_id: str) -> type[IntercomBulkUpdater]:
    module, _, path = lasting(name).partition(":")
    advice = f"pass updater=, made as it was for run {run_id}."
    if not module or not path or module == "__main__" or "<locals>" in path:
        raise UsageError(f"{name or 'Its updater'} belongs to a script and cannot be made again: {advice}")
    try:
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"{name} cannot be imported ({error}): {advice}") from error
    if not (isinstance(found, type) and issubclass(found, IntercomBulkUpdater)):
        raise UsageError(f"{name} is no updater: {advice}")
    return found


def _collection(record: RunRecord) -> str:
    """What the items are, for the links into the inbox."""
    made_with = record.parameters.get("made_with") or {}
    return str(record.parameters.get("collection") or made_with.get("on") or "conversations")
