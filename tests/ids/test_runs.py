"""Runs over lists of ids: whole ones, cut ones, previews, plans."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    ConversationUpdater,
    Exclude,
    Ids,
    IntercomBulkUpdater,
    RunOptions,
    Runs,
    RunState,
    Settings,
    Status,
    TagAssigner,
    Transient,
    UsageError,
)
from intercom_bulk.sandbox import SandboxProcess
from intercom_bulk.updaters.running.calls import Call, current_call
from tests.acceptance import old_style
from tests.acceptance.runs import QUICK, assert_nothing_written, opened, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]


def quick(ids: object, **options: Any) -> RunOptions:
    return RunOptions(settle=0.3, source=ids, **options)  # type: ignore[arg-type]


def closer(sandbox: Sandbox) -> ConversationCloser:
    return ConversationCloser(**sandbox.settings_kwargs())


def some(sandbox: Sandbox, count: int) -> list[str]:
    return sorted(opened(sandbox))[:count]


def calls(sandbox: Sandbox) -> Counter[str]:
    """Requests answered, by the first word of what they are about."""
    found: Counter[str] = Counter()
    for route, statuses in sandbox.stats()["requests"].items():
        found[route] += sum(statuses.values())
    return found


def reads(sandbox: Sandbox) -> tuple[int, int]:
    """Searches, and reads of single conversations."""
    counted = calls(sandbox)
    single = sum(count for route, count in counted.items() if route.startswith("GET /conversations/"))
    return counted["POST /conversations/search"], single


def accounted(updater: IntercomBulkUpdater, run_id: str) -> dict[str, tuple[str, str | None]]:
    ledger = updater.workspace.store.read(run_id)
    try:
        return {outcome.item_id: (outcome.status.value, outcome.code) for outcome in ledger.outcomes()}
    finally:
        ledger.close()


def test_every_row_is_an_item_or_a_reported_row(start: Start, tmp_path: Path) -> None:
    sandbox = start(conversations=400)
    ids = some(sandbox, 310)
    sandbox.set(gone_ids=(ids[40], ids[41]))
    rows = [*ids[:300], ids[7], "", "99999", ids[5], "a/b", "2.15E+14", "  ", ids[300]]
    path = tmp_path / "list.csv"
    path.write_text("id,name\n" + "".join(f"{row},x\n" for row in rows))
    done = run(closer(sandbox), options=quick(Ids.from_csv(path)))
    told = {o.item_id: (o.status, o.code) for o in done.outcomes}
    assert len(told) == len(done.outcomes) == len(rows)
    assert done.done == set(sandbox.effects()) == {*ids[:301]} - {ids[40], ids[41]}
    assert set(sandbox.effects().values()) == {1}
    others = {item_id: how for item_id, how in told.items() if how[0] is not Status.DONE}
    assert others == {
        ids[40]: (Status.SKIPPED, "gone"),
        ids[41]: (Status.SKIPPED, "gone"),
        "row 302": (Status.SKIPPED, "duplicate"),
        "row 303": (Status.SKIPPED, "blank"),
        "99999": (Status.SKIPPED, "gone"),
        "row 305": (Status.SKIPPED, "duplicate"),
        "row 306": (Status.FAILED, "bad_id"),
        "row 307": (Status.FAILED, "bad_id"),
        "row 308": (Status.SKIPPED, "blank"),
    }
    messages = {o.item_id: o.message for o in done.outcomes}
    assert ids[7] in str(messages["row 302"])
    summary = done.summary
    assert (summary.success, summary.skipped, summary.failed, summary.unprocessed) == (299, 7, 2, 0)
    assert summary.state is RunState.COMPLETED_WITH_ERRORS


def test_items_are_looked_up_a_page_at_a_time_and_only_the_unknown_one_by_one(start: Start) -> None:
    sandbox = start(conversations=500)
    ids = some(sandbox, 450)
    done = run(closer(sandbox), options=quick([*ids, "99998", "99999"]))
    assert len(done.done) == 450
    assert reads(sandbox) == (4, 2)  # ten first, then 150 at a time


def test_what_the_list_names_is_judged_like_what_a_search_finds(start: Start) -> None:
    sandbox = start(conversations=60, share_closed=0.5)
    ids = [item["id"] for item in sandbox.items()]

    class Picky(ConversationCloser):
        def should_process(self, item: dict[str, Any]) -> bool:
            return int(item["id"]) % 2 == 0

    exclude = Exclude(customer_wrote_within=1)
    done = run(Picky(**sandbox.settings_kwargs()), options=quick(ids, exclude=exclude))
    even_and_open = {i for i in opened(sandbox) | done.done if int(i) % 2 == 0}
    assert done.done == even_and_open & done.done == set(sandbox.effects())
    codes = Counter(o.code for o in done.outcomes)
    assert codes["filtered"] == sum(int(i) % 2 for i in ids)
    assert codes["already_done"] > 0
    assert codes.total() == 60


def test_a_run_over_a_list_is_undone(start: Start) -> None:
    sandbox = start(conversations=40)
    ids, before = some(sandbox, 20), sandbox.digest()
    started = closer(sandbox).start(options=quick(ids))
    assert started.result().success == 20
    assert started.undo().result().success == 20
    assert sandbox.digest() == before


# -- lists of the wrong things


def test_a_list_of_which_nothing_exists_is_refused_after_a_few(start: Start, home: Path) -> None:
    sandbox = start(conversations=40)
    wrong = [str(900_000 + n) for n in range(500)]
    with pytest.raises(UsageError, match="None of the first 10 ids of the list exists"):
        closer(sandbox).bulk_process(options=quick(wrong))
    assert_nothing_written(sandbox)
    assert reads(sandbox) == (1, 10)
    assert Runs(home=home).list() == []
    summary = closer(sandbox).bulk_process(options=quick([*wrong[:30], *some(sandbox, 5)], canary=0))
    assert (summary.success, summary.skipped, summary.state) == (5, 30, RunState.COMPLETED)


def test_a_few_ids_that_are_all_gone_are_just_told(start: Start) -> None:
    summary = closer(start(conversations=5)).bulk_process(options=quick(["900001", "900002", "900003"]))
    assert (summary.skipped, dict(summary.codes), summary.state) == (3, {"gone": 3}, RunState.COMPLETED)


def test_scattered_unknown_ids_never_halt(start: Start) -> None:
    sandbox = start(conversations=400)
    ids = some(sandbox, 300)
    for place in range(20, 300, 10):
        ids[place] = str(900_000 + place)
    summary = closer(sandbox).bulk_process(options=quick(ids))
    assert (summary.success, summary.skipped, summary.state) == (272, 28, RunState.COMPLETED)


# -- updaters of other people


def test_an_action_that_sees_nothing_gets_bare_ids(start: Start) -> None:
    sandbox = start(conversations=40)
    ids = some(sandbox, 20)
    updater = old_style.CustomUpdater(**sandbox.settings_kwargs())
    assert run(updater, options=quick(ids)).done == set(ids)
    assert reads(sandbox) == (0, 0)


class FromList(ConversationUpdater):
    """Its endpoint has no search by id."""

    def get_search_endpoint(self) -> str:
        return "conversations"

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("POST", f"conversations/{item_id}/parts", json=closing(self.admin_id))

    def should_process(self, item: dict[str, Any]) -> bool:
        return bool(item["state"] == "open")


def closing(admin: str) -> dict[str, Any]:
    return {"message_type": "close", "type": "admin", "admin_id": admin}


@pytest.mark.parametrize("workers", [1, None])
def test_where_no_search_knows_ids_each_is_read(start: Start, workers: int | None) -> None:
    sandbox = start(conversations=80, latency_ms=5)
    ids = some(sandbox, 60)
    done = run(FromList(**sandbox.settings_kwargs()), options=quick(ids), parallel_workers=workers)
    assert done.done == set(ids)
    assert reads(sandbox) == (0, 60)
    assert (sandbox.stats()["peak_concurrent"] == 1) == (workers == 1)
    preview = FromList(**sandbox.settings_kwargs()).preview(options=quick(ids))
    assert (preview.filtered, preview.reads) == (60, 62)


class Hasty(FromList):
    """Gives single reads up at once."""

    def read_item(self, item_id: str) -> dict[str, Any]:
        token = current_call.set(Call(looking=True))
        try:
            return super().read_item(item_id)
        finally:
            current_call.reset(token)


def test_an_item_that_cannot_be_read_has_failed_alone_but_an_outage_halts(start: Start) -> None:
    sandbox = start(conversations=60)
    ids = some(sandbox, 60)
    sandbox.set(poison_500_ids=(ids[30],))
    done = run(Hasty(**sandbox.settings_kwargs()), options=quick(ids))
    assert done.done == set(ids) - {ids[30]}
    assert done.ids(Status.FAILED) == {ids[30]}
    sandbox.set(poison_500_ids=tuple(ids))
    with pytest.raises(Transient):
        run(Hasty(**sandbox.settings_kwargs()), options=quick(ids[:20]))


# -- before anything is written


def test_a_preview_counts_what_is_no_item(start: Start) -> None:
    sandbox = start(conversations=60, share_closed=0.3)
    ids = [item["id"] for item in sandbox.items()]
    rows = [*ids, ids[0], "", "99999", "a/b"]
    preview = closer(sandbox).preview(options=quick(rows))
    assert preview.left_out == {"blank": 1, "duplicate": 1, "bad_id": 1, "gone": 1}
    assert (preview.failed, preview.matched) == (0, 64)
    assert preview.count == len(opened(sandbox))
    assert preview.reads == 4 + 1  # the first ten, the rest, the unknown one; /me, and what a sweep would need
    for words in ("rows of the list repeat an id", "HAVE NO USABLE ID", "do not exist"):
        assert words in str(preview)
    assert_nothing_written(sandbox)


def test_a_generator_that_a_preview_has_read_is_the_same_list_to_the_run(start: Start) -> None:
    sandbox = start(conversations=40)
    ids = some(sandbox, 12)
    options = quick(item_id for item_id in ids)
    assert closer(sandbox).preview(options=options).count == 12
    assert closer(sandbox).bulk_process(options=options).success == 12


def test_a_plan_is_made_from_a_list_and_applied(start: Start, tmp_path: Path) -> None:
    sandbox = start(conversations=40)
    ids = some(sandbox, 12)
    plan = closer(sandbox).plan(tmp_path / "plan.jsonl", options=quick([*ids, "", "a/b", "99999", ids[0]]))
    assert {entry.id for entry in plan.entries()} == set(ids)
    assert_nothing_written(sandbox)
    assert closer(sandbox).apply(plan.path, digest=plan.digest).result().success == 12
    assert set(sandbox.effects()) == set(ids)


def test_a_dry_run_reads_only(start: Start) -> None:
    sandbox = start(conversations=40)
    summary = closer(sandbox).bulk_process(dry_run=True, options=quick(some(sandbox, 12)))
    assert summary.would_change == 12
    assert_nothing_written(sandbox)


def test_the_number_of_rows_is_known_at_once(start: Start) -> None:
    sandbox = start(conversations=400)
    ids = some(sandbox, 300)
    with pytest.raises(UsageError, match="300 items match, more than refuse_above=299"):
        closer(sandbox).bulk_process(options=quick(ids, refuse_above=299))
    assert_nothing_written(sandbox)
    assert closer(sandbox).bulk_process(options=quick(ids, refuse_above=300)).success == 300


def test_max_items_takes_the_first_of_the_list(start: Start) -> None:
    sandbox = start(conversations=400)
    ids = sorted(opened(sandbox), reverse=True)[:300]
    assert closer(sandbox).bulk_process(max_items=170, options=quick(ids)).success == 170
    assert set(sandbox.effects()) == set(ids[:170])


# -- what does not go together


def test_a_search_and_a_list_are_two_sources(start: Start) -> None:
    sandbox = start(conversations=10)
    with pytest.raises(UsageError, match="state= is for a search, and source= takes its place"):
        closer(sandbox).bulk_process(state="open", options=quick(["1"]))
    tagger = TagAssigner(tag="vip", **sandbox.settings_kwargs())
    with pytest.raises(UsageError, match="team_id= is for a search"):
        tagger.stream(team_id="7", options=quick(["1"]))


def test_a_run_goes_on_with_the_list_that_it_began_with(start: Start, home: Path, tmp_path: Path) -> None:
    sandbox = start(conversations=60)
    ids = some(sandbox, 40)
    updater = closer(sandbox)
    summary = updater.bulk_process(max_items=5, options=quick(ids, run_key="k"))
    assert summary.success == 5
    with pytest.raises(UsageError, match="source= is for a new run"):
        updater.resume(summary.run_id, options=quick(ids))
    plan = updater.plan(tmp_path / "p.jsonl", options=quick(ids))
    with pytest.raises(UsageError, match="source= is for a new run"):
        updater.apply(plan.path, digest=plan.digest, options=quick(ids))
    with pytest.raises(UsageError, match="with listed"):
        updater.bulk_process(options=quick(ids[:-1], run_key="k"))
    assert updater.bulk_process(options=quick(ids, run_key="k")).success == 40
    assert [record.run_id for record in Runs(home=home).list()] == [summary.run_id]


# -- cut and gone on with


def cut(sandbox: Sandbox, rows: Iterable[object], after: int) -> str:
    with closer(sandbox).stream(parallel_workers=5, options=quick(rows)) as stream:
        for number, _ in enumerate(stream, 1):
            if number >= after:
                break
    return stream.summary().run_id


def runs_of(sandbox: Sandbox | SandboxProcess, home: Path) -> Runs:
    built = Settings.build(**sandbox.settings_kwargs(), env={"INTERCOM_BULK_HOME": str(home)})
    return Runs(built)


def test_a_cut_run_goes_on_by_its_id_alone_and_counts_nothing_twice(start: Start, home: Path) -> None:
    sandbox = start(conversations=900, latency_ms=3)
    ids = some(sandbox, 700)
    rows = [row for n, item_id in enumerate(ids) for row in ([item_id, item_id, ""] if n % 10 == 0 else [item_id])]
    run_id = cut(sandbox, (row for row in rows), 200)
    assert 0 < len(sandbox.effects()) < 700
    summary = runs_of(sandbox, home).resume(run_id, options=QUICK).result()
    assert (summary.success, summary.skipped, summary.unprocessed) == (700, 140, 0)
    assert set(sandbox.effects()) == set(ids)
    assert set(sandbox.effects().values()) == {1}
    codes = Counter(code for _, code in accounted(closer(sandbox), run_id).values())
    assert codes == {None: 700, "duplicate": 70, "blank": 70}


SCRIPT = """
import sys
from intercom_bulk import ConversationCloser, Ids, RunOptions

