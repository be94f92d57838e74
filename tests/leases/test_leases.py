"""The file itself: what it grants, who may read it, and what happens when it cannot be used."""

from __future__ import annotations

import logging
import sqlite3
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.api.governor import Governor
from intercom_bulk.api.leases import Leases, budget_key
from intercom_bulk.api.pace import Reading
from intercom_bulk.api.peers import Common, Member, Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RESET = 1_790_000_010
TOKEN = "dG9rOmFiY2RlZl9zZWNyZXQ="


class Clock:
    """Stands where it is put."""

    def __init__(self) -> None:
        self.now, self.boot = 100.0, 1_790_000_000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + self.boot

    def sleep(self, seconds: float) -> None:
        raise AssertionError("a lease does not sleep")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def join(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Leases]]:
    opened: list[Leases] = []

    def make(path: Path | None = None, key: str = "k") -> Leases:
        opened.append(Leases(path or tmp_path / "home" / "governor.db", key, clock=clock))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def report(
    at: float = 100.0,
    *,
    want: int = 0,
    most: float = 100.0,
    mine: float = 0.0,
    lease: float = 0.0,
    reset: int = RESET,
    share: float = 1.0,
    share_most: float = float("inf"),
    confirmed: bool = True,
    scout: bool = False,
) -> Report:
    member = Member(at, reset, mine=mine, lease=lease, share=share, confirmed=confirmed)
    return Report(member, start=95.0, want=want, most=most, past_most=most, share_most=share_most, scout=scout)


def common(at: float = 100.0, *, left: float = 50.0, reset: int = RESET, edge_at: float = 99.0) -> Common:
    return Common(at, 100, at, reset, end=105.0, slack=0.1, edge_at=edge_at, left=left, left_at=at - 0.2)


def granted(leases: Leases, told: Report) -> int:
    news = leases.exchange(told)
    assert news is not None
    return news.granted


def test_what_one_has_taken_the_other_does_not_get(join: Callable[..., Leases]) -> None:
    one, two = join(), join()
    assert granted(one, report(want=70)) == 70
    assert granted(two, report(want=70)) == 30
    assert granted(two, report(want=70, lease=30)) == 0


def test_what_was_given_back_is_there_for_others(join: Callable[..., Leases]) -> None:
    one, two = join(), join()
    assert granted(one, report(want=100)) == 100
    one.exchange(report(mine=40, lease=0))
    assert granted(two, report(want=100)) == 60


