"""What PostgreSQL alone can do to a run: go away, refuse, be newer; and what must not be told of its URL."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, RunOptions, RunState, SettingsError, Status
from intercom_bulk.errors import LedgerError
from intercom_bulk.runs.model import Outcome
from intercom_bulk.runs.postgres import PostgresStore
from intercom_bulk.runs.wishes import Wish
from intercom_bulk.settings import Settings
from tests.needs import lacking
from tests.stores import servers
from tests.stores.conftest import Place, record
from tests.stores.test_contract import settle, stage, taken

if TYPE_CHECKING:
    from collections.abc import Callable

    import psycopg

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

SECRET = "s3cret/word"
WRITTEN = "s3cret%2Fword"
OURS = "FROM pg_stat_activity WHERE application_name LIKE 'intercom-bulk%' AND datname = current_database()"
CUT = f"SELECT pg_terminate_backend(pid) {OURS}"


@pytest.fixture
def place(database: str) -> Place:
    return Place(database)


@pytest.fixture
def store(place: Place) -> PostgresStore:
    return PostgresStore(place.home)


# -- a server that goes away


@pytest.mark.usefixtures("environment")
def test_a_run_whose_server_goes_away_halts_and_goes_on_later(
    make_intercom_sandbox: Start, store: PostgresStore, admin: psycopg.Connection
) -> None:
    sandbox = make_intercom_sandbox(conversations=300, latency_ms=15, limit_per_minute=600_000)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    quick = RunOptions(settle=0.3)
    outcomes = closer.stream(team_id=sandbox.inbox_id, state="open", parallel_workers=10, options=quick)
    seen = [next(outcomes) for _ in range(100)]
    assert len(admin.execute(CUT).fetchall()) == 1
    with pytest.raises(LedgerError, match=r"cannot be used .* then try again or resume"):
        seen += outcomes
    summary = outcomes.summary()
    assert summary.state is RunState.HALTED
    assert len(sandbox.effects()) < 300
    assert sandbox.stats()["active"] == 0

    ledger = taken(store, summary.run_id)
    done = {outcome.item_id for outcome in ledger.outcomes(Status.DONE)}
    ledger.close()
    assert {outcome.item_id for outcome in seen} <= done
    assert store.record(summary.run_id).state is RunState.INTERRUPTED
    resumed = closer.resume(summary.run_id, options=quick).result()
    assert (resumed.success + resumed.unknown, resumed.unprocessed) == (300, 0)
    assert resumed.unknown <= 10
    assert set(sandbox.effects().values()) == {1}


def test_who_lost_the_lock_cannot_write(store: PostgresStore, admin: psycopg.Connection) -> None:
    """The lock is the writing connection's own: there is no moment in which two may write."""
    ledger = store.create(record("run"))
    stage(ledger, "1")
    admin.execute(CUT)
    again = taken(store, "run")
    with pytest.raises(LedgerError):
        settle(ledger, Outcome("1", Status.DONE))
    assert again.counts() == {Status.STAGED: 1}
    ledger.close()
    again.close()


def test_a_server_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(LedgerError) as caught:
        PostgresStore(f"postgresql://me:{WRITTEN}@127.0.0.1:1/runs").create(record("run"))
    said = str(caught.value)
    assert said.startswith("The record in runs on 127.0.0.1 cannot be used (connection failed")
    assert "\n" not in said
    assert "Connection refused" in said


