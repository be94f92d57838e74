"""One workspace's mirror: opened for reading by many, for writing by one.

Readers see the last committed transaction and never wait, not for a sync either. Connections for reading are kept and
lent from thread to thread. With a file, SQL of one's own may also be run by any other program that reads SQLite.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import SettingsError
from intercom_bulk.mirror.keeping.backend import chunks, marks
from intercom_bulk.mirror.keeping.files import FileBackend
from intercom_bulk.mirror.keeping.packing import unpack
from intercom_bulk.mirror.keeping.proofs import INDEX_LAG, Axis, Deletions, Depth, Knowledge
from intercom_bulk.mirror.keeping.questions import checked_question
from intercom_bulk.mirror.keeping.schema import KEY_BITS, SHORT, SyncState
from intercom_bulk.mirror.keeping.syncs import SyncBook
from intercom_bulk.mirror.keeping.words import read_search
from intercom_bulk.mirror.keeping.writer import MirrorWriter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from intercom_bulk.mirror.keeping.backend import Backend, Connection
    from intercom_bulk.mirror.keeping.coverage import Coverage
    from intercom_bulk.mirror.keeping.schema import SyncKind, WindowState
    from intercom_bulk.mirror.keeping.syncs import Sync, Window

__all__ = ["Answer", "MirrorStore", "open_mirror"]

_FAR = 1 << 40
"""A second later than any."""
_IDLE = 8
"""So many connections for reading are kept."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What SQL gave: the names of the columns, and the rows as tuples."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Rows by name."""
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)


class MirrorStore:
    """May be shared by threads. `close()` ends its connections; those that are lent end when they come back."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._idle: deque[Connection] = deque()
        self._closed = False

    # -- opening

    @contextmanager
    def reading(self, *, keep: bool = True) -> Iterator[Connection]:
        """A connection that cannot write. Not to `keep`: nobody else gets it afterwards. What somebody asked in SQL may
        have changed it for good: in PostgreSQL a question can set what is written where, and take locks.
        """
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._backend.read()
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if not keep or self._closed or len(self._idle) >= _IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def writing(self, *, lag: int = INDEX_LAG) -> MirrorWriter:
        """Raises `RunBusy` while another sync writes, in whatever process."""
        return MirrorWriter(self._backend, lag=lag)

    def writing_beside(self, *, alone: bool) -> Connection:
        """For the tables of the pipeline, whoever syncs meanwhile. `alone`: as the one pipeline of this workspace;
        raises `RunBusy` while there is another one, in whatever process.
        """
        return self._backend.beside(alone=alone)

    @property
    def has_pipeline(self) -> bool:
        """Whether a pipeline is at work, in whatever process."""
        return self._backend.has_pipeline()

    @property
    def is_syncing(self) -> bool:
        """Whether somebody holds the mirror for writing, in whatever process."""
        return self._backend.is_held()

    @property
    def place(self) -> str:
        """Equal for two stores of one mirror; not to be shown."""
        return self._backend.place

    @property
    def workspace(self) -> str:
        """The id of the workspace that is mirrored."""
        return self._backend.workspace

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> MirrorStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- conversations

    def total(self) -> int:
        """Conversations that are not deleted."""
        # All less those: SQLite counts a whole table by its pages.
        sql = """
            SELECT (SELECT count(*) FROM conversation)
                - (SELECT count(*) FROM conversation WHERE deleted_at IS NOT NULL)
        """
        with self.reading() as on:
            (count,) = on.row(sql) or (0,)
        return int(count)

    def find(self, query: str | None, *, start: float | None, end: float | None, limit: int) -> list[str]:
        """Ids of the newest conversations created from `start` to `end` that have these words; all without a query. A
        query of signs alone finds nothing.
        """
        lo = 0 if start is None else int(start) << KEY_BITS
        hi = (_FAR if end is None else int(end) + 1) << KEY_BITS
        with self.reading() as on:
            if query is None or not query.strip():
                sql = """
                    SELECT id FROM conversation WHERE deleted_at IS NULL AND key >= ? AND key < ?
                    ORDER BY key DESC LIMIT ?
                """
                return [item_id for (item_id,) in on.rows(sql, (lo, hi, limit))]
            wanted = read_search(query)
            keys = self._backend.index.find(on, wanted, lo, hi, limit) if wanted else []
            return _ids(on, keys)

    def conversations(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of `conversations_flat` in the order of these ids; `tags` is a list of names, `custom_attributes` a
        dict. What is not there, or deleted, is left out.
        """
        found: dict[str, dict[str, Any]] = {}
        with self.reading() as on:
            for batch in chunks(ids):
                sql = f"SELECT * FROM conversations_flat WHERE id IN ({marks(len(batch))})"  # noqa: S608  marks alone
                names, rows = on.named(sql, batch)
                for row in rows:
                    one = dict(zip(names, row, strict=True))
                    flags = {name: bool(one[name]) for name in ("open", "read")}
                    attributes = json.loads(one["custom_attributes"])
                    found[one["id"]] = one | flags | {"custom_attributes": attributes, "tags": []}
                for item_id, name in on.rows(_TAGS.format(marks(len(batch))), batch):
                    if item_id in found:
                        found[item_id]["tags"].append(name)
        return [found[item_id] for item_id in ids if item_id in found]

    def messages(self, conversation_id: str) -> list[dict[str, Any]]:
        """Rows of `messages`, the first message first."""
        sql = "SELECT * FROM messages WHERE conversation_id = ? ORDER BY created_at, position"
        with self.reading() as on:
            names, rows = on.named(sql, (str(conversation_id),))
            return [dict(zip(names, row, strict=True)) for row in rows]

    def document(self, conversation_id: str) -> dict[str, Any] | None:
        """Intercom's own JSON, as it was read last; with `conversation_parts` where the thread was. None: not here."""
        sql = """
            SELECT r.document, c.depth, c.parts_total FROM conversation AS c
            JOIN conversation_raw AS r ON r.key = c.key WHERE c.id = ?
        """
        with self.reading() as on:
            row = on.row(sql, (str(conversation_id),))
            if row is None:
                return None
            document: dict[str, Any] = unpack(bytes(row[0]))
            if row[1] == Depth.THREAD:
                sql = "SELECT raw FROM part WHERE conversation_id = ? ORDER BY created_at, position"
                parts = [unpack(bytes(raw)) for (raw,) in on.rows(sql, (str(conversation_id),))]
                document["conversation_parts"] = {
                    "type": "conversation_part.list", "conversation_parts": parts, "total_count": row[2],
                }  # fmt: skip
        return document

    def sql(self, text: str, parameters: Sequence[object] = ()) -> Answer:
        """Any question in SQL; it cannot write. Parameters are written `?`. Raises `UsageError` for what is none."""
        question = checked_question(text)
        with self.reading(keep=False) as on:
            names, rows = on.ask(question, parameters)
            return Answer(names, list(rows))

    @contextmanager
    def asking(
        self, text: str, parameters: Sequence[object] = ()
    ) -> Iterator[tuple[tuple[str, ...], Iterator[tuple[Any, ...]]]]:
        """As `sql`, for more rows than fit into memory."""
        question = checked_question(text)
        with self.reading(keep=False) as on:
            names, rows = on.ask(question, parameters)
            try:
                yield names, rows
            finally:
                if isinstance(rows, Generator):
                    rows.close()  # before its connection

    # -- how much there is

    def contact_counts(self) -> dict[str, int]:
        """How many are `stored`, `merged` into others, or `gone` (deleted or archived); and how many are `unread`:
        conversations name them, and nothing else of them is here.
        """
        sql = """
            SELECT
                (SELECT count(*) FROM contact WHERE deleted_at IS NULL AND merged_into IS NULL),
                (SELECT count(*) FROM contact WHERE merged_into IS NOT NULL),
                (SELECT count(*) FROM contact WHERE deleted_at IS NOT NULL),
                (SELECT count(DISTINCT contact_id) FROM conversation_contact
                    WHERE NOT EXISTS (SELECT 1 FROM contact WHERE contact.id = contact_id))
        """
        with self.reading() as on:
            counts = on.row(sql) or (0, 0, 0, 0)
        return dict(zip(("stored", "merged", "gone", "unread"), map(int, counts), strict=True))

    def count_created(self, lo: int, hi: int) -> int:
        """Not deleted, created in [lo, hi): to hold against `total_count` of a search."""
        sql = "SELECT count(*) FROM conversation WHERE created_at >= ? AND created_at < ? AND deleted_at IS NULL"
        with self.reading() as on:
            (count,) = on.row(sql, (lo, hi)) or (0,)
        return int(count)

    def count_short(self, lo: int, hi: int) -> int:
        """Of those, the ones with fewer parts than Intercom counts: it shows the newest 500."""
        sql = f"""
            SELECT count(*) FROM conversation
            WHERE created_at >= ? AND created_at < ? AND deleted_at IS NULL AND {SHORT}
        """  # noqa: S608  a constant
        with self.reading() as on:
            (count,) = on.row(sql, (lo, hi)) or (0,)
        return int(count)

    # -- syncs

    def knowledge(self, depth: Depth = Depth.ROW) -> Knowledge:
        """All that is proved for questions of this depth."""
        with self.reading() as on:
            return Knowledge(SyncBook(on).proofs(), depth)

    def covered(self, axis: Axis, depth: Depth = Depth.ROW) -> Coverage:
        """The seconds proved on one axis."""
        known = self.knowledge(depth)
        return known.changes if axis is Axis.UPDATED else known.members

    def syncs(self, limit: int = 50, *, kind: SyncKind | None = None) -> list[Sync]:
        """The newest first. One that is running though nobody holds the mirror is told as interrupted."""
        with self.reading() as on:
            known = SyncBook(on).history(limit, kind=kind)
        return [self._seen(sync) for sync in known]

    def sync(self, sync_id: str) -> Sync:
        """Raises `UnknownRun`."""
        with self.reading() as on:
            return self._seen(SyncBook(on).get(sync_id))

    def last_completed_sync(self) -> Sync | None:
        """The last to begin, of those that read conversations to their end, with holes or without."""
        with self.reading() as on:
            return SyncBook(on).last_completed()

    def deletions_known_to(self) -> float | None:
        """When the last look at all deletions began; before the first one, when anything was read at all."""
        with self.reading() as on:
            return SyncBook(on).deletions_known_to()

    def deletions(self) -> Deletions | None:
        """How far it is known what was deleted; None: nothing was ever read."""
        with self.reading() as on:
            return SyncBook(on).deletions()

    def windows(self, sync_id: str, *states: WindowState) -> list[Window]:
        """Of a backfill; all, or those in one of these states."""
        with self.reading() as on:
            return SyncBook(on).windows(sync_id, *states)

    def _seen(self, sync: Sync) -> Sync:
        if sync.state is SyncState.RUNNING and not self.is_syncing:
            return sync.seen_dead()
        return sync

    def __repr__(self) -> str:
        return f"MirrorStore({self._backend!r})"


_TAGS = """
    SELECT t.conversation_id, coalesce(tag.name, t.tag_id) FROM conversation_tag AS t
    LEFT JOIN tag ON tag.id = t.tag_id WHERE t.conversation_id IN ({}) ORDER BY 2
"""


def open_mirror(home: Path, workspace: str, *, url: str | None = None) -> MirrorStore:
    """The mirror of a workspace (`app.id_code` of GET /me): a file under `home`, or in the database at `url`.

    Nothing is made before it is needed. Raises `UsageError` for an id that is none, `SettingsError` where the driver is
    missing.
    """
    if url is None:
        return MirrorStore(FileBackend(home / "mirror", workspace))
    try:
        from intercom_bulk.mirror.keeping.postgres import PostgresBackend
    except ImportError as error:
        raise SettingsError(
            "A mirror in PostgreSQL needs its driver: pip install 'intercom-bulk[postgres]'."
        ) from error
    return MirrorStore(PostgresBackend(url, workspace))


def _ids(on: Connection, keys: Sequence[int]) -> list[str]:
    known: dict[int, str] = {}
    for batch in chunks(keys):
        sql = f"SELECT key, id FROM conversation WHERE key IN ({marks(len(batch))})"  # noqa: S608  marks alone
        known.update(dict(on.rows(sql, batch)))
    return [known[key] for key in keys if key in known]