options = RunOptions(source=Ids.from_lines(sys.stdin))
for number, _ in enumerate(ConversationCloser().stream(options=options, parallel_workers=8)):
    if number == 250:
        print("going", flush=True)
"""


def test_a_run_that_is_killed_goes_on_in_another_process_by_its_id_alone(home: Path) -> None:
    with SandboxProcess(conversations=700, latency_ms=10, limit_per_minute=600_000) as sandbox:
        ids = [item["id"] for item in sandbox.items()]
        rows = [row for n, item_id in enumerate(ids) for row in ([item_id, item_id, ""] if n % 5 == 0 else [item_id])]
        env = {**os.environ, **sandbox.environ()}
        command = [sys.executable, "-c", SCRIPT]
        with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write("\n".join(rows))
            process.stdin.close()
            assert process.stdout.readline() == "going\n"
            process.kill()
        (run_id,) = [record.run_id for record in Runs(home=home).list()]
        summary = runs_of(sandbox, home).resume(run_id, options=QUICK).result()
        assert set(sandbox.effects().values()) == {1}
        assert (summary.success + summary.unknown, summary.skipped, summary.unprocessed) == (700, 280, 0)


def test_a_list_that_is_gone_or_altered_ends_the_resume_in_a_sentence(start: Start, home: Path) -> None:
    sandbox = start(conversations=900, latency_ms=3)
    run_id = cut(sandbox, some(sandbox, 700), 50)
    (path,) = (home / "inputs").iterdir()
    whole = path.read_text()
    path.write_text(whole.replace("[1,", "[2,"))
    with pytest.raises(UsageError, match=r"own copy of a list .* was changed since the run began"):
        runs_of(sandbox, home).resume(run_id, options=QUICK).result()
    path.unlink()
    with pytest.raises(UsageError, match=r"cannot be read \(No such file"):
        runs_of(sandbox, home).resume(run_id, options=QUICK).result()
    path.write_text(whole)
    assert runs_of(sandbox, home).resume(run_id, options=QUICK).result().success == 700


def test_pruning_forgets_the_lists_of_pruned_runs(start: Start, home: Path) -> None:
    sandbox = start(conversations=40)
    ids = some(sandbox, 10)
    closer(sandbox).bulk_process(options=quick(ids))
    closer(sandbox).bulk_process(max_items=2, options=quick(ids[1:]))
    for path in (home / "inputs").iterdir():
        os.utime(path, (1.0, 1.0))
    assert len(runs_of(sandbox, home).prune(0)) == 2
    assert list((home / "inputs").iterdir()) == []


def test_a_retry_looks_its_items_up_together(start: Start, home: Path) -> None:
    sandbox = start(conversations=200)
    ids = some(sandbox, 200)
    bad = tuple(ids[100:200:2])
    sandbox.set(poison_422_ids=bad)
    rows = [*ids, "a/b"]
    run_id = closer(sandbox).bulk_process(options=quick(rows, canary=0), parallel_workers=4).run_id
    sandbox.set(poison_422_ids=())
    searches, singles = reads(sandbox)
    summary = runs_of(sandbox, home).retry_failed(run_id, options=QUICK).result()
    assert (summary.success, summary.failed, dict(summary.codes)) == (50, 1, {"bad_id": 1})
    assert reads(sandbox) == (searches + 1, singles)
