"""The runs that were: looked at, gone on with, taken back, forgotten; and those of another process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from intercom_bulk import Runs, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli

CLOSE = ("close", "--where", "state:open", "--yes")


def closed(cli: Cli, *more: object) -> str:
    """A run; its id."""
    run_id: str = cli(*CLOSE, "--json", *more).json["run_id"]
    return run_id


def test_runs_are_listed_newest_first(cli: Cli) -> None:
    first, second = closed(cli, "--max", 3, "--reason", "a trial"), closed(cli)
    told = cli("runs", "list").out.splitlines()
    assert told[0].split() == ["RUN", "STATE", "DONE", "FAILED", "WHAT"]
    assert [line.split()[0] for line in told[1:]] == [second, first]
    assert "a trial" in told[2]
    listed = cli("runs", "list", "--json", "-n", 1).json
    assert [(one["run_id"], one["counts"]["done"]) for one in listed] == [(second, 25)]


def test_where_there_are_none_it_says_so(cli: Cli) -> None:
    assert "There are no runs yet." in cli("runs", "list").err
    assert cli("runs", "list", "--json").json == []
    assert "no runs that could be gone on with" in cli("runs", "list", "--resumable").err


def test_a_run_is_shown_with_what_was_not_done_and_why(cli: Cli, sandbox: Sandbox) -> None:
    poisoned = [str(item["id"]) for item in sandbox.items() if item["state"] == "open"][20:22]
    sandbox.set(poison_422_ids=tuple(poisoned))
    run_id = cli(*CLOSE, "--reason", "the sweep", "--json").json["run_id"]
    told = cli("runs", "show", run_id).out
    for part in (f"Run {run_id}: close", "26 done, 2 failed", "the sweep", "Ann Archer"):
        assert part in told
    assert {one["item_id"] for one in cli("runs", "show", "last", "--items", "failed", "--json").json["items"]} == set(
        poisoned
    )
    assert all(one in cli("runs", "show", "last", "--items", "failed").out for one in poisoned)
    assert cli("runs", "show", "last", "--items", "broken").code == 2


def test_an_item_is_shown_step_by_step(cli: Cli, sandbox: Sandbox) -> None:
    words = ("steps", "--tag", "bug", "--assign-team", "Billing", "--close", "--where", "state:open")
    assert cli(*words, "--max", 1, "--yes").code == 0
    (item_id,) = sandbox.effects()
    told = cli("runs", "show", "last", "--item", item_id)
    assert [line.split()[1] for line in told.out.splitlines() if line.startswith("  step")] == ["1", "2", "3"]
    assert 'state "open" -> "closed"' in told.out
    assert [one["step"] for one in cli("runs", "show", "last", "--item", item_id, "--json").json["steps"]] == [0, 1, 2]
    assert cli("runs", "show", "last", "--item", "nix").code == 2


def test_a_plan_of_steps_says_which(cli: Cli) -> None:
    assert cli("plan", "steps", "--tag", "bug", "--close", "--where", "state:open").code == 0
    assert "TagAssigner tag=bug" in " ".join(cli("apply", "plan.jsonl", "--dry-run").out.split())


def test_a_run_is_named_by_the_end_of_its_id_too(cli: Cli) -> None:
    run_id = closed(cli)
    assert cli("runs", "show", run_id[-6:], "--json").json["run_id"] == run_id
    assert cli("runs", "show", "last", "--json").json["run_id"] == run_id


def test_a_name_that_no_run_has_or_several_have_is_one_sentence(cli: Cli) -> None:
    closed(cli, "--max", 1)
    closed(cli, "--max", 1)
    ended = cli("runs", "show", "20")
    assert (ended.code, "There are 2 runs" in ended.err) == (2, True)
    ended = cli("runs", "show", "nix")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        "intercom-bulk: There is no run nix.",
        "To see which runs there are: intercom-bulk runs list",
    ]


def test_what_a_run_did_is_taken_back(cli: Cli, sandbox: Sandbox) -> None:
    before = sandbox.digest()
    run_id = closed(cli)
    assert sandbox.digest() != before
    declined = cli("runs", "undo", run_id, typed="n\n")
    assert declined.code == 130
    assert f"Take back run {run_id}?" in declined.err
    ended = cli("runs", "undo", run_id, typed="y\n")
    assert ended.code == 0, ended.err
    assert "28 done" in ended.out
    assert "to take back" not in ended.err
    assert {item["state"] for item in sandbox.items()} == {"open", "closed"}


@pytest.mark.parametrize(
    "words",
    [
        ("delete", "--where", "state:open"),
        ("convert", "Bug report", "--where", "state:open"),
        ("contacts", "block", "--where", "role:user"),
        ("tickets", "tag", "vip", "--where", "open:true"),
    ],
    ids=" ".join,
)
def test_what_has_no_way_back_promises_none_and_its_undo_is_refused_before_the_question(
    words: tuple[str, ...], cli: Cli
) -> None:
    final = ("--irreversible",) if words[0] != "tickets" else ()
    done = cli(*words, "--max", 1, "--yes", *final)
    assert done.code == 0, done.err
    assert "Run " in done.err
    assert "to take back" not in done.err
    asked = cli("runs", "undo", "last", typed="y\n")
    assert (asked.code, "cannot be undone" in asked.err, "[y/N]" in asked.err) == (2, True, False)


def test_nobody_undoes_where_nobody_can_be_asked(cli: Cli) -> None:
    run_id = closed(cli)
    assert cli("runs", "undo", run_id).code == 2
    assert cli("runs", "undo", run_id, "--yes").code == 0


def test_what_failed_is_tried_again(cli: Cli, sandbox: Sandbox) -> None:
    poisoned = tuple(str(item["id"]) for item in sandbox.items() if item["state"] == "open")[20:22]
    sandbox.set(poison_422_ids=poisoned)
    ended = cli(*CLOSE)
    assert ended.code == 1
    assert "intercom-bulk runs retry" in ended.err
    sandbox.set(poison_422_ids=())
    again = cli("runs", "retry", "last", "--yes", "--json")
    assert (again.code, again.json["success"]) == (0, 2)
    assert cli("runs", "retry", "last", "--yes").code == 2, "nothing failed in that one"


def test_what_cannot_be_undone_is_tried_again_only_by_its_word(cli: Cli, sandbox: Sandbox) -> None:
    poisoned = tuple(str(item["id"]) for item in sandbox.items() if item["state"] == "open")[20:22]
    sandbox.set(poison_422_ids=poisoned)
    assert cli("delete", "--where", "state:open", "--yes", "--irreversible").code == 1
    sandbox.set(poison_422_ids=())
    assert cli("runs", "retry", "last", typed="y\n").code == 130
    assert cli("runs", "retry", "last", "--yes").code == 2
    assert cli("runs", "retry", "last", "--yes", "--irreversible").code == 0


@pytest.mark.parametrize(("name", "begins"), [("run.csv", "item_id,"), ("run.jsonl", '{"run_id"'), ("run.md", "# ")])
def test_a_report_is_written_or_shown(name: str, begins: str, cli: Cli, tmp_path: Path) -> None:
    closed(cli)
    assert cli("runs", "report", "last", name).out == f"Written: {name}\n"
    written = (tmp_path / name).read_text("utf-8-sig")
    assert written.startswith(begins)
    form = {"csv": "csv", "jsonl": "jsonl", "md": "markdown"}[name.rpartition(".")[2]]
    items = cli("runs", "report", "last", "--json").json
    assert [one["status"] for one in items] == ["done"] * 28
    assert cli("runs", "report", "last", "--format", form).out.splitlines() == written.splitlines()


def test_the_report_can_be_asked_for_with_the_run(cli: Cli, tmp_path: Path) -> None:
    ended = cli(*CLOSE, "--report", "a.csv", "--report", "b.md")
    assert "Written: a.csv" in ended.out
    assert {path.name for path in tmp_path.glob("*.*")} >= {"a.csv", "b.md"}


@pytest.mark.parametrize("name", ["report.pdf", "nowhere/report.csv"])
def test_a_report_that_could_not_be_written_is_refused_before_the_run(name: str, cli: Cli, sandbox: Sandbox) -> None:
    assert cli(*CLOSE, "--report", name).code == 2
    assert sandbox.effects() == {}


@pytest.mark.parametrize(
    ("words", "called"),
    [
        (("close", "--where", "state:open"), "close"),
        (("open", "--where", "state:closed"), "open"),
        (("tag", "vip", "--all"), "tag"),
        (("contacts", "tag", "vip", "--all"), "contacts tag"),
        (("tickets", "tag", "vip", "--all"), "tickets tag"),
    ],
)
def test_a_run_is_called_what_was_typed(words: tuple[str, ...], called: str, cli: Cli) -> None:
    assert cli(*words, "--max", 1, "--yes").code == 0
    assert f": {called} (update)" in cli("runs", "show", "last").out
    (row,) = cli("runs", "list").out.splitlines()[1:]
    assert f"  {called}: " in row


def test_a_run_that_is_over_is_not_gone_on_with_and_nobody_is_asked(cli: Cli) -> None:
    closed(cli)
    ended = cli("runs", "resume", "last", typed="y\n")
    assert (ended.code, "is over (completed)" in ended.err, "[y/N]" in ended.err) == (2, True, False)


def test_old_runs_are_forgotten(cli: Cli) -> None:
    closed(cli)
    assert cli("runs", "prune", "--older-than", 1, "--yes").out == "Forgotten: 0 runs.\n"
    assert cli("runs", "prune", typed="n\n").code == 130
    assert len(Runs().list()) == 1


def test_the_same_run_key_goes_on_with_the_same_run(cli: Cli) -> None:
    first = closed(cli, "--run-key", "sweep", "--max", 3)
    assert closed(cli, "--run-key", "sweep", "--max", 3) == first


# -- of another process


@contextmanager
def another_process(sandbox: Sandbox, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`intercom-bulk` in a process of its own."""
    command = [sys.executable, "-m", "intercom_bulk", *words]
    with subprocess.Popen(
        command,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def busy(make_intercom_sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Enough to do for some seconds."""
    made = make_intercom_sandbox(conversations=600, latency_ms=100)
    monkeypatch.setenv("INTERCOM_BASE_URL", made.url)
    return made


def test_a_run_of_another_process_is_paused_gone_on_with_and_stopped(cli: Cli, busy: Sandbox) -> None:
    with another_process(busy, *CLOSE, "--workers", "4", "--json") as process:
        until(lambda: len(busy.effects()) > 20)
        assert cli("runs", "resume", "last", "--yes").code == 2, "it is under way elsewhere"
        assert cli("runs", "pause", "last").code == 0
        until(lambda: Runs().list()[0].state is RunState.PAUSED)
        still = len(busy.effects())
        assert len(busy.effects()) == still
        assert cli("runs", "watch", "last").code == 130
        assert cli("runs", "resume", "last").code == 0
        until(lambda: len(busy.effects()) > still)
        assert cli("runs", "stop", "last").code == 0
        out, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
    assert json.loads(out)["state"] == "stopped"
    assert f"intercom-bulk runs resume {json.loads(out)['run_id']}" in err


def test_a_run_of_another_process_is_watched_to_its_end(cli: Cli, busy: Sandbox) -> None:
    with another_process(busy, *CLOSE, "--workers", "32"):
        until(lambda: len(busy.effects()) > 20)
        ended = cli("runs", "watch", "last", "--json")
    assert ended.code == 0
    assert ended.json["counts"]["done"] == 600
    assert "/600" in ended.err


def test_nobody_can_be_asked_who_is_not_there(cli: Cli) -> None:
    closed(cli)
    for verb in ("pause", "stop"):
        ended = cli("runs", verb, "last")
        assert ended.code == 2
        assert "No process works on run" in ended.err


def test_ctrl_c_stops_the_run_and_says_how_to_go_on(cli: Cli, busy: Sandbox) -> None:
    with another_process(busy, *CLOSE, "--workers", "4") as process:
        until(lambda: len(busy.effects()) > 20)
        process.send_signal(2)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130, err
    assert "Stopping: waiting for the requests in flight." in err
    assert "intercom-bulk runs resume" in err
    assert "Traceback" not in err
    done = len(busy.effects())
    assert cli("runs", "show", "last", "--json").json["counts"]["done"] == done < 600
    busy.set(latency_ms=1)
    assert cli("runs", "resume", "last", typed="y\n").code == 0
    assert set(busy.effects().values()) == {1}
    assert len(busy.effects()) == 600


def test_a_second_ctrl_c_cuts_off_what_is_in_flight(cli: Cli, busy: Sandbox) -> None:
    with another_process(busy, *CLOSE, "--workers", "4") as process:
        until(lambda: len(busy.effects()) > 20)
        busy.set(latency_ms=60_000)
        time.sleep(0.5)
        process.send_signal(2)
        assert process.stderr is not None
        said = next(line for line in process.stderr if "Ctrl-C again" in line)
        process.send_signal(2)
        _, err = process.communicate(timeout=20)
        assert process.returncode == 130, said + err
    counts = cli("runs", "show", "last", "--json").json["counts"]
    assert counts["done"] + counts.get("unknown", 0) >= len(busy.effects())
    assert counts["unknown"] > 0


def until(is_so: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Ask again and again."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
