"""A mirror and the sandbox that it mirrors, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.sandbox import threads
from intercom_bulk.settings import LedgerUrl, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.sandbox import Sandbox

__all__ = ["aged", "filled", "settings_of", "truth"]


def settings_of(sandbox: Sandbox, home: Path, url: str | None = None) -> Settings:
    known = LedgerUrl(url) if url is not None else None
    return replace(Settings.build(**sandbox.settings_kwargs(), env={}), home=home, ledger_url=known)


def truth(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Every conversation whole, as GET would show it now, by id."""
    state = sandbox.workspace
    return {str(one.id): threads.full_conversation(state, one) for one in list(state.conversations.values())}


def aged(sandbox: Sandbox, seconds: int = 86_400) -> None:
    """Make everything older, so that nothing but what a test does is recent. Before the first request."""
    for one in sandbox.workspace.conversations.values():
        one.created_at -= seconds
        one.updated_at -= seconds


def filled(sandbox: Sandbox, home: Path, *, depth: Depth = Depth.THREAD, url: str | None = None) -> MirrorStore:
    """A mirror that a backfill of everything has left a moment ago, without its calls."""
    store, now = open_mirror(home, sandbox.options.app_id, url=url), sandbox.app.clock.now() - 20
    documents = list(truth(sandbox).values())
    if depth is Depth.ROW:
        documents = [{k: v for k, v in one.items() if k != "conversation_parts"} for one in documents]
    with store.writing() as writer:
        writer.begin_sync("backfill", SyncKind.BACKFILL, {}, at=now)
        (window,) = writer.plan_windows("backfill", [Span(0, int(now))])
        window, _ = writer.save_page(writer.begin_window(window, at=now), documents, seen_at=now, cursor=None)
        writer.finish_window(window, depth=Depth.ROW)
        if depth is Depth.THREAD:
            writer.finish_window(window, depth=depth)
        writer.finish_sync("backfill", SyncState.COMPLETED, at=now)
    return store