def test_threads_and_files_grant_exactly_the_limit(join: Callable[..., Leases]) -> None:
    got: list[int] = []

    def work(leases: Leases) -> None:
        lease = 0
        for _ in range(40):
            lease += granted(leases, report(want=7, most=1000, lease=lease))
        got.append(lease)

    threads = [threading.Thread(target=work, args=(join(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 1000


def test_a_new_window_begins_with_nothing_taken(join: Callable[..., Leases], clock: Clock) -> None:
    one, two = join(), join()
    one.exchange(report(90.0, want=100))
    clock.now = 106.0
    assert granted(two, report(106.0, want=100, reset=RESET + 10)) == 100


def test_until_the_window_is_confirmed_calls_must_fit_into_the_old_one_too(join: Callable[..., Leases]) -> None:
    one, two = join(), join()
    one.exchange(report(94.9, mine=95.0, reset=RESET - 10))
    assert granted(two, report(want=20, confirmed=False)) == 5
    assert granted(two, report(want=20, confirmed=True, lease=5)) == 20


def test_what_another_had_in_flight_at_the_edge_may_be_counted_in_the_new_window(join: Callable[..., Leases]) -> None:
    one, two = join(), join()
    one.exchange(Report(Member(94.8, RESET - 10, mine=90.0, flying=12.0, lease=3.0)))
    assert granted(two, report(want=100)) == 85


def test_who_has_been_silent_for_long_had_nothing_in_flight(join: Callable[..., Leases]) -> None:
    one, two = join(), join()
    one.exchange(Report(Member(91.0, RESET - 10, mine=90.0, flying=12.0, lease=3.0)))
    assert granted(two, report(want=100)) == 100


def test_budgets_that_nobody_uses_are_forgotten(tmp_path: Path, join: Callable[..., Leases], clock: Clock) -> None:
    join(key="old").exchange(Report(Member(100.0, RESET), common()))
    clock.now = 200.0
    join().exchange(Report(Member(200.0, RESET + 100), common(200.0, reset=RESET + 100)))
    connection = sqlite3.connect(tmp_path / "home" / "governor.db")
    assert connection.execute("SELECT key FROM common").fetchall() == [("k",)]
    connection.close()


def test_a_smaller_share_counts_those_with_the_same_and_not_those_with_more(join: Callable[..., Leases]) -> None:
    greedy, one, two = join(), join(), join()
    granted(greedy, report(want=60))
    assert granted(one, report(want=60, share=0.2, share_most=20)) == 20
    assert granted(two, report(want=60, share=0.2, share_most=20)) == 0
    assert granted(greedy, report(want=60, lease=60)) == 20


def test_a_newcomer_learns_what_is_known(join: Callable[..., Leases]) -> None:
    one, two = join(), join()
    one.exchange(Report(Member(100.0, RESET), common()))
    news = two.exchange(Report(Member(100.5, 0), scout=True))
    assert news is not None
    assert news.common is not None
    assert (news.common.limit, news.common.left, news.may_scout) == (100, 50.0, False)


def test_what_is_old_or_of_another_boot_tells_nothing(join: Callable[..., Leases], clock: Clock) -> None:
    one, two = join(), join()
    one.exchange(Report(Member(100.0, RESET, mine=90.0), common()))
    clock.now = 130.0
    late = two.exchange(Report(Member(130.0, 0)))
    assert late is not None
    assert (late.common, late.peers) == (None, ())
    one.exchange(Report(Member(130.0, RESET, mine=90.0), common(130.0)))
    clock.boot += 3600.0
    booted = two.exchange(Report(Member(130.0, 0)))
    assert booted is not None
    assert (booted.common, booted.peers) == (None, ())


def test_one_scout_at_a_time(join: Callable[..., Leases]) -> None:
    one, two = join(), join()

    def may(leases: Leases, at: float) -> bool:
        news = leases.exchange(report(at, scout=True, confirmed=False))
        assert news is not None
        return news.may_scout

    assert [may(one, 100.0), may(two, 100.1), may(two, 101.6)] == [True, False, True]


def test_other_tokens_have_other_budgets(join: Callable[..., Leases]) -> None:
    assert granted(join(), report(want=100)) == 100
    assert granted(join(key="other"), report(want=100)) == 100


def test_the_file_is_private_and_does_not_tell_the_token(tmp_path: Path) -> None:
    path = tmp_path / "home" / "governor.db"
    leases = Leases(path, budget_key(TOKEN, "https://api.intercom.io"))
    leases.exchange(report())
    leases.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert all(TOKEN.encode() not in one.read_bytes() for one in path.parent.iterdir())
    assert budget_key(TOKEN, "https://api.intercom.io") != budget_key(TOKEN, "https://api.eu.intercom.io")


def damaged(path: Path) -> None:
    path.write_bytes(b"this is no database, but long enough to look like one" * 20)


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()


def folder(path: Path) -> None:
    path.mkdir()


def bare(path: Path) -> None:
    """The right version, and none of its tables."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=1")
    connection.close()


@pytest.mark.parametrize("spoil", [damaged, newer, folder, bare])
def test_a_file_that_cannot_be_used_is_said_once_and_does_not_stop_anybody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[Path], None]
) -> None:
    spoil(tmp_path / "governor.db")
    leases = Leases(tmp_path / "governor.db", "k")
    governor = Governor(shared=leases)
    with caplog.at_level(logging.WARNING):
        governor.lost(governor.acquire())
        assert leases.exchange(report()) is None
    governor.close()
    assert [one.levelname for one in caplog.records] == ["WARNING"]


def test_a_home_that_cannot_be_made_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    governor = Governor(shared=Leases(tmp_path / "file" / "home" / "governor.db", "k"))
    governor.lost(governor.acquire())
    governor.close()


def test_a_full_disk_stops_nobody(tmp_path: Path, join: Callable[..., Leases]) -> None:
    leases = join(tmp_path / "governor.db")
    assert leases.exchange(report()) is not None
    assert leases._connection is not None
    leases._connection.execute("PRAGMA max_page_count=1")
    told = Report(Member(100.0, RESET), common())
    crowd = [join(tmp_path / "governor.db", key="x" * 3000) for _ in range(3)]
    assert all(one.exchange(told) is not None for one in crowd)
    leases._key = "y" * 9000
    assert leases.exchange(told) is None
    assert leases.exchange(told) is not None  # opened anew, where there is room


def test_after_a_lock_that_lasts_sharing_goes_on(tmp_path: Path, join: Callable[..., Leases]) -> None:
    leases = join(tmp_path / "governor.db")
    assert leases.exchange(report()) is not None
    other = sqlite3.connect(tmp_path / "governor.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    assert leases.exchange(report()) is None
    assert time.monotonic() - began < 3.0
    other.execute("ROLLBACK")
    other.close()
    assert leases.exchange(report()) is not None


def test_the_lock_is_never_held_while_the_file_is_written() -> None:
    class Slow:
        def exchange(self, told: Report) -> None:
            assert not governor._lock.locked()

        def close(self) -> None: ...

    governor = Governor(shared=Slow())
    for _ in range(3):
        governor.lost(governor.acquire())
    governor.close()


def test_when_its_jobs_are_over_a_governor_gives_back_what_it_did_not_use(tmp_path: Path) -> None:
    now = int(time.time())
    reading = Reading(1667, 1600, now + 8, now)
    governor = Governor(shared=Leases(tmp_path / "governor.db", "k"))
    governor.answered(governor.acquire(), reading)
    governor.set_backlog("job", 500)
    governor.answered(governor.acquire(), reading)
    connection = sqlite3.connect(tmp_path / "governor.db")
    before = connection.execute("SELECT sum(lease) FROM members").fetchone()[0]
    governor.set_backlog("job", None)
    after = connection.execute("SELECT sum(lease) FROM members").fetchone()[0]
    connection.close()
    governor.close()
    assert before > after == 0
