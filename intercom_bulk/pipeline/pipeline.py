"""The pipeline as people start it: a fetch, and phases over what was fetched, one run at a time for each workspace."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from intercom_bulk.errors import NoResumableRun, PipelineBusy, RunBusy, UnknownRun, UsageError
from intercom_bulk.mirror.fetching.launch import mirror_of
from intercom_bulk.mirror.fetching.spans import DAY
from intercom_bulk.mirror.whose import whose
from intercom_bulk.pipeline.book import PipelineBook, Told, known_runs
from intercom_bulk.pipeline.conductor import Conductor
from intercom_bulk.pipeline.status import RESUMABLE, STORIES, PipelineStatus, status_from
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import Workspace, run_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.insights.phase import Phase
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.runs.store import RunStore

__all__ = ["Pipeline", "PipelineRun"]

_MOST_DAYS = 36_500


class PipelineRun:
    """A run of the pipeline under way in this process, or over. Any thread may ask it.

    The process does not end while it runs: `stop()` or `wait()` for it.
    """

    def __init__(self, run_id: int, conductor: Conductor, status: Callable[[], PipelineStatus]) -> None:
        self.run_id = run_id
        self._conductor = conductor
        self._status = status

    def status(self) -> PipelineStatus:
        """How it stands."""
        return self._status()

    def stop(self) -> None:
        """End it: what is in flight ends and is stored, and the run can be resumed by its id."""
        self._conductor.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over, at most `timeout` seconds; whether it is."""
        return self._conductor.wait(timeout)

    def result(self) -> PipelineStatus:
        """Wait for the end; how it ended. A run that failed says so in its status, and raises nothing."""
        self._conductor.wait()
        return self._status()

    def __repr__(self) -> str:
        return f"PipelineRun({self.run_id}, {'over' if self._conductor.wait(0) else 'under way'})"


