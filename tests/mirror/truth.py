"""What a sandbox shows to whoever asks it for everything, and whether a mirror holds the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from intercom_bulk.mirror.keeping.store import MirrorStore

__all__ = ["differences", "everything"]


def everything(url: str, token: str) -> dict[str, dict[str, Any]]:
    """Every conversation with its parts, by id; it costs the sandbox's budget."""
    headers = {"Authorization": f"Bearer {token}", "Intercom-Version": "2.16"}
    found: dict[str, dict[str, Any]] = {}
    with requests.Session() as session:
        session.trust_env = False
        session.headers.update(headers)
        for row in _rows(session, url):
            answer = session.get(f"{url}/conversations/{row['id']}", timeout=10)
            if answer.status_code == 200:
                found[str(row["id"])] = answer.json()
    return found


def _rows(session: requests.Session, url: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        pagination = {"per_page": 150} | ({"starting_after": cursor} if cursor else {})
        asked = {
            "query": {"field": "created_at", "operator": ">", "value": 0},
            "sort": {"field": "created_at", "order": "ascending"},
            "pagination": pagination,
        }
        page = session.post(f"{url}/conversations/search", json=asked, timeout=10).json()
        rows += page["conversations"]
        following = page["pages"].get("next")
        if not following:
            return rows
        cursor = following["starting_after"]


def differences(store: MirrorStore, truth: dict[str, dict[str, Any]], *, parts: bool = True) -> list[str]:
    """Ids that are missing, too many, or not as Intercom shows them: row for row and part for part."""
    here = {item_id for (item_id,) in store.sql("SELECT id FROM conversation WHERE deleted_at IS NULL").rows}
    wrong = [f"missing: {item_id}" for item_id in truth.keys() - here]
    wrong += [f"too many: {item_id}" for item_id in here - truth.keys()]
    for item_id in truth.keys() & here:
        there, stored = dict(truth[item_id]), dict(store.document(item_id) or {})
        if not parts:
            there.pop("conversation_parts", None)
            stored.pop("conversation_parts", None)
        if stored != there:
            wrong.append(f"differs: {item_id}")
    return wrong
