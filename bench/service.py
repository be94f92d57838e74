"""What it costs to be watched: a run driven through the service against the same one from Python, and how quickly a
ledger of 100,000 items is looked through.
"""

from __future__ import annotations

import http.client
import json
import os
import secrets
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from bench.report import Section, at_least, at_most, exactly, info
from intercom_bulk.runs.model import Effect, Item, Outcome, Page, Slice, Status
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.sandbox import SandboxProcess
from intercom_bulk.workspace import run_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["pace", "pages"]

WINDOW = 10.0
PLAN = {"operation": "title", "arguments": {"title": "Measured"}, "where": "state:open"}
_PYTHON = """
import sys
from intercom_bulk import Runs, TitleSetter
made = TitleSetter(title="Measured")
plan = made.plan(sys.argv[1], query="state:open")
print("ready", flush=True)
sys.stdin.readline()
run = made.apply(plan.path, digest=plan.digest)
run.result()
print(run.run_id, flush=True)
"""


def pace(*, quick: bool) -> Section:
    """Pairs in turn, each begun at the same moment of a window. The one through the service has a reader of its event
    stream and a page that asks, both from outside its process.
    """
    figures = []
    data: dict[str, Any] = {}
    for name, limit, latency, items in (
        ("the default limit", 10_000, 250, 3_000),
        ("six times that", 60_000, 30, 9_000),
    ):
        count, repeats = (items // 10, 1) if quick else (items, 3)
        pairs = _pairs(count, repeats, limit_per_minute=limit, latency_ms=latency, search_latency_ms=60)
        ratios = [plain[0] / served[0] for plain, served in pairs]
        left = sum(count - done for pair in pairs for _, done, _ in pair)
        told = statistics.median(served[2] for _, served in pairs)
        label = f"service-pace: {name}"
        if limit == 10_000:
            figures.append(at_least(f"{label}: pace, service / Python", statistics.median(ratios), 0.97, "{:.3f}"))
        else:
            figures.append(info(f"{label}: pace, service / Python", statistics.median(ratios), "{:.3f}"))
        figures += [
            info(
                f"{label}: items a second by the service", count / statistics.median(s[0] for _, s in pairs), "{:.1f}"
            ),
            info(f"{label}: pictures that its watcher got in a run", told, "{:g}"),
            exactly(f"{label}: items left open", left, 0),
        ]
        data[name] = {"ratios": ratios, "pairs": pairs}
    return Section(figures, data=data)


Timed = tuple[float, int, int]
"""Seconds from the first sending to the end, items done, pictures that a watcher got."""


def _pairs(items: int, repeats: int, **knobs: Any) -> list[tuple[Timed, Timed]]:
    pairs = []
    with TemporaryDirectory() as folder, SandboxProcess(conversations=items, **knobs) as sandbox:
        for number in range(repeats):
            home = Path(folder) / str(number)
            sandbox.reset()
            plain = _by_python(sandbox, home / "python")
            sandbox.reset()
            pairs.append((plain, _by_service(sandbox, home / "service")))
    return pairs


def _env(sandbox: SandboxProcess, home: Path | str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INTERCOM_")}
    return {**clean, **sandbox.environ(), "INTERCOM_BULK_HOME": str(home)}


def _at_the_edge() -> None:
    """Soon after a window began."""
    time.sleep(WINDOW - (time.time() - 0.5) % WINDOW)


def _by_python(sandbox: SandboxProcess, home: Path) -> Timed:
    home.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", _PYTHON, str(home / "plan.jsonl")], env=_env(sandbox, home), text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdout.readline()
        _at_the_edge()
        child.stdin.write("go\n")
        child.stdin.flush()
        run_id = child.stdout.readline().strip()
    return (*_took(home, run_id), 0)


def _took(home: Path, run_id: str) -> tuple[float, int]:
    """By the record, which both have."""
    record = run_store(home).record(run_id)
    assert record.ended_at is not None
    return record.ended_at - record.created_at, int(record.counts["done"])


def _by_service(sandbox: SandboxProcess, home: Path) -> Timed:
    with _served(sandbox, home) as ask:
        plan = ask("POST", "/api/plans", PLAN)
        over, pictures = threading.Event(), [0]
        poller = threading.Thread(target=_look, args=(ask, over))
        _at_the_edge()
        run_id = ask("POST", f"/api/plans/{plan['digest']}/apply", {})["run_id"]
        poller.start()
        try:
            _watch(ask.stream, run_id, pictures)  # type: ignore[attr-defined]
        finally:
            over.set()
            poller.join()
        return (*_took(home, run_id), pictures[0])


def _watch(stream: Callable[[str], Any], run_id: str, pictures: list[int]) -> None:
    """Until the run is over."""
    for line in stream("/api/events"):
        if not line.startswith(b"data: "):
            continue
        pictures[0] += 1
        runs = {one["run_id"]: one for one in json.loads(line[6:]).get("runs", ())}
        if run_id in runs and not runs[run_id]["live"]:
            return


def _look(ask: Callable[..., Any], over: threading.Event) -> None:
    """A page that somebody has open: the run, its items, the rate."""
    while not over.wait(2.0):
        run_id = ask("GET", "/api/runs?limit=20")["runs"][0]["run_id"]
        ask("GET", f"/api/runs/{run_id}")
        ask("GET", f"/api/runs/{run_id}/items?status=done")
        ask("GET", "/api/rate")


@contextmanager
def _served(sandbox: SandboxProcess, home: Path | str) -> Iterator[Callable[..., Any]]:
    token = secrets.token_urlsafe(32)
    env = {**_env(sandbox, home), "INTERCOM_BULK_SERVICE_TOKEN": token}
    child = subprocess.Popen([sys.executable, "-m", "intercom_bulk", "serve", "--port", "0"], env=env, text=True,
                             stderr=subprocess.PIPE)  # fmt: skip
    assert child.stderr is not None
    try:
        first = child.stderr.readline()
        threading.Thread(target=child.stderr.read, daemon=True).start()
        port = int(first.split(",")[0].rpartition(":")[2])
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

        def connected(method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            with suppress(OSError):
                connection.connect()
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            return connection.getresponse()

        def ask(method: str, path: str, body: Any = None) -> Any:
            with connected(method, path, body) as answer:
                told = json.loads(answer.read())
                assert answer.status == 200, told
                return told

        ask.stream = lambda path: connected("GET", path)  # type: ignore[attr-defined]
        _until_it_answers(port)
        yield ask
    finally:
        child.terminate()
        child.wait(60)


def _until_it_answers(port: int) -> None:
    for _ in range(500):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except OSError:
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()
    raise RuntimeError("the service does not answer")


# -- pages of a large run

LARGE = 100_000
_QUERIES = (
    ("the run", ""),
    ("the first page", "/items"),
    ("a page in the middle", "/items?after=150000"),
    ("failed ones", "/items?status=failed"),
    ("a status that none has", "/items?status=needs_review"),
    ("a text that is found", "/items?text=no+longer"),
    ("a text that is not", "/items?text=nowhere"),
)


def pages(*, quick: bool) -> Section:
    """By HTTP, each asked 40 times: pages of a run of 100,000 items."""
    count = 5_000 if quick else LARGE
    figures = []
    with TemporaryDirectory() as folder, SandboxProcess(conversations=10) as sandbox:
        for name, place in (("SQLite", Path(folder) / "home"), *_postgres()):
            run_id = _filled(place, count)
            with _served(sandbox, place) as ask:
                for told, query in _QUERIES:
                    took = _p95(partial(ask, "GET", f"/api/runs/{run_id}{query}"), 5 if quick else 40)
                    figures.append(at_most(f"service-pages: {name}: {told}, p95", took * 1000, 100, "{:.1f} ms"))
                took = _p95(partial(ask, "GET", "/api/runs"), 5 if quick else 40)
                figures.append(at_most(f"service-pages: {name}: the list of runs, p95", took * 1000, 100, "{:.1f} ms"))
    return Section(figures)


def _postgres() -> list[tuple[str, Any]]:
    from intercom_bulk.settings import LedgerUrl

    url = os.environ.get("INTERCOM_BULK_BENCH_POSTGRES")
    return [("PostgreSQL", LedgerUrl(url))] if url else []


def _p95(ask: Callable[[], Any], times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        took.append(time.perf_counter() - began)
    return sorted(took)[int(0.95 * (times - 1))]


def _filled(place: Any, count: int) -> str:
    """A run that is over, without its totals in the record, as one that was cut: they are counted anew."""
    store = run_store(Path(place), None) if isinstance(place, Path) else run_store(Path("home"), place)
    run_id = f"20260101-000000-{secrets.token_hex(3)}"
    ledger = store.create(RunRecord(run_id=run_id, title="TitleSetter", workspace="sandbox1", created_at=1.0))
    before, after = {"title": "x" * 60, "tags": ["a", "b"]}, {"title": "y" * 60, "tags": ["a", "b"]}
    try:
        for start in range(0, count, 1000):
            items = [Item(str(100_000 + number)) for number in range(start, start + 1000)]
            outcomes = [_settled(item.id, number) for number, item in enumerate(items, start)]
            with ledger.atomic():
                ledger.stage(Page(items, Slice("0")), 1, {item.id: Effect(before, after) for item in items})
                ledger.start(items, 1.0)
                ledger.settle(outcomes)
    finally:
        ledger.close()
    return run_id


def _settled(item_id: str, number: int) -> Outcome:
    if number % 5000 == 4999:
        return Outcome(
            item_id, Status.FAILED, "rejected", "This title is no longer taken.", 1, at=2.0, request_id="r" * 20
        )
    return Outcome(item_id, Status.DONE, attempts=1, at=2.0, request_id=f"request-{item_id}")
