"""What every store promises, whatever it is made of."""

from __future__ import annotations

import secrets
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intercom_bulk.errors import LedgerError, RunBusy, UnknownRun
from intercom_bulk.runs.model import ITEM_TRANSITIONS, Effect, Item, Outcome, Page, RunState, Slice, Status, StepRecord
from tests.stores.conftest import Place, record, writing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.store import RunStore

ITEM = Item("1")


def stage(ledger: RunLedger, *ids: str, after: Slice | None = None) -> list[str]:
    with ledger.atomic():
        return [item.id for item in ledger.stage(Page([Item(i) for i in ids], after or Slice("0", cursor="c")), 1)]


def settle(ledger: RunLedger, *outcomes: Outcome) -> None:
    """Staged before, started and settled in one go."""
    with ledger.atomic():
        ledger.start([Item(outcome.item_id) for outcome in outcomes], 5.0)
        ledger.settle(outcomes)


# -- items


def test_an_item_is_new_once(ledger: RunLedger) -> None:
    assert stage(ledger, "2", "1", "2") == ["2", "1"]
    assert stage(ledger, "2", "3") == ["3"]


def test_a_page_staged_twice_in_one_transaction_is_new_once(ledger: RunLedger) -> None:
    page = Page([ITEM], Slice("0"))
    with ledger.atomic():
        assert ledger.stage(page, 1) == [ITEM]
        assert ledger.stage(page, 1) == []


def test_the_items_of_one_run_are_not_those_of_another(store: RunStore, ledger: RunLedger) -> None:
    with writing(store, "another") as other:
        assert stage(ledger, "1") == stage(other, "1") == ["1"]
        settle(other, Outcome("1", Status.DONE, attempts=1))
        assert (ledger.counts(), other.counts()) == ({Status.STAGED: 1}, {Status.DONE: 1})


def test_what_is_recorded_comes_back(ledger: RunLedger) -> None:
    before, after = {"state": "open", "n": [1, None]}, {"state": "closed", "text": "ü\u0000\u2028 'x' %s"}
    outcome = Outcome("1", Status.FAILED, "code", "said 'no' ü 100%", 1, before, after, "req", 12.625, "Traceback\n…")
    with ledger.atomic():
        ledger.stage(Page([ITEM, Item("2")], Slice("0")), 1, {"1": Effect(before, after), "2": ValueError()})
    settle(ledger, outcome)
    assert list(ledger.outcomes(Status.FAILED)) == [outcome]
    assert list(ledger.outcomes(Status.STAGED)) == [Outcome("2", Status.STAGED)]
    assert ledger.counts() == {Status.FAILED: 1, Status.STAGED: 1}
    assert ledger.codes() == {"code": 1}


def test_an_unsent_attempt_is_not_counted(ledger: RunLedger) -> None:
    stage(ledger, "1")
    with ledger.atomic():
        ledger.start([ITEM], 1.0)
        ledger.restage([ITEM], attempted=False)
        ledger.start([ITEM], 2.0)
        ledger.restage([ITEM], attempted=True)
        ledger.start([ITEM], 3.0)
        ledger.settle([Outcome("1", Status.DONE)])
    assert [outcome.attempts for outcome in ledger.outcomes(Status.DONE)] == [2]


def test_an_item_may_take_several_steps_in_one_transaction(ledger: RunLedger) -> None:
    stage(ledger, "1", "2")
    with ledger.atomic():
        ledger.start([ITEM, Item("2")], 1.0)
        ledger.settle([Outcome("1", Status.UNKNOWN), Outcome("2", Status.DONE)])
        assert ledger.counts() == {Status.UNKNOWN: 1, Status.DONE: 1}
        ledger.settle([Outcome("1", Status.DONE)])
    assert ledger.counts() == {Status.DONE: 2}


