"""Runs of the pipeline that were stopped, that failed, or whose process died: which are gone on with, from where."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.clock import stop_requested
from intercom_bulk.errors import NoResumableRun, PipelineBusy, UnknownRun, UsageError
from tests.mirror.living import settings_of
from tests.mirror.weather import weather
from tests.pipeline.conftest import COUNT, DAYS
from tests.pipeline.phases import Counting, Grouping, Wording
from tests.pipeline.test_running import results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from intercom_bulk.insights.phase import Document
    from intercom_bulk.pipeline.pipeline import Pipeline
    from intercom_bulk.pipeline.status import PipelineStatus
    from intercom_bulk.sandbox import Sandbox
    from tests.pipeline.conftest import Made

pytestmark = pytest.mark.slow


def until(what: Callable[[], bool]) -> None:
    for _ in range(2000):
        if what():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")


def stopped_at(made: Made, batch: int, url: str | None = None, **more: Any) -> tuple[PipelineStatus, Counting]:
    """A run that was asked to stop, by another process's means, while this batch was in its hands."""
    other = made(url=url)
    batches = 0

    def ask(_: Sequence[Document]) -> None:
        nonlocal batches
        batches += 1
        if batches == batch:
            assert other.stop() == 1
            active = other.active()
            assert active is not None
            assert active.status == "stopping"
            until(stop_requested)  # what is in flight sees that it has been heard

    counting = Counting(before=ask)
    return made(counting, Wording(), Grouping(), url=url).start(DAYS, **more).result(), counting


def test_a_stop_lets_the_batch_in_flight_end_and_the_rest_is_for_the_resume(made: Made, place: str | None) -> None:
    status, counting = stopped_at(made, 2, place)
    assert (status.status, status.resumable, status.error) == ("stopped", True, None)
    assert status.current_phase == "classification"
    assert len(counting.seen) == status.conversations_classified == status.checkpoint["done"] == 20
    rest, wording = Counting(), Wording()
    again = made(rest, wording, Grouping(), url=place)
    ended = again.resume(1).result()
    assert (ended.run_id, ended.status, ended.lives) == (1, "completed", 2)
    assert (ended.date_from, ended.date_to) == (status.date_from, status.date_to)
    assert sorted(counting.seen + rest.seen) == sorted(results(again, "classification"))
    assert (ended.conversations_classified, ended.phases["classification"]["unchanged"]) == (COUNT, 0)
    # one run of the ledger, which has lived twice; and nothing was fetched again
    assert ended.phases["classification"]["run_id"] == status.phases["classification"]["run_id"]
    assert (ended.backfill_run_id, ended.api_calls) == (status.backfill_run_id, status.api_calls)


def test_a_resumed_run_is_not_fit_again(made: Made) -> None:
    first = made(Counting(), Failing())
    assert first.start(DAYS).result().status == "failed"
    wording = Wording()
    assert made(Counting(), wording).resume(1).result().status == "completed"
    assert (wording.fits, len(wording.seen)) == (0, COUNT)
    assert max(one["share"] for one in results(first, "facet_extraction").values()) == 1.0


class Failing(Wording):
    """Is fit, and cannot be taken up."""

    def load(self, state: bytes | None) -> None:
        super().load(state)
        self.loads = getattr(self, "loads", 0) + 1

    def process(self, batch: Sequence[Document]) -> Any:
        from intercom_bulk.errors import LedgerError

        raise LedgerError("the model has gone away")


# -- which run is gone on with


def aged(home: Path, seconds: int, **columns: Any) -> None:
    """As if run 1 had been started so much earlier."""
    with sqlite3.connect(home / "mirror" / "sandbox1.db") as on:
        on.execute("UPDATE pipeline_run SET started_at = started_at - ?", (seconds,))
        for name, value in columns.items():
            on.execute(f"UPDATE pipeline_run SET {name} = ?", (value,))


def test_by_days_the_newest_run_of_that_length_and_of_today_is_gone_on_with(made: Made, home: Path) -> None:
    stopped_at(made, 1)
    assert made().start(DAYS + 1).result().status == "completed"
    pipeline = made()
    with pytest.raises(NoResumableRun, match="No run over 90 days that was started today"):
        pipeline.resume()
    with pytest.raises(NoResumableRun, match="No run over 4 days"):
        pipeline.resume(days=DAYS + 1)  # there is one, and it is completed
    run = pipeline.resume(days=DAYS)
    assert (run.run_id, run.result().status) == (1, "completed")


