"""Which items: by a search, a list, an earlier run, or all of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli

OPEN = {"field": "state", "operator": "=", "value": "open"}


def open_ids(sandbox: Sandbox) -> list[str]:
    return [str(item["id"]) for item in sandbox.items() if item["state"] == "open"]


def test_by_text(cli: Cli) -> None:
    assert cli("close", "--where", "state:open team:Support", "--yes", "--json").json["success"] == 28


@pytest.mark.parametrize("words", [("--where", "-tag:vip"), ("--where=-tag:vip",), ("--where", "-(tag:vip)")])
def test_a_search_may_begin_with_a_minus(words: tuple[str, ...], cli: Cli) -> None:
    counted = cli("query", "count", "-tag:vip", "--json").json["count"]
    assert counted > 0
    assert cli("preview", "close", *words, "-v", "--json").json["matched"] == counted


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("close", "state:open"), "--where state:open?"),
        (("tag", "vip", "state:open", "updated<30d"), "--where 'state:open updated<30d'?"),
        (("tag", "vip", "-tag:vip", "--yes"), "--where -tag:vip?"),
    ],
)
def test_a_search_without_its_option_is_told_which(words: tuple[str, ...], meant: str, cli: Cli) -> None:
    ended = cli(*words)
    assert (ended.code, f"did you mean {meant}" in ended.err) == (2, True), ended.err


def test_what_is_set_is_not_taken_for_a_search(cli: Cli) -> None:
    assert "did you mean" not in cli("set", "plan=pro", "seats:=3").err


def test_by_intercoms_own_json(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "open.json").write_text(json.dumps(OPEN))
    assert cli("preview", "close", "--query", json.dumps(OPEN), "--json").json["count"] == 28
    assert cli("preview", "close", "--query", "@open.json", "--json").json["count"] == 28


def test_all_of_them(cli: Cli) -> None:
    assert cli("preview", "close", "--all", "--json").json["matched"] == 40


def test_a_list_in_a_csv_and_every_row_is_accounted_for(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    first, second, *_ = open_ids(sandbox)
    rows = ["who,conversation", f"Ann,{first}", f"Ben,{second}", "Cleo,", f"Dan,{first}", "Eve,1.5E+14"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    ended = cli("close", "--ids", "list.csv:conversation", "--yes", "--report", "what.csv", "--json")
    assert ended.code == 1, ended.err
    assert ended.json["success"] == 2
    assert ended.json["codes"] == {"blank": 1, "duplicate": 1, "bad_id": 1}
    assert set(sandbox.effects()) == {first, second}
    assert len((tmp_path / "what.csv").read_text("utf-8-sig").splitlines()) == 6


def test_the_preview_of_a_list_accounts_for_every_row(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    first, *_ = open_ids(sandbox)
    (tmp_path / "list.csv").write_text("\n".join(["id", first, '""', first, "1.5E+14", "123456789"]))
    told = cli("preview", "close", "--ids", "list.csv").out
    for line in (
        "1  would be changed",
        "1  rows of the list are blank",
        "1  rows of the list repeat an id",
        "1  rows of the list have no usable id",
        "1  do not exist (any more)",
        "5  in all",
    ):
        assert f"        {line}\n" in told, line


def test_the_preview_says_why_something_cannot_be_done(cli: Cli) -> None:
    told = " ".join(cli("preview", "assign", "--team", "Billing", "--all").out.split())
    assert "12 cannot be done 12 It is closed, and assigning it would reopen it: --reopen does." in told
    assert "cannot be done" not in cli("preview", "assign", "--team", "Billing", "--all", "--reopen").out


@pytest.mark.parametrize(("name", "form"), [("ids.txt", "{}"), ("ids.jsonl", '{{"id": "{}"}}'), ("ids", "{}")])
def test_a_list_of_lines(name: str, form: str, cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    chosen = open_ids(sandbox)[:3]
    (tmp_path / name).write_text("".join(form.format(one) + "\n" for one in chosen))
    assert cli("close", "--ids", name, typed="y\n").code == 0
    assert set(sandbox.effects()) == set(chosen)


def test_a_list_by_the_pipe(cli: Cli, sandbox: Sandbox) -> None:
    chosen = open_ids(sandbox)[:3]
    assert cli("close", "--ids", "-", "--yes", piped="\n".join(chosen)).code == 0
    assert set(sandbox.effects()) == set(chosen)


def test_a_list_by_the_pipe_leaves_nobody_to_ask(cli: Cli, sandbox: Sandbox) -> None:
    assert cli("close", "--ids", "-", piped="123").code == 2
    assert sandbox.effects() == {}


def test_a_list_that_is_not_there_is_one_sentence(cli: Cli) -> None:
    ended = cli("close", "--ids", "nowhere.csv", "--yes")
    assert ended.code == 2
    assert "nowhere.csv cannot be read" in ended.err
    assert "Traceback" not in ended.err


def test_what_failed_in_an_earlier_run(cli: Cli, sandbox: Sandbox) -> None:
    poisoned = open_ids(sandbox)[:2]
    sandbox.set(poison_422_ids=tuple(poisoned))
    assert cli("close", "--where", "state:open", "--yes").code == 1
    sandbox.set(poison_422_ids=())
    ended = cli("tag", "vip", "--failed-of", "last", "--yes", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["success"] == 2


def test_no_more_than_max(cli: Cli, sandbox: Sandbox) -> None:
    assert cli("close", "--where", "state:open", "--max", 5, typed="y\n").code == 0
    assert len(sandbox.effects()) == 5


def test_hold_outs(cli: Cli) -> None:
    held = cli("preview", "close", "--where", "state:open", "--exclude-recent", "30d", "--json").json
    assert held["held_out"] > 0
    assert held["count"] + held["held_out"] == 28
    assert cli("preview", "close", "--all", "--exclude-priority", "--exclude-sla", "--json").code == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--where", "stat:open"], "state"),
        (["--where", "state:open team:Suport"], "Support"),
        (["--where", "state:"], "state"),
        (["--query", "{"], "--query is no JSON"),
        (["--failed-of", "last"], "no run last"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(words: list[str], told: str, cli: Cli, sandbox: Sandbox) -> None:
    ended = cli("close", *words, "--yes")
    assert ended.code == 2
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert sandbox.effects() == {}
