"""Writing conversations: what is stored never goes back in time, and equal news changes nothing.

A conversation is two registers, its row and its thread, each as of an `updated_at` and read at a server time. The later
pair wins, each for itself; so documents may come in any order, twice, and from several syncs. A row from a search never
touches the parts. Parts that a thread no longer shows are gone, except those before the first that it shows: Intercom
shows the newest 500 only, and older ones, once stored, are kept.

Of one that is known to be deleted nothing is stored but that there was one, and when: see purging.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.backend import Folded, chunks, marks
from intercom_bulk.mirror.documents import ConversationRow, PartRow, Thread, columns, values
from intercom_bulk.mirror.purging import emptied
from intercom_bulk.mirror.schema import KEY_BITS
from intercom_bulk.mirror.words import folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.mirror.backend import Connection, TextIndex

__all__ = ["Stored", "store_threads"]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a batch did: conversations that are new, changed or as they were, those that were older than what is stored,
    and parts written.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    outdated: int = 0
    parts: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    @property
    def total(self) -> int:
        return self.new + self.changed + self.unchanged + self.outdated


@dataclass(slots=True)
class _Known:
    """What is stored of a conversation."""

    key: int
    updated_at: int
    seen_at: float
    thread_updated_at: int | None
    thread_seen_at: float | None
    parts_stored: int
    deleted_at: int | None
    raw: bytes | None
    parts: dict[str, tuple[int, int, bytes]] = field(default_factory=dict)
    """Position, `created_at` and JSON of each."""

    @property
    def thread_version(self) -> tuple[float, float]:
        """Below any other where no thread was read."""
        return (self.thread_updated_at or 0, self.thread_seen_at or 0.0)


@dataclass(slots=True)
class _Work:
    """The statements of a batch, gathered."""

    seen_at: float
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    touched: list[tuple[Any, ...]] = field(default_factory=list)
    raws: list[tuple[int, bytes]] = field(default_factory=list)
    linked: list[Thread] = field(default_factory=list)
    parts: list[tuple[Any, ...]] = field(default_factory=list)
    gone_parts: list[tuple[str, str]] = field(default_factory=list)
    threads: list[tuple[Any, ...]] = field(default_factory=list)
    reread: list[tuple[int, Thread]] = field(default_factory=list)


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
    work, done = _Work(seen_at), Stored()
    for thread in threads:
        deleted_at = tombs[thread.row.id][0] if thread.row.id in tombs else None
        done += _decide(work, thread, known.get(thread.row.id), keys.get(thread.row.id, 0), deleted_at)
    _write(connection, work)
    _index(connection, index, work.reread)
    return done


def _decide(work: _Work, thread: Thread, known: _Known | None, key: int, deleted_at: int | None) -> Stored:
    row, now = thread.row, (thread.row.updated_at, work.seen_at)
    key = key if known is None else known.key
    if deleted_at is not None:
        return _decide_gone(work, thread, known, key, deleted_at)
    revived = known is not None and known.deleted_at is not None  # whatever it was, nothing of it is left
    row_wins = known is None or revived or now >= (known.updated_at, known.seen_at)
    row_differs = row_wins and (known is None or known.raw != thread.raw)
    if row_differs:
        depth = "row" if known is None or known.thread_updated_at is None else "thread"
        work.rows.append((key, work.seen_at, depth, None, *values(row)))
        work.raws.append((key, thread.raw))
        work.linked.append(thread)
    elif row_wins:
        work.touched.append((work.seen_at, key))
    written = _decide_parts(work, thread, known, key)
    if row_differs or written:
        work.reread.append((key, thread))
    if known is None:
        return Stored(new=1, parts=written or 0)
    if row_differs or written:
        return Stored(changed=1, parts=written or 0)
    return Stored(unchanged=1) if row_wins else Stored(outdated=1)


def _decide_gone(work: _Work, thread: Thread, known: _Known | None, key: int, deleted_at: int) -> Stored:
    """A search whose index lags still shows it: what it says is not stored."""
    if known is not None:
        return Stored(outdated=1)
    work.rows.append((key, work.seen_at, "row", deleted_at, *values(emptied(thread.row))))
    return Stored(new=1)


def _decide_parts(work: _Work, thread: Thread, known: _Known | None, key: int) -> int:
    """How many parts are to be written or taken away."""
    row = thread.row
    if thread.parts is None:
        return 0
    if known is not None and (row.updated_at, work.seen_at) < known.thread_version:
        return 0
    there = known.parts if known is not None else {}
    given = {part.id: part for part in thread.parts}
    news = [part for part in given.values() if part.id not in there or there[part.id][2] != part.raw]
    moved = [
        part
        for part in given.values()
        if part.id in there and there[part.id][2] == part.raw and there[part.id][0] != part.position
    ]
    begins = min(((part.created_at, part.position) for part in given.values()), default=(0, 0))
    capped = len(given) < thread.total_parts
    gone = [
        part_id
        for part_id, (position, created_at, _) in there.items()
        if part_id not in given and (not capped or (created_at, position) >= begins)
    ]
    work.parts += [(row.id, *values(part)) for part in (*news, *moved)]
    work.gone_parts += [(row.id, part_id) for part_id in gone]
    stored = len(there) - len(gone) + sum(part_id not in there for part_id in given)
    work.threads.append((row.updated_at, work.seen_at, row.parts_expected, thread.total_parts, stored, key))
    return len(news) + len(gone)


def _write(connection: Connection, work: _Work) -> None:
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


def _link(connection: Connection, work: _Work) -> None:
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


def _known(connection: Connection, threads: Sequence[Thread]) -> dict[str, _Known]:
    ids = [thread.row.id for thread in threads]
    sql = f"""
        SELECT c.id, c.key, updated_at, seen_at, thread_updated_at, thread_seen_at, parts_stored, deleted_at, document
        FROM conversation AS c LEFT JOIN conversation_raw AS r ON r.key = c.key WHERE c.id IN ({marks(len(ids))})
    """  # noqa: S608  marks alone
    known = {row[0]: _Known(*row[1:]) for row in connection.rows(sql, ids)}
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