def test_a_failed_transaction_leaves_no_trace(ledger: RunLedger) -> None:
    stage(ledger, "1")

    def twice() -> None:
        with ledger.atomic():
            ledger.save(record("run", reason="lost"))
            ledger.start([ITEM], 1.0)
            ledger.start([ITEM], 2.0)

    def broken() -> None:
        with ledger.atomic():
            ledger.start([ITEM], 1.0)
            ledger.stage(Page([Item("2")], Slice("1")), 1)
            raise ZeroDivisionError

    with pytest.raises(LedgerError, match="refused a step"):
        twice()
    with pytest.raises(ZeroDivisionError):
        broken()
    assert ledger.counts() == {Status.STAGED: 1}
    assert [part.key for part in ledger.slices(1)] == ["0"]
    assert ledger.record() == record("run")
    settle(ledger, Outcome("1", Status.DONE))
    assert ledger.counts() == {Status.DONE: 1}


def test_an_item_that_was_never_staged_is_refused(ledger: RunLedger) -> None:
    with pytest.raises(LedgerError, match="refused a step: 0 of 1"), ledger.atomic():
        ledger.start([ITEM], 1.0)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(sorted(Status)), max_size=8))
def test_only_steps_of_the_table_are_taken(ledger: RunLedger, steps: list[Status]) -> None:
    item = Item(secrets.token_hex(8))
    stage(ledger, item.id)
    standing = Status.STAGED
    for step in steps:
        allowed = step in ITEM_TRANSITIONS[standing]
        try:
            with ledger.atomic():
                if step is Status.STARTED:
                    ledger.start([item], 0.0)
                elif step is Status.STAGED:
                    ledger.restage([item], attempted=True)
                else:
                    ledger.settle([Outcome(item.id, step)])
        except LedgerError:
            assert not allowed
        else:
            assert allowed
            standing = step
    assert item.id in [outcome.item_id for outcome in ledger.outcomes(standing)]


# -- reading it


def test_outcomes_come_in_the_order_they_settled_or_the_other_way_round(ledger: RunLedger) -> None:
    ids = [str(n) for n in range(2500)]
    stage(ledger, *ids, "Z", "a", "staged")
    settle(ledger, *(Outcome(i, Status.DONE, attempts=1, at=10_000.0 - int(i)) for i in ids))
    settle(ledger, Outcome("a", Status.FAILED, "no", "no", at=1.0), Outcome("Z", Status.FAILED, "no", "no", at=1.0))
    assert [o.item_id for o in ledger.outcomes(Status.DONE)] == ids[::-1]
    assert [o.item_id for o in ledger.outcomes(Status.DONE, newest_first=True)] == ids
    assert [o.item_id for o in ledger.outcomes()][:4] == ["staged", "Z", "a", "2499"]
    assert [o.item_id for o in ledger.outcomes(Status.FAILED, Status.STAGED, newest_first=True)] == ["staged", "Z", "a"]


def test_outcomes_may_be_read_while_others_settle(ledger: RunLedger) -> None:
    stage(ledger, *(str(n) for n in range(3000)))
    settle(ledger, *(Outcome(str(n), Status.DONE, attempts=1, at=1.0) for n in range(2900)))
    reading = ledger.outcomes(Status.DONE)
    first = next(reading)
    settle(ledger, Outcome("2950", Status.FAILED, "no", "no", at=2.0))
    assert len({first.item_id, *(outcome.item_id for outcome in reading)}) == 2900
    assert ledger.codes() == {"no": 1}


def test_another_process_may_watch(store: RunStore, ledger: RunLedger) -> None:
    stage(ledger, "1", "2")
    reader = store.read("run")
    assert reader.counts() == {Status.STAGED: 2}
    settle(ledger, Outcome("1", Status.DONE))
    assert reader.counts() == {Status.STAGED: 1, Status.DONE: 1}
    with pytest.raises(LedgerError):
        stage(reader, "3")
    reader.close()


def test_how_far_it_was_read_comes_back(ledger: RunLedger) -> None:
    first = Slice("0", 1.5, None, 9.0, "cursor ü", 3.25, 2, done=False)
    stage(ledger, "1", after=first)
    with ledger.atomic():
        ledger.save_slice(Slice("1", done=True), 1)
        ledger.save_slice(Slice("0"), 2)
    assert ledger.slices(1) == [first, Slice("1", done=True)]
    later = replace(first, cursor=None, until=4.0, position=7.0, pages=3, done=True)
    stage(ledger, after=later)
    assert ledger.slices(1)[0] == later
    assert ledger.slices(3) == []


