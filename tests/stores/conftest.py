"""Every store, empty; PostgreSQL's on a real server, in a database of its own."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from intercom_bulk.runs.postgres import PostgresStore
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.store import FileStore
from intercom_bulk.testing import make_intercom_sandbox
from tests.needs import lacking
from tests.stores import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.store import RunStore

__all__ = ["Place", "make_intercom_sandbox", "record", "writing"]


@dataclass(frozen=True)
class Place:
    """Where runs are kept: `home` is what INTERCOM_BULK_HOME says."""

    home: str

    @property
    def store(self) -> RunStore:
        return PostgresStore(self.home) if "://" in self.home else FileStore(Path(self.home) / "runs")


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with servers.server() as url:
        if url is None:
            lacking(f"no PostgreSQL: none at {servers.NAMED}, none on 127.0.0.1:5432, and none is installed")
        yield url


@pytest.fixture(scope="session")
def own_database(server: str) -> Iterator[str]:
    """This process's own, so that tests may run side by side."""
    with servers.database(server) as url:
        yield url


@pytest.fixture
def database(server: str, own_database: str) -> Iterator[str]:
    """Empty, and without settings of its own."""
    yield own_database
    servers.empty(server, own_database)


@pytest.fixture
def admin(database: str) -> Iterator[psycopg.Connection]:
    """Somebody else's connection to the same database."""
    with psycopg.connect(database, autocommit=True, application_name="admin") as connection:
        yield connection


@pytest.fixture(params=["folder", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(request.getfixturevalue("database") if request.param == "postgresql" else str(tmp_path / "home"))


@pytest.fixture
def store(place: Place) -> RunStore:
    return place.store


@pytest.fixture
def ledger(store: RunStore) -> Iterator[RunLedger]:
    with writing(store, "run") as ledger:
        yield ledger


@pytest.fixture
def environment(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Updaters of this test, and the processes that it starts, keep their runs there; nobody's token and .env."""
    for name in [name for name in os.environ if name.startswith("INTERCOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INTERCOM_BULK_HOME", place.home)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.chdir(tmp_path)


def record(run_id: str, **fields: object) -> RunRecord:
    return RunRecord(run_id=run_id, title="ConversationCloser", **fields)  # type: ignore[arg-type]


@contextmanager
def writing(store: RunStore, run_id: str) -> Iterator[RunLedger]:
    """A new run, held for as long as the block lasts."""
    ledger = store.create(record(run_id))
    try:
        yield ledger
    finally:
        ledger.close()