def test_on_another_day_a_run_is_gone_on_with_by_its_id_alone(made: Made, home: Path) -> None:
    before, _ = stopped_at(made, 1)
    aged(home, 86_400)
    pipeline = made()
    with pytest.raises(NoResumableRun, match="name one of its history by its id"):
        pipeline.resume(days=DAYS)
    after = pipeline.resume(1).result()
    assert (after.status, after.date_from, after.date_to) == ("completed", before.date_from, before.date_to)


def test_what_cannot_be_resumed_says_what_to_do(made: Made) -> None:
    pipeline = made()
    with pytest.raises(UnknownRun, match="There is no run 7 of the pipeline: see its history"):
        pipeline.resume(7)
    with pytest.raises(UnknownRun):
        pipeline.status(7)
    with pytest.raises(UsageError, match="No run of the pipeline is under way"):
        pipeline.stop()
    pipeline.start(DAYS).result()
    with pytest.raises(NoResumableRun, match="Run 1 of the pipeline is completed"):
        pipeline.resume(1)


def test_a_run_needs_the_phases_that_it_began_with(made: Made) -> None:
    stopped_at(made, 1)
    with pytest.raises(UsageError, match="Run 1 was begun with the phase facet_extraction"):
        made(Counting()).resume(1)
    assert made().status(1).status == "stopped"  # and nobody holds it


def test_what_a_dead_process_left_running_reads_as_interrupted(made: Made, home: Path) -> None:
    stopped_at(made, 2)
    aged(home, 0, status="running", stop_wanted=1)
    pipeline = made()
    assert pipeline.active() is None
    assert pipeline.status(1).status == pipeline.history()[0].status == "interrupted"
    # an earlier life was asked to stop, not this one
    assert pipeline.resume(days=DAYS).result().status == "completed"


# -- the fetch


def spoiled(sandbox: Sandbox, home: Path, spoil: Callable[[str], int | None], *phases: Any) -> Any:
    from dataclasses import replace

    from intercom_bulk.pipeline.pipeline import Pipeline

    def answer(path: str, asked: dict[str, Any], said: dict[str, Any]) -> dict[str, Any] | int:
        return spoil(path) or said

    class Between:
        def __enter__(self) -> Pipeline:
            self.weather = weather(sandbox, answer)
            settings = replace(settings_of(sandbox, home), base_url=self.weather.__enter__())
            return Pipeline(settings=settings, phases=phases or [Counting()])

        def __exit__(self, *error: object) -> None:
            self.weather.__exit__(None, None, None)

    return Between()


def test_before_anything_is_stored_there_is_no_checkpoint_and_a_resume_begins_anew(
    made: Made, sandbox: Sandbox, home: Path
) -> None:
    with spoiled(sandbox, home, lambda path: 401 if "search" in path else None) as pipeline:
        status = pipeline.start(DAYS).result()
    assert (status.status, status.stage, status.checkpoint) == ("failed", "fetch", {})
    assert status.error is not None
    ended = made(Counting()).resume(1).result()
    assert (ended.status, ended.conversations_stored, ended.date_to) == ("completed", COUNT, status.date_to)


def test_once_something_is_stored_the_checkpoint_says_so_and_it_is_not_fetched_again(
    made: Made, sandbox: Sandbox, home: Path
) -> None:
    fetched: list[str] = []

    def spoil(path: str) -> int | None:
        if "conversations/" not in path or "search" in path or "deleted" in path:
            return None
        if len(fetched) >= 10:
            return 401
        fetched.append(path)
        return None

    with spoiled(sandbox, home, spoil) as pipeline:
        status = pipeline.start(DAYS).result()
    assert (status.status, status.checkpoint["stage"]) == ("failed", "fetch")
    assert status.checkpoint["conversations"] >= 10
    again: list[str] = []

    def listen(path: str) -> None:
        again.append(path)

    with spoiled(sandbox, home, listen) as pipeline:
        ended = pipeline.resume(1).result()
    assert (ended.status, ended.conversations_stored) == ("completed", COUNT)
    assert ended.backfill_run_id == status.backfill_run_id
    assert len(fetched) >= 10
    assert set(fetched).isdisjoint(again)


def test_a_run_goes_on_over_what_is_there_and_says_what_is_missing(made: Made, sandbox: Sandbox, home: Path) -> None:
    missing = sorted(str(one) for one in sandbox.workspace.conversations)[3]
    sandbox.set(poison_422_ids=(missing,))
    status = made(Counting(), fresh=True).start(DAYS).result()
    assert status.status == "completed"
    assert status.warning is not None
    assert "1 conversations could not be fetched whole" in status.warning
    assert status.conversations_classified == COUNT  # what the search showed of it is there


