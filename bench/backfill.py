"""How long a week of conversations takes to be copied: their rows, against one page of 50 after another; their threads,
against the rate limit. A search takes a second, everything else a quarter of one.
"""

from __future__ import annotations

import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

from bench.report import Section, at_least, at_most, exactly, info
from intercom_bulk import Backfill, Settings
from intercom_bulk.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk import BackfillStatus

__all__ = ["rows", "threads"]

COUNT, QUICK_COUNT = 7000, 300
DAYS = 7
DAY = 86_400
NAIVE_PAGE, NAIVE_REST = 50, 0.2
SECONDS, TIMES, USED = 9.0, 18.0, 0.95


@contextmanager
def _site(*, quick: bool) -> Iterator[SandboxProcess]:
    slow = 0.02 if quick else 1.0
    weather: dict[str, Any] = {"search_latency_ms": 1000 * slow, "latency_ms": 250 * slow}
    count = QUICK_COUNT if quick else COUNT
    with SandboxProcess(conversations=count, days=DAYS, parts=3, contacts=100, **weather) as site:
        yield site


def _backfill(site: SandboxProcess, depth: str) -> tuple[BackfillStatus, float]:
    with tempfile.TemporaryDirectory() as home:
        settings = replace(Settings.build(access_token=site.token, base_url=site.url, env={}), home=Path(home))
        began = time.monotonic()
        with Backfill(days=DAYS + 1, depth=depth, settings=settings) as backfill:
            return backfill.run(), time.monotonic() - began


def _naive(site: SandboxProcess, rest: float) -> tuple[int, float]:
    """One day after another, one page of 50 after another, and a rest between them."""
    began, found = time.monotonic(), set[str]()
    now = int(time.time())
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {site.token}"
        for lo in range(now // DAY * DAY - DAYS * DAY, now, DAY):
            cursor: str | None = ""
            while cursor is not None:
                ids, cursor = _naive_page(session, site.url, lo, cursor)
                found |= ids
                time.sleep(rest)
    return len(found), time.monotonic() - began


def _naive_page(session: requests.Session, url: str, lo: int, cursor: str) -> tuple[set[str], str | None]:
    bounds = [
        {"field": "created_at", "operator": ">", "value": lo - 1},
        {"field": "created_at", "operator": "<", "value": lo + DAY},
    ]
    asked = {
        "query": {"operator": "AND", "value": bounds},
        "sort": {"field": "created_at", "order": "ascending"},
        "pagination": {"per_page": NAIVE_PAGE} | ({"starting_after": cursor} if cursor else {}),
    }
    page = session.post(f"{url}/conversations/search", json=asked, timeout=30).json()
    following = page["pages"].get("next")
    return {one["id"] for one in page["conversations"]}, following["starting_after"] if following else None


def rows(*, quick: bool) -> Section:
    """What a search shows of 7,000 conversations."""
    with _site(quick=quick) as site:
        status, seconds = _backfill(site, "row")
        count, naive = _naive(site, NAIVE_REST * (0.02 if quick else 1.0))
    times = None if quick else naive / seconds
    return Section(
        [
            exactly("backfill-rows: stored, of those that the naive way finds", status.conversations_stored, count),
            at_most("backfill-rows: seconds", None if quick else seconds, SECONDS, "{:.1f}"),
            at_least("backfill-rows: times as fast as one page of 50 at a time", times, TIMES, "{:.1f}"),
            info("backfill-rows: calls", status.api_calls, "{:,.0f}"),
            info("backfill-rows: seconds, naive", naive, "{:.0f}"),
        ],
        data={**status.to_record(), "wall": seconds, "naive": naive},
    )


def threads(*, quick: bool) -> Section:
    """The same conversations whole: a call for each."""
    with _site(quick=quick) as site:
        status, seconds = _backfill(site, "thread")
        windows = [one for one in site.windows() if one["ours_accepted"]]
        rejected = sum(one["ours_rejected"] for one in site.windows())
        count = len(site.items())
    shares = [one["ours_accepted"] / one["limit"] for one in windows[1:-1]]
    return Section(
        [
            exactly("backfill-threads: threads stored", status.conversations_stored - status.threads_missing, count),
            at_least(
                f"backfill-threads: limit used, worst of {len(shares)} full windows",
                min(shares, default=None),
                USED,
                "{:.1%}",
            ),
            at_most("backfill-threads: 429s", rejected, 1),
            info("backfill-threads: seconds", seconds, "{:.1f}"),
            info("backfill-threads: calls", status.api_calls, "{:,.0f}"),
        ],
        data={**status.to_record(), "wall": seconds, "windows": windows},
    )
