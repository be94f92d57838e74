"""The history of runs: looked at without a token, gone on with by an id alone."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    ReadMarker,
    RunBusy,
    RunOptions,
    Runs,
    RunState,
    StateChanger,
    Status,
    TagAssigner,
    UnknownRun,
    UsageError,
)
from intercom_bulk.runs.store import FileStore
from intercom_bulk.sandbox import SandboxProcess
from intercom_bulk.settings import Settings
from tests.undo.conftest import ROOMY
from tests.undo.person import Person
from tests.undo.test_undo import EVERYTHING, QUICK, done, state, undone

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.runs.handle import Run
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

pytestmark = pytest.mark.slow


def settings(sandbox: Sandbox | SandboxProcess, home: Path) -> Settings:
    built = Settings.build(**sandbox.settings_kwargs(), env={})
    return Settings(access_token=built.access_token, base_url=built.base_url, admin_id=built.admin_id, home=home)


def stopped_midway(run: Run, at: int) -> None:
    """Stop a run once so many items are done."""
    while (now := run.progress()) is None or now.done < at:
        assert not run.wait(0.01)
    run.stop()
    assert run.result().state is RunState.STOPPED


# -- looking


def test_runs_are_listed_newest_first_with_who_why_and_how_they_stand(start: Start) -> None:
    sandbox = start(conversations=5)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    first = done(closer, options=RunOptions(reason="spring cleaning"))
    second = closer.undo(first)
    second.result()
    listed = Runs().list()
    assert [record.run_id for record in listed] == [second.run_id, first]
    assert [(record.kind, record.parent) for record in listed] == [("undo", first), ("update", None)]
    assert (listed[1].reason, listed[1].workspace) == ("spring cleaning", "sandbox1")
    assert Runs().get(first).counts == {Status.DONE: 5}
    assert Runs().get(first).codes == {}
    assert sandbox.token not in str(listed) + listed[0].to_json()


def test_an_empty_home_has_no_runs_and_an_unknown_id_says_so(tmp_path: Path) -> None:
    runs = Runs(home=tmp_path / "nowhere")
    assert runs.list() == []
    with pytest.raises(UnknownRun, match="no run"):
        runs.get("20260101-000000-abcdef")


def test_outcomes_are_chosen_by_status(start: Start) -> None:
    sandbox = start(conversations=20, share_closed=0.5)
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    runs = Runs()
    assert {outcome.status for outcome in runs.outcomes(run_id, "skipped")} == {Status.SKIPPED}
    assert len(list(runs.outcomes(run_id, Status.DONE, Status.SKIPPED))) == len(list(runs.outcomes(run_id))) == 20


# -- going on


def test_a_stopped_run_is_gone_on_with_and_then_undone_whole(start: Start, home: Path) -> None:
    sandbox = start(conversations=200, share_snoozed=0.4, latency_ms=5)
    digest = sandbox.digest()
    run = ConversationCloser(**sandbox.settings_kwargs()).start(parallel_workers=4, **EVERYTHING, options=QUICK)
    stopped_midway(run, 60)
    runs = Runs(settings(sandbox, home))
    assert runs.resume(run.run_id, options=QUICK).result().success == 200
    runs.undo(run.run_id, options=QUICK).result()
    assert sandbox.digest() == digest


def test_a_run_that_was_only_begun_is_undone_as_far_as_it_went(start: Start, home: Path) -> None:
    sandbox = start(conversations=200, latency_ms=5)
    digest = sandbox.digest()
    run = ConversationCloser(**sandbox.settings_kwargs()).start(parallel_workers=4, **EVERYTHING, options=QUICK)
    stopped_midway(run, 30)
    closed = len(sandbox.effects())
    summary = Runs(settings(sandbox, home)).undo(run.run_id).result()
    assert summary.success == closed < 200
    assert sandbox.digest() == digest


def test_an_undo_that_was_cut_short_is_gone_on_with(start: Start, home: Path) -> None:
    sandbox = start(conversations=200, share_snoozed=0.4, latency_ms=5)
    digest = sandbox.digest()
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()), parallel_workers=4)
    runs = Runs(settings(sandbox, home))
    back = runs.undo(run_id)
    stopped_midway(back, 40)
    assert sandbox.digest() != digest
    again = runs.undo(run_id)
    assert (again.run_id, again.result().success) == (back.run_id, 200)
    assert sandbox.digest() == digest
    assert set(sandbox.effects().values()) == {2}


def test_a_finished_run_is_not_resumed(start: Start, home: Path) -> None:
    sandbox = start(conversations=3)
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    with pytest.raises(UsageError, match="is over"):
        Runs(settings(sandbox, home)).resume(run_id)


def test_a_run_is_not_resumed_against_another_workspace(start: Start, home: Path) -> None:
    sandbox = start(conversations=200, latency_ms=5)
    run = ConversationCloser(**sandbox.settings_kwargs()).start(parallel_workers=4, **EVERYTHING)
    stopped_midway(run, 20)
    other = start(conversations=20, app_id="other")
    with pytest.raises(UsageError, match="belongs to workspace sandbox1"):
        Runs(settings(other, home)).resume(run.run_id).result()
    assert other.effects() == {}
    assert Runs().get(run.run_id).record.state is RunState.STOPPED


KILLED = """
from intercom_bulk import TagAssigner, RunOptions

