"""A workspace whose every name was written by an attacker: a run, a mirror with a hole, themes and stories."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from intercom_bulk.insights.phase import Document, Phase
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.runs.model import Effect, Item, Outcome, Page, RunState, Slice, Status
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.workspace import run_store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.insights.phase import Corpus, Result
    from intercom_bulk.settings import Settings

__all__ = ["PAYLOAD", "RUN", "fill_hostile"]

PAYLOAD = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>\'"><svg/onload=window.hurt=1>'
RUN = "20260101-000000-abc123"
DAY = 86_400


class _Themes(Phase):
    name: ClassVar[str] = "theme_extraction"

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        return [{"theme": f"t{int(one.id) % 2}", "name": PAYLOAD} for one in batch]


class _Stories(Phase):
    name: ClassVar[str] = "story_creation"

    def items(self, corpus: Corpus) -> Sequence[Document]:
        return [Document(id=f"t{n}", version="1") for n in range(2)]

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        return [self._story(one.id) for one in batch]

    def _story(self, theme: str) -> dict[str, Any]:
        quotes = [{"text": PAYLOAD, "id": PAYLOAD, "url": "javascript:window.hurt=1"}]
        return {"theme": theme, "title": PAYLOAD, "terms": [PAYLOAD], "size": 20, "quotes": quotes,
                "trend": {"direction": PAYLOAD, "change": None},
                "suggestion": {"operation": "tag", "where": PAYLOAD, "found": 1, "of_theme": 1, "size": 1}}  # fmt: skip


def fill_hostile(settings: Settings) -> None:
    """Into the home of these settings."""
    _run(settings)
    _mirror(settings)
    Pipeline(settings=settings, phases=[_Themes(), _Stories()]).start(2).result()


def _run(settings: Settings) -> None:
    """Halted, so that its reason is shown; it has an item of each outcome."""
    made = {"made_with": {"tag": PAYLOAD}, "keywords": {"query": PAYLOAD}, "updater": "intercom_bulk.x"}
    record = RunRecord(
        run_id=RUN, title=PAYLOAD, reason=PAYLOAD, ended=PAYLOAD, by=PAYLOAD, workspace=PAYLOAD, parameters=made,
        state=RunState.HALTED, created_at=time.time() - 5000, ended_at=time.time() - 4000, total=60,
    )  # fmt: skip
    ledger = run_store(settings.home, settings.ledger_url).create(record)
    statuses = (Status.DONE, Status.FAILED, Status.SKIPPED)
    effect = Effect({PAYLOAD: PAYLOAD}, {PAYLOAD: [PAYLOAD, {PAYLOAD: None}]})
    items = [Item(f"{n} {PAYLOAD}", effect=effect) for n in range(60)]
    try:
        with ledger.atomic():
            ledger.stage(Page(items, Slice("all", done=True), len(items)), 1, {item.id: effect for item in items})
            ledger.start(items, 5.0)
            ledger.settle([_outcome(item, statuses[n % 3]) for n, item in enumerate(items)])
    finally:
        ledger.close()


def _outcome(item: Item, status: Status) -> Outcome:
    code = None if status is Status.DONE else PAYLOAD
    return Outcome(item.id, status, code, PAYLOAD, 1, {PAYLOAD: PAYLOAD}, {PAYLOAD: [PAYLOAD]}, at=time.time())


def _mirror(settings: Settings) -> None:
    """Four weeks that were read, but for four days."""
    today = int(time.time()) // DAY * DAY
    spans = [Span(today - 28 * DAY, today - 14 * DAY), Span(today - 10 * DAY, today)]
    with open_mirror(settings.home, "sandbox1") as store, store.writing() as writer:
        sync = writer.begin_sync("hostile", SyncKind.BACKFILL, {}, at=today)
        for window in writer.plan_windows(sync.id, spans):
            begun = writer.begin_window(window, at=today)
            begun, _ = writer.save_page(begun, [], seen_at=today, cursor=None, expected=0)
            writer.finish_window(begun, depth=Depth.ROW)
        writer.finish_sync(sync.id, SyncState.COMPLETED, at=today)
