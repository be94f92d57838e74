"""A run of the pipeline from its start to its end: what it stores, what a second one does again, who may run."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.errors import PipelineBusy, UsageError
from intercom_bulk.insights.phase import Document, Phase
from intercom_bulk.runs.model import RunState
from intercom_bulk.workspace import run_store
from tests.pipeline.conftest import COUNT, DAYS
from tests.pipeline.phases import Counting, Grouping, Wording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intercom_bulk.pipeline.pipeline import Pipeline
    from intercom_bulk.pipeline.status import PipelineStatus
    from intercom_bulk.sandbox import Sandbox
    from tests.pipeline.conftest import Made

pytestmark = pytest.mark.slow


def results(pipeline: Pipeline, phase: str) -> dict[str, Any]:
    with pipeline.store() as store:
        sql = "SELECT item_id, result FROM phase_result WHERE phase = ? ORDER BY item_id"
        return {item_id: json.loads(result) for item_id, result in store.sql(sql, (phase,)).rows}


def test_every_conversation_of_the_range_gets_a_result_of_every_phase(made: Made, place: str | None) -> None:
    counting, wording = Counting(), Wording()
    pipeline = made(counting, wording, Grouping(), url=place)
    status = pipeline.start(DAYS).result()
    assert (status.run_id, status.status, status.error, status.warning) == (1, "completed", None, None)
    assert (status.conversations_fetched, status.conversations_stored) == (COUNT, COUNT)
    assert (status.conversations_classified, status.stories) == (COUNT, len(results(pipeline, "story_creation")))
    assert [(name, one["state"], one["done"], one["total"]) for name, one in status.phases.items()][:2] == [
        ("classification", "done", COUNT, COUNT),
        ("facet_extraction", "done", COUNT, COUNT),
    ]
    said = results(pipeline, "facet_extraction")
    assert sorted(said) == sorted(counting.seen) == sorted(wording.seen)
    assert all(one["of"] == results(pipeline, "classification")[item_id] for item_id, one in said.items())
    assert max(one["share"] for one in said.values()) == 1.0  # it was fit on the whole
    groups = results(pipeline, "story_creation").values()
    assert sum(one["count"] for one in groups) == COUNT
    assert json.loads(json.dumps(status.as_dict()))["days"] == DAYS
    assert pipeline.active() is None
    assert [one.run_id for one in pipeline.history()] == [1]
    views_say(pipeline, status)


def views_say(pipeline: Pipeline, status: PipelineStatus) -> None:
    """The views for people say what the status says."""
    with pipeline.store() as store:
        (row,) = store.sql("SELECT id, status, checkpoint, date_from, date_to FROM pipeline_runs")
        (stories,) = store.sql("SELECT count(*) FROM stories").rows
        labels = {row["conversation_id"]: row["label"] for row in store.sql("SELECT * FROM classifications")}
    assert (row["id"], row["status"], json.loads(row["checkpoint"])) == (1, "completed", status.checkpoint)
    assert row["date_to"] == status.date_to.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert row["date_from"] == status.date_from.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (status.date_to - status.date_from).days == DAYS
    assert stories == (status.stories,)
    assert labels == {item_id: one["label"] for item_id, one in results(pipeline, "classification").items()}


def test_each_phase_is_a_run_on_record(made: Made, home: Path) -> None:
    pipeline = made()
    status = pipeline.start(DAYS).result()
    records = {record.run_id: record for record in run_store(home).records()}
    for name, one in status.phases.items():
        record = records[one["run_id"]]
        assert (record.kind, record.title, record.state) == ("phase", name, RunState.COMPLETED)
        assert record.parameters["pipeline"] == 1
    assert records[str(status.backfill_run_id)].kind == "backfill"


def test_a_second_run_does_only_what_has_changed(made: Made, sandbox: Sandbox) -> None:
    made().start(DAYS).result()
    changed, deleted, *_ = list(sandbox.workspace.conversations.values())
    now = sandbox.app.clock.now()
    sandbox.workspace.changing(changed, now)
    changed.updated_at = int(now)
    sandbox.workspace.remove(deleted, now)
    sandbox.workspace.deleted.append((str(deleted.id), int(now), True))
    counting, wording = Counting(), Wording()
    pipeline = made(counting, wording, Grouping())
    status = pipeline.start(DAYS).result()
    assert (counting.seen, wording.seen) == ([str(changed.id)], [str(changed.id)])
    assert status.phases["classification"]["unchanged"] == COUNT - 2
    assert str(deleted.id) not in results(pipeline, "classification")
    assert sum(one["count"] for one in results(pipeline, "story_creation").values()) == COUNT - 1
    # and what has the same result as before is the same input to those that use it
    newer = Counting()
    newer.version = "2"
    wording = Wording()
    status = made(newer, wording, Grouping()).start(DAYS).result()
    assert (len(newer.seen), wording.seen) == (COUNT - 1, [])


class Changing(Counting):
    """Its items come and go."""

    kept: tuple[str, ...] = ("a", "b")
    name = "telling"

    def items(self, corpus: Any) -> Any:
        return (Document(id=one, version="1") for one in self.kept)


def test_items_of_a_phases_own_that_are_no_more_lose_their_results(made: Made) -> None:
    phase = Changing()
    pipeline = made(phase)
    pipeline.start(DAYS).result()
    assert sorted(results(pipeline, "telling")) == ["a", "b"]
    phase.kept = ("b", "c")
    assert pipeline.start(DAYS).result().phases["telling"]["unchanged"] == 1
    assert sorted(results(pipeline, "telling")) == ["b", "c"]


def test_stories_are_left_out_where_nobody_wants_them(made: Made) -> None:
    pipeline = made()
    status = pipeline.start(DAYS, auto_create_stories=False).result()
    assert (status.status, list(status.phases)) == ("completed", ["classification", "facet_extraction"])
    assert results(pipeline, "story_creation") == {}


def test_one_run_at_a_time_works_for_a_workspace(made: Made, place: str | None) -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold(_: Sequence[Document]) -> None:
        began.set()
        assert go_on.wait(20)

    run = made(Counting(before=hold), url=place).start(DAYS)
    try:
        assert began.wait(20)
        other = made(url=place)
        with pytest.raises(PipelineBusy, match="Run 1 of the pipeline is under way") as busy:
            other.start(DAYS)
        assert busy.value.run_id == 1
        with pytest.raises(PipelineBusy):
            other.resume(1)
        active = other.active()
        assert active is not None
        assert (active.run_id, active.status, active.stage) == (1, "running", "process")
    finally:
        go_on.set()
    assert run.result().status == "completed"
    assert other.active() is None


# -- what goes wrong


class Faulty(Counting):
    """Fails on some, one by one or all in a batch."""

    bad: frozenset[str] = frozenset()
    poison: frozenset[str] = frozenset()

    def process(self, batch: Sequence[Document]) -> Any:
        if any(one.id in self.poison for one in batch):
            raise RuntimeError("out of its depth")
        return [ValueError("no label fits") if one.id in self.bad else self.answer(one) for one in batch]


@pytest.mark.parametrize("how", ["bad", "poison"])
def test_items_that_fail_take_no_others_with_them(made: Made, sandbox: Sandbox, how: str) -> None:
    wrong = frozenset(str(one) for one in sorted(sandbox.workspace.conversations)[::4])
    phase = Faulty()
    setattr(phase, how, wrong)
    pipeline = made(phase)
    status = pipeline.start(DAYS).result()
    assert status.status == "completed"
    assert status.warning is not None
    assert f"{len(wrong)} items failed in classification" in status.warning
    assert len(results(pipeline, "classification")) == COUNT - len(wrong)
    assert set(results(pipeline, "classification")).isdisjoint(wrong)
    assert status.phases["classification"]["failed"] == len(wrong)
    # they are tried again by the next run, and only they
    mended = Counting()
    status = made(mended).start(DAYS).result()
    assert (set(mended.seen), status.warning) == (set(wrong), None)


def test_a_phase_that_fails_on_all_there_is_ends_the_run(made: Made, sandbox: Sandbox, monkeypatch: Any) -> None:
    monkeypatch.setattr("intercom_bulk.pipeline.phasing.HOPELESS", 20)
    phase = Faulty()
    phase.bad = frozenset(str(one) for one in sandbox.workspace.conversations)
    pipeline = made(phase, Wording())
    status = pipeline.start(DAYS).result()
    assert status.status == "failed"
    assert status.error is not None
    assert "All of the first 20 items failed in classification, the last one with ValueError" in status.error
    phase.bad = frozenset()
    assert pipeline.resume(1).result().status == "completed"
    assert len(results(pipeline, "facet_extraction")) == COUNT


class Unready(Counting):
    ready = False

    def fit(self, corpus: Any) -> bytes | None:
        if not self.ready:
            raise OSError("no such model")
        return super().fit(corpus)


def test_a_phase_that_cannot_begin_fails_the_run_which_can_be_resumed(made: Made) -> None:
    phase = Unready()
    pipeline = made(phase)
    status = pipeline.start(DAYS).result()
    assert (status.status, status.resumable) == ("failed", True)
    assert status.error == "classification cannot begin (OSError: no such model): mend it, then resume run 1."
    phase.ready = True
    assert pipeline.resume(1).result().status == "completed"


def test_the_next_phase_is_not_begun_after_one_that_failed(made: Made) -> None:
    after = Wording()
    assert made(Unready(), after).start(DAYS).result().status == "failed"
    assert (after.fits, after.seen) == (0, [])


class Odd(Counting):
    """Says what no database holds."""

    def answer(self, document: Document) -> Any:
        return {
            "nul": "a\0b", "half": "\ud83d", "slash": "\\u0000", "ok": "é",
        } if document.id.endswith("0") else {"label": float("nan")}  # fmt: skip


def test_results_are_json_that_both_databases_hold(made: Made, place: str | None, sandbox: Sandbox) -> None:
    pipeline = made(Odd(), url=place)
    status = pipeline.start(DAYS).result()
    kept = results(pipeline, "classification")
    assert set(kept) == {str(one) for one in sandbox.workspace.conversations if str(one).endswith("0")}
    assert list(kept.values()) == [{"nul": "ab", "half": "?", "slash": "\\u0000", "ok": "é"}] * len(kept)
    assert status.phases["classification"]["failed"] == COUNT - len(kept)


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ((Wording(),), "uses classification: put that one before it"),
        ((Counting(), Counting()), "a name of its own"),
    ],
)
def test_phases_that_cannot_follow_each_other_are_refused(made: Made, phases: tuple[Phase, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        made(*phases)


@pytest.mark.parametrize("days", [0, -1, True, "90", 10**6])
def test_days_that_are_none_are_refused(made: Made, days: Any) -> None:
    with pytest.raises(UsageError, match="days must be"):
        made().start(days)
