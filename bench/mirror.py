"""Reading a mirror of 200,000 conversations while a backfill writes to it: alone, beside the writer in one process, and
from another. The conversations are made here and stored through the store, without HTTP. In PostgreSQL: on the server
that the tests use, in a database of its own.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench.report import Section, at_most
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import MirrorStore, open_mirror
from intercom_bulk.mirror.search import Mirror
from tests.stores.servers import database, server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["read", "read_postgres"]

COUNT, QUICK_COUNT = 200_000, 10_000
NOW = 1_795_000_000
DAYS = 90
WORDS = (
    "refund invoice login password reset please help order delivery late address change subscription cancel plan",
    "upgrade error crash app update account email verify code card payment declined charged twice receipt tax discount",
    "coupon trial export import data missing slow loading page button broken thanks team support urgent question about",
    "how when where settings user invite remove permission admin api webhook integration sync failed mobile",
)
_VOCABULARY = " ".join(WORDS).split()
QUESTIONS = (
    "refund",
    "the",
    "login password",
    '"payment declined"',
    "ref",
    "re",
    "custom 17",
    "hello -refund",
    "subscription",
    "x4999",
)


def document(number: int, draw: random.Random, *, count: int, parts: int = 3) -> dict[str, Any]:
    """A conversation as GET shows it: some 100 words, one of 5,000 rare ones, some said by all."""
    created = NOW - DAYS * 86_400 + number * DAYS * 86_400 // count

    def said() -> str:
        return f"<p>Hello, the {' '.join(draw.choices(_VOCABULARY, k=22))} x{draw.randrange(5000)}</p>"

    author = {"type": "user", "id": f"c{number % 50_000}", "name": f"Person {number}", "email": "p@example.com"}
    thread = [
        {
            "type": "conversation_part", "id": f"{number}{place:03d}", "part_type": "comment", "body": said(),
            "created_at": created + 60 * place, "updated_at": created + 60 * place, "notified_at": created + 60 * place,
            "assigned_to": None, "author": author, "attachments": [], "external_id": None, "redacted": False,
            "metadata": {}, "email_message_metadata": None, "state": "open", "tags": [], "event_details": None,
            "app_package_code": None,
        }
        for place in range(1, parts + 1)
    ]  # fmt: skip
    tag = {"type": "tag", "id": str(100 + number % 9), "name": f"tag {number % 9}", "applied_at": created}
    return {
        "type": "conversation", "id": str(200_000_000_000_000 + number), "title": None, "created_at": created,
        "updated_at": created + 600, "waiting_since": None, "snoozed_until": None, "open": number % 2 == 0,
        "state": "open" if number % 2 == 0 else "closed", "read": False, "priority": "none", "admin_assignee_id": 780,
        "team_assignee_id": 5017691,
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": author["id"]}]},
        "source": {
            "type": "conversation", "id": str(number), "subject": f"Case {number}", "body": said(), "author": author,
        },
        "tags": {"type": "tag.list", "tags": [tag]}, "custom_attributes": {"plan": f"custom {number % 50}"},
        "statistics": {"type": "conversation_statistics", "count_conversation_parts": parts},
        "conversation_parts": {"type": "conversation_part.list", "conversation_parts": thread, "total_count": parts},
    }  # fmt: skip


def fill(store: MirrorStore, count: int) -> float:
    """Store so many, 150 at a time, as a completed backfill; conversations a second."""
    draw, began = random.Random(7), 0.0
    spent = 0.0
    with store.writing() as writer:
        writer.begin_sync("filled", SyncKind.BACKFILL, {}, at=NOW)
        writer.save_teams([{"id": "5017691", "name": "Support"}], seen_at=NOW)
        (window,) = writer.plan_windows("filled", [Span(NOW - DAYS * 86_400, NOW)])
        window = writer.begin_window(window, at=NOW)
        for start in range(0, count, 150):
            page = [document(n, draw, count=count) for n in range(start, min(start + 150, count))]
            began = time.perf_counter()
            window, _ = writer.save_page(window, page, seen_at=NOW, cursor=str(start))
            spent += time.perf_counter() - began
        writer.finish_window(window, depth=Depth.THREAD)
        writer.finish_sync("filled", SyncState.COMPLETED, at=NOW)
    return count / spent


@contextmanager
def writing(store: MirrorStore, count: int) -> Iterator[list[int]]:
    """Pages of changed conversations, at the pace of Intercom's limit: 167 threads a second."""
    stop, written = threading.Event(), [0]

    def write() -> None:
        draw = random.Random(3)
        with store.writing() as writer:
            writer.begin_sync("writing", SyncKind.INCREMENTAL, {}, at=NOW)
            while not stop.is_set():
                began = time.perf_counter()
                page = [document(draw.randrange(count), draw, count=count) for _ in range(50)]
                for one in page:
                    one["updated_at"] = NOW + written[0]
                writer.save_threads("writing", page, seen_at=NOW + written[0])
                written[0] += len(page)
                stop.wait(max(50 / 167 - (time.perf_counter() - began), 0))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        stop.set()
        thread.join()


