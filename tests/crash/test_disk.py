"""A record that cannot be kept: nothing is sent without it, nothing is lost with it, and a sentence says why."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.crash.trial import Life, Trial, account, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.sandbox import SandboxProcess

pytestmark = pytest.mark.slow

ITEMS = 60


def killed(site: SandboxProcess, home: Path) -> Path:
    """The ledger of a run that was killed half-way."""
    Trial(site, home, "note", "hurt").kill_at([("after-send", ITEMS // 2)])
    (path,) = (home / "runs").glob("2*.db")
    return path


def received(site: SandboxProcess) -> int:
    """Requests that have reached the server, answered or not; by one look, for they move from one to the other."""
    stats = site.stats()
    return int(stats["total"] + stats["active"])


def refused(site: SandboxProcess, home: Path, **orders: Any) -> str:
    """Start or resume; the sentence with which that was refused. Nothing was sent."""
    sent = received(site)
    life = Life(site, home, kind="note", key="hurt", **orders)
    life.hear("up")
    why = str(life.hear("ledger")["why"])
    life.end()
    assert received(site) == sent
    assert "\n" not in why
    return why


def test_a_disk_that_fills_up_halts_the_run_and_loses_nothing(home: Path) -> None:
    with sandbox(400) as site:
        life = Life(site, home, kind="note", key="full", largest_file=200_000)
        life.hear("up")
        assert "make room on the disk" in life.hear("ledger")["why"]
        life.end()
        assert 0 < len(site.effects()) < 400
        again = Life(site, home, kind="note", key="full")
        again.hear("up")
        again.hear("over")
        again.end()
        verdict = account(site, home, "note", 1)
    assert verdict.faults == []


def test_a_disk_that_is_full_lets_nothing_be_sent(home: Path) -> None:
    with sandbox(ITEMS) as site:
        assert "make room on the disk" in refused(site, home, largest_file=4_096)


def test_a_ledger_of_a_newer_version_is_left_alone(home: Path) -> None:
    with sandbox(ITEMS) as site:
        path = killed(site, home)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version=99")
        connection.close()
        why = refused(site, home)
        assert path.name in why
        assert "newer version" in why


@pytest.mark.parametrize("where", ["head", "middle"])
def test_a_damaged_ledger_is_noticed_before_anything_is_sent(home: Path, where: str) -> None:
    with sandbox(ITEMS) as site:
        path = killed(site, home)
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        data = bytearray(path.read_bytes())
        start = 0 if where == "head" else 4096
        data[start : start + 6000] = os.urandom(6000)
        path.write_bytes(bytes(data))
        assert path.name in refused(site, home)


@pytest.fixture
def readable() -> Iterator[Path]:
    """A home that others can reach: the folders above those of pytest are the user's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_may_not_be_written_is_said_before_anything_is_sent(readable: Path, what: str) -> None:
    with sandbox(ITEMS) as site:
        home = readable
        path = killed(site, home)
        for one in (home / "runs").iterdir():
            one.chmod(0o666)
        path.chmod(0o444)
        (home / "runs").chmod(0o777 if what == "file" else 0o555)
        if what == "folder":
            next((home / "runs").glob("2*.lock")).unlink()
        why = refused(site, home, nobody=True)
        assert "writ" in why or "Permission denied" in why


def test_a_file_where_the_folder_should_be(home: Path) -> None:
    home.mkdir()
    (home / "runs").write_text("no folder")
    with sandbox(ITEMS) as site:
        assert "INTERCOM_BULK_HOME" in refused(site, home)


@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_lost_index_is_made_anew_from_the_runs(home: Path, how: str) -> None:
    """Also the keys: a second run under the same one would do everything twice."""
    with sandbox(ITEMS) as site:
        killed(site, home)
        for leftover in (home / "runs").glob("index.db*"):
            leftover.unlink() if how == "gone" else leftover.write_bytes(os.urandom(8192))
        heir = Life(site, home, kind="note", key="hurt")
        heir.hear("up")
        heir.hear("over")
        heir.end()
        assert account(site, home, "note", 1).faults == []
        assert len(list((home / "runs").glob("2*.db"))) == 1