class Pipeline:
    """Fetches the conversations of the last days into the mirror, and works them out phase by phase.

    `phases`: None for the built-in ones, else yours, in the order in which they are to run; each may use the results of
    those before it. A Pipeline holds no connection between its calls, and what it starts goes on without it.
    """

    def __init__(
        self,
        *,
        settings: Settings | None = None,
        phases: Sequence[Phase] | None = None,
        access_token: str | None = None,
        region: str | None = None,
        base_url: str | None = None,
    ) -> None:
        """Raises `UsageError` for phases that cannot follow each other."""
        self._settings = settings or Settings.build(access_token=access_token, region=region, base_url=base_url)
        self._given = None if phases is None else _checked(phases)
        self._lock = threading.Lock()
        self._workspace_id: str | None = None

    # -- running

    def start(self, days: float = 90, *, auto_create_stories: bool = True) -> PipelineRun:
        """A new run over the conversations that were created in the last `days`; without `auto_create_stories` the
        phase story_creation is left out.

        Raises `PipelineBusy` (with its `run_id`) while another one is under way, `UsageError` for days that are none,
        and what asking Intercom raises.
        """
        length = _checked_days(days)
        phases = [phase for phase in self._phases() if auto_create_stories or phase.name != STORIES]
        if not phases:
            raise UsageError("This pipeline has no phases: give it some, or leave phases= out for the built-in ones.")

        def begin(workspace: Workspace, book: PipelineBook) -> Told:
            now = workspace.begin()
            to = now + 1
            return book.begin(
                Told(
                    id=0, status="running", date_from=max(0, to - int(length * DAY)), date_to=to, days=length,
                    auto_create_stories=auto_create_stories, phases=tuple(phase.name for phase in phases),
                    current_phase=phases[0].name, started_at=now, resumed_at=now,
                )
            )  # fmt: skip

        return self._launch(begin, phases)

    def resume(self, run_id: int | None = None, *, days: float | None = None) -> PipelineRun:
        """Go on with a run under its own id, over the range that it began with, from what is stored.

        By `run_id`, on whatever day. Without it the newest run is taken that was stopped, failed or interrupted, whose
        length is `days` (90 where nothing is said), and which was started today: on the same day in UTC.

        Raises `NoResumableRun` where there is none, or the run is completed; `UnknownRun`; `PipelineBusy` while one is
        under way.
        """
        length = None if run_id is not None else _checked_days(90 if days is None else days)

        def begin(workspace: Workspace, book: PipelineBook) -> Told:
            # Asked while nobody else can begin: what runs in between is no candidate any more.
            with self._open() as store, store.reading() as on:
                known = known_runs(on, run_id=run_id, limit=1000)
            told = _named(known, run_id) if length is None else _matching(known, length, workspace.begin())
            self._phases_of(told)
            return book.begin_again(told, at=workspace.clock.time())

        if run_id is not None:  # what is wrong with the id is told before anything is held
            _named([self._known(run_id)], run_id)
        return self._launch(begin, None)

    def stop(self, run_id: int | None = None) -> int:
        """Ask the run that is under way to end, in whatever process; its id. What is in flight ends and is stored.

        Raises `UsageError` where none is under way, or not the one that is named.
        """
        active = self.active()
        if active is None or run_id not in {None, active.run_id}:
            which = "No run of the pipeline is" if run_id is None else f"Run {run_id} of the pipeline is not"
            raise UsageError(f"{which} under way: there is nothing to stop.")
        with self._open() as store:
            book = PipelineBook(store.writing_beside(alone=False))
            try:
                book.ask_to_stop(active.run_id)
            finally:
                book.close()
        return active.run_id

    # -- looking

    def active(self) -> PipelineStatus | None:
        """The run that is under way, in whatever process."""
        with self._open() as store:
            told = _active(store)
            return None if told is None else status_from(told, store, self._runs)

    def status(self, run_id: int) -> PipelineStatus:
        """How a run stands. Raises `UnknownRun`."""
        told = self._known(run_id)
        with self._open() as store:
            return status_from(told, store, self._runs)

    def history(self, limit: int = 20) -> list[PipelineStatus]:
        """The newest runs first."""
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise UsageError(f"limit must be 1 or more, not {limit!r}.")
        with self._open() as store:
            return [status_from(told, store, self._runs) for told in _seen(store, limit=limit)]

    def store(self) -> MirrorStore:
        """The mirror, with the results in it; close it after use."""
        return self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """What was started goes on."""

    def __repr__(self) -> str:
        return f"Pipeline({self._settings!r})"

    # -- inside

    def _launch(self, begin: Callable[[Workspace, PipelineBook], Told], phases: Sequence[Phase] | None) -> PipelineRun:
        """Hold the workspace's pipeline, write the run down, and let it live."""
        workspace = Workspace(self._settings)
        try:
            store = self._open(workspace)
        except BaseException:
            workspace.close()
            raise
        try:
            book = self._held(store)
            try:
                told = begin(workspace, book)
                chosen = self._phases_of(told) if phases is None else phases
                conductor = Conductor(workspace, store, book, told, chosen)
                conductor.start()
            except BaseException:
                book.close()
                raise
        except BaseException:
            store.close()
            workspace.close()
            raise
        return PipelineRun(told.id, conductor, lambda: self.status(told.id))

    def _held(self, store: MirrorStore) -> PipelineBook:
        try:
            return PipelineBook(store.writing_beside(alone=True))
        except RunBusy as error:
            told = _active(store)
            if told is None:
                raise PipelineBusy(f"{error} Its run is about to begin or to end: try again in a moment.") from None
            raise PipelineBusy(
                f"Run {told.id} of the pipeline is under way: wait for its end, or stop it.", run_id=told.id
            ) from None

    def _phases(self) -> tuple[Phase, ...]:
        if self._given is not None:
            return self._given
        from intercom_bulk.insights.builtin import builtin_phases

        return _checked(builtin_phases())

    def _phases_of(self, told: Told) -> list[Phase]:
        """Those that the run began with."""
        mine = {phase.name: phase for phase in self._phases()}
        missing = [name for name in told.phases if name not in mine]
        if missing:
            raise UsageError(
                f"Run {told.id} was begun with the phase {missing[0]}, which is not here: give it with phases=."
            )
        return [mine[name] for name in told.phases]

    def _known(self, run_id: int) -> Told:
        with self._open() as store:
            found = _seen(store, run_id=run_id)
        if not found:
            raise _unknown(run_id)
        return found[0]

    def _open(self, workspace: Workspace | None = None) -> MirrorStore:
        """The mirror. Whose it is takes a request the first time, of `workspace` where there is one."""
        with self._lock:
            if self._workspace_id is None:
                self._workspace_id = whose(self._settings, workspace).workspace
            return mirror_of(self._settings, self._workspace_id)

    @property
    def _runs(self) -> RunStore:
        return run_store(self._settings.home, self._settings.ledger_url)


