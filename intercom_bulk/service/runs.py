"""The runs of a home: those that this process works on, with their handles, and all others by their records."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import closing
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import IntercomBulkError, LedgerError, UnknownRun, UsageError
from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.service.asked import asked_status, refuse_unstorable
from intercom_bulk.service.refusals import Conflict, NotThere, Overloaded
from intercom_bulk.service.totals import Totals
from intercom_bulk.service.views import LIVE, inbox, item_view, run_view
from intercom_bulk.service.worked import Worked
from intercom_bulk.workspace import run_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.store import RunStore
    from intercom_bulk.settings import Settings
    from intercom_bulk.updaters.base import IntercomBulkUpdater
    from intercom_bulk.updaters.history import Runs

__all__ = ["RunTable", "checked_id"]

FIRST_SIGNS = 0.3
"""Seconds in which a run that cannot begin says so to whoever started it."""
REMEMBERED = 200
"""Runs that are over whose handles are kept."""
BEGINNING, GLANCE = 200, 0.05
"""How often, and how many seconds apart, the record of a run that begins is looked for."""
_LONGEST_ID = 100
_SKEW = 60.0
"""Seconds by which the clocks of those who begin runs may differ."""


class RunTable:
    """Any thread may ask. Nothing here is done for each item of a run."""

    def __init__(self, settings: Settings, runs: Runs) -> None:
        self._settings = settings
        self._runs = runs
        self._worked: dict[str, Worked] = {}
        self._totals = Totals()
        self._lock = threading.Lock()
        self._undoing = threading.Lock()
        self._closing = False
        self._forgotten: Counter[str] = Counter()
        self._forgotten_refused = 0

    @property
    def store(self) -> RunStore:
        return run_store(self._settings.home, self._settings.ledger_url)

    # -- looking

    def page(self, *, after: str | None = None, limit: int = 20) -> dict[str, Any]:
        """Newest first. `next` is the `after` of the following page, None at the end."""
        found: list[RunRecord] = []
        for record in self.store.records(below=checked_id(after) if after else None):
            found.append(record)
            if len(found) > limit:
                break
        newer = found if after is None else list(self.store.records())
        return {
            "runs": [
                {**self.view(record), "undone_by": undone_by(undos_of(record, newer))} for record in found[:limit]
            ],
            "next": found[limit - 1].run_id if len(found) > limit else None,
        }

    def get(self, run_id: str) -> dict[str, Any]:
        """One run, with the history of its rate where it is worked on here. Raises `UnknownRun`."""
        record = self.record(run_id)
        worked = self._worked.get(record.run_id)
        undone = undone_by(undos_of(record, self.store.records())) if record.kind != "undo" else None
        rates = [[round(at, 1), round(rate, 2)] for at, rate in list(worked.rates)] if worked is not None else []
        return {**self.view(record), "undone_by": undone, "rates": rates}

    def record(self, run_id: str) -> RunRecord:
        """Raises `NotThere`."""
        try:
            return self.store.record(checked_id(run_id))
        except UnknownRun:
            raise _not_there(run_id) from None

    def _ledger(self, run_id: str) -> RunLedger:
        """To be looked at, and closed. Raises `NotThere`."""
        try:
            return self.store.read(checked_id(run_id))
        except UnknownRun:
            raise _not_there(run_id) from None

    def view(self, record: RunRecord) -> dict[str, Any]:
        worked = self._worked.get(record.run_id)
        if worked is not None and not worked.is_over:
            told = worked.run.progress()
            counts, codes = worked.counts(), worked.codes()
            return run_view(record, counts, codes, live=True, here=True, progress=told, error=worked.error)
        live = record.state in LIVE and not (worked is not None and record.state is RunState.PAUSED)
        live = live and self._is_live(record)
        counts, codes = self._totals.of(self.store, record, live=live)
        error = worked.error if worked is not None else None
        return run_view(record, counts, codes, live=live, here=False, error=error)

    def _is_live(self, record: RunRecord) -> bool:
        """A paused run reads the same whether its process lives or not."""
        if record.state is not RunState.PAUSED:
            return True
        return any(one.run_id == record.run_id for one in self.store.worked_on())

    def items(
        self,
        run_id: str,
        *,
        status: str | None = None,
        text: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> dict[str, Any]:
        """A page of items in the order of their ids. `next` is the `after` of the following one, None at the end."""
        chosen = asked_status(status)
        refuse_unstorable(text=text, after=after)
        with closing(self._ledger(run_id)) as ledger:
            record = ledger.record() or self.record(run_id)  # which says what is wrong with it
            found = ledger.page(status=chosen, text=text or None, after=after or "", limit=limit + 1)
        more, where = len(found) > limit, inbox(record)
        shown = [item_view(outcome, where) for outcome in found[:limit]]
        return {"run_id": record.run_id, "items": shown, "next": shown[-1]["id"] if more else None}

    def live(self) -> list[RunRecord]:
        """The runs that some process works on, newest first."""
        return sorted(self.store.worked_on(), key=lambda record: record.run_id, reverse=True)

    def worked(self) -> Mapping[str, Worked]:
        """Those of this process, over or not."""
        with self._lock:
            return dict(self._worked)

    # -- steering

    def work(
        self,
        begin: Callable[[], Run],
        updater: IntercomBulkUpdater | None = None,
        *,
        counts: Mapping[str, int] | None = None,
        codes: Mapping[str, int] | None = None,
    ) -> dict[str, Any]:
        """Start a run and keep hold of it; `counts` and `codes` are those of its earlier lives. Raises what makes it
        impossible, where that shows at once.
        """
        if self._closing:
            raise Conflict("The service is stopping: start the run when it is back.")
        run = begin()
        worked = Worked(run, updater, Counter(codes or {}), at_start=dict(counts or {}))
        with self._lock:
            if (earlier := self._worked.get(run.run_id)) is not None:
                self._forget(earlier)
            self._worked[run.run_id] = worked
            late = self._closing
        if late:
            run.stop()
        return self._first_signs(worked)

    def _first_signs(self, worked: Worked) -> dict[str, Any]:
        """The run as it began; or why it could not, which its own word says best."""
        over = worked.run.wait(FIRST_SIGNS)
        for _ in range(BEGINNING):
            if over:
                self.settle(worked)
                try:
                    worked.run.result()
                except BaseException:  # it never began here; what others make of it is no error of theirs
                    with self._lock:
                        if self._worked.get(worked.run.run_id) is worked:
                            del self._worked[worked.run.run_id]
                    raise
                return self.get(worked.run.run_id)
            try:
                return self.get(worked.run.run_id)
            except (LedgerError, NotThere):  # its record is about to be made
                over = worked.run.wait(GLANCE)
        raise Overloaded(f"Run {worked.run.run_id} has not begun yet: look at it in a moment.")

    def resume(self, run_id: str) -> dict[str, Any]:
        """Go on with a run."""
        record = self.record(run_id)
        self._refuse_live(record, "resume")
        counts, codes = self._totals.of(self.store, record, live=False)
        made = self._maker(record)
        return self.work(lambda: self._runs.resume(record.run_id, made), made, counts=counts, codes=codes)

    def undo(self, run_id: str) -> dict[str, Any]:
        """Take a run back, or go on with an undo that was cut short; once, whoever asks at the same time."""
        with self._undoing:
            record = self.record(run_id)
            self._refuse_live(record, "undo")
            undos = undos_of(record, self.store.records())
            if (by := undone_by(undos)) is not None:
                raise Conflict(f"Run {record.run_id} was undone already, by run {by}: look at that run.")
            if undos and self._is_busy(undos[0][0]):
                raise Conflict(f"Run {record.run_id} is being undone, by run {undos[0][0].run_id}: look at that run.")
            # Of two processes that count the same undos, one gets the key.
            options = RunOptions(run_key=f"undo {len(undos)} of {record.run_id}")
            made = self._maker(record)
            return self.work(lambda: self._runs.undo(record.run_id, made, options=options), made)

    def _maker(self, record: RunRecord) -> IntercomBulkUpdater:
        return self._runs.updater_of(record.run_id)

    def _refuse_live(self, record: RunRecord, act: str) -> None:
        busy = self._is_busy(record)
        if busy and act == "resume" and record.state in {RunState.PAUSED, RunState.PAUSING}:
            raise Conflict(f"Run {record.run_id} is paused, and its process lives: unpause it.")
        if busy:
            raise Conflict(f"Run {record.run_id} is under way: stop it, or wait for its end, then {act} it.")
        if act == "resume" and not record.is_resumable:
            raise Conflict(f"Run {record.run_id} is {record.state.replace('_', ' ')}: there is nothing to go on with.")

    def _is_busy(self, record: RunRecord) -> bool:
        """Whether a process works on it, this one or another."""
        worked = self._worked.get(record.run_id)
        if worked is not None and not worked.is_over:
            return True
        return any(one.run_id == record.run_id for one in self.store.worked_on())

    def ask(self, run_id: str, wish: str) -> dict[str, Any]:
        """`pause`, `unpause` or `stop` a run that is under way, here or in another process."""
        record = self.record(run_id)
        worked = self._worked.get(record.run_id)
        if worked is not None and not worked.is_over:
            {"pause": worked.run.pause, "unpause": worked.run.resume, "stop": worked.run.stop}[wish]()
        else:
            try:
                getattr(self._runs, wish)(record.run_id)
            except UsageError as error:
                raise Conflict(str(error)) from None
        return {"run_id": record.run_id, "asked": wish}

    # -- the end of runs

    def tend(self) -> None:
        """Look after the runs that ended since: their errors are kept, their connections closed."""
        over = [(run_id, worked) for run_id, worked in self.worked().items() if worked.is_over]
        for _, worked in over:
            self.settle(worked)
        for run_id, worked in over[:-REMEMBERED]:
            with self._lock:
                if self._worked.get(run_id) is worked:
                    self._forget(worked)
                    del self._worked[run_id]

    def _forget(self, worked: Worked) -> None:
        """Its part of the totals stays. Called under the lock."""
        self._forgotten += worked.settled()
        self._forgotten_refused += worked.run.summary().rate_limited

    def settle(self, worked: Worked) -> None:
        with self._lock:
            updater, worked.updater = worked.updater, None
        if updater is None:
            return
        try:
            worked.run.result()
        except (IntercomBulkError, OSError) as error:
            worked.error = str(error)
        finally:
            updater.workspace.close()

    def settled(self) -> Counter[str]:
        """Items that runs of this process have settled since it began, by outcome."""
        with self._lock:
            told = Counter(self._forgotten)
        for worked in self.worked().values():
            told += worked.settled()
        return told

    def refused(self) -> int:
        """429s that runs of this process have met since it began."""
        with self._lock:
            told = self._forgotten_refused
        return told + sum(worked.run.summary().rate_limited for worked in self.worked().values())

    def stopping(self) -> None:
        """Ask every run of this process to end, resumable, and start no other."""
        with self._lock:
            self._closing = True
        for worked in self.worked().values():
            worked.run.stop()

    def close(self, patience: float | None = None) -> None:
        """Stop every run of this process; what is in flight ends and is recorded."""
        self.stopping()
        for worked in self.worked().values():
            worked.run.wait(patience)
            if worked.is_over:
                self.settle(worked)


def undos_of(run: RunRecord, records: Iterable[RunRecord]) -> list[tuple[RunRecord, bool]]:
    """Its undos, the newest first, and whether each was itself taken back. `records` come newest first; those from
    before the run are not looked at.
    """
    found: list[tuple[RunRecord, bool]] = []
    taken_back: set[str] = set()
    for one in takewhile(lambda one: one.created_at > run.created_at - _SKEW, records):
        if one.kind == "undo" and one.parent == run.run_id:
            found.append((one, one.run_id in taken_back))
        elif one.kind == "undo" and one.parent is not None:
            taken_back.add(one.parent)
    return found


def undone_by(undos: Sequence[tuple[RunRecord, bool]]) -> str | None:
    """The undo that left nothing to undo; None where there is none, or somebody undid that."""
    if not undos:
        return None
    last, was_taken_back = undos[0]
    return last.run_id if last.state is RunState.COMPLETED and not was_taken_back else None


def checked_id(run_id: str) -> str:
    """The id of a run as it may be one: it becomes part of a file's name. Raises `NotThere`."""
    is_word = all(c.isascii() and (c.isalnum() or c in "-_") for c in run_id)
    if not 0 < len(run_id) <= _LONGEST_ID or not is_word or run_id == "index":  # a file of that name lists the others
        raise NotThere("There is no run of this id: GET /api/runs lists them.")
    return run_id


def _not_there(run_id: str) -> NotThere:
    return NotThere(f"There is no run {run_id}: GET /api/runs lists them.")
