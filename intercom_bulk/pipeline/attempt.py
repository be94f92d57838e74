"""One phase in one life of a run of the pipeline: it is fit or taken up again, and then a run of the engine goes over
its items. What is counted here is written together with what was counted.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.governor import Governor
from intercom_bulk.api.steady import SteadyPace
from intercom_bulk.errors import IntercomBulkError, UsageError
from intercom_bulk.insights.phase import Phase
from intercom_bulk.mirror.fetching.launch import drawn_id
from intercom_bulk.pipeline.corpus import MirrorCorpus
from intercom_bulk.pipeline.phasing import OneByOne, PhaseAction, PhaseSource
from intercom_bulk.runs.beginning import list_anew, versions
from intercom_bulk.runs.handle import Run
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.seams import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.pipeline.book import PhaseProgress, PipelineBook, Said, Told
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.workspace import Workspace

__all__ = ["Attempt"]

TRIES = 4
MOST_AT_ONCE = 32
"""Batches of a paced phase that may be in flight together."""


class Attempt:
    """`told` is how the run of the pipeline stands by it. Paced phases store from several threads."""

    def __init__(self, workspace: Workspace, store: MirrorStore, book: PipelineBook, told: Told, phase: Phase) -> None:
        self._workspace = workspace
        self._store = store
        self._book = book
        self._phase = phase
        self._corpus = MirrorCorpus(store, (told.date_from, told.date_to), phase.uses)
        self._lock = threading.Lock()
        self._began = workspace.clock.monotonic()
        self._before = told.phase(phase.name)
        self._listed = 0
        self._earlier: RunRecord | None = None
        self._ledger: RunLedger | None = None
        self.told = told

    def start(self, run_id: str | None) -> Run:
        """As a new run of the ledger, or as another life of this one."""
        chosen = run_id or drawn_id()
        stands = replace(self._before, state="running", run_id=chosen, unchanged=0, stored=0)
        if run_id is None:
            stands = replace(stands, done=0, failed=0)
        self.told = replace(self.told.with_phase(self._phase.name, stands), current_phase=self._phase.name)
        self._book.save(self.told)
        return Run(
            chosen,
            lambda: self._opened(chosen, is_new=run_id is None),
            lambda: self._plan(chosen),
            self._workspace.clock,
            discard=(lambda: self._workspace.store.delete(chosen)) if run_id is None else (lambda: None),
        )

    def finished(self, failed: int) -> Told:
        """How the run of the pipeline stands when this phase is done, so many items of it failed."""
        with self._lock:
            stands = replace(self._timed(self._stands), failed=failed)
            done = self._listed + self._stored_now
            over = replace(stands, state="done", done=done, total=done + stands.failed)
            self.told = replace(self.told.with_phase(self._phase.name, over), checkpoint=self._checkpoint(over))
            if over.failed:
                said = (
                    f"{over.failed:,} items failed in {self._phase.name}: see run {over.run_id}; the others are done."
                )
                self.told = replace(self.told, warning=" ".join(filter(None, (self.told.warning, said))))
            return self.told

    # -- the plan

    def _opened(self, run_id: str, *, is_new: bool) -> RunLedger:
        store = self._workspace.store
        if is_new:
            self._ledger = store.create(self._record(run_id))
            return self._ledger
        self._ledger = store.open(run_id)
        self._earlier = self._ledger.record()
        return self._ledger

    def _record(self, run_id: str) -> RunRecord:
        now = self._workspace.clock.time()
        settings = self._workspace.settings
        return RunRecord(
            run_id=run_id,
            title=self._phase.name,
            kind="phase",
            reason=f"run {self.told.id} of the pipeline",
            workspace=self._store.workspace,
            base_url=settings.base_url,
            parameters={"pipeline": self.told.id, "phase": self._phase.name},
            versions=versions(),
            created_at=now,
            updated_at=now,
        )

    def _plan(self, run_id: str) -> Plan:
        phase = self._phase
        self._fit()
        pace = phase.requests_per_minute
        governor = None if pace is None else Governor(clock=self._workspace.clock, pace=SteadyPace(pace))
        source = PhaseSource(phase, self._corpus, run_id=self.told.id, skip=self._skip, vanish=self._vanish)
        action = PhaseAction(phase, self._corpus, source, self._keep, governor)
        lives = 0 if self._earlier is None else self._earlier.lives
        list_anew(self._ledger, self._earlier, source)  # what is done is known from what is stored
        return Plan(
            run_id=run_id,
            title=phase.name,
            kind="phase",
            source=source,
            action=action,
            gate=OneByOne() if governor is None else governor,
            # A life that dies is no try of the items that it had in its hands.
            options=RunOptions(canary=0, tries=TRIES + lives),
            batch_size=phase.batch_size * (1 if governor is None else MOST_AT_ONCE),
            settle_set=0.0,
            guarded=False,
            redact=self._workspace.settings.redact,
        )

    def _fit(self) -> None:
        """Once in a run of the pipeline; a further life takes up what the first one learnt."""
        phase, corpus = self._phase, self._corpus
        try:
            if self._stands.is_fit and corpus.has_state(phase.name):
                phase.load(corpus.state(phase.name))
            else:
                state = phase.fit(corpus)
                phase.load(state)
                self._change(replace(self._stands, is_fit=True))
                self._book.save_state(self.told, phase, state, at=self._workspace.clock.time())
            if type(phase).items is Phase.items:
                self._change(replace(self._stands, total=len(corpus)))
        except IntercomBulkError as error:
            raise UsageError(f"{phase.name} cannot begin: {error}") from error
        except Exception as error:
            raise UsageError(
                f"{phase.name} cannot begin ({type(error).__name__}: {error}): mend it, then resume run {self.told.id}."
            ) from error

    # -- what it comes to

    @property
    def _stands(self) -> PhaseProgress:
        return self.told.phase(self._phase.name)

    @property
    def _stored_now(self) -> int:
        return self._stands.stored - self._own

    _own = 0
    """Results that were found at listing, and are of an earlier life of this run."""

    def _change(self, stands: PhaseProgress) -> None:
        self.told = self.told.with_phase(self._phase.name, stands)

    def _timed(self, stands: PhaseProgress) -> PhaseProgress:
        return replace(stands, seconds=round(self._before.seconds + self._workspace.clock.monotonic() - self._began, 3))

    def _skip(self, many: int, own: int) -> None:
        with self._lock:
            self._listed += many
            self._own += own
            known = self._stands
            self._change(replace(known, stored=known.stored + own, unchanged=known.unchanged + many - own))
            self._change(replace(self._stands, done=self._done()))

    def _keep(self, said: Sequence[Said], failures: int) -> PhaseProgress:
        """Results, the checkpoint, and what was counted: one transaction."""
        with self._lock:
            before = self.told
            known = self._stands
            self._change(replace(known, stored=known.stored + len(said), failed=known.failed + failures))
            stands = self._timed(replace(self._stands, done=self._done()))
            self._change(stands)
            if said:
                self.told = replace(self.told, checkpoint=self._checkpoint(stands))
            try:
                self._book.save_results(self.told, self._phase.name, said, at=self._workspace.clock.time())
            except BaseException:
                self.told = before
                raise
            return stands

    def _checkpoint(self, stands: PhaseProgress) -> Mapping[str, Any]:
        """What is stored, for people: a further life asks what is stored itself."""
        told = {"done": stands.done, "total": stands.total, "run_id": stands.run_id}
        return {"phase": self._phase.name, "stage": "process", **told}

    def _done(self) -> int:
        """Never less than an earlier life had: what it stored is only listed again."""
        return max(self._listed + self._stored_now, self._stands.done)

    def _vanish(self, items: list[str]) -> None:
        self._book.forget(self._phase.name, items)
