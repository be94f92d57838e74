"""The ledger refuses every step that is not in the table, whatever the engine believes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intercom_bulk.errors import LedgerError
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.model import ITEM_TRANSITIONS, Effect, Item, Outcome, Page, Slice, Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ITEM = Item("1")


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    ledger = Ledger()
    yield ledger
    ledger.close()


def stage(ledger: Ledger, *ids: str) -> list[Item]:
    with ledger.atomic():
        return ledger.stage(Page([Item(i) for i in ids], Slice("0", cursor="c")), 1)


def test_an_item_is_new_once(ledger: Ledger) -> None:
    assert [item.id for item in stage(ledger, "1", "2", "1")] == ["1", "2"]
    assert [item.id for item in stage(ledger, "2", "3")] == ["3"]


def test_what_is_recorded_comes_back(ledger: Ledger) -> None:
    outcome = Outcome("1", Status.DONE, None, None, 1, {"state": "open"}, {"state": "closed"}, "req", 12.5)
    with ledger.atomic():
        ledger.stage(Page([ITEM], Slice("0")), 1, {"1": Effect({"state": "open"}, {"state": "closed"})})
    with ledger.atomic():
        ledger.start([ITEM], 10.0)
        ledger.settle([outcome])
    assert list(ledger.outcomes(Status.DONE)) == [outcome]
    assert ledger.counts() == {Status.DONE: 1}


def test_an_unsent_attempt_is_not_counted(ledger: Ledger) -> None:
    stage(ledger, "1")
    with ledger.atomic():
        ledger.start([ITEM], 1.0)
        ledger.restage([ITEM], attempted=False)
        ledger.start([ITEM], 2.0)
        ledger.settle([Outcome("1", Status.DONE, attempts=1)])
    assert [o.attempts for o in ledger.outcomes(Status.DONE)] == [1]


def test_a_failed_transaction_leaves_no_trace(ledger: Ledger) -> None:
    stage(ledger, "1")

    def twice() -> None:
        with ledger.atomic():
            ledger.start([ITEM], 1.0)
            ledger.start([ITEM], 2.0)

    with pytest.raises(LedgerError, match="refused a step"):
        twice()
    assert ledger.counts() == {Status.STAGED: 1}


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(Status)), max_size=8))
def test_only_steps_of_the_table_are_taken(steps: list[Status]) -> None:
    ledger = Ledger()
    stage(ledger, "1")
    standing = Status.STAGED
    for step in steps:
        allowed = step in ITEM_TRANSITIONS[standing]
        try:
            with ledger.atomic():
                if step is Status.STARTED:
                    ledger.start([ITEM], 0.0)
                elif step is Status.STAGED:
                    ledger.restage([ITEM], attempted=True)
                else:
                    ledger.settle([Outcome("1", step)])
        except LedgerError:
            assert not allowed
        else:
            assert allowed
            standing = step
    assert ledger.counts() == {standing: 1}
    ledger.close()


def test_a_ledger_on_disk_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    first = Ledger(path)
    stage(first, "1", "2")
    first.close()
    again = Ledger(path)
    assert again.counts() == {Status.STAGED: 2}
    again.close()


def test_a_ledger_of_the_version_before_is_read_and_gone_on_with(tmp_path: Path) -> None:
    """Runs of before there were steps: read as they are, brought up to date when they are opened."""
    path = tmp_path / "run.db"
    first = Ledger(path)
    stage(first, "1", "2")
    first.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("DROP TABLE step; ALTER TABLE item DROP COLUMN deaths; PRAGMA user_version = 1")
    reader = Ledger(path, read_only=True)
    assert [outcome.step for outcome in reader.outcomes()] == [0, 0]
    assert reader.steps("1") == {}
    reader.close()
    again = Ledger(path)
    assert [item.id for item, _ in again.recover(1).staged] == ["1", "2"]
    assert again.steps("1") == {}
    again.close()
