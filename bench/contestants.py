"""The clients that are measured, each in a process of its own: `python -m bench.contestants NAME --threads 64 ...`.

Where to go comes from the environment (INTERCOM_BASE_URL, INTERCOM_ACCESS_TOKEN, INTERCOM_INBOX_ID); the last line on
stdout is a `Measured` as JSON. Each function imports what it needs itself, so that nobody's memory holds another's
libraries; imports are over before the clock starts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

__all__ = ["CONTESTANTS", "Job", "Measured", "main"]

READ_TIMEOUT = 30.0
PAGE = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Close the open conversations of an inbox; stop `cutoff` seconds after the start."""

    url: str
    token: str
    inbox: int
    admin: str
    threads: int | None
    cutoff: float

    @property
    def headers(self) -> dict[str, str]:
        """What every request needs."""
        return {
            "Authorization": f"Bearer {self.token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Intercom-Version": "2.16",
        }

    @property
    def query(self) -> dict[str, Any]:
        """The open conversations of the inbox."""
        leaves = [
            {"field": "team_assignee_id", "operator": "=", "value": self.inbox},
            {"field": "state", "operator": "=", "value": "open"},
        ]
        return {"operator": "AND", "value": leaves}

    @property
    def closing(self) -> dict[str, Any]:
        """The body that closes a conversation."""
        return {"message_type": "close", "type": "admin", "admin_id": self.admin}


class Tally:
    """What a contestant says of itself. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until = float("inf")
        self.done = self.failed = 0
        self.cut_off = False
        self.busy: list[int] = []
        """Threads at work, sampled."""

    def start(self, cutoff: float) -> None:
        """The clock runs from now."""
        self._until = time.monotonic() + cutoff

    def count(self, *, ok: bool) -> None:
        """One item is settled."""
        with self._lock:
            self.done += ok
            self.failed += not ok

    def is_over(self) -> bool:
        """Whether the time is up."""
        if time.monotonic() >= self._until:
            self.cut_off = True
        return self.cut_off


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A contestant's run. Seconds are of the job alone, without the imports; `peak_mb` is of the whole process."""

    done: int
    failed: int
    cut_off: bool
    wall: float
    cpu: float
    peak_mb: float
    busy: float | None


Contestant = Callable[[Job, Tally], Callable[[], None]]
"""Imports what it needs, and gives the job to be timed."""


def intercom_bulk(job: Job, tally: Tally) -> Callable[[], None]:
    """This library. Without `--threads`: default settings, as somebody calls it who read one line of the README."""
    from intercom_bulk import bulk_close
    from intercom_bulk.display import ProgressLine

    line = ProgressLine()

    def watch(progress: Any) -> None:
        line(progress)  # as the default would
        if progress.in_flight:
            tally.busy.append(progress.in_flight)

    def run() -> None:
        summary = bulk_close(job.inbox, job.threads, access_token=job.token, base_url=job.url, progress=watch)
        tally.done, tally.failed = summary.success, summary.failed + summary.unknown

    return run


def original(job: Job, tally: Tally) -> Callable[[], None]:
    """The original framework: 15 threads, a barrier after each batch of 50, a new connection for each request."""
    import requests

    threads, batch_size = job.threads or 15, 50

    def close(item_id: str) -> bool:
        for attempt in range(3):
            try:
                response = requests.post(
                    f"{job.url}/conversations/{item_id}/parts",
                    headers=job.headers,
                    json=job.closing,
                    timeout=READ_TIMEOUT,
                )
                if response.status_code == 429:
                    time.sleep(float(response.headers.get("Retry-After", 5)))
                    continue
                response.raise_for_status()
                return True
            except requests.RequestException:
                if attempt < 2:
                    time.sleep(2**attempt)
        return False

    def act(batch: list[str]) -> None:
        with ThreadPoolExecutor(threads) as pool:
            for ok in pool.map(close, batch):
                tally.count(ok=ok)

    def run() -> None:
        batch: list[str] = []
        for item_id in _pages(job, requests.post):
            batch.append(item_id)
            if len(batch) == batch_size:
                act(batch)
                batch = []
                if tally.is_over():
                    return
        if batch:
            act(batch)

    return run


