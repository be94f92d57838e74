"""Whole runs of an updater, with their record in each store."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, RunOptions, Runs, RunState, Status, UsageError
from intercom_bulk.sandbox import Sandbox, SandboxProcess
from tests.stores.test_contract import taken

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.runs.store import RunStore

    Start = Callable[..., Sandbox]

pytestmark = pytest.mark.usefixtures("environment")

QUICK = RunOptions(settle=0.3, reason="a test")
ROOMY = {"limit_per_minute": 600_000, "contacts": 5, "companies": 2, "tickets": 2}


def closing(sandbox: Sandbox, **arguments: Any) -> Any:
    closer = ConversationCloser(**sandbox.settings_kwargs())
    return closer.stream(team_id=sandbox.inbox_id, state="open", **{"options": QUICK, **arguments})


def test_a_run_is_kept(make_intercom_sandbox: Start, store: RunStore) -> None:
    sandbox = make_intercom_sandbox(conversations=200, latency_ms=2, **ROOMY)
    with closing(sandbox) as outcomes:
        told = {outcome.item_id: outcome.status for outcome in outcomes}
    summary = outcomes.summary()
    assert (summary.state, summary.success, len(told)) == (RunState.COMPLETED, 200, 200)
    (record,) = store.records()
    assert (record.run_id, record.state, record.reason) == (summary.run_id, RunState.COMPLETED, "a test")
    ledger = store.read(summary.run_id)
    kept = {outcome.item_id: outcome.status for outcome in ledger.outcomes()}
    ledger.close()
    assert kept == told
    assert set(sandbox.effects()) == set(told)


def test_a_run_is_stopped_and_goes_on(make_intercom_sandbox: Start, store: RunStore) -> None:
    sandbox = make_intercom_sandbox(conversations=250, latency_ms=15, **ROOMY)
    outcomes = closing(sandbox, parallel_workers=10)
    for _ in range(30):
        next(outcomes)
    outcomes.close()
    stopped = outcomes.summary()
    assert store.record(stopped.run_id).state is RunState.STOPPED
    assert stopped.success == len(sandbox.effects()) < 250

    summary = ConversationCloser(**sandbox.settings_kwargs()).resume(stopped.run_id, options=QUICK).result()
    assert (summary.state, summary.success, summary.unprocessed) == (RunState.COMPLETED, 250, 0)
    assert set(sandbox.effects().values()) == {1}
    assert store.record(stopped.run_id).lives == 2


def test_the_same_key_goes_on_with_the_same_run(make_intercom_sandbox: Start, store: RunStore) -> None:
    sandbox = make_intercom_sandbox(conversations=60, latency_ms=2, **ROOMY)
    options = RunOptions(run_key="nightly", settle=0.3)
    with closing(sandbox, options=options, parallel_workers=5) as outcomes:
        next(outcomes)
    again = closing(sandbox, options=options)
    list(again)
    assert again.summary().run_id == outcomes.summary().run_id
    assert again.summary().success == 60
    assert len(list(store.records())) == 1


def test_a_dry_run_leaves_no_record(make_intercom_sandbox: Start, store: RunStore) -> None:
    sandbox = make_intercom_sandbox(conversations=20, **ROOMY)
    list(closing(sandbox, dry_run=True))
    assert list(store.records()) == []


SCRIPT = """
from intercom_bulk import ConversationCloser, RunOptions

stream = ConversationCloser().stream(team_id="5017691", state="open", parallel_workers=10)
for number, _ in enumerate(stream):
    if number == 60:
        print("going", flush=True)
"""


def test_a_run_that_is_killed_goes_on_elsewhere(store: RunStore) -> None:
    with SandboxProcess(conversations=200, latency_ms=10, limit_per_minute=600_000) as sandbox:
        with subprocess.Popen(
            [sys.executable, "-c", SCRIPT], env={**os.environ, **sandbox.environ()}, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            process.kill()
        (run_id,) = [record.run_id for record in store.records()]
        taken(store, run_id).close()
        assert store.record(run_id).state is RunState.INTERRUPTED
        summary = ConversationCloser(**sandbox.settings_kwargs()).resume(run_id, options=QUICK).result()
        assert set(sandbox.effects().values()) == {1}
    # What was in flight at the kill and did not arrive may be left to a person; nothing is lost.
    assert (summary.success + summary.unknown, summary.unprocessed) == (200, 0)
    assert summary.unknown <= 10
    ledger = store.read(run_id)
    counts = ledger.counts()
    ledger.close()
    assert (counts[Status.DONE], sum(counts.values())) == (summary.success, 200)


def test_a_run_that_was_refused_leaves_nothing_to_resume(home: Path) -> None:
    with Sandbox(conversations=30) as sandbox:
        closer = ConversationCloser(**sandbox.settings_kwargs())
        with pytest.raises(UsageError, match="refuse_above=10"):
            closer.bulk_close(sandbox.inbox_id, options=RunOptions(refuse_above=10))
        assert Runs(home=home).list() == []
        assert sandbox.effects() == {}