run = TagAssigner(tag="stale").start(parallel_workers=4, query={"field": "created_at", "operator": ">", "value": 0})
while (now := run.progress()) is None or now.done < 100:
    run.wait(0.01)
print(run.run_id, flush=True)
run.wait()
"""
RESUMED = """
import sys
from intercom_bulk import RunOptions, Runs

print(Runs().resume(sys.argv[1], options=RunOptions(settle=0.2)).result().state)
"""


def test_a_killed_run_is_gone_on_with_in_another_process_and_undone_in_a_third() -> None:
    with SandboxProcess(**ROOMY, conversations=400, latency_ms=5, share_tagged=0.5) as sandbox:
        digest, env = sandbox.digest(), {**os.environ, **sandbox.environ()}
        script = subprocess.Popen([sys.executable, "-c", KILLED], env=env, stdout=subprocess.PIPE, text=True)
        assert script.stdout is not None
        run_id = script.stdout.readline().strip()
        with pytest.raises(RunBusy, match="process"):
            TagAssigner(tag="stale", **sandbox.settings_kwargs()).undo(run_id)
        script.kill()
        script.communicate()
        assert Runs().get(run_id).record.state is RunState.INTERRUPTED
        told = subprocess.run(
            [sys.executable, "-c", RESUMED, run_id], env=env, capture_output=True, text=True, check=True
        )
        assert told.stdout == "completed\n"
        assert all("101" in one["tags"] for one in state(sandbox).values())
        undone(TagAssigner(tag="stale", **sandbox.settings_kwargs()), run_id)
        assert sandbox.digest() == digest


def test_what_a_killed_run_left_in_doubt_is_listed_not_guessed() -> None:
    with SandboxProcess(**ROOMY, conversations=200, latency_ms=5) as sandbox:
        env = {**os.environ, **sandbox.environ()}
        script = subprocess.Popen([sys.executable, "-c", KILLED], env=env, stdout=subprocess.PIPE, text=True)
        assert script.stdout is not None
        run_id = script.stdout.readline().strip()
        script.kill()
        script.communicate()
        started = {outcome.item_id for outcome in Runs().outcomes(run_id, Status.STARTED)}
        effects = sandbox.effects()
        found = undone(TagAssigner(tag="stale", **sandbox.settings_kwargs()), run_id)
        assert set(found.get("in_doubt", ())) == started
        assert {item_id: sandbox.effects().get(item_id) for item_id in started} == {
            item_id: effects.get(item_id) for item_id in started
        }


class Marker(ReadMarker):
    """Needs something that no record holds."""

    def __init__(self, *, secret: object, **connection: Any) -> None:
        super().__init__(**connection)
        self.secret = secret


def test_an_updater_that_cannot_be_made_again_is_asked_for(start: Start, home: Path) -> None:
    sandbox = start(conversations=3)
    made = Marker(secret=object(), **sandbox.settings_kwargs())
    run_id = done(made)
    runs = Runs(settings(sandbox, home))
    with pytest.raises(UsageError, match="pass updater="):
        runs.undo(run_id)
    assert runs.undo(run_id, made).result().success == 3


def test_an_updater_of_a_script_is_asked_for(start: Start, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = start(conversations=3)
    monkeypatch.setattr(Marker, "__module__", "__main__")
    run_id = done(Marker(secret=1, **sandbox.settings_kwargs()))
    with pytest.raises(UsageError, match="belongs to a script"):
        Runs(settings(sandbox, home)).undo(run_id)


def test_a_snooze_until_a_datetime_is_made_again_from_its_record(start: Start, home: Path) -> None:
    sandbox = start(conversations=3)
    digest = sandbox.digest()
    until = datetime.now(UTC) + timedelta(days=3)
    run_id = done(StateChanger(state="snoozed", snoozed_until=until, **sandbox.settings_kwargs()))
    Runs(settings(sandbox, home)).undo(run_id).result()
    assert sandbox.digest() == digest


# -- failures


def test_failed_items_are_tried_again_as_they_are_by_then(start: Start, home: Path) -> None:
    sandbox = start(conversations=60)
    ids = list(state(sandbox))
    bad = (ids[20], ids[40], ids[50])
    sandbox.set(poison_422_ids=bad)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    run = closer.start(**EVERYTHING, options=QUICK)
    assert run.result().failed == 3
    runs = Runs(settings(sandbox, home))
    sandbox.set(poison_422_ids=())
    until = int(datetime.now(UTC).timestamp()) + 9999
    Person(sandbox).snooze(bad[0], until)
    Person(sandbox).close(bad[1])
    effects = sandbox.effects()
    again = runs.retry_failed(run.run_id)
    assert again.result().success == 2
    record = runs.get(again.run_id).record
    assert (record.kind, record.parent) == ("retry", run.run_id)
    touched = {item_id for item_id, count in sandbox.effects().items() if count != effects.get(item_id)}
    assert touched == {bad[0], bad[2]}
    again.undo().result()
    assert (state(sandbox)[bad[0]]["state"], state(sandbox)[bad[0]]["snoozed_until"]) == ("snoozed", until)
    assert (state(sandbox)[bad[1]]["state"], state(sandbox)[bad[2]]["state"]) == ("closed", "open")


def test_failed_items_of_an_undo_are_undone_by_a_retry(start: Start, home: Path) -> None:
    sandbox = start(conversations=60, share_snoozed=0.5)
    digest, ids = sandbox.digest(), list(state(sandbox))
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    sandbox.set(poison_422_ids=(ids[3], ids[9]))
    runs = Runs(settings(sandbox, home))
    back = runs.undo(run_id)
    assert back.result().failed == 2
    sandbox.set(poison_422_ids=())
    assert runs.retry_failed(back.run_id).result().success == 2
    assert sandbox.digest() == digest


def test_nothing_failed_means_nothing_to_retry(start: Start, home: Path) -> None:
    sandbox = start(conversations=3)
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    runs = Runs(settings(sandbox, home))
    with pytest.raises(UsageError, match="no failed items"):
        runs.retry_failed(run_id)
    with pytest.raises(UsageError, match="are tried again"):
        runs.retry_failed(run_id, statuses=(Status.DONE,))


# -- export and pruning


def test_a_run_is_exported_in_each_format(start: Start, tmp_path: Path) -> None:
    sandbox = start(conversations=30, share_closed=0.3)
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    runs, ids = Runs(), set(state(sandbox))
    with runs.export(run_id, tmp_path / "run.csv").open(encoding="utf-8-sig", newline="") as rows:
        read = list(csv.DictReader(rows))
    assert {row["item_id"].removeprefix("'") for row in read} == ids
    assert {row["status"] for row in read} == {"done", "skipped"}
    assert all(row["link"].startswith("https://app.intercom.com/a/apps/sandbox1/inbox/") for row in read)
    lines = runs.export(run_id, tmp_path / "run.jsonl", "jsonl").read_text("utf-8").splitlines()
    assert json.loads(lines[0])["run_id"] == run_id
    assert {json.loads(line)["item_id"] for line in lines[1:]} == ids
    assert "## Totals" in runs.export(run_id, tmp_path / "run.md", "markdown").read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"run.csv", "run.jsonl", "run.md"}
    assert {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir() if path.is_file()} == {"0o600"}
    with pytest.raises(UsageError, match="format must be"):
        runs.export(run_id, tmp_path / "run.xls", "xls")
    with pytest.raises(UsageError, match="cannot be written"):
        runs.export(run_id, tmp_path / "no" / "run.csv")


def test_old_runs_that_are_over_are_pruned_and_no_others(start: Start, home: Path) -> None:
    sandbox = start(conversations=100, latency_ms=5)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    over = done(closer)
    stopped = ReadMarker(**sandbox.settings_kwargs()).start(parallel_workers=2, **EVERYTHING)
    stopped_midway(stopped, 10)
    held = closer.undo(over)
    while held.progress() is None:
        assert not held.wait(0.01)
    runs = Runs()
    assert runs.prune() == ()
    assert runs.prune(0) == (over,)
    assert held.run_id not in runs.prune(0, resumable=True)
    held.stop()
    held.wait()
    assert {record.run_id for record in runs.list()} == {held.run_id}
    assert list((home / "runs").glob(f"{over}*")) == []
    with pytest.raises(UsageError, match="0 or more"):
        runs.prune(-1)


# -- classes that moved since


def test_a_run_made_before_its_class_moved_is_gone_on_with_and_undone(start: Start, home: Path) -> None:
    """Records name what is public by the public door; those from before name the room that the class lived in."""
    sandbox = start(conversations=200, latency_ms=5)
    digest = sandbox.digest()
    run = TagAssigner(tag="stale", **sandbox.settings_kwargs()).start(parallel_workers=4, **EVERYTHING, options=QUICK)
    stopped_midway(run, 10)
    runs = Runs(settings(sandbox, home))
    assert runs.get(run.run_id).record.parameters["updater"] == "intercom_bulk:TagAssigner"
    _rename(home, run.run_id, "intercom_bulk.updaters.conversations:TagAssigner")
    assert runs.resume(run.run_id).result().success == 200
    assert runs.undo(run.run_id).result().success == 200
    assert sandbox.digest() == digest


def test_a_key_finds_its_run_though_the_class_moved(start: Start, home: Path) -> None:
    sandbox = start(conversations=5)
    options = RunOptions(run_key="monday")
    tagger = TagAssigner(tag="stale", **sandbox.settings_kwargs())
    first = tagger.start(**EVERYTHING, options=options)
    first.result()
    _rename(home, first.run_id, "intercom_bulk.updaters.conversations:TagAssigner")
    assert tagger.start(**EVERYTHING, options=options).result().success == 5
    assert set(sandbox.effects().values()) == {1}


def _rename(home: Path, run_id: str, updater: str) -> None:
    """What an earlier version wrote."""
    ledger = FileStore(home / "runs").open(run_id)
    try:
        record = ledger.record()
        assert record is not None
        with ledger.atomic():
            ledger.save(replace(record, parameters={**record.parameters, "updater": updater}))
    finally:
        ledger.close()
