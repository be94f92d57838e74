"""Exit codes, errors in one sentence, and JSON for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli

CLOSE = ("close", "--where", "state:open", "--yes")


def test_all_done_is_0(cli: Cli) -> None:
    ended = cli(*CLOSE, "--json")
    assert ended.code == 0
    assert ended.json["exit"] == 0
    assert ended.json["state"] == "completed"
    assert ended.json["total_time"] > 0


def test_some_failed_is_1(cli: Cli, sandbox: Sandbox) -> None:
    ids = [str(item["id"]) for item in sandbox.items() if item["state"] == "open"]
    sandbox.set(poison_422_ids=(ids[20],))
    ended = cli(*CLOSE, "--json")
    assert (ended.code, ended.json["exit"], ended.json["failed"]) == (1, 1, 1)


def test_a_run_that_a_guard_halts_is_3(cli: Cli, sandbox: Sandbox) -> None:
    sandbox.set(poison_422_ids=tuple(str(item["id"]) for item in sandbox.items()))
    ended = cli(*CLOSE)
    assert ended.code == 3
    assert "halted" in ended.out
    assert "to go on:" in ended.err


def test_the_most_common_failure_is_told_in_a_sentence(cli: Cli, sandbox: Sandbox) -> None:
    sandbox.set(poison_422_ids=tuple(str(item["id"]) for item in sandbox.items())[20:22])
    told = cli("tag", "vip", "--all", "--yes").out
    assert ", for one of them: " in told, told


def test_names_are_listed_where_none_is_near_and_there_are_few(cli: Cli) -> None:
    told = cli("assign", "--team", "Xylophone", "--all", "--yes").err
    assert "'Support'" in told
    assert "'Billing'" in told


def test_a_token_that_is_refused_is_3(cli: Cli, sandbox: Sandbox) -> None:
    sandbox.set(revoked=True)
    ended = cli(*CLOSE, "--json")
    assert ended.code == 3
    assert ended.json["exit"] == 3
    assert ended.json["hint"] == "To see what the token may do: intercom-bulk doctor"
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("tag", "stal", "--all", "--yes"), "did you mean 'stale'"),
        (("assign", "--team", "Suport", "--all", "--yes"), "did you mean 'Support'"),
        (("assign", "--all", "--yes"), "Pass --admin or --team."),
        (("contacts", "set", "--all", "--yes"), "Pass NAME=VALUE, --name,"),
        (("snooze", "--until", "2020-01-01", "--all", "--yes"), "past"),
        (("close", "--all", "--yes", "--workers", "9999"), "parallel_workers"),
        (("close", "--all", "--yes", "--share", "200%"), "share"),
        (("note", "", "--all", "--yes", "--irreversible"), "with words in it"),
    ],
)
def test_what_cannot_be_meant_is_2_and_one_sentence(
    words: tuple[str, ...], told: str, cli: Cli, sandbox: Sandbox
) -> None:
    ended = cli(*words)
    assert ended.code == 2
    assert told in ended.err
    assert len(ended.err.splitlines()) <= 2, ended.err
    assert not any(sandbox.effects(one) for one in ("conversations", "contacts"))


def test_without_a_token_it_says_where_to_put_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERCOM_ACCESS_TOKEN")
    ended = cli(*CLOSE)
    assert ended.code == 2
    assert "INTERCOM_ACCESS_TOKEN" in ended.err
    assert "intercom-bulk demo" in ended.err


def test_an_address_that_came_out_empty_does_not_mean_production(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing leaves this machine
    monkeypatch.setenv("INTERCOM_BASE_URL", "")
    ended = cli(*CLOSE)
    assert (ended.code, "INTERCOM_BASE_URL is set in the environment but empty" in ended.err) == (2, True)


def test_an_empty_line_of_the_env_file_is_none(
    cli: Cli, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing leaves this machine
    monkeypatch.delenv("INTERCOM_BASE_URL")
    (tmp_path / ".env").write_text("INTERCOM_BASE_URL=\nINTERCOM_REGION=\nINTERCOM_ADMIN_ID=\n")
    (tmp_path / ".env").chmod(0o600)
    assert "api.intercom.io does not answer" in " ".join(cli("doctor").out.split())
    assert not sandbox.effects()


def test_the_region_that_is_typed_wins(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nothing leaves this machine
    ended = cli("doctor", "--region", "eu")
    assert "api.eu.intercom.io" in ended.out


def test_errors_come_with_a_traceback_on_demand_alone(cli: Cli) -> None:
    assert "Traceback" not in cli("tag", "stal", "--all", "--yes").err
    with pytest.raises(Exception, match="stal"):
        cli("tag", "stal", "--all", "--yes", "--debug")


def test_results_are_on_stdout_and_the_rest_on_stderr(cli: Cli) -> None:
    ended = cli(*CLOSE)
    assert ended.out.startswith("28 done")
    assert "Run 20" in ended.err
    ended = cli("tag", "vip", "--all", "--json", typed="n\n")
    assert list(ended.json) == ["error", "exit"]


@pytest.mark.parametrize("place", ["before", "after"])
def test_common_options_stand_before_the_command_or_after_it(place: str, cli: Cli) -> None:
    words = ["preview", "close", "--all"]
    ended = cli(*(["--json", *words] if place == "before" else [*words, "--json"]))
    assert ended.json["count"] == 28


def test_a_plan_is_made_looked_at_and_applied(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    planned = cli("plan", "close", "--where", "state:open", "-o", "list.jsonl", "--json").json
    assert planned["count"] == 28
    assert (tmp_path / "list.jsonl").is_file()
    looked = cli("apply", "list.jsonl", "--dry-run")
    assert "28  would be changed" in looked.out
    assert cli("apply", "list.jsonl", "--yes").code == 2, "which plan was looked at?"
    assert cli("apply", "list.jsonl", "--yes", "--digest", "0" * 64).code == 2
    assert cli("apply", "list.jsonl", typed="n\n").code == 130
    assert sandbox.effects() == {}
    ended = cli("apply", "list.jsonl", "--yes", "--digest", planned["digest"], "--json")
    assert (ended.code, ended.json["success"]) == (0, 28)
    assert len(sandbox.effects()) == 28


def test_a_plan_that_cannot_be_undone_wants_its_word(cli: Cli, sandbox: Sandbox) -> None:
    digest = cli("plan", "delete", "--where", "state:open", "--json").json["digest"]
    assert cli("apply", "plan.jsonl", typed="y\n").code == 130
    assert cli("apply", "plan.jsonl", "--yes", "--digest", digest).code == 2
    assert sandbox.effects() == {}
    assert cli("apply", "plan.jsonl", typed="apply 28\n").code == 0
    assert len(sandbox.effects()) == 28


def test_an_audit_trail_has_every_call_and_never_the_token(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    assert cli(*CLOSE, "--audit-trail", "trail.jsonl").code == 0
    lines = (tmp_path / "trail.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["path"].endswith("/parts") for line in lines) == 28
    assert sandbox.token not in (tmp_path / "trail.jsonl").read_text()


def test_verbose_logs_the_requests(cli: Cli) -> None:
    assert "parts -> ok" in cli(*CLOSE, "-vv").err
    assert "parts" not in cli("close", "--where", "state:closed", "--yes").err
