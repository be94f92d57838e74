"""Every kind of mirror, empty; PostgreSQL's on a real server, in a database of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest

from intercom_bulk.mirror.keeping.store import MirrorStore, open_mirror
from tests.stores.conftest import own_database, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Open = Callable[[], MirrorStore]

__all__ = ["own_database", "server"]


@pytest.fixture
def database(own_database: str) -> Iterator[str]:
    yield own_database
    with psycopg.connect(own_database, autocommit=True) as owner:
        owner.execute("DROP SCHEMA IF EXISTS mirror_abc12def CASCADE")


@pytest.fixture(params=["file", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the mirror of this test, as another process would."""
    url = request.getfixturevalue("database") if request.param == "postgresql" else None
    return lambda: open_mirror(tmp_path / "home", "abc12def", url=url)


@pytest.fixture
def store(place: Open) -> Iterator[MirrorStore]:
    with place() as store:
        yield store
