"""What was deleted since somebody last looked. A backfill lists what there is, and so never meets it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from intercom_bulk.api.pages import read_page
from intercom_bulk.mirror.fetching.deletions import DeletionSource
from intercom_bulk.mirror.fetching.incremental import OVERLAP
from intercom_bulk.mirror.fetching.launch import drawn_id
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.api.pages import RawPage, Search
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.keeping.tombs import Deleted
    from intercom_bulk.workspace import Workspace

__all__ = ["mark_deleted"]

logger = logging.getLogger(__name__)


def mark_deleted(workspace: Workspace, store: MirrorStore, check_stop: Callable[[], None]) -> str | None:
    """Mark them in the mirror, by some calls for a list. Returns why Intercom would not give it, if it would not.
    Raises `RunBusy` while a sync is writing, and what `check_stop` raises between two pages.
    """
    with store.writing() as writer:
        at = workspace.now()
        known = store.deletions_known_to()
        since = int(at if known is None else known) - OVERLAP
        sync = writer.begin_sync(f"{drawn_id()}-deletions", SyncKind.DELETIONS, {"since": since}, at=at)

        def ask(search: Search, cursor: str | None) -> RawPage:
            return workspace.reads.call(lambda: read_page(workspace.client, search, cursor), resend=True)

        def mark(gone: list[Deleted], asked_at: float) -> None:
            writer.mark_deleted(gone, seen_at=asked_at)

        source = DeletionSource(ask, mark, since, workspace.now)
        state = SyncState.FAILED
        try:
            (part,) = source.open()
            while not part.done:
                check_stop()
                part = source.read(part).after
            state = SyncState.COMPLETED if source.is_complete else SyncState.FAILED
        finally:
            writer.finish_sync(sync.id, state, at=workspace.now(), error=source.refusal)
    if source.refusal is not None:
        logger.warning("deleted conversations cannot be listed: %s", source.refusal)
    return source.refusal
