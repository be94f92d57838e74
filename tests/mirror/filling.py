"""A mirror of a sandbox, filled without a sync: all conversations as a search shows them, or with their threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.keeping.schema import SyncKind, SyncState
from intercom_bulk.mirror.keeping.store import MirrorStore, open_mirror

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.sandbox import Sandbox

__all__ = ["WORKSPACE", "asked", "filled"]

WORKSPACE = "sandbox1"
"""What GET /me of a sandbox calls itself."""
EVERYTHING = {"field": "created_at", "operator": ">", "value": 0}


def asked(sandbox: Sandbox, method: str, path: str, **more: Any) -> Any:
    """What the sandbox answers."""
    known = sandbox.settings_kwargs()
    headers = {"Authorization": f"Bearer {known['access_token']}", "Intercom-Version": "2.16"}
    with requests.Session() as session:
        session.trust_env = False
        answer = session.request(method, f"{known['base_url']}/{path}", headers=headers, timeout=10, **more)
        answer.raise_for_status()
        return answer.json()


def filled(
    sandbox: Sandbox, home: Path, *, threads: bool = False, without: frozenset[str] = frozenset(),
    within: Span | None = None,
) -> MirrorStore:  # fmt: skip
    """As a backfill of all that there is would leave it, or of what was created in a span; `without` what it lost."""
    body = {"query": EVERYTHING, "pagination": {"per_page": 150}}
    found = asked(sandbox, "POST", "conversations/search", json=body)["conversations"]
    if within is not None:
        found = [one for one in found if one["created_at"] in within]
    if threads:
        found = [asked(sandbox, "GET", f"conversations/{one['id']}") for one in found]
    lo = min(one["created_at"] for one in found) if within is None else within.lo
    hi = max(one["created_at"] for one in found) + 1 if within is None else within.hi
    store = open_mirror(home, WORKSPACE)
    with store.writing() as writer:
        sync = writer.begin_sync(f"filled {lo}", SyncKind.BACKFILL, {}, at=hi + 100)
        (window,) = writer.plan_windows(sync.id, [Span(lo, hi)])
        window = writer.begin_window(window, at=hi + 100)
        kept = [one for one in found if one["id"] not in without]
        window, _ = writer.save_page(window, kept, seen_at=hi + 100, cursor=None, expected=len(found))
        writer.finish_window(window, depth=Depth.THREAD if threads else Depth.ROW)
        writer.finish_sync(sync.id, SyncState.COMPLETED, at=hi + 101)
    return store
