"""Each example, run as a program: on its own sandbox, and on a workspace that counts what it does."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import Runs, RunState, Summary
from intercom_bulk.cli import demo
from tests.docs.conftest import ROOT, Run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

EXAMPLES = ROOT / "examples"
SMALL = ("--conversations", "30", "--contacts", "10", "--latency-ms", "2")
ARGUMENTS: dict[str, tuple[str, ...]] = {"tag_by_search": ("--days", "0"), "change_state": (), "custom_field": ()}
"""So that everything matches. Those of close_inbox are in the README, whose commands are run too."""


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_example_rehearses_on_the_sandbox_and_changes_nothing(name: str, run: Run) -> None:
    ended = run(EXAMPLES / f"{name}.py", "--sandbox", *SMALL, *ARGUMENTS[name])
    assert ended.returncode == 0, ended.stderr
    assert "dry run: 30 would be changed" in ended.stdout
    assert "30 would be changed, nothing was" in ended.stdout


@pytest.mark.parametrize("name", ARGUMENTS)
def test_an_example_that_applies_changes_each_item_once(name: str, run: Run, workspace: Sandbox) -> None:
    ended = run(EXAMPLES / f"{name}.py", "--apply", *ARGUMENTS[name])
    assert ended.returncode == 0, ended.stderr
    assert "60 done, 0 failed, 0 skipped" in ended.stdout
    assert Counter(workspace.effects().values()) == {1: 60}


def test_the_contacts_reader_writes_a_row_for_each_contact_and_changes_nothing(
    run: Run, workspace: Sandbox, tmp_path: Path
) -> None:
    ended = run(EXAMPLES / "contacts_reader.py", "--role", "user", "--csv", "users.csv")
    assert ended.returncode == 0, ended.stderr
    assert "15 done" in ended.stdout
    with (tmp_path / "users.csv").open(newline="") as file:
        emails = {row["email"] for row in csv.DictReader(file)}
    assert len(emails) == 15
    assert workspace.effects("contacts") == {}


def test_the_contacts_reader_rehearses_on_the_sandbox(run: Run) -> None:
    ended = run(EXAMPLES / "contacts_reader.py", "--sandbox", *SMALL)
    assert ended.returncode == 0, ended.stderr
    assert "8 done" in ended.stdout


def test_no_more_than_max_are_closed_and_the_file_says_which(run: Run, workspace: Sandbox, tmp_path: Path) -> None:
    ended = run(EXAMPLES / "close_inbox.py", "--max", "7", "--csv", "closed.csv", "--apply")
    assert ended.returncode == 0, ended.stderr
    assert workspace.effects() == dict.fromkeys(done_in(tmp_path / "closed.csv"), 1)
    assert len(workspace.effects()) == 7


def test_the_careful_way_looks_first_and_changes_nothing(run: Run, workspace: Sandbox, tmp_path: Path) -> None:
    ended = run(EXAMPLES / "safe_bulk_change.py", "--hours", "0.1")
    assert ended.returncode == 0, ended.stderr
    assert "ConversationCloser: a preview. Nothing was written." in ended.stdout
    assert (tmp_path / "plan.jsonl").is_file()
    assert workspace.effects() == {}

    digest = ended.stdout.split()[-1]
    ended = run(EXAMPLES / "safe_bulk_change.py", "--apply", "--digest", digest)
    assert ended.returncode == 0, ended.stderr
    assert "60 done, 0 failed, 0 skipped" in ended.stdout
    assert Counter(workspace.effects().values()) == {1: 60}
    (report,) = tmp_path.glob("*.csv")
    assert report.read_text("utf-8-sig").count(",done,") == 60


def test_the_careful_way_goes_there_and_back_in_a_rehearsal(run: Run) -> None:
    ended = run(EXAMPLES / "safe_bulk_change.py", "--sandbox", *SMALL, "--hours", "0.1", "--apply", "--undo")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("30 done, 0 failed, 0 skipped") == 2


def test_a_rehearsal_leaves_no_run_in_the_history(run: Run, home: Path) -> None:
    ended = run(EXAMPLES / "change_state.py", "--sandbox", *SMALL, "--apply")
    assert ended.returncode == 0, ended.stderr
    assert Runs(home=home).list() == []


def test_the_careful_way_refuses_more_than_expected(run: Run, workspace: Sandbox) -> None:
    ended = run(EXAMPLES / "safe_bulk_change.py", "--refuse-above", "59", "--hours", "0.1", "--apply")
    assert ended.returncode == 1
    assert "nothing was changed" in ended.stderr
    assert workspace.effects() == {}


def test_nothing_is_written_when_more_match_than_expected(run: Run, workspace: Sandbox) -> None:
    ended = run(EXAMPLES / "close_inbox.py", "--refuse-above", "59", "--apply")
    assert ended.returncode == 1
    assert "60 items match" in ended.stderr
    assert workspace.effects() == {}


def test_a_mistake_is_answered_with_one_sentence(run: Run, workspace: Sandbox) -> None:
    ended = run(EXAMPLES / "tag_by_search.py", "--tag", "stal", "--apply")
    assert ended.returncode == 1
    assert "no tag 'stal': did you mean 'stale'" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert workspace.effects() == {}


def test_without_a_token_an_example_says_how_to_rehearse(run: Run, environment: dict[str, str]) -> None:
    tokenless = {key: value for key, value in environment.items() if not key.startswith("INTERCOM_")}
    ended = run(EXAMPLES / "close_inbox.py", env=tokenless)
    assert ended.returncode == 1
    assert "--sandbox" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_a_team_nothing_is_closed(run: Run, workspace: Sandbox, environment: dict[str, str]) -> None:
    teamless = {key: value for key, value in environment.items() if key != "INTERCOM_INBOX_ID"}
    ended = run(EXAMPLES / "close_inbox.py", "--apply", env=teamless)
    assert ended.returncode == 1
    assert "Which team?" in ended.stderr
    assert workspace.effects() == {}


def test_after_ctrl_c_the_file_names_exactly_what_was_closed(
    make_intercom_sandbox: Callable[..., Sandbox], environment: dict[str, str], tmp_path: Path
) -> None:
    inbox = make_intercom_sandbox(conversations=2000, latency_ms=100)
    command = [sys.executable, str(EXAMPLES / "close_inbox.py"), "--csv", "closed.csv", "--apply"]
    with subprocess.Popen(command, cwd=tmp_path, env={**environment, **inbox.environ()}, stderr=subprocess.PIPE) as run:
        wait_until(lambda: len(inbox.effects()) > 20)
        run.send_signal(signal.SIGINT)
        assert run.wait(20) == 1
    closed = inbox.effects()
    assert len(closed) < 2000
    assert closed == dict.fromkeys(done_in(tmp_path / "closed.csv"), 1)


def test_the_demo_closes_each_conversation_once_and_says_what_is_next(run: Run) -> None:
    ended = run(EXAMPLES / "demo.py", "--conversations", "60", "--latency-ms", "2", "--search-latency-ms", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "60 done, 0 failed, 0 skipped, 0 to review: completed" in ended.stdout
    assert "60 closed once, 0 more than once, 0 still open" in ended.stdout
    assert "60/60" in ended.stderr or "60 done" in ended.stderr
    assert "What next?" in ended.stdout


WELL: dict[str, Any] = {
    "summary": Summary(success=3),
    "expected": 3,
    "effects": Counter({1: 3}),
    "still_open": 0,
    "refused": 0,
}


@pytest.mark.parametrize(
    "off",
    [
        {"summary": Summary(success=3, state=RunState.HALTED)},
        {"summary": Summary(success=2)},
        {"effects": Counter({1: 2})},
        {"effects": Counter({1: 3, 2: 1})},
        {"still_open": 1},
        {"refused": 1},
    ],
)
def test_the_demo_is_not_well_when_anything_is_off(off: dict[str, Any]) -> None:
    assert demo.troubles(**WELL) == []
    assert len(demo.troubles(**{**WELL, **off})) == 1


def test_the_demo_leaves_the_first_window_and_those_that_outlast_the_work_out_of_its_share() -> None:
    windows: list[dict[str, float]] = [
        {"start": start, "used": used, "limit": 100} for start, used in ((10, 50), (20, 99), (30, 97), (40, 8))
    ]
    assert "99.0%, 97.0% of the limit" in demo.share_used([{"start": 0, "used": 0, "limit": 100}, *windows], 43)


def done_in(path: Path) -> list[str]:
    """The ids that a file of outcomes calls done."""
    with path.open(newline="") as file:
        return [row["conversation"] for row in csv.DictReader(file) if row["status"] == "done"]


def wait_until(is_so: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Ask again and again."""
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