def test_a_busy_mirror_is_waited_for(made: Made, sandbox: Sandbox, home: Path) -> None:
    pipeline = made(Counting())
    with pipeline.store() as store:
        with store.writing():
            run = pipeline.start(DAYS)
            assert not run.wait(0.5)
        assert run.result().status == "completed"


def test_a_stop_while_it_waits_ends_it(made: Made) -> None:
    pipeline = made(Counting())
    with pipeline.store() as store, store.writing():
        run = pipeline.start(DAYS)
        pipeline.stop(1)
        status = run.result()
    assert (status.status, status.checkpoint) == ("stopped", {})
    with pipeline.store() as store:
        held = store.writing_beside(alone=True)
        with pytest.raises(PipelineBusy, match="about to begin or to end"):
            pipeline.resume(1)
        held.close()


# -- what is stored, and what says so


def test_the_checkpoint_never_speaks_of_what_is_not_stored(made: Made, home: Path) -> None:
    stopped_at(made, 1)
    with sqlite3.connect(home / "mirror" / "sandbox1.db") as on:
        # What a full disk does in the middle of a batch: some of its rows are written, one is not.
        on.execute(
            "CREATE TRIGGER full BEFORE INSERT ON phase_result WHEN (SELECT count(*) FROM phase_result) = 25"
            " BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    pipeline = made()
    status = pipeline.resume(1).result()
    stored = len(results(pipeline, "classification"))
    assert (status.status, stored) == ("failed", 20)
    assert status.error is not None
    assert "make room on the disk, then resume" in status.error
    assert status.checkpoint["done"] == status.conversations_classified == stored
    with sqlite3.connect(home / "mirror" / "sandbox1.db") as on:
        on.execute("DROP TRIGGER full")
    assert pipeline.resume(1).result().conversations_classified == COUNT


def test_the_checkpoint_is_written_after_the_rows_that_it_speaks_of(made: Made, home: Path) -> None:
    stopped_at(made, 1)
    with sqlite3.connect(home / "mirror" / "sandbox1.db") as on:
        # Refuses what a crash at this moment would leave behind.
        on.execute(
            "CREATE TRIGGER early BEFORE UPDATE ON pipeline_run WHEN json_extract(new.checkpoint, '$.done') >"
            " (SELECT count(*) FROM phase_result WHERE phase = json_extract(new.checkpoint, '$.phase'))"
            " BEGIN SELECT RAISE(ABORT, 'not stored yet'); END"
        )
    status = made().resume(1).result()
    assert (status.status, status.error) == ("completed", None)


def test_a_batch_that_was_stored_but_not_recorded_is_not_done_again(made: Made, home: Path) -> None:
    """A life that dies between the two: the ledger has the batch in flight, the mirror has its results."""
    status, counting = stopped_at(made, 2)
    run_id = str(status.phases["classification"]["run_id"])
    in_flight(home, run_id, counting.seen[:10], attempts=1)
    rest = Counting()
    ended = made(rest, Wording(), Grouping()).resume(1).result()
    assert (ended.status, ended.warning) == ("completed", None)
    assert set(rest.seen).isdisjoint(counting.seen)


def test_dying_with_a_batch_in_hand_is_no_failure_of_its_items(made: Made, home: Path) -> None:
    status, counting = stopped_at(made, 2)
    run_id = str(status.phases["classification"]["run_id"])
    in_flight(home, run_id, counting.seen[:10], attempts=9)
    with sqlite3.connect(home / "mirror" / "sandbox1.db") as on:
        on.executemany("DELETE FROM phase_result WHERE item_id = ?", [(one,) for one in counting.seen[:10]])
    with sqlite3.connect(home / "runs" / f"{run_id}.db") as on:
        (record,) = on.execute("SELECT record FROM run").fetchone()
        on.execute("UPDATE run SET record = ?", (json.dumps({**json.loads(record), "lives": 9}),))
    ended = made().resume(1).result()
    assert (ended.status, ended.warning, ended.conversations_classified) == ("completed", None, COUNT)


def in_flight(home: Path, run_id: str, items: Sequence[str], *, attempts: int) -> None:
    with sqlite3.connect(home / "runs" / f"{run_id}.db") as on:
        sql = "UPDATE item SET status = 'started', attempts = ?, started_at = 1 WHERE id = ?"
        assert on.executemany(sql, [(attempts, one) for one in items]).rowcount == len(items)