def test_what_was_in_flight_when_a_life_ended_is_in_doubt_in_the_next(store: RunStore, ledger: RunLedger) -> None:
    effect = Effect({"state": "open"}, {"state": "closed"})
    with ledger.atomic():
        ledger.stage(Page([Item(i) for i in "1234"], Slice("0", cursor="c")), 1, {"1": effect})
    with ledger.atomic():
        ledger.start([Item("2"), Item("3")], 77.5)
        ledger.settle([Outcome("3", Status.DONE)])
    ledger.close()
    again = store.open("run")
    found = again.recover(1)
    again.close()
    assert list(found.staged) == [(Item("1", effect=effect), 0), (Item("4"), 0)]
    lost = "The process ended before the answer was recorded."
    assert list(found.doubts) == [(Outcome("2", Status.UNKNOWN, "interrupted", lost, 1), 77.5)]
    assert list(found.slices) == [Slice("0", cursor="c")]
    assert (found.attempted, found.known) == (2, 4)


def test_an_attempt_that_ended_with_its_process_is_counted_apart(store: RunStore, ledger: RunLedger) -> None:
    """Once for each life that was cut short: not where the answer was lost, or the item was not in flight."""
    stage(ledger, "died", "lost", "idle", "done")
    with ledger.atomic():
        ledger.start([Item("died"), Item("lost"), Item("done")], 1.0)
        ledger.settle([Outcome("lost", Status.UNKNOWN, "timeout"), Outcome("done", Status.DONE)])
    ledger.close()
    second = store.open("run")
    assert second.recover(1).deaths == {"died": 1}
    with second.atomic():
        second.restage([Item("died")], attempted=True)
    second.close()
    third = store.open("run")
    found = third.recover(1)
    assert ([(item.id, attempts) for item, attempts in found.staged], found.deaths) == (
        [("died", 1), ("idle", 0)],
        {"died": 1},
    )
    with third.atomic():
        third.start([Item("died")], 2.0)
    third.close()
    last = store.open("run")
    found = last.recover(1)
    last.close()
    assert {outcome.item_id: outcome.attempts for outcome, _ in found.doubts} == {"died": 2, "lost": 1}
    assert found.deaths == {"died": 2}


# -- steps


PARTS = Effect.of((Effect({"a": 1}, {"a": 2}), None, Effect({"b": "ü\u0000"}, {"b": None})))


def stage_steps(ledger: RunLedger, *ids: str) -> None:
    with ledger.atomic():
        ledger.stage(Page([Item(i) for i in ids], Slice("0")), 1, dict.fromkeys(ids, PARTS))


def test_the_steps_of_an_item_come_back(ledger: RunLedger) -> None:
    stage_steps(ledger, "1", "2")
    stage(ledger, "plain")
    over = StepRecord(0, {"a": 1}, {"a": 2}, 2.5, 1, "req", None, "said 'no' ü 100%")
    idle = StepRecord(1, None, None, 3.5, 0, None, "already_done", None)
    with ledger.atomic():
        ledger.start([Item("2"), Item("1")], 1.0)
        ledger.complete("1", [over, idle])
        ledger.restage([Item("1")], attempted=True)
    last = StepRecord(2, {"b": "ü\u0000"}, {"b": None})
    assert ledger.steps("1", "plain", "missing") == {"1": [over, idle, last]}
    assert [record.at for record in ledger.steps("2")["2"]] == [None, None, None]
    (standing,) = [outcome for outcome in ledger.outcomes(Status.STAGED) if outcome.item_id == "1"]
    assert (standing.step, standing.attempts, standing.effect) == (
        2,
        1,
        Effect({"a": 1, "b": "ü\u0000"}, {"a": 2, "b": None}),
    )


