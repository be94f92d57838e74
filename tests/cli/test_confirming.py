"""Nothing is written before somebody said yes to what was shown, and nothing that was not."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import RunOptions, StateChanger
from tests.cli.conftest import Keyboard

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli

CLOSE = ("close", "--where", "state:open")
OPENED = 28


def test_it_shows_where_what_how_many_a_sample_and_the_consequences(cli: Cli) -> None:
    told = cli(*CLOSE, "--sample", 2, typed="n\n").err
    for part in (
        "close: conversations where state:open",
        "on Sandbox (us, 127.0.0.1), as Ann Archer",
        "28  would be changed",
        "What would change, 2 of 28:",
        'state "open" -> "closed"',
        "question ",
        "Workflows, SLAs, surveys and webhooks",
        "It can be undone",
        "It needs ",
        "close: 28 conversations? [y/N]",
    ):
        assert part in told, part
    assert [line for line in told.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("answer", ["n\n", "\n", "nope\n", "", "28\n"])
def test_anything_but_yes_changes_nothing(answer: str, cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*CLOSE, typed=answer)
    assert ended.code == 130
    assert "Nothing was changed." in ended.err
    assert sandbox.effects() == {}
    assert cli("runs", "list", "--json").json == []


@pytest.mark.parametrize("answer", ["y\n", "YES\n"])
def test_yes_does_it(answer: str, cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*CLOSE, typed=answer)
    assert ended.code == 0
    assert "28 done, 0 failed, 0 skipped" in ended.out
    assert len(sandbox.effects()) == OPENED


def test_ctrl_c_at_the_question_changes_nothing(cli: Cli, sandbox: Sandbox) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    ended = cli(*CLOSE, typed=Keyboard("y\n", interrupt))
    assert (ended.code, "Nothing was changed." in ended.err) == (130, True)
    assert sandbox.effects() == {}


def test_nothing_is_written_before_the_answer(cli: Cli, sandbox: Sandbox) -> None:
    seen: list[Any] = []
    cli(*CLOSE, typed=Keyboard("y\n", lambda: seen.append(dict(sandbox.effects()))))
    assert seen == [{}]


def test_no_more_is_changed_than_was_confirmed(cli: Cli, sandbox: Sandbox) -> None:
    """While the question stands there, somebody opens all the others: they match now, and were not shown."""

    def meanwhile() -> None:
        changer = StateChanger(state="open")
        assert changer.bulk_process(state="closed").success == 12

    ended = cli(*CLOSE, typed=Keyboard("y\n", meanwhile))
    assert "28 done" in ended.out
    assert sum(item["state"] == "closed" for item in sandbox.items()) == OPENED


def test_what_came_after_the_look_is_left_alone(
    cli: Cli, make_intercom_sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """New conversations arrive while the question stands there; one that was shown is closed by hand."""
    busy = make_intercom_sandbox(conversations=10, latency_ms=1, limit_per_minute=600_000)
    monkeypatch.setenv("INTERCOM_BASE_URL", busy.url)
    shown = [str(item["id"]) for item in busy.items()]

    def meanwhile() -> None:
        closed = StateChanger(state="closed").bulk_process(options=RunOptions(source=shown[:1]))
        assert closed.success == 1, "so that there is room for another one under the number that was confirmed"
        busy.set(arrivals=5.0)
        until_they_are_older_than_the_run(busy)

    assert cli(*CLOSE, typed=Keyboard("y\n", meanwhile)).code == 0
    assert set(busy.effects()) == set(shown)


def until_they_are_older_than_the_run(busy: Sandbox) -> None:
    """A run takes what was created up to the second before it: without more ado these would be in it."""
    since = time.monotonic()
    while time.monotonic() < since + 2.5 or len(busy.arrived()) < 2:
        assert StateChanger(state="open").preview(state="open").count == 0
        assert time.monotonic() < since + 20


def test_a_dry_run_shows_and_ends(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*CLOSE, "--dry-run")
    assert ended.code == 0
    assert "28  would be changed" in ended.out
    assert "Nothing was changed." in ended.out
    assert sandbox.effects() == {}


def test_where_nobody_can_be_asked_nothing_is_done(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*CLOSE)
    assert ended.code == 2
    assert "add --yes" in ended.err
    assert sandbox.effects() == {}
    assert sandbox.stats()["statuses"] == {}, "nor is it looked at for nobody"


def test_with_yes_nobody_is_asked(cli: Cli, sandbox: Sandbox) -> None:
    assert cli(*CLOSE, "--yes", typed="").code == 0
    assert len(sandbox.effects()) == OPENED


def test_where_there_is_nothing_to_do_nobody_is_asked(cli: Cli) -> None:
    ended = cli("open", "--where", "state:open", typed="")
    assert ended.code == 0
    assert "There is nothing to do." in ended.out
    assert "[y/N]" not in ended.err


@pytest.mark.parametrize("words", [("--where", "state:snoozed"), ("--ids", "none.csv")])
def test_where_nothing_is_found_no_run_is_recorded(words: tuple[str, str], cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none.csv").write_text("id\n")
    ended = cli("close", *words, "--yes")
    assert (ended.code, ended.out) == (0, "There is nothing to do.\n"), ended.err
    assert cli("runs", "list", "--json").json == []


DELETE = ("delete", "--where", "state:open")


@pytest.mark.parametrize("answer", ["y\n", "yes\n", "28\n", "delete\n", "delete 27\n", ""])
def test_what_cannot_be_undone_wants_its_word(answer: str, cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*DELETE, typed=answer)
    assert ended.code == 130
    assert "WHAT CANNOT BE UNDONE" in ended.err
    assert "Type  delete 28  to do it" in ended.err
    assert sandbox.effects() == {}


def test_the_word_does_it(cli: Cli, sandbox: Sandbox) -> None:
    assert cli(*DELETE, typed="Delete 28\n").code == 0
    assert len(sandbox.effects()) == OPENED


def test_yes_alone_does_not_do_what_cannot_be_undone(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*DELETE, "--yes")
    assert ended.code == 2
    assert "--irreversible" in ended.err
    assert sandbox.effects() == {}
    assert cli(*DELETE, "--yes", "--irreversible").code == 0


def test_a_close_with_a_message_is_final_and_one_without_is_not(cli: Cli) -> None:
    assert "Type  close 28" in cli("close", "--message", "Bye.", "--where", "state:open", typed="n\n").err
    assert "Type " not in cli(*CLOSE, typed="n\n").err


def test_more_than_expected_is_refused(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli(*CLOSE, "--yes", "--refuse-above", 27)
    assert ended.code == 2
    assert "28 items match" in ended.err
    assert sandbox.effects() == {}


def test_what_is_found_already_done_is_not_counted_into_the_question(cli: Cli) -> None:
    told = cli("close", "--all", typed="n\n").err
    assert "close: 28 conversations?" in told
    assert "12  already are as intended" in told


def test_when_it_wakes_is_said_with_the_zone_of_the_clock(cli: Cli) -> None:
    told = cli("snooze", "--until", "2036-12-24T08:00", "--where", "state:open", typed="n\n").err
    zone = datetime(2036, 12, 24).astimezone().strftime("%Z")
    assert f"-> 2036-12-24 08:00 {zone}" in " ".join(told.split())


@pytest.mark.parametrize("verb", ["tag", "untag"])
def test_what_tickets_do_not_tell_is_not_promised_to_come_back(verb: str, cli: Cli) -> None:
    told = " ".join(cli("preview", "tickets", verb, "vip", "--where", "open:true").out.split())
    assert "WHAT CANNOT BE UNDONE: all of it, for tickets do not tell their tags" in told
    assert "It can be undone" not in told