@pytest.mark.usefixtures("environment")
def test_nothing_is_sent_when_the_store_cannot_be_reached(
    make_intercom_sandbox: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = make_intercom_sandbox(conversations=5)
    monkeypatch.setenv("INTERCOM_BULK_HOME", "postgresql://127.0.0.1:1/runs")
    with pytest.raises(LedgerError, match="INTERCOM_BULK_HOME is right"):
        list(ConversationCloser(**sandbox.settings_kwargs()).stream(team_id=sandbox.inbox_id))
    assert sandbox.stats()["total"] == 0


# -- a server that has ways of its own


def test_settings_of_the_server_do_not_weaken_a_run(database: str, admin: psycopg.Connection) -> None:
    name = admin.info.dbname
    for setting in (
        "synchronous_commit = off",
        "idle_in_transaction_session_timeout = 5000",
        "idle_session_timeout = 5000",
    ):
        admin.execute(f'ALTER DATABASE "{name}" SET {setting}')
    ledger = PostgresStore(database).create(record("run"))
    shown = [ledger._session.row(f"SHOW {s}") for s in ("synchronous_commit", "idle_session_timeout")]
    ledger.close()
    assert shown == [("on",), ("0",)]


def test_a_database_that_can_only_be_read_says_so(database: str, admin: psycopg.Connection) -> None:
    admin.execute(f'ALTER DATABASE "{admin.info.dbname}" SET default_transaction_read_only = on')
    with pytest.raises(LedgerError, match="use the primary server"):
        PostgresStore(database).create(record("run"))


def test_a_schema_of_a_newer_version_is_left_alone(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.create(record("run")).close()
    admin.execute("INSERT INTO intercom_bulk.migration (number, name) VALUES (99, 'of the future')")
    for use in (store.open, store.read, store.record):
        with pytest.raises(LedgerError, match="newer version"):
            use("run")


def test_a_migration_is_recorded_once(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.create(record("run")).close()
    store.create(record("another")).close()
    assert admin.execute("SELECT number, name FROM intercom_bulk.migration").fetchall() == [
        (1, "runs, items and slices"),
        (2, "steps of a composite"),
        (3, "wishes"),
        (4, "deaths of an item"),
        (5, "an index of what is said of items"),
    ]


def test_runs_of_an_older_version_are_seen_and_go_on(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.create(record("run")).close()
    admin.execute("ALTER TABLE intercom_bulk.run DROP COLUMN life")
    admin.execute("DROP TABLE intercom_bulk.wish")
    admin.execute("ALTER TABLE intercom_bulk.item DROP COLUMN deaths")
    admin.execute("DROP INDEX intercom_bulk.item_told")
    admin.execute("DELETE FROM intercom_bulk.migration WHERE number > 2")
    assert [one.run_id for one in store.records()] == ["run"]
    assert store.record("run").run_id == "run"
    ledger = store.open("run")
    assert ledger.recover(1).deaths == {}
    store.ask("run", Wish.STOP)
    assert ledger.wish() is Wish.STOP
    ledger.close()


def test_text_that_postgresql_cannot_hold_is_no_reason_to_halt(store: PostgresStore) -> None:
    ledger = store.create(record("run"))
    stage(ledger, "1")
    settle(ledger, Outcome("1", Status.FAILED, "code", "a \0 and half a \ud83d", at=1.0, detail="\0"))
    (outcome,) = ledger.outcomes()
    ledger.close()
    assert outcome.message == "a � and half a ?"


def test_no_connection_is_left_behind(store: PostgresStore, admin: psycopg.Connection) -> None:
    store.create(record("run", run_key="key")).close()
    store.find_key("key")
    next(store.records())
    open_now = f"SELECT count(*) {OURS}"
    for _ in range(500):
        if admin.execute(open_now).fetchone() == (0,):
            return
    raise AssertionError("connections stayed open")


# -- the URL


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{WRITTEN}@127.0.0.1:1/runs",
        f"postgresql://127.0.0.1:1/runs?user=me&password={WRITTEN}",
        f"postgresql://me:{WRITTEN}@127.0.0.1:1/runs?nonsense=1",
        f"postgresql://me:{WRITTEN}@127.0.0.1:word/runs",
    ],
)
def test_a_password_is_told_to_nobody(url: str) -> None:
    settings = Settings.build(access_token="a-token-of-nobody", env={"INTERCOM_BULK_HOME": url})
    with pytest.raises((LedgerError, SettingsError)) as caught:
        list(PostgresStore(url).records())
    told = [
        repr(settings),
        repr(settings.ledger_url),
        repr(PostgresStore(url)),
        *traceback.format_exception(caught.value),
    ]
    assert [text for text in told if "s3cret" in text] == []


@pytest.mark.parametrize(
    "url", [f"postgresql://me:{SECRET}@host/runs", "postgresql://me:s3cret@word@host/runs", "mysql://me:s3cret@host/x"]
)
def test_a_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError, match="INTERCOM_BULK_HOME must be a folder or postgresql://") as caught:
        Settings.build(access_token="a-token-of-nobody", env={"INTERCOM_BULK_HOME": url})
    assert "s3cret" not in str(caught.value)


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    env = {**os.environ, **environment}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


STORE = """
from intercom_bulk.settings import Settings
from intercom_bulk.workspace import Workspace

print(type(Workspace(Settings.build(access_token="a-token-of-nobody")).store).__name__)
print("psycopg" in sys.modules)
"""


def test_the_driver_is_an_extra(tmp_path: Any) -> None:
    missing = f"import sys\nsys.modules['psycopg'] = None\n{STORE}"
    said = python(missing, INTERCOM_BULK_HOME="postgresql://127.0.0.1/runs").splitlines()[-1]
    assert said.endswith("names a PostgreSQL database: pip install 'intercom-bulk[postgres]'.")
    assert python(f"import sys\n{STORE}", INTERCOM_BULK_HOME="postgres://127.0.0.1/runs") == "PostgresStore\nTrue\n"
    assert python(f"import sys\n{STORE}", INTERCOM_BULK_HOME=str(tmp_path)) == "FileStore\nFalse\n"


def test_a_server_is_started_where_none_is_running() -> None:
    where = servers.program()
    if where is None:
        lacking("no PostgreSQL installed on this machine")
    with servers.started(where) as url, servers.database(url) as database:
        PostgresStore(database).create(record("run")).close()


def test_items_that_are_simply_done_never_enter_the_index_of_those_that_something_is_said_of(
    store: PostgresStore, admin: psycopg.Connection
) -> None:
    ids = [str(number) for number in range(300)]
    ledger = store.create(record("run"))
    stage(ledger, *ids)
    settle(ledger, Outcome("0", Status.FAILED), *(Outcome(item_id, Status.DONE) for item_id in ids[1:]))
    ledger.close()
    admin.execute("ANALYZE intercom_bulk.item")
    assert admin.execute("SELECT reltuples FROM pg_class WHERE relname = 'item_told'").fetchone() == (1,)
