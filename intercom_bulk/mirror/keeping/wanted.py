"""What a sync has still to fetch of what Intercom shows: threads and contacts that are not here, or older."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.backend import chunks, marks
from intercom_bulk.mirror.keeping.documents import read_version
from intercom_bulk.mirror.keeping.schema import UNREAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from intercom_bulk.mirror.keeping.store import MirrorStore

__all__ = [
    "contacts_unread",
    "contacts_wanted",
    "count_unread",
    "has_thread",
    "threads_unread",
    "threads_wanted",
    "versions",
]


def threads_wanted(store: MirrorStore, documents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The ids of those rows of a search whose threads are to be fetched: never read, or changed since, by
    `updated_at` or by the number of parts.
    """
    wanted = {item_id: version for item_id, *version in map(read_version, documents)}
    with store.reading() as on:
        for batch in chunks(list(wanted)):
            sql = f"""
                SELECT id, thread_updated_at, thread_parts_expected FROM conversation
                WHERE thread_updated_at IS NOT NULL AND id IN ({marks(len(batch))})
            """  # noqa: S608  marks alone
            for item_id, updated_at, parts in on.rows(sql, batch):
                asked_at, expected = wanted[item_id]
                # `>`: the thread is newer than this row, which the index has not caught up with
                if updated_at > asked_at or (updated_at == asked_at and parts == expected):
                    del wanted[item_id]
    return list(wanted)


def versions(store: MirrorStore, ids: Iterable[str]) -> dict[str, int]:
    """The `updated_at` of those that are stored, deleted ones too."""
    found: dict[str, int] = {}
    with store.reading() as on:
        for batch in chunks(ids):
            sql = f"SELECT id, updated_at FROM conversation WHERE id IN ({marks(len(batch))})"  # noqa: S608  marks
            found.update(dict(on.rows(sql, batch)))
    return found


def threads_unread(store: MirrorStore, lo: int, hi: int, *, limit: int = 1000) -> list[str]:
    """Of those created in [lo, hi), the ids whose thread was never read or is older than the row."""
    sql = f"""
        SELECT id FROM conversation WHERE deleted_at IS NULL AND {UNREAD} AND created_at >= ? AND created_at < ?
        ORDER BY created_at, id LIMIT ?
    """  # noqa: S608  a constant
    with store.reading() as on:
        return [item_id for (item_id,) in on.rows(sql, (lo, hi, limit))]


def has_thread(store: MirrorStore, item_id: str) -> bool:
    """Whether the thread of this conversation is here, as new as its row; or the conversation is known deleted."""
    sql = f"""
        SELECT 1 FROM tombstone WHERE id = ?
        UNION ALL SELECT 1 FROM conversation WHERE id = ? AND NOT {UNREAD}
    """  # noqa: S608  a constant
    with store.reading() as on:
        return on.row(sql, (item_id, item_id)) is not None


def contacts_wanted(store: MirrorStore, wrote: Mapping[str, int], *, since: float = 0.0) -> list[str]:
    """Of these contacts, each with when it wrote last, those that are not here or were read before that, or before
    `since`.
    """
    left = dict(wrote)
    with store.reading() as on:
        for batch in chunks(list(wrote)):
            sql = f"SELECT id, seen_at FROM contact WHERE id IN ({marks(len(batch))})"  # noqa: S608  marks alone
            for contact_id, seen_at in on.rows(sql, batch):
                if seen_at >= max(since, wrote[contact_id]):
                    del left[contact_id]
    return list(left)


def contacts_unread(store: MirrorStore, lo: int, hi: int) -> list[str]:
    """Contacts of conversations created in [lo, hi) that were never read."""
    sql = """
        SELECT DISTINCT contact_id FROM conversation AS c
        JOIN conversation_contact AS with_whom ON with_whom.conversation_id = c.id
        WHERE c.created_at >= ? AND c.created_at < ? AND c.deleted_at IS NULL
            AND NOT EXISTS (SELECT 1 FROM contact WHERE contact.id = contact_id)
    """
    with store.reading() as on:
        return [contact_id for (contact_id,) in on.rows(sql, (lo, hi))]


def count_unread(store: MirrorStore, lo: int, hi: int) -> int:
    """Of those, the ones whose thread is not here, or older than the row."""
    sql = f"""
        SELECT count(*) FROM conversation
        WHERE created_at >= ? AND created_at < ? AND deleted_at IS NULL AND {UNREAD}
    """  # noqa: S608  a constant
    with store.reading() as on:
        (count,) = on.row(sql, (lo, hi)) or (0,)
    return int(count)
