"""Which conversations are gone, and when they went; mirrored or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.backend import marks
from intercom_bulk.mirror.keeping.purging import purge

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.mirror.keeping.backend import Connection, TextIndex

__all__ = ["Deleted", "bury"]


@dataclass(frozen=True, slots=True)
class Deleted:
    """A conversation that is no more, and when it went: by the list of deleted ones, or by a 404 of its own address."""

    id: str
    at: int
    metrics_retained: bool | None = None


def bury(connection: Connection, index: TextIndex, gone: Sequence[Deleted], seen_at: float) -> int:
    """Remember that these are gone, and purge those that are here; how many that were. Of one id, the last counts.
    Within a transaction of the caller's, as `purge`.
    """
    by_id = {one.id: one for one in gone}
    connection.execute_many(
        "INSERT INTO tombstone VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        [(one.id, one.at, one.metrics_retained, seen_at) for one in by_id.values()],
    )
    sql = f"SELECT key, id FROM conversation WHERE deleted_at IS NULL AND id IN ({marks(len(by_id))})"  # noqa: S608
    alive = list(connection.rows(sql, list(by_id)))
    purge(connection, index, [(key, item_id, by_id[item_id].at) for key, item_id in alive])
    return len(alive)