def test_an_item_that_went_a_step_on_is_not_new(ledger: RunLedger) -> None:
    stage_steps(ledger, "1")
    with ledger.atomic():
        ledger.complete("1", [StepRecord(0, at=1.0)])
    assert stage(ledger, "1", "2") == ["2"]
    assert ledger.counts() == {Status.STAGED: 2}


def test_a_step_is_over_once_and_in_its_turn(ledger: RunLedger) -> None:
    stage_steps(ledger, "1")

    def complete(*steps: int) -> None:
        with ledger.atomic():
            ledger.complete("1", [StepRecord(step, at=1.0) for step in steps])

    with pytest.raises(LedgerError, match="refused a step"):
        complete(1)
    complete(0)
    with pytest.raises(LedgerError, match="refused a step"):
        complete(0)
    with pytest.raises(LedgerError, match="refused a step"):
        complete(2)
    complete(1, 2)
    assert [record.at for record in ledger.steps("1")["1"]] == [1.0, 1.0, 1.0]


def test_many_items_take_steps_and_settle_in_one_transaction(ledger: RunLedger) -> None:
    ids = [str(number) for number in range(40)]
    stage_steps(ledger, *ids)
    with ledger.atomic():
        ledger.start([Item(i) for i in ids], 1.0)
    with ledger.atomic():
        for i in ids[:20]:
            ledger.complete(i, [StepRecord(0, at=2.0, attempts=1)])
            ledger.restage([Item(i)], attempted=True)
        for i in ids[20:]:
            ledger.complete(i, [StepRecord(number, at=2.0) for number in range(3)])
            ledger.settle([Outcome(i, Status.DONE, at=2.0)])
        ledger.start([Item(i) for i in ids[:20]], 3.0)
        for i in ids[:10]:
            ledger.complete(i, [StepRecord(1, at=4.0), StepRecord(2, at=4.0)])
            ledger.settle([Outcome(i, Status.DONE, at=4.0)])
    found = {outcome.item_id: (outcome.status, outcome.step, outcome.attempts) for outcome in ledger.outcomes()}
    assert [found[i] for i in (ids[0], ids[10], ids[20])] == [
        (Status.DONE, 3, 2),
        (Status.STARTED, 1, 2),
        (Status.DONE, 3, 1),
    ]


def test_a_life_that_ended_between_steps_is_taken_over_there(store: RunStore, ledger: RunLedger) -> None:
    stage_steps(ledger, "1", "2", "3", "done")
    with ledger.atomic():
        ledger.start([Item("1"), Item("2"), Item("done")], 5.0)
        for i in ("1", "2"):
            ledger.complete(i, [StepRecord(0, at=6.0, attempts=1)])
            ledger.restage([Item(i)], attempted=True)
        ledger.settle([Outcome("done", Status.FAILED)])
        ledger.start([Item("2")], 7.0)
    ledger.close()
    again = store.open("run")
    found = again.recover(1)
    again.close()
    assert {(item.id, item.step, attempts) for item, attempts in found.staged} == {("1", 1, 1), ("3", 0, 0)}
    assert [(outcome.item_id, outcome.step, outcome.attempts) for outcome, _ in found.doubts] == [("2", 1, 2)]
    assert {i: [record.at for record in each] for i, each in found.steps.items()} == {
        "1": [6.0, None, None],
        "2": [6.0, None, None],
        "3": [None, None, None],
    }
    assert found.attempted == 3
    assert found.deaths == {"2": 1}


def test_a_step_begins_with_no_deaths(store: RunStore, ledger: RunLedger) -> None:
    """Those of the step before are no word against it."""
    stage_steps(ledger, "1")
    with ledger.atomic():
        ledger.start([Item("1")], 1.0)
    ledger.close()
    again = store.open("run")
    assert again.recover(1).deaths == {"1": 1}
    with again.atomic():
        again.restage([Item("1")], attempted=True)
        again.start([Item("1")], 2.0)
        again.complete("1", [StepRecord(0, at=3.0, attempts=2)])
        again.restage([Item("1")], attempted=True)
    assert again.recover(1).deaths == {}
    again.close()


