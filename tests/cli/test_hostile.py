"""What customers write, what terminals do, and what is typed by mistake: none of it changes what happens."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk import Runs, RunState, StateChanger
from intercom_bulk.cli import values
from intercom_bulk.sandbox import Sandbox, SandboxProcess
from tests.cli.conftest import Keyboard

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.conftest import Cli

CLOSE = ("close", "--where", "state:open", "--yes")
ESCAPES = "\x1b[2J\x9b1A\r\u202e"


def entitled(sandbox: Sandbox, title: str) -> str:
    """An open conversation with this title; its id."""
    item_id = next(str(item["id"]) for item in sandbox.items() if item["state"] == "open")
    headers = {"Authorization": f"Bearer {sandbox.token}", "Intercom-Version": "2.16"}
    requests.put(f"{sandbox.url}/conversations/{item_id}", json={"title": title}, headers=headers).raise_for_status()
    return item_id


def test_a_customers_words_cannot_redraw_the_question(cli: Cli, sandbox: Sandbox) -> None:
    item_id = entitled(sandbox, f"{ESCAPES}1 would be changed")
    ended = cli("tag", "stale", "--ids", "-", "--dry-run", piped=f"{item_id}\n")
    assert ended.code == 0
    assert not set("\x1b\x9b\r\u202e") & set(ended.out + ended.err)
    assert "\\u001b[2J" in ended.out


def test_json_is_whole_whatever_a_customer_wrote(cli: Cli, sandbox: Sandbox) -> None:
    item_id = entitled(sandbox, f"{ESCAPES}Ü")
    ended = cli("tag", "stale", "--ids", "-", "--dry-run", "--json", piped=f"{item_id}\n")
    assert ended.json["sample"][0]["name"] == " ".join(f"{ESCAPES}Ü".split())


# -- streams


@pytest.fixture
def slow() -> Iterator[SandboxProcess]:
    """Enough to do for some seconds."""
    knobs: dict[str, Any] = {"contacts": 2, "companies": 1, "tickets": 1, "limit_per_minute": 600_000}
    with SandboxProcess(conversations=60, latency_ms=150, **knobs) as sandbox:
        yield sandbox


def shell(
    script: str, sandbox: Sandbox | SandboxProcess, *, encoding: str = "utf-8"
) -> subprocess.CompletedProcess[str]:
    """`$ib` is the command."""
    environment = {**os.environ, **sandbox.environ(), "ib": f"{sys.executable} -m intercom_bulk"}
    environment["PYTHONIOENCODING"] = encoding
    return subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=60)


def last_run() -> Any:
    return Runs().get(Runs().list()[0].run_id)


def test_a_run_whose_watcher_leaves_is_done_all_the_same(slow: SandboxProcess) -> None:
    ended = shell(
        "$ib close --where state:open --yes --workers 4 2>&1 | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", slow
    )
    assert last_run().record.state is RunState.COMPLETED
    assert ended.returncode == 0


def test_the_exit_code_tells_of_the_run_when_nobody_reads_its_result(sandbox: Sandbox, tmp_path: Path) -> None:
    ids = [str(item["id"]) for item in sandbox.items() if item["state"] == "open"]
    sandbox.set(poison_422_ids=(ids[20],))
    ended = shell("$ib close --where state:open --yes --report r.csv | true; exit ${PIPESTATUS[0]}", sandbox)
    assert ended.returncode == 1, ended.stderr
    assert (tmp_path / "r.csv").read_text(encoding="utf-8-sig").count("\n") == len(ids) + 1


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_in_nobodys_way(closed: str, sandbox: Sandbox) -> None:
    ended = shell(f"$ib close --where state:open --yes {closed}", sandbox)
    assert ended.returncode == 0, ended.stderr
    assert len(sandbox.effects()) == sum(last_run().counts.values())


def test_ids_of_a_pipe_that_is_closed_are_none(sandbox: Sandbox) -> None:
    ended = shell("$ib close --ids - --yes <&-", sandbox)
    assert (ended.returncode, "Traceback" in ended.stderr, "should not happen" in ended.stderr) == (0, False, False)


def test_a_terminal_that_knows_few_letters_shows_what_it_can(sandbox: Sandbox) -> None:
    entitled(sandbox, "Grüße, 東京")
    looked = shell("$ib close --where state:open --sample 40 --dry-run", sandbox, encoding="ascii")
    assert looked.returncode == 0, looked.stderr
    told = shell("$ib close --where state:open --sample 40 --dry-run --json", sandbox, encoding="ascii")
    assert "Grüße, 東京" in {one["name"] for one in json.loads(told.stdout)["sample"]}


# -- signals


def started(sandbox: SandboxProcess, *prefix: str) -> subprocess.Popen[bytes]:
    command = [*prefix, sys.executable, "-m", "intercom_bulk", *CLOSE, "--workers", "2"]
    environment = {**os.environ, **sandbox.environ()}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not sandbox.effects():
        assert time.monotonic() < until
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_asks_it_to_end_ends_it_resumable(number: signal.Signals, slow: SandboxProcess) -> None:
    with started(slow) as process:
        process.send_signal(number)
        assert process.wait(20) == 130
    assert last_run().record.state is RunState.STOPPED


def test_nohup_keeps_a_run_going(slow: SandboxProcess) -> None:
    with started(slow, "nohup") as process:
        process.send_signal(signal.SIGHUP)
        assert process.wait(30) == 0
    assert last_run().record.state is RunState.COMPLETED


# -- slips


def test_the_name_of_a_missing_file_is_not_sent_to_customers(cli: Cli, sandbox: Sandbox) -> None:
    for words in (
        ("reply", "@anwser.html"), ("note", "@missing.txt"), ("close", "--message", "@bye.txt"),
        ("steps", "--note", "@missing.txt"), ("steps", "--reply", "@missing.txt"), ("contacts", "note", "@missing.txt"),
    ):  # fmt: skip
        where = "state:open" if words[0] != "contacts" else "role:user"
        ended = cli(*words, "--where", where, "--yes", "--irreversible")
        assert ended.code == 2, ended
        assert "cannot be read" in ended.err
    assert sandbox.effects() == {}


def test_a_body_is_read_from_its_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "note.html").write_text("<p>Swept.</p>\n")
    ended = cli("note", "@note.html", "--all", "--dry-run", "--json")
    assert ended.json["sample"][0]["after"]["note"] == "Swept."


@pytest.mark.parametrize(
    "words",
    [
        ("snooze", "--until", "99999999999d", "--all"),
        ("snooze", "--until", "0001-01-01", "--all"),
        ("close", "--all", "--exclude-recent", "99999999999w"),
        ("note", "@" + "a" * 5000, "--all", "--yes", "--irreversible"),
        ("set", "score:=NaN", "--all", "--yes"),
        ("set", "score:=-1e999", "--all", "--yes"),
    ],
)
def test_what_no_machine_can_hold_is_refused_in_a_sentence(words: tuple[str, ...], cli: Cli) -> None:
    ended = cli(*words)
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_a_name_that_no_file_can_have_is_no_file() -> None:
    assert values.file_and_column("a" * 5000) == ("a" * 5000, None)


# -- what was agreed to


def test_what_cannot_be_undone_is_done_to_what_was_shown_and_nothing_else(cli: Cli, sandbox: Sandbox) -> None:
    """While somebody types, a colleague closes all that was shown, and opens others: the number is the same."""
    every = {str(item["id"]): item["state"] for item in sandbox.items()}
    shown = {item_id for item_id, state in every.items() if state == "open"}

    def meanwhile() -> None:
        assert StateChanger(state="open").bulk_process(state="closed").success == len(every) - len(shown)

    ended = cli("delete", "--where", "state:open", typed=Keyboard(f"delete {len(shown)}\n", meanwhile))
    assert ended.code == 0, ended
    assert {str(item["id"]) for item in sandbox.items()} == set(every) - shown


def test_a_report_does_not_replace_the_list_that_it_is_about(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    item_id = str(sandbox.items()[0]["id"])
    (tmp_path / "list.csv").write_text(f"id\n{item_id}\n")
    ended = cli("close", "--ids", "list.csv:id", "--report", "./list.csv", "--yes")
    assert (ended.code, sandbox.effects()) == (2, {})
    assert "would replace the list" in ended.err


def test_what_cannot_be_taken_back_is_not_offered_to_be(cli: Cli) -> None:
    """After `redact` it said how to take it back, which is then refused."""
    assert "to take back:" not in cli("redact", "--all", "--max", "2", "--yes", "--irreversible").err
    assert "to take back:" in cli("tag", "stale", "--all", "--max", "2", "--yes").err


def test_what_failed_is_tried_on_the_same_kind_of_things(cli: Cli, sandbox: Sandbox) -> None:
    """A ticket may have the id of a conversation."""
    ids = [str(item["id"]) for item in sandbox.items() if item["state"] == "open"]
    sandbox.set(poison_422_ids=(ids[20],))
    assert cli(*CLOSE).code == 1
    ended = cli("tickets", "delete", "--failed-of", "last", "--yes", "--irreversible")
    assert (ended.code, "are conversations, not tickets" in ended.err) == (2, True)


def test_a_log_line_cannot_steer_the_terminal(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    cli("runs", "list")
    logging.getLogger("intercom_bulk.api").warning("Intercom said: %s", ESCAPES)
    assert "\\u001b[2J" in capsys.readouterr().err
