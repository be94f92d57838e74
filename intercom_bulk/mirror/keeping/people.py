"""Rows of contacts; and the names of tags, teams and admins. What was read later wins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.backend import marks
from intercom_bulk.mirror.keeping.documents import ContactRow, columns, values
from intercom_bulk.mirror.keeping.purging import EMPTY_CONTACT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from intercom_bulk.mirror.keeping.backend import Connection

__all__ = ["ADMINS", "TAGS", "TEAMS", "GoneContact", "Named", "mark_contacts", "store_contacts", "store_names"]


@dataclass(frozen=True, slots=True)
class GoneContact:
    """A contact that its own address says is no more, and when it said so; `merged_into`: the one that it is now. One
    that was archived answers as one that was deleted.
    """

    id: str
    at: int | None = None
    merged_into: str | None = None


_CONTACT = columns(ContactRow)
_NEW_CONTACT = ", ".join(f"{name} = excluded.{name}" for name in _CONTACT if name != "id")
_UPSERT_CONTACT = f"""
    INSERT INTO contact (seen_at, {", ".join(_CONTACT)}) VALUES ({marks(1 + len(_CONTACT))})
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, deleted_at = NULL, merged_into = NULL,
        {_NEW_CONTACT}
    WHERE (contact.updated_at < excluded.updated_at
        OR (contact.updated_at = excluded.updated_at AND contact.seen_at <= excluded.seen_at))
        AND ((contact.deleted_at IS NULL AND contact.merged_into IS NULL) OR contact.seen_at < excluded.seen_at)
"""  # noqa: S608  names of columns
_MARK_CONTACT = f"""
    INSERT INTO contact (seen_at, {", ".join(_CONTACT)}, deleted_at, merged_into)
    VALUES ({marks(3 + len(_CONTACT))})
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, deleted_at = excluded.deleted_at,
        merged_into = excluded.merged_into, {_NEW_CONTACT}
    WHERE contact.seen_at <= excluded.seen_at
"""  # noqa: S608  names of columns


def store_contacts(connection: Connection, rows: Sequence[ContactRow], seen_at: float) -> int:
    """How many were written: an older `updated_at` than the stored one's loses."""
    given = [(seen_at, *values(row)) for row in rows]
    return connection.execute_many(_UPSERT_CONTACT, given) if given else 0


def mark_contacts(connection: Connection, gone: Iterable[GoneContact], seen_at: float) -> None:
    """Nothing stays of them but where they went."""
    rows = [
        (seen_at, *({**EMPTY_CONTACT, "id": one.id}[name] for name in _CONTACT), one.at, one.merged_into)
        for one in gone
    ]
    if rows:
        connection.execute_many(_MARK_CONTACT, rows)


@dataclass(frozen=True, slots=True)
class Named:
    """A table of names, and its columns but `seen_at`, the id first."""

    table: str
    columns: tuple[str, ...]


TAGS = Named("tag", ("id", "name"))
TEAMS = Named("team", ("id", "name"))
ADMINS = Named("admin", ("id", "name", "email"))


def store_names(connection: Connection, things: Named, documents: Iterable[Mapping[str, Any]], seen_at: float) -> None:
    """What has no id is left out."""
    table, names = things.table, things.columns
    rows = [
        (*(str(document.get(name) or "") for name in names), seen_at) for document in documents if document.get("id")
    ]
    sql = f"""
        INSERT INTO {table} ({", ".join(names)}, seen_at) VALUES ({marks(len(names) + 1)})
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at,
            {", ".join(f"{name} = excluded.{name}" for name in names[1:])}
        WHERE {table}.seen_at <= excluded.seen_at
    """  # noqa: S608  names of tables and columns
    if rows:
        connection.execute_many(sql, rows)