# -- runs


def test_the_record_of_a_run_comes_back(store: RunStore) -> None:
    whole = record("run", reason="why 'ü' \u0000", run_key="key", parameters={"keywords": {"a": [1, None]}}, cutoff=7)
    ledger = store.create(whole)
    assert ledger.record() == store.record("run") == whole
    changed = replace(whole, state=RunState.STOPPED, total=12, ended_at=3.5)
    with ledger.atomic():
        ledger.save(changed)
    ledger.close()
    assert store.record("run") == changed


def test_a_run_that_nobody_holds_was_interrupted(store: RunStore) -> None:
    with writing(store, "run"):
        assert store.record("run").state is RunState.RUNNING
    assert store.record("run").state is RunState.INTERRUPTED
    assert [known.state for known in store.records()] == [RunState.INTERRUPTED]


def test_runs_are_listed_newest_first(store: RunStore) -> None:
    names = ["20260102-090000-aa", "20260101-120000-bb", "20260102-100000-cc"]
    for name in names:
        store.create(record(name, state=RunState.COMPLETED)).close()
    assert [known.run_id for known in store.records()] == sorted(names, reverse=True)


def test_looking_into_an_empty_store_finds_nothing(store: RunStore) -> None:
    assert list(store.records()) == []
    assert store.find_key("key") is None
    for look in (store.record, store.read, store.open, store.delete):
        with pytest.raises(UnknownRun, match="no run 'missing'"):
            look("missing")


def test_a_deleted_run_is_gone_with_its_key(store: RunStore) -> None:
    ledger = store.create(record("run", run_key="key"))
    stage(ledger, "1")
    with pytest.raises(RunBusy):
        store.delete("run")
    ledger.close()
    store.delete("run")
    assert list(store.records()) == []
    assert store.find_key("key") is None
    with pytest.raises(UnknownRun):
        store.open("run")
    store.create(record("run", run_key="key")).close()
    reader = store.read("run")
    assert reader.counts() == {}
    reader.close()


def test_a_run_that_is_remembered_is_found_by_its_key(store: RunStore) -> None:
    store.create(record("run")).close()
    store.remember(record("other", run_key="key"))
    assert store.find_key("key") == "other"


def test_a_key_is_taken_once(store: RunStore) -> None:
    store.create(record("run", run_key="key")).close()
    with pytest.raises(RunBusy, match="'key' belongs to run run already"):
        store.create(record("other", run_key="key"))
    assert store.find_key("key") == "run"
    assert [known.run_id for known in store.records()] == ["run"]


def test_of_those_who_start_a_key_at_once_one_wins(place: Place) -> None:
    """In an empty store, so that making it is part of the race."""
    count = 6
    barrier = threading.Barrier(count)

    def start(number: int) -> str:
        barrier.wait()
        try:
            place.store.create(record(f"run-{number}", run_key="key")).close()
        except RunBusy:
            return "busy"
        return f"run-{number}"

    with ThreadPoolExecutor(count) as pool:
        said = list(pool.map(start, range(count)))
    assert said.count("busy") == count - 1
    assert place.store.find_key("key") in said


# -- who holds it