def _seen(store: MirrorStore, *, run_id: int | None = None, limit: int = 50) -> list[Told]:
    """As they stand: what is written as running may be the work of a process that is dead."""
    with store.reading() as on:
        known = known_runs(on, run_id=run_id, limit=limit)
    if all(told.is_over for told in known):
        return known
    alive = _active(store)
    # Once more: what has ended, or begun another life, since it was read is not dead for that.
    with store.reading() as on:
        again = {told.id: told for told in known_runs(on, run_id=run_id, limit=limit)}
    return [
        again.get(told.id, told).seen_dead()
        if again.get(told.id, told).lives == told.lives and (alive is None or told.id != alive.id)
        else again[told.id]
        for told in known
    ]


def _active(store: MirrorStore) -> Told | None:
    """The run that somebody works on. Who holds the pipeline works on the newest that is running."""
    if not store.has_pipeline:
        return None
    with store.reading() as on:
        running = [told for told in known_runs(on, limit=50) if not told.is_over]
    return max(running, key=lambda told: (told.resumed_at, told.id), default=None)


def _unknown(run_id: int) -> UnknownRun:
    return UnknownRun(f"There is no run {run_id} of the pipeline: see its history.")


def _named(known: Sequence[Told], run_id: int | None) -> Told:
    if not known:
        raise _unknown(run_id or 0)
    told = known[0]
    if told.status == "completed":
        raise NoResumableRun(
            f"Run {told.id} of the pipeline is completed: nothing is left to go on with; start another."
        )
    return told


def _matching(known: Sequence[Told], days: float, now: float) -> Told:
    """Of the same length, and started today."""
    today = datetime.fromtimestamp(now, UTC).date()
    for told in known:
        is_today = datetime.fromtimestamp(told.started_at, UTC).date() == today
        if told.seen_dead().status in RESUMABLE and told.days == days and is_today:
            return told
    raise NoResumableRun(
        f"No run over {days:g} days that was started today (UTC) was stopped, failed or interrupted: name one of its"
        " history by its id, or start another."
    )


def _checked(phases: Sequence[Phase]) -> tuple[Phase, ...]:
    known: set[str] = set()
    for phase in phases:
        name = getattr(phase, "name", "")
        if not name or name in known:
            raise UsageError(f"Each phase needs a name of its own, not {name!r}.")
        if phase.batch_size < 1:
            raise UsageError(f"batch_size of the phase {name} must be 1 or more, not {phase.batch_size!r}.")
        missing = [used for used in phase.uses if used not in known]
        if missing:
            raise UsageError(f"The phase {name} uses {missing[0]}: put that one before it.")
        known.add(name)
    return tuple(phases)


def _checked_days(days: float) -> float:
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 < days <= _MOST_DAYS:
        raise UsageError(f"days must be more than 0 and at most {_MOST_DAYS:,}, not {days!r}.")
    return float(days)
