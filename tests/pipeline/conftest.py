"""A sandbox for all of these tests, and a home for each: a folder, or a database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import psycopg
import pytest

from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.sandbox import Sandbox
from tests.mirror.living import settings_of
from tests.pipeline.phases import Counting, Grouping, Wording
from tests.stores.conftest import own_database, server

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.insights.phase import Phase

__all__ = ["COUNT", "DAYS", "Made", "own_database", "server"]

COUNT, DAYS = 36, 3
Made = Callable[..., Pipeline]


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    with Sandbox(conversations=COUNT, days=DAYS - 1, parts=3, contacts=5, limit_per_minute=600_000) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    served.reset()
    return served


@pytest.fixture
def database(own_database: str) -> Iterator[str]:
    yield own_database
    with psycopg.connect(own_database, autocommit=True) as owner:
        owner.execute("DROP SCHEMA IF EXISTS mirror_sandbox1 CASCADE")
        owner.execute("DROP SCHEMA IF EXISTS intercom_bulk CASCADE")


@pytest.fixture(params=["file", "postgresql"])
def place(request: pytest.FixtureRequest) -> str | None:
    """The URL of the database that everything is kept in; None: files."""
    return request.getfixturevalue("database") if request.param == "postgresql" else None


@pytest.fixture
def made(sandbox: Sandbox, home: Path) -> Made:
    """Pipelines of this test, as any process of its own would make them."""

    def make(*phases: Phase, url: str | None = None) -> Pipeline:
        return Pipeline(settings=settings_of(sandbox, home, url), phases=phases or (Counting(), Wording(), Grouping()))

    return make
