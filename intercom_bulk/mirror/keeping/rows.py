"""Writing conversations, as deciding.py decides: what is known of a batch, the statements, the words of the index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.backend import Folded, chunks, marks
from intercom_bulk.mirror.keeping.deciding import Known, Stored, Work, decide
from intercom_bulk.mirror.keeping.documents import ConversationRow, PartRow, Thread, columns
from intercom_bulk.mirror.keeping.schema import KEY_BITS
from intercom_bulk.mirror.keeping.words import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.mirror.keeping.backend import Connection, TextIndex

__all__ = ["store_threads"]


_ROW = columns(ConversationRow)
_PART = columns(PartRow)
_UPSERT = f"""
    INSERT INTO conversation (key, seen_at, depth, deleted_at, {", ".join(_ROW)})
    VALUES ({marks(4 + len(_ROW))})
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, deleted_at = excluded.deleted_at,
        {", ".join(f"{name} = excluded.{name}" for name in _ROW if name not in {"id", "created_at"})}
"""  # noqa: S608  names of columns
_UPSERT_PART = f"""
    INSERT INTO part (conversation_id, {", ".join(_PART)}) VALUES ({marks(1 + len(_PART))})
    ON CONFLICT (conversation_id, id) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _PART if name != "id")}
"""  # noqa: S608  names of columns
_UPSERT_RAW = "INSERT INTO conversation_raw VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET document = excluded.document"
_SET_THREAD = """
    UPDATE conversation SET depth = 'thread', thread_updated_at = ?, thread_seen_at = ?, thread_parts_expected = ?,
        parts_total = ?, parts_stored = ?
    WHERE key = ?
