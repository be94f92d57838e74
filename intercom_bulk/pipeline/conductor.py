"""One life of one run of the pipeline: the fetch, then phase after phase, each a run of its own. It lives in a thread,
and writes down what it does before and after it does it, so that another life can go on from anywhere.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from intercom_bulk.errors import IntercomBulkError, LedgerError, RunBusy, Stopped, UnknownRun
from intercom_bulk.mirror.backfill import Backfill
from intercom_bulk.mirror.fetching.launch import drawn_id
from intercom_bulk.pipeline.attempt import Attempt
from intercom_bulk.pipeline.deletions import mark_deleted
from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.options import RunOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.insights.phase import Phase
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.pipeline.book import PipelineBook, Told
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.summary import Summary
    from intercom_bulk.workspace import Workspace

__all__ = ["Conductor"]

T = TypeVar("T")

LOOK = 0.25
"""Seconds between looks at whether somebody has asked for the end."""
PATIENCE = 600.0
"""Seconds that another sync of the mirror is waited for."""
OVER = frozenset({RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS})
GOES_ON = frozenset({RunState.INTERRUPTED, RunState.STOPPED, RunState.PAUSED})
"""Ledgers that a further life writes on. After a halt, what failed is tried again, by another run."""
logger = logging.getLogger(__name__)


class _Failed(Exception):
    """This life cannot go on; the text says why."""


class Conductor:
    """Owns what it is given, and closes it at its end: until then nobody else works on a pipeline of this workspace."""

    def __init__(
        self, workspace: Workspace, store: MirrorStore, book: PipelineBook, told: Told, phases: Sequence[Phase]
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._book = book
        self._told = told
        self._phases = phases
        self._stop = threading.Event()
        self._run: Run | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"intercom-bulk-pipeline-{told.id}")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end: what is in flight ends and is stored."""
        self._stop.set()
        run = self._run
        if run is not None:
            run.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether it is over, after at most `timeout` seconds."""
        return self._ended.wait(timeout)

    # -- the life

    def _live(self) -> None:
        try:
            status, error = self._outcome()
            try:
                self._book.end(self._told, status, at=self._workspace.clock.time(), error=error)
            except IntercomBulkError:
                logger.exception("how run %s of the pipeline ended could not be written down", self._told.id)
        finally:
            try:
                self._book.close()
                self._store.close()
                self._workspace.close()
            finally:
                self._ended.set()

    def _outcome(self) -> tuple[str, str | None]:
        try:
            self._fetch()
            for phase in self._phases:
                self._work(phase)
        except Stopped:
            return "stopped", None
        except _Failed as error:
            return "failed", str(error)
        except IntercomBulkError as error:
            return "failed", self._workspace.settings.redact(str(error))
        except Exception as error:  # a bug of ours: the run says so, and can be gone on with
            logger.exception("run %s of the pipeline failed", self._told.id)
            return "failed", self._workspace.settings.redact(f"{type(error).__name__}: {error}")
        return "completed", None

    def _follow(self, run: Run) -> Summary:
        """To its end, or to that which somebody asks for. Raises what made the run impossible, and `Stopped`."""
        self._run = run
        if self._stop.is_set():
            run.stop()
        asked = False
        while not run.wait(LOOK):
            if not asked and self._is_asked():
                asked = True
                run.stop()
        summary = run.result()
        if summary.state is RunState.STOPPED:
            raise Stopped("the pipeline was asked to stop")
        return summary

    def _is_asked(self) -> bool:
        return self._stop.is_set() or self._book.is_asked_to_stop(self._told.id)

    def _check_stop(self) -> None:
        if self._is_asked():
            raise Stopped("the pipeline was asked to stop")

    # -- the fetch

    def _fetch(self) -> None:
        if self._told.stage != "fetch":
            return
        since, until = self._told.date_from, self._told.date_to
        with Backfill(since=since, until=until, workspace=self._workspace) as backfill:
            state = self._when_free(lambda: self._fetched(backfill))
            if state not in OVER:
                raise _Failed(f"The fetch halted: {backfill.status(str(self._told.backfill_run_id)).reason}")
            status = backfill.status(str(self._told.backfill_run_id))
        lacks = []
        if self._when_free(lambda: mark_deleted(self._workspace, self._store, self._check_stop)) is not None:
            lacks.append("what was deleted could not be listed")
        if status.holes:
            lacks.append(f"{len(status.holes)} windows could not be fetched ({status.holes[0]})")
        if status.threads_missing:
            lacks.append(f"{status.threads_missing:,} conversations could not be fetched whole")
        if lacks:
            said = f"{' and '.join(lacks)}: what is there was worked on; another run fetches the rest."
            self._told = replace(self._told, warning=said)
        self._told = replace(self._told, stage="process")
        self._book.save(self._told)

    def _when_free(self, work: Callable[[], T]) -> T:
        """As soon as nobody else writes to the mirror: other syncs are soon done."""
        ends = self._workspace.clock.monotonic() + PATIENCE
        while True:
            self._check_stop()
            is_late = self._workspace.clock.monotonic() > ends
            if is_late or not self._store.is_syncing:
                try:
                    return work()
                except RunBusy:
                    if is_late:
                        raise
            self._stop.wait(LOOK)

    def _fetched(self, backfill: Backfill) -> RunState:
        """How it ended. Its id is written down before it begins: a life that dies leaves none that nobody knows."""
        options = RunOptions(reason=f"run {self._told.id} of the pipeline")
        known = self._told.backfill_run_id
        record = self._record(known)
        if known is not None and record is not None and record.is_resumable:
            return self._follow(backfill.resume(known, options)).state
        if record is not None and record.state in OVER:
            return record.state  # an earlier life died before it could say so
        known = drawn_id()
        self._told = replace(self._told, backfill_run_id=known)
        self._book.save(self._told)
        return self._follow(backfill.start(options, name=known)).state

    # -- a phase

    def _work(self, phase: Phase) -> None:
        if self._told.phase(phase.name).state == "done":
            return
        self._check_stop()
        attempt = Attempt(self._workspace, self._store, self._book, self._told, phase)
        try:
            summary = self._follow(attempt.start(self._resumable(self._told.phase(phase.name).run_id)))
        finally:
            self._told = attempt.told
        if summary.state not in OVER:
            raise _Failed(summary.reason or f"{phase.name} halted: see run {summary.run_id}.")
        self._told = attempt.finished(summary.failed)
        self._book.save(self._told)

    def _resumable(self, run_id: str | None) -> str | None:
        """The run of the ledger that an earlier life began, where it can be gone on with."""
        record = self._record(run_id)
        return run_id if record is not None and record.state in GOES_ON else None

    def _record(self, run_id: str | None) -> RunRecord | None:
        """None for a run that died before it was one: of which there is nothing, or a file without a record."""
        if run_id is None:
            return None
        try:
            return self._workspace.store.record(run_id)
        except UnknownRun:
            return None
        except LedgerError:
            with suppress(LedgerError):
                self._workspace.store.delete(run_id)
            return None