def asked(mirror: Mirror, seconds: float) -> dict[str, list[float]]:
    """Seconds of each answer, by the kind of question; of its own work alone under `-cpu`."""
    draw, times = random.Random(11), defaultdict[str, list[float]](list)
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        start = NOW - draw.randrange(DAYS * 86_400)
        for kind, ask in (
            ("question", lambda: mirror.search_conversations(limit=20, start=start, end=start + 86_400, now=NOW)),  # noqa: B023
            ("search", lambda: mirror.search_conversations(draw.choice(QUESTIONS), limit=20, now=NOW)),
            ("status", lambda: mirror.get_sync_status()),
        ):
            began, worked = time.perf_counter(), time.thread_time()
            ask()
            times[kind].append(time.perf_counter() - began)
            times[f"{kind}-cpu"].append(time.thread_time() - worked)
    return times


def p95(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] * 1000


def _lines(where: str, times: dict[str, list[float]]) -> list[str]:
    return [
        f"{where:22} {kind:12} p50 {statistics.median(took) * 1000:6.2f} ms, p95 {p95(took):6.2f} ms, max"
        f" {max(took) * 1000:6.1f} ms, {len(took)} asked"
        for kind, took in times.items()
    ]


def _elsewhere(folder: Path, url: str | None, seconds: float) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "bench.mirror", str(folder), str(seconds), *([] if url is None else [url])]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=seconds + 60).stdout
    return {line.split()[0]: [float(word) for word in line.split()[1:]] for line in told.splitlines()}


def read(*, quick: bool) -> Section:
    """The bars: a question p95 < 5 ms from another process, < 50 ms from the writer's own; full text p95 < 50 ms."""
    folder = Path(tempfile.mkdtemp(prefix="intercom-bulk-mirror-"))
    try:
        return _read("mirror", folder, None, lambda: _bytes(folder), quick=quick)
    finally:
        shutil.rmtree(folder)


def read_postgres(*, quick: bool) -> Section:
    """The same bars."""
    with server() as where:
        if where is None:
            raise LookupError("there is no PostgreSQL server to measure on")
        with database(where) as url:
            return _read("mirror in PostgreSQL", Path(tempfile.gettempdir()), url, lambda: _settled(url), quick=quick)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "mirror").iterdir())


def _settled(url: str) -> int:
    """The size of the database, once it is as autovacuum leaves it a minute after a backfill; some servers that are
    made for tests have it switched off.
    """
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE")
        (size,) = owner.execute("SELECT pg_database_size(current_database())").fetchone() or (0,)
        return int(size)


def _read(name: str, folder: Path, url: str | None, settled: Callable[[], int], *, quick: bool) -> Section:
    """`settled` comes after the filling, and tells how many bytes it takes."""
    count, seconds = (QUICK_COUNT, 1.0) if quick else (COUNT, 10.0)
    with open_mirror(folder, "bench", url=url) as store:
        rate = fill(store, count)
        size = settled() / count
        mirror = Mirror(store)
        alone = asked(mirror, seconds)
        with writing(store, count) as written:
            beside = asked(mirror, seconds)
            other = _elsewhere(folder, url, seconds)
    lines = [f"{count:,} threads of 3 parts stored at {rate:,.0f}/s, {size:,.0f} bytes each, index included"]
    lines += [f"{written[0]:,} more were written meanwhile"]
    lines += _lines("alone", alone) + _lines("beside the writer", beside) + _lines("from another process", other)
    figures = [
        at_most(f"{name}: question from another process, p95", p95(other["question"]), 5.0, "{:.2f} ms"),
        at_most(f"{name}: question beside the writer, p95", p95(beside["question"]), 50.0, "{:.2f} ms"),
        at_most(f"{name}: full text beside the writer, p95", p95(beside["search"]), 50.0, "{:.2f} ms"),
        at_most(f"{name}: full text from another process, p95", p95(other["search"]), 50.0, "{:.2f} ms"),
    ]
    return Section(figures, lines)


def main() -> None:
    """The reader in another process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("seconds", type=float)
    parser.add_argument("url", nargs="?")
    given = parser.parse_args()
    with open_mirror(given.folder, "bench", url=given.url) as store:
        for kind, took in asked(Mirror(store), given.seconds).items():
            print(kind, *took)


if __name__ == "__main__":
    main()