"""
_TOUCH = "UPDATE conversation SET seen_at = ? WHERE key = ?"
_NAME_TAG = """
    INSERT INTO tag (id, name, seen_at) VALUES (?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, seen_at = excluded.seen_at
    WHERE tag.seen_at <= excluded.seen_at AND tag.name <> excluded.name
"""


def store_threads(connection: Connection, index: TextIndex, threads: Iterable[Thread], seen_at: float) -> Stored:
    """Write conversations as they were read at server time `seen_at`, with their parts where they have them. Within a
    transaction of the caller's.
    """
    done = Stored()
    for batch in _batches(threads):
        done += _store(connection, index, batch, seen_at)
    return done


def _batches(threads: Iterable[Thread]) -> Iterator[list[Thread]]:
    """No id twice in one."""
    batch: dict[str, Thread] = {}
    for thread in threads:
        if thread.row.id in batch or len(batch) == 400:
            yield list(batch.values())
            batch = {}
        batch[thread.row.id] = thread
    if batch:
        yield list(batch.values())


def _store(connection: Connection, index: TextIndex, threads: Sequence[Thread], seen_at: float) -> Stored:
    known = _known(connection, threads)
    tombs = _tombs(connection, [thread.row.id for thread in threads])
    revived = [
        (thread.row.id,)
        for thread in threads
        if thread.parts is not None and thread.row.id in tombs and tombs[thread.row.id][1] < seen_at
    ]
    if revived:
        # It answered to its own address after it was said to be gone. A search proves nothing: its index lags.
        connection.execute_many("DELETE FROM tombstone WHERE id = ?", revived)
        tombs = {item_id: tomb for item_id, tomb in tombs.items() if (item_id,) not in set(revived)}
    keys = _new_keys(connection, [thread.row for thread in threads if thread.row.id not in known])
    work, done = Work(seen_at), Stored()
    for thread in threads:
        deleted_at = tombs[thread.row.id][0] if thread.row.id in tombs else None
        done += decide(work, thread, known.get(thread.row.id), keys.get(thread.row.id, 0), deleted_at)
    _write(connection, work)
    _index(connection, index, work.reread)
    return done


def _write(connection: Connection, work: Work) -> None:
    many = connection.execute_many
    for sql, rows in (
        (_UPSERT, work.rows),
        (_TOUCH, work.touched),
        (_UPSERT_RAW, work.raws),
        ("DELETE FROM part WHERE conversation_id = ? AND id = ?", work.gone_parts),
        (_UPSERT_PART, work.parts),
        (_SET_THREAD, work.threads),
    ):
        if rows:
            many(sql, rows)
    _link(connection, work)


def _link(connection: Connection, work: Work) -> None:
    ids = [(thread.row.id,) for thread in work.linked]
    if not ids:
        return
    tags = [(t.row.id, tag_id, at, by) for t in work.linked for tag_id, _, at, by in t.tags]
    contacts = [(t.row.id, *contact) for t in work.linked for contact in t.contacts]
    names = {tag_id: name for t in work.linked for tag_id, name, _, _ in t.tags if name}
    many = connection.execute_many
    many("DELETE FROM conversation_tag WHERE conversation_id = ?", ids)
    many("DELETE FROM conversation_contact WHERE conversation_id = ?", ids)
    if tags:
        many("INSERT INTO conversation_tag VALUES (?, ?, ?, ?)", tags)
    if contacts:
        many("INSERT INTO conversation_contact VALUES (?, ?, ?)", contacts)
    if names:
        many(_NAME_TAG, [(tag_id, name, work.seen_at) for tag_id, name in sorted(names.items())])


def _index(connection: Connection, index: TextIndex, changed: Sequence[tuple[int, Thread]]) -> None:
    """The words of what is stored now; where they are as before, the index is left alone."""
    for batch in chunks(changed):
        keys = [key for key, _ in batch]
        before = index.texts(connection, keys)
        after = _texts(connection, keys)
        changes = [(key, text) for key, text in after.items() if before.get(key) != text]
        if changes:
            index.put(connection, changes)


def _texts(connection: Connection, keys: Sequence[int]) -> dict[int, Folded]:
    """From the tables, not from the document: an older one may have lost against them."""
    sql = f"SELECT key, id, title, subject, body FROM conversation WHERE key IN ({marks(len(keys))})"  # noqa: S608  marks
    rows = list(connection.rows(sql, keys))
    parts: dict[str, list[str]] = {}
    sql = f"""
        SELECT conversation_id, body FROM part WHERE conversation_id IN ({marks(len(rows))}) AND body <> ''
        ORDER BY conversation_id, created_at, position
    """  # noqa: S608  marks
    for item_id, body in connection.rows(sql, [row[1] for row in rows]):
        parts.setdefault(item_id, []).append(body)
    return {
        key: Folded(
            folded(subject if not title else f"{title} {subject}"),
            folded(body),
            folded(" ".join(parts.get(item_id, ()))),
        )
        for key, item_id, title, subject, body in rows
    }


def _known(connection: Connection, threads: Sequence[Thread]) -> dict[str, Known]:
    ids = [thread.row.id for thread in threads]
    sql = f"""
        SELECT c.id, c.key, updated_at, seen_at, thread_updated_at, thread_seen_at, parts_stored, deleted_at, document
        FROM conversation AS c LEFT JOIN conversation_raw AS r ON r.key = c.key WHERE c.id IN ({marks(len(ids))})
    """  # noqa: S608  marks alone
    known = {row[0]: Known(*row[1:]) for row in connection.rows(sql, ids)}
    asked = [thread.row.id for thread in threads if thread.parts is not None and thread.row.id in known]
    sql = f"""
        SELECT conversation_id, id, position, created_at, raw FROM part WHERE conversation_id IN ({marks(len(asked))})
    """  # noqa: S608  marks alone
    for item_id, part_id, position, created_at, raw in connection.rows(sql, asked) if asked else ():
        known[item_id].parts[part_id] = (position, created_at, bytes(raw))
    return known


def _tombs(connection: Connection, ids: Sequence[str]) -> dict[str, tuple[int, float]]:
    sql = f"SELECT id, deleted_at, seen_at FROM tombstone WHERE id IN ({marks(len(ids))})"  # noqa: S608  marks alone
    return {item_id: (deleted_at, seen_at) for item_id, deleted_at, seen_at in connection.rows(sql, ids)}


def _new_keys(connection: Connection, rows: Sequence[ConversationRow]) -> dict[str, int]:
    """Keys in order of creation; of one second, in order of arrival."""
    if not rows:
        return {}
    seconds = sorted({row.created_at for row in rows})
    sql = f"""
        SELECT created_at, max(key) FROM conversation WHERE created_at IN ({marks(len(seconds))}) GROUP BY created_at
    """  # noqa: S608  marks alone
    last: dict[int, int] = dict(connection.rows(sql, seconds))
    keys: dict[str, int] = {}
    for row in rows:
        keys[row.id] = last[row.created_at] = last.get(row.created_at, (row.created_at << KEY_BITS) - 1) + 1
    return keys