HOLD = """
import os, sys
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import Workspace

store = Workspace(Settings.build(access_token="a-token-of-nobody", env=os.environ)).store
ledger = store.open(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(run_id: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, run_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def taken(store: RunStore, run_id: str) -> RunLedger:
    """The run as soon as it is free: the server takes a moment to see that a process died."""
    for _ in range(500):
        try:
            return store.open(run_id)
        except RunBusy:
            threading.Event().wait(0.01)
    raise AssertionError("the run stayed held")


@pytest.mark.usefixtures("environment")
def test_one_process_at_a_time_works_on_a_run_and_kill_9_frees_it(store: RunStore) -> None:
    store.create(record("run")).close()
    store.create(record("free")).close()
    with held_elsewhere("run") as other:
        with pytest.raises(RunBusy, match=f"held by process {other.pid} on "):
            store.open("run")
        assert store.record("run").state is RunState.RUNNING
        assert store.record("free").state is RunState.INTERRUPTED
        other.kill()
        other.wait()
        ledger = taken(store, "run")
    assert store.record("run").state is RunState.RUNNING
    ledger.close()
    assert store.record("run").state is RunState.INTERRUPTED


def test_a_process_does_not_open_its_own_run_twice(store: RunStore, ledger: RunLedger) -> None:
    with pytest.raises(RunBusy):
        store.open("run")
    ledger.close()
    store.open("run").close()
    store.open("run").close()


# -- looking


def paged(ledger: RunLedger, limit: int, **asked: object) -> list[str]:
    """All pages, put together."""
    found: list[str] = []
    while page := ledger.page(after=found[-1] if found else "", limit=limit, **asked):  # type: ignore[arg-type]
        found += [outcome.item_id for outcome in page]
    return found


def test_items_come_page_by_page_in_the_order_of_their_ids(ledger: RunLedger) -> None:
    ids = ["10", "9", "a b", "Zoë", "ä", "_", "A", "z", "😀"]
    stage(ledger, *ids)
    settle(ledger, Outcome("9", Status.FAILED, "rejected", "The Tag 50% is gone", 1), Outcome("z", Status.DONE))
    assert paged(ledger, 2) == paged(ledger, 100) == sorted(ids, key=str.encode)
    assert paged(ledger, 1, status=Status.STAGED) == sorted({*ids} - {"9", "z"}, key=str.encode)
    assert ledger.page(status=Status.FAILED) == list(ledger.outcomes(Status.FAILED))


def test_an_end_of_which_nothing_is_said_is_on_the_page_of_its_status(ledger: RunLedger) -> None:
    stage(ledger, "1", "2", "3")
    settle(ledger, Outcome("1", Status.FAILED), Outcome("2", Status.SKIPPED, "gone"), Outcome("3", Status.DONE))
    assert [(one.item_id, one.code) for one in ledger.page(status=Status.FAILED)] == [("1", None)]
    assert [one.item_id for one in ledger.page(status=Status.FAILED, text="1")] == ["1"]
    assert [one.item_id for one in ledger.page(status=Status.DONE, text="3")] == ["3"]
    assert ledger.codes() == {"gone": 1}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("TAG 50%", ["1"]),
        ("50_", []),
        ("rEjected", ["1", "2"]),
        ("zo", ["Zoë"]),
        ("ZOË", []),
        ("oë", ["Zoë"]),
        ("%", ["1"]),
        ("'", ["3"]),
        ("\\", ["3"]),
        ("!", []),
        ("nowhere", []),
    ],
)
def test_text_is_found_in_id_code_and_message_as_it_stands(ledger: RunLedger, text: str, found: list[str]) -> None:
    stage(ledger, "1", "2", "3", "Zoë")
    settle(
        ledger,
        Outcome("1", Status.FAILED, "rejected", "The Tag 50% is gone"),
        Outcome("2", Status.FAILED, "rejected"),
        Outcome("3", Status.FAILED, "other", "it's a \\ here"),
    )
    assert [outcome.item_id for outcome in ledger.page(text=text)] == found
    assert ledger.page(text=text, status=Status.DONE) == []


def test_a_page_is_of_its_own_run(store: RunStore, ledger: RunLedger) -> None:
    with writing(store, "another") as other:
        stage(ledger, "1", "2")
        stage(other, "2", "3")
        assert (paged(ledger, 1), paged(other, 1)) == (["1", "2"], ["2", "3"])


def test_runs_are_listed_below_one_and_those_that_are_held_by_themselves(store: RunStore) -> None:
    for name in ("a", "b", "c"):
        with writing(store, name):
            pass
    assert [one.run_id for one in store.records(below="c")] == ["b", "a"]
    assert list(store.records(below="a")) == []
    assert list(store.worked_on()) == []
    with writing(store, "d"):
        assert [(one.run_id, one.state) for one in store.worked_on()] == [("d", RunState.RUNNING)]
    assert list(store.worked_on()) == []
