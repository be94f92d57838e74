"""One life of one run, in a thread of its own.

Ctrl-C lands in the caller's thread, which then asks the run to stop and waits for it: no interrupt can cut a ledger
transaction in two.
"""

from __future__ import annotations

import threading
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING

from intercom_bulk.clock import bind_stop
from intercom_bulk.errors import Stopped
from intercom_bulk.runs.engine import Execution
from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.summary import Progress, Summary
from intercom_bulk.runs.tally import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.clock import Clock
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.model import Outcome
    from intercom_bulk.runs.seams import Plan

__all__ = ["Life"]


class Life:
    """`open_ledger` comes first, so that a record that cannot be kept is known before anything is sent; `make_plan`
    may use the network. `on_outcome` gets each outcome, `on_end` comes last: both in the run's thread.
    """

    def __init__(
        self,
        open_ledger: Callable[[], RunLedger],
        make_plan: Callable[[], Plan],
        clock: Clock,
        *,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
        on_end: Callable[[], None] = lambda: None,
        discard: Callable[[], None] = lambda: None,
    ) -> None:
        self._open_ledger = open_ledger
        self._make_plan = make_plan
        self._clock = clock
        self._on_outcome = on_outcome
        self._on_end = on_end
        self._discard = discard
        self._thread = threading.Thread(target=self._run, name="intercom-bulk-run")
        # Waited on instead of Thread.join(): an interrupt of that one marks a thread as ended that is not (bpo-45274).
        self._ended = threading.Event()
        self._wishes: list[str] = []
        self._unwanted = threading.Event()
        self._execution: Execution | None = None
        self._summary: Summary | None = None
        self.error: BaseException | None = None

    @property
    def has_started(self) -> bool:
        return self._thread.ident is not None

    @property
    def is_alive(self) -> bool:
        return self.has_started and not self._ended.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._wish("stop")

    def abort(self) -> None:
        self._wish("abort")

    def pause(self) -> None:
        self._wish("pause")

    def resume(self) -> None:
        self._wish("resume")

    def join(self, timeout: float | None = None) -> None:
        if self.has_started:
            self._ended.wait(timeout)

    def progress(self) -> Progress | None:
        """The latest moment; None before the first."""
        return self._execution.latest if self._execution is not None else None

    def summary(self) -> Summary:
        """The totals: so far, or of the whole run when it is over."""
        if self._summary is not None:
            return self._summary
        return self._execution.summary() if self._execution is not None else Summary()

    def _wish(self, wish: str) -> None:
        """Kept until there is an execution to ask."""
        self._wishes.append(wish)
        if wish in {"stop", "abort"}:
            self._unwanted.set()
        if self._execution is not None:
            getattr(self._execution, wish)()

    def _run(self) -> None:
        try:
            self._whole_life()
        finally:
            self._ended.set()

    def _whole_life(self) -> None:
        try:
            ledger = self._open_ledger()
        except BaseException as error:  # noqa: BLE001  handed to the caller's thread, which raises it
            self.error = error
            self._on_end()
            return
        try:
            self._live(ledger)
        except BaseException as error:  # noqa: BLE001  as above
            self.error = error
        finally:
            try:
                if self._execution is not None:
                    self._summary = self._execution.final_summary()
            finally:
                ledger.close()
                never_began = self._execution is None and self._summary is None
                if never_began or (self._execution is not None and self._execution.was_refused):
                    self._discard()  # nothing to explain, and to resume a refusal would be to overrule it
                self._on_end()

    def _planned(self) -> Plan:
        """What it asks Intercom before the first item is not waited for when nobody wants the run any more."""
        bind_stop(self._unwanted)
        return self._make_plan()

    def _stopped_before(self, ledger: RunLedger, reason: str) -> Summary:
        """Before its first item, in this life: it is on record as stopped, and can be resumed."""
        now = self._clock.time()
        record = ledger.record()
        if record is not None:
            with ledger.atomic():
                ledger.save(replace(record, state=RunState.STOPPED, ended=reason, ended_at=now, updated_at=now))
        told = replace(counted(ledger.counts()), state=RunState.STOPPED, reason=reason)
        return told if record is None else replace(told, run_id=record.run_id)

    def _live(self, ledger: RunLedger) -> None:
        # A context of its own: from the first item on, who is asked to stop lets what is in flight end.
        try:
            plan = copy_context().run(self._planned)
        except Stopped as stopped:
            self._summary = self._stopped_before(ledger, str(stopped))
            return
        execution = Execution(plan, ledger, self._clock)
        self._execution = execution
        for wish in list(self._wishes):
            getattr(execution, wish)()
        for outcome in execution.outcomes():
            self._on_outcome(outcome)