def session(job: Job, tally: Tally) -> Callable[[], None]:
    """What a good programmer writes in an hour: one Session, 64 threads, exponential backoff on whatever fails."""
    import requests

    def run() -> None:
        with requests.Session() as shared, ThreadPoolExecutor(job.threads or 64) as pool:

            def close(item_id: str) -> None:
                for attempt in range(6):
                    if tally.is_over():
                        return
                    try:
                        response = shared.post(
                            f"{job.url}/conversations/{item_id}/parts",
                            headers=job.headers,
                            json=job.closing,
                            timeout=READ_TIMEOUT,
                        )
                        response.raise_for_status()
                        tally.count(ok=True)
                        return
                    except requests.RequestException:
                        time.sleep(2**attempt)
                tally.count(ok=False)

            for item_id in _pages(job, shared.post, patient=True):
                pool.submit(close, item_id)

    return run


def sdk(job: Job, tally: Tally) -> Callable[[], None]:
    """The official SDK, one call after another. Paged by hand: its own pager never sends the cursor (5.0.1)."""
    from intercom import Intercom, MultipleFilterSearchRequest, SingleFilterSearchRequest, StartingAfterPaging
    from intercom.conversations import ConversationsManageRequestBody_Close

    leaves = [SingleFilterSearchRequest(**leaf) for leaf in job.query["value"]]
    query = MultipleFilterSearchRequest(operator="AND", value=leaves)

    def run() -> None:
        client = Intercom(token=job.token, base_url=job.url)
        body = ConversationsManageRequestBody_Close(type="admin", admin_id=job.admin)
        cursor: str | None = None
        while not tally.is_over():
            paging = StartingAfterPaging(per_page=PAGE, starting_after=cursor)
            page = client.conversations.search(query=query, pagination=paging)
            for item in page.items or []:
                if tally.is_over():
                    return
                try:
                    client.conversations.manage(str(item.id), request=body)
                    tally.count(ok=True)
                except Exception:
                    tally.count(ok=False)
            following = page.response.pages.next if page.response.pages else None
            if following is None or not page.items:
                return
            cursor = following.starting_after

    return run


def loop(job: Job, tally: Tally) -> Callable[[], None]:
    """The least that does the job, as a yardstick for CPU: a default Session's `post`, no retries, no pace."""
    import requests

    def run() -> None:
        with requests.Session() as shared, ThreadPoolExecutor(job.threads or 10) as pool:

            def close(item_id: str) -> None:
                response = shared.post(
                    f"{job.url}/conversations/{item_id}/parts",
                    headers=job.headers,
                    json=job.closing,
                    timeout=READ_TIMEOUT,
                )
                tally.count(ok=response.ok)

            list(pool.map(close, _pages(job, shared.post)))

    return run


def _pages(job: Job, post: Callable[..., Any], *, patient: bool = False) -> Iterator[str]:
    """The ids of a search, page after page. `patient`: a 429 is waited out; otherwise a failed page ends the run."""
    paging: dict[str, Any] = {"per_page": PAGE}
    while True:
        for attempt in range(6):
            response = post(
                f"{job.url}/conversations/search",
                headers=job.headers,
                json={"query": job.query, "pagination": paging},
                timeout=READ_TIMEOUT,
            )
            if response.status_code != 429:
                break
            time.sleep(2**attempt if patient else float(response.headers.get("Retry-After", 5)))
        response.raise_for_status()
        page = response.json()
        for item in page["conversations"]:
            yield item["id"]
        following = page["pages"].get("next")
        if not following:
            return
        paging = {"per_page": PAGE, "starting_after": following["starting_after"]}


CONTESTANTS: dict[str, Contestant] = {
    "intercom_bulk": intercom_bulk,
    "original": original,
    "session": session,
    "sdk": sdk,
    "loop": loop,
}


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak_mb() -> float:
    """The process's own peak. Linux hands `ru_maxrss` on from parent to child, so it is only the second choice."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except (OSError, ValueError, IndexError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run one contestant and print what it cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(CONTESTANTS))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--admin", required=True)
    parser.add_argument("--cutoff", type=float, required=True)
    given = parser.parse_args()
    job = Job(
        url=os.environ["INTERCOM_BASE_URL"],
        token=os.environ["INTERCOM_ACCESS_TOKEN"],
        inbox=int(os.environ["INTERCOM_INBOX_ID"]),
        admin=given.admin,
        threads=given.threads,
        cutoff=given.cutoff,
    )
    tally = Tally()
    run = CONTESTANTS[given.name](job, tally)
    tally.start(job.cutoff)
    cpu, wall = _cpu_seconds(), time.perf_counter()
    run()
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    measured = Measured(
        done=tally.done,
        failed=tally.failed,
        cut_off=tally.cut_off,
        wall=wall,
        cpu=cpu,
        peak_mb=_peak_mb(),
        busy=statistics.median(tally.busy) if tally.busy else None,
    )
    print(json.dumps(asdict(measured)))


if __name__ == "__main__":
    main()
