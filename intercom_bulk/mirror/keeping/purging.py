"""What is left of a conversation that was deleted: that there was one, when what happened to it, and how many parts it
had. What people wrote, who they are and what it was about goes, in the transaction that marks it as deleted.
"""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.backend import chunks, marks
from intercom_bulk.mirror.keeping.documents import ContactRow, ConversationRow, columns
from intercom_bulk.mirror.keeping.packing import pack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from intercom_bulk.mirror.keeping.backend import Connection, TextIndex

__all__ = ["EMPTY_CONTACT", "emptied", "leftovers", "purge", "quoted", "unwanted"]


_KEPT = frozenset({"state", "open", "read", "priority", "reopens", "assignments", "parts_expected"})
"""Of the columns of a conversation; and its id and all times."""
_BLANK: Mapping[str, Any] = {"subject": "", "body": "", "custom_attributes": "{}"}
_CONTENT: Mapping[str, Any] = {
    one.name: _BLANK.get(one.name)
    for one in fields(ConversationRow)
    if one.name not in _KEPT and one.name != "id" and not one.name.endswith(("_at", "_since", "_until"))
}
_EMPTY = f"""
    UPDATE conversation SET deleted_at = ?, depth = 'row', thread_updated_at = NULL, thread_seen_at = NULL,
        thread_parts_expected = NULL, parts_stored = 0, {", ".join(f"{name} = ?" for name in _CONTENT)}
    WHERE key = ?
"""  # noqa: S608  names of columns
EMPTY_CONTACT: Mapping[str, Any] = {
    **dict.fromkeys(columns(ContactRow)), "updated_at": 0, "custom_attributes": "{}", "raw": pack({}),
}  # fmt: skip
"""A contact of which nothing is known but its id."""
_QUOTING = "story_creation"
"""The phase whose state holds what customers wrote, word for word."""
_TABLES = ("part", "conversation_tag", "conversation_contact")


def emptied(row: ConversationRow) -> ConversationRow:
    """The row without its content."""
    return replace(row, **_CONTENT)


def purge(connection: Connection, index: TextIndex, gone: Sequence[tuple[int, str, int]]) -> None:
    """Key, id and `deleted_at` of each. Within a transaction of the caller's.

    A contact that no other conversation here is with goes, too: it was here for their sake.
    """
    for batch in chunks(gone):
        keys, ids = [key for key, _, _ in batch], [item_id for _, item_id, _ in batch]
        of = marks(len(batch))
        index.remove(connection, keys)
        sql = f"SELECT DISTINCT contact_id FROM conversation_contact WHERE conversation_id IN ({of})"  # noqa: S608
        contacts = [contact_id for (contact_id,) in connection.rows(sql, ids)]
        connection.execute_many(_EMPTY, [(at, *_CONTENT.values(), key) for key, _, at in batch])
        connection.execute(f"DELETE FROM conversation_raw WHERE key IN ({of})", keys)  # noqa: S608  marks alone
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE conversation_id IN ({of})", ids)  # noqa: S608  names, marks
        connection.execute(f"DELETE FROM phase_result WHERE item_id IN ({of})", ids)  # noqa: S608  marks alone
        _purge_quotes(connection, frozenset(ids))
        _purge_contacts(connection, contacts)


def _purge_contacts(connection: Connection, contacts: Sequence[str]) -> None:
    for batch in chunks(contacts):
        sql = f"""
            DELETE FROM contact WHERE id IN ({marks(len(batch))})
                AND NOT EXISTS (SELECT 1 FROM conversation_contact WHERE contact_id = contact.id)
        """  # noqa: S608  marks alone
        connection.execute(sql, batch)


def _purge_quotes(connection: Connection, gone: frozenset[str]) -> None:
    """What was told of many conversations together, and quotes one of these, goes whole; the next run of the pipeline
    tells it anew. So does the state that it was told from.
    """
    connection.execute("DELETE FROM phase_state WHERE phase = ?", (_QUOTING,))
    told = connection.rows(
        "SELECT phase, item_id, result FROM phase_result"
        " WHERE NOT EXISTS (SELECT 1 FROM conversation WHERE conversation.id = phase_result.item_id)",
        (),
    )
    named = [(phase, item_id) for phase, item_id, result in list(told) if quoted(result) & gone]
    connection.execute_many("DELETE FROM phase_result WHERE phase = ? AND item_id = ?", named)


def quoted(result: str) -> frozenset[str]:
    """The conversations that a result (JSON) quotes: what is under `id`, beside what was written there."""
    found: set[str] = set()
    inside: list[Any] = [json.loads(result)]
    while inside:
        one = inside.pop()
        if isinstance(one, dict):
            if isinstance(one.get("id"), (str, int)):
                found.add(str(one["id"]))
            inside += one.values()
        elif isinstance(one, list):
            inside += one
    return frozenset(found)


def unwanted(connection: Connection, ids: Iterable[str]) -> frozenset[str]:
    """Of these conversations those that are deleted: nothing of them may be stored any more."""
    found: set[str] = set()
    for batch in chunks(sorted(ids)):
        sql = f"SELECT id FROM conversation WHERE deleted_at IS NOT NULL AND id IN ({marks(len(batch))})"  # noqa: S608
        found.update(item_id for (item_id,) in connection.rows(sql, batch))
    return frozenset(found)


def leftovers(connection: Connection) -> list[tuple[int, str, int]]:
    """What an earlier version marked as deleted, and kept."""
    sql = """
        SELECT key, id, deleted_at FROM conversation WHERE deleted_at IS NOT NULL
            AND EXISTS (SELECT 1 FROM conversation_raw WHERE conversation_raw.key = conversation.key)
    """
    return list(connection.rows(sql))
