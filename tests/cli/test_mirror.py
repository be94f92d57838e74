"""`mirror`: what the local copy knows, and bulk runs that take their items from it."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.mirror.keeping.coverage import Span
from tests.mirror.filling import WORKSPACE, asked, filled
from tests.mirror.weather import weather

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.sandbox import Sandbox
    from tests.cli.conftest import Cli


@pytest.fixture
def store(sandbox: Sandbox, home: Path) -> MirrorStore:
    return filled(sandbox, home, threads=True)


def test_status_says_what_there_is_and_how_far_it_can_be_trusted(cli: Cli, store: MirrorStore) -> None:
    ended = cli("mirror", "status")
    assert ended.code == 0
    assert "Mirror: 40 conversations" in ended.out
    assert "partial: Includes conversations up to" in ended.out
    assert "threads  created" in ended.out
    assert "without a hole" in ended.out
    assert "  backfill  " in ended.out
    told = cli("mirror", "status", "--json").json
    assert told["total_conversations"] == 40
    assert told["sync_info"]["state"] == "partial"
    assert told["syncs"][0]["found"] == 40


def test_status_of_nothing_says_where_to_begin(cli: Cli) -> None:
    ended = cli("mirror", "status")
    assert ended.code == 0
    assert "stale: The mirror is empty: run a backfill first." in ended.out


def test_search_finds_by_words_and_says_what_may_be_missing(cli: Cli, store: MirrorStore, sandbox: Sandbox) -> None:
    ended = cli("mirror", "search", "-n", "5")
    newest = max(sandbox.items(), key=lambda one: (one["created_at"], one["id"]))
    assert ended.out.splitlines()[0].startswith(f"{newest['id']}  {newest['state']}")
    assert len(ended.out.splitlines()) == 5
    assert "partial: " in ended.err
    found = cli("mirror", "search", "--json", "nowheretobefound").json
    assert found["conversations"] == []
    assert found["sync_info"]["data_complete"] is False
    assert len(cli("mirror", "search", "--json", "--since", "2001-01-01").json["conversations"]) == 20


def test_sql_is_answered_in_columns_and_cannot_write(cli: Cli, store: MirrorStore) -> None:
    ended = cli("mirror", "sql", "SELECT state, count(*) AS many FROM conversation GROUP BY 1 ORDER BY 1")
    assert ended.out.splitlines()[0].split() == ["state", "many"]
    told = cli("mirror", "sql", "SELECT id FROM conversation", "--json").json
    assert (told["columns"], len(told["rows"]), told["more"]) == (["id"], 40, False)
    few = cli("mirror", "sql", "SELECT id FROM conversation", "-n", "3")
    assert len(few.out.splitlines()) == 4
    assert "Only the first 3" in few.err
    assert cli("mirror", "sql", "SELECT 9e999 AS a, -9e999 AS b", "--json").json["rows"] == [{"a": None, "b": None}]
    for wrong in ("SELEC", "DELETE FROM conversation", "SELECT 1; SELECT 2"):
        ended = cli("mirror", "sql", wrong)
        assert ended.code == 2, wrong
        assert "Traceback" not in ended.err
    assert store.total() == 40


def test_export_writes_a_file_by_the_end_of_its_name(cli: Cli, store: MirrorStore, tmp_path: Path) -> None:
    assert "40 rows" in cli("mirror", "export", "all.csv").out
    with (tmp_path / "all.csv").open(encoding="utf-8-sig", newline="") as file:
        assert len(list(csv.DictReader(file))) == 40
    assert (tmp_path / "all.csv").stat().st_mode & 0o777 == 0o600
    rows = cli("mirror", "export", "said.jsonl", "--messages", "--json").json["rows"]
    lines = (tmp_path / "said.jsonl").read_text().splitlines()
    assert len(lines) == rows > 40
    assert "conversation_id" in json.loads(lines[0])
    piped = cli("mirror", "export", "-", "--sql", "SELECT id FROM conversation LIMIT 2")
    assert [list(json.loads(line)) for line in piped.out.splitlines()] == [["id"], ["id"]]
    ended = cli("mirror", "export", "all.xlsx")
    assert (ended.code, "all.xlsx?" in ended.err) == (2, True)


def test_without_a_token_the_only_mirror_is_looked_at(
    cli: Cli, store: MirrorStore, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.delenv("INTERCOM_ACCESS_TOKEN")
    assert "Mirror: 40 conversations" in cli("mirror", "status").out
    (home / "mirror" / "other123.db").touch()
    ended = cli("mirror", "status")
    assert (ended.code, "--workspace with one of other123, sandbox1" in ended.err) == (2, True)
    assert "Mirror: 40 conversations" in cli("mirror", "status", "--workspace", WORKSPACE).out
    ended = cli("mirror", "status", "--workspace", "mistyped")
    assert (ended.code, "no mirror of workspace mistyped" in ended.err) == (2, True)
    assert not (home / "mirror" / "mistyped.db").exists()


def test_what_is_known_of_words_is_told_where_it_differs_from_what_is_known_of_rows(
    cli: Cli, sandbox: Sandbox, home: Path
) -> None:
    filled(sandbox, home)
    assert "words: " not in cli("mirror", "status").out
    created = sorted(one["created_at"] for one in sandbox.items())
    filled(sandbox, home, threads=True, within=Span(created[5], created[20]))
    assert "\n  words: stale: Does not reach back to " in cli("mirror", "status").out


def test_without_a_token_and_without_a_mirror_the_token_is_missing(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERCOM_ACCESS_TOKEN")
    ended = cli("mirror", "search", "refund")
    assert ended.code == 2
    assert "No access token" in ended.err


# -- items of a run


def test_a_run_takes_its_items_from_the_mirror_by_sql(cli: Cli, store: MirrorStore, sandbox: Sandbox) -> None:
    chosen = sorted(one["id"] for one in sandbox.items() if one["state"] == "open")[:4]
    asked(sandbox, "PUT", f"conversations/{chosen[0]}", json={"title": "Changed since"})
    before = sandbox.effects()
    sql = f"SELECT id FROM conversations_flat WHERE id IN ({', '.join(map(repr, chosen))})"
    told = cli("preview", "tag", "vip", "--from-mirror", sql, "--json").json
    assert (told["count"], told["left_out"]) == (3, {"moved": 1})
    ended = cli("tag", "vip", "--from-mirror", sql, "--yes", "--json")
    assert (ended.code, ended.json["success"], ended.json["codes"]) == (0, 3, {"moved": 1})
    assert set(sandbox.effects()) - set(before) == set(chosen[1:])
    assert cli("tag", "vip", "--from-mirror", sql, "--even-if-changed", "--yes", "--json").json["success"] == 1


def test_a_run_takes_its_items_from_the_mirror_by_a_search(cli: Cli, store: MirrorStore, sandbox: Sandbox) -> None:
    opened = {one["id"] for one in sandbox.items() if one["state"] == "open"}
    ended = cli("close", "--from-mirror", "state:open", typed="y\n")
    assert ended.code == 0, ended.err
    assert set(sandbox.effects()) == opened


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("close", "--from-mirror", "stat:open"), "state"),
        (("close", "--from-mirror", "SELECT title, state FROM conversation"), "Which column"),
        (("contacts", "tag", "vip", "--from-mirror", "role:user"), "by SQL only"),
        (("close", "--all", "--even-if-changed"), "--from-mirror"),
    ],
)
def test_a_mistake_is_answered_in_a_sentence(
    words: tuple[str, ...], told: str, cli: Cli, store: MirrorStore, sandbox: Sandbox
) -> None:
    ended = cli(*words, "--yes")
    assert ended.code == 2
    assert told in ended.err
    assert "Traceback" not in ended.err
    assert sandbox.effects() == {}


# -- what talks to Intercom


def test_a_sync_brings_what_has_changed_and_says_how_far_it_got(cli: Cli, store: MirrorStore, sandbox: Sandbox) -> None:
    first, second, *_ = sorted(one["id"] for one in sandbox.items())
    asked(sandbox, "PUT", f"conversations/{first}", json={"title": "Changed since"})
    asked(sandbox, "DELETE", f"conversations/{second}")
    ended = cli("mirror", "sync", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["state"] == "completed"
    assert ended.json["deleted"] == 1
    assert ended.json["sync_info"]["last_sync"] is not None
    (row,) = store.conversations([first, second])
    assert row["title"] == "Changed since"
    again = cli("mirror", "sync", "--full", "--strategy", "updated", "--workers", "4")
    assert again.code == 0, again.err
    assert "0 new, 0 changed" in again.out


def test_a_sync_that_is_not_told_what_was_deleted_ends_with_1_and_says_so(
    cli: Cli, store: MirrorStore, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, _: dict[str, Any], answered: dict[str, Any]) -> dict[str, Any] | int:
        return 401 if "conversations/deleted" in path else answered

    with weather(sandbox, refuse) as url:
        monkeypatch.setenv("INTERCOM_BASE_URL", url)
        ended = cli("mirror", "sync")
        assert ended.code == 1
        assert "what was deleted is not known" in " ".join(ended.out.split())
        assert "partial: " in ended.err
        assert "may still be there: Intercom did not tell which" in " ".join(ended.err.split())
        status = cli("mirror", "status")
        assert max(map(len, status.out.splitlines())) <= 79
        assert "CALLS" in status.out
        told = cli("mirror", "status", "--json").json
        assert [gap["what"] for gap in told["sync_info"]["gaps"]] == ["deletions"]
        assert told["sync_info"]["data_complete"] is False
        assert cli("mirror", "sync", "--no-deletions", "--no-contacts").code == 0


def test_a_sync_of_nothing_says_where_to_begin(cli: Cli) -> None:
    ended = cli("mirror", "sync")
    assert ended.code == 2
    assert "run a backfill first" in ended.err


def test_verify_says_where_the_mirror_differs(cli: Cli, sandbox: Sandbox, home: Path) -> None:
    lost = min(sandbox.items(), key=lambda one: one["created_at"])
    filled(sandbox, home, without=frozenset({lost["id"]}))
    ended = cli("mirror", "verify")
    assert ended.code == 1
    assert "39 conversations here, 40 at Intercom; 1 differ" in ended.out
    told = cli("mirror", "verify", "--json", "--window", "12h").json
    (window,) = told["differ"]
    assert window["start"] <= lost["created_at"] < window["end"]
    assert (window["missing"], told["missing"], told["extra"]) == (1, 1, 0)
    assert cli("mirror", "verify", "--since", str(lost["created_at"] + 1)).code == 0


def test_a_backfill_fills_an_empty_mirror_and_says_what_it_did(cli: Cli, sandbox: Sandbox, tmp_path: Path) -> None:
    ended = cli("mirror", "backfill", "--days", "400", "--report", "what.csv", "--json")
    assert ended.code == 0, ended.err
    told = ended.json
    assert (told["conversations_stored"], told["threads_missing"], told["holes"]) == (40, 0, [])
    assert told["state"] == "completed"
    assert len((tmp_path / "what.csv").read_text("utf-8-sig").splitlines()) == 41
    assert cli("mirror", "verify", "--since", told["since"], "--until", told["until"]).code == 0
    assert cli("mirror", "status", "--json").json["syncs"][0]["state"] == "completed"
    again = cli("runs", "resume", told["run_id"])
    assert (again.code, "nothing to go on with" in again.err) == (2, True)
    undone = cli("runs", "undo", told["run_id"], "--yes")
    assert (undone.code, "of the mirror" in undone.err) == (2, True)


def test_a_backfill_of_rows_alone_costs_few_calls_and_can_be_made_whole(cli: Cli, sandbox: Sandbox) -> None:
    ended = cli("mirror", "backfill", "--days", "400", "--rows-only")
    assert ended.code == 0, ended.err
    assert "40 conversations" in ended.out
    assert sandbox.stats()["requests"].get("GET /conversations/*") is None
    whole = cli("mirror", "backfill", "--days", "400", "--json").json
    assert (whole["threads_missing"], whole["conversations_stored"]) == (0, 40)


@pytest.mark.parametrize(
    "words",
    [("--until", "2026-01-01"), ("--days", "1", "--period", "week"), ("--days", "0"), ("--resume", "nothing"),
     ("--since", "2026-01-02", "--until", "2026-01-01")],
)  # fmt: skip
def test_a_backfill_of_no_range_is_refused(words: tuple[str, ...], cli: Cli, sandbox: Sandbox) -> None:
    ended = cli("mirror", "backfill", *words)
    assert ended.code == 2
    assert "Traceback" not in ended.err


def test_repair_fetches_what_verify_finds(cli: Cli, sandbox: Sandbox, home: Path) -> None:
    lost = min(sandbox.items(), key=lambda one: one["created_at"])
    store = filled(sandbox, home, threads=True, without=frozenset({lost["id"]}))
    assert cli("mirror", "verify").code == 1
    ended = cli("mirror", "repair", "--json")
    assert ended.code == 0, ended.err
    assert (ended.json["missing"], ended.json["here"]) == (0, 40)
    assert store.document(lost["id"]) is not None
    assert "Nothing is short." in cli("mirror", "repair").err


def test_after_ctrl_c_a_backfill_is_gone_on_with_and_fetches_the_rest(cli: Cli, sandbox: Sandbox) -> None:
    def fetched() -> int:
        return sum(sandbox.stats()["requests"].get("GET /conversations/*", {}).values())

    sandbox.set(latency_ms=150)
    words = [sys.executable, "-m", "intercom_bulk", "mirror", "backfill", "--days", "400", "--workers", "2"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as run:
        deadline = time.monotonic() + 60
        while fetched() < 5:
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, said = run.communicate(timeout=60)
    assert run.returncode == 130, said
    assert "To go on: intercom-bulk mirror backfill --resume" in said
    assert 5 <= fetched() < 40
    sandbox.set(latency_ms=1)
    assert cli("mirror", "status", "--json").json["syncs"][0]["state"] == "stopped"
    ended = cli("runs", "resume", "last")
    assert ended.code == 0, ended.err
    assert "40 conversations" in ended.out
    assert fetched() <= 42
    assert cli("mirror", "backfill", "--resume", "last", "--workers", "3").code == 2


def test_json_refuses_two_columns_of_one_name(cli: Cli, store: MirrorStore) -> None:
    ended = cli("mirror", "sql", "SELECT 1 AS a, 2 AS a", "--json")
    assert (ended.code, "name them apart with AS" in ended.err) == (2, True)
    assert cli("mirror", "sql", "SELECT 1 AS a, 2 AS a").code == 0
