"""A run that one process works on, asked by another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from intercom_bulk import ConversationCloser, RunOptions, Runs, RunState, UnknownRun, UsageError
from intercom_bulk.runs.wishes import Wish, leave
from intercom_bulk.sandbox import SandboxProcess
from tests.stores.conftest import Place, record, writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.store import RunStore

# -- the store


def test_a_wish_is_heard_once(store: RunStore, ledger: RunLedger) -> None:
    assert ledger.wish() is None
    store.ask("run", Wish.PAUSE)
    assert ledger.wish() is Wish.PAUSE
    assert ledger.wish() is None


def test_the_last_wish_counts_but_nothing_takes_back_a_stop(store: RunStore, ledger: RunLedger) -> None:
    store.ask("run", Wish.PAUSE)
    store.ask("run", Wish.UNPAUSE)
    assert ledger.wish() is Wish.UNPAUSE
    store.ask("run", Wish.STOP)
    store.ask("run", Wish.PAUSE)
    assert ledger.wish() is Wish.STOP


def test_a_wish_is_for_one_run(store: RunStore, ledger: RunLedger) -> None:
    with writing(store, "another") as other:
        store.ask("run", Wish.STOP)
        assert other.wish() is None
    assert ledger.wish() is Wish.STOP


def test_a_run_that_nobody_works_on_cannot_be_asked(store: RunStore) -> None:
    store.create(record("run", state=RunState.PAUSED)).close()
    for wish in Wish:
        with pytest.raises(UsageError, match=f"No process works on run run: there is nothing to {wish}"):
            store.ask("run", wish)
    with pytest.raises(UnknownRun):
        store.ask("missing", Wish.STOP)


def test_a_wish_that_was_not_heard_says_nothing_to_a_later_life(store: RunStore, ledger: RunLedger) -> None:
    store.ask("run", Wish.STOP)
    ledger.close()
    again = store.open("run")
    assert again.wish() is None
    store.ask("run", Wish.PAUSE)
    assert again.wish() is Wish.PAUSE
    again.close()


def test_a_wish_to_another_life_is_not_heard(place: Place, store: RunStore, ledger: RunLedger) -> None:
    """One that was on its way while the run changed hands."""
    if "://" in place.home:
        with psycopg.connect(place.home, autocommit=True) as connection:
            connection.execute("INSERT INTO intercom_bulk.wish VALUES ('run', 'of-another-life', 'stop')")
    else:
        leave(Path(place.home) / "runs" / "run.wish", "of-another-life", Wish.STOP)
    assert ledger.wish() is None
    store.ask("run", Wish.PAUSE)
    assert ledger.wish() is Wish.PAUSE


def test_a_run_that_was_asked_can_be_deleted(store: RunStore, ledger: RunLedger) -> None:
    store.ask("run", Wish.STOP)
    ledger.close()
    store.delete("run")
    with writing(store, "run") as again:
        assert again.wish() is None


# -- two processes

SCRIPT = """
from intercom_bulk import ConversationCloser

summary = ConversationCloser().bulk_process(team_id="5017691", parallel_workers=4)
print(summary.state, flush=True)
"""
PROMPT = 1.5
"""Seconds: a wish is heard within one; the rest is for a machine that has other things to do."""


@contextmanager
def closing_elsewhere(sandbox: SandboxProcess, store: RunStore) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process at work, and the id of its run."""
    env = {**os.environ, **sandbox.environ()}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: len(sandbox.effects()) > 20, 30.0)
            yield process, next(store.records()).run_id
        finally:
            process.kill()


def until(so: Callable[[], bool], patience: float) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    while not so():
        assert time.monotonic() - began < patience
        threading.Event().wait(0.02)
    return time.monotonic() - began


@pytest.mark.usefixtures("environment")
def test_a_run_is_paused_let_go_on_and_stopped_from_another_process(store: RunStore) -> None:
    runs = Runs()

    def look(run_id: str) -> RunRecord:
        return runs.get(run_id).record

    with SandboxProcess(conversations=800, latency_ms=20, limit_per_minute=600_000) as sandbox:
        with closing_elsewhere(sandbox, store) as (process, run_id):
            runs.pause(run_id)
            until(lambda: look(run_id).state is RunState.PAUSED, PROMPT)
            assert look(run_id).is_resumable
            done = sandbox.effects()
            threading.Event().wait(0.5)
            assert sandbox.effects() == done
            runs.unpause(run_id)
            until(lambda: len(sandbox.effects()) > len(done), PROMPT)
            assert look(run_id).state is RunState.RUNNING
            runs.stop(run_id)
            assert process.stdout is not None
            assert process.stdout.readline() == "stopped\n"
        with pytest.raises(UsageError, match="No process works on run"):
            runs.unpause(run_id)
        assert [one.run_id for one in runs.list(resumable=True)] == [run_id]
        assert runs.list(resumable=False) == []
        sandbox.set(latency_ms=0)
        closer = ConversationCloser(**sandbox.settings_kwargs())
        assert closer.resume(run_id, options=RunOptions(settle=0.3)).result().success == 800
        assert set(sandbox.effects().values()) == {1}
    assert str(runs.get(run_id)) == f"{run_id}  ConversationCloser: completed; 800 done"


def test_two_who_ask_at_once_do_not_lose_a_stop(store: RunStore, ledger: RunLedger) -> None:
    """While the run listens all the time. Before, one time in six the one who asked for a pause had it forgotten."""
    for _ in range(100 if os.environ.get("CI") else 300):
        heard: list[Wish | None] = []
        askers = [threading.Thread(target=store.ask, args=("run", wish)) for wish in (Wish.PAUSE, Wish.STOP)]
        for one in askers:
            one.start()
        while any(one.is_alive() for one in askers):
            heard.append(ledger.wish())
        heard += [ledger.wish(), ledger.wish()]
        assert Wish.STOP in heard
