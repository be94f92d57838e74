"""Full text in PostgreSQL: a tsvector made of the words that `words.py` cuts, so it finds what SQLite's index finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.mirror.keeping.backend import Folded, marks
from intercom_bulk.mirror.keeping.packing import packed_text, unpacked_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.mirror.keeping.backend import Connection
    from intercom_bulk.mirror.keeping.words import Wanted

__all__ = ["TsVector"]

_TSVECTOR_MOST = 900_000
"""Bytes of words: PostgreSQL holds a megabyte in one tsvector, with the places where they stand."""
_PLACES = 16_383
"""The last place that a tsvector can tell."""
GLANCE = 4000
"""It takes some four milliseconds."""
_NEWEST = """
    SELECT key FROM (SELECT key, words FROM search_text WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?) AS newest
    WHERE words @@ ?::tsquery ORDER BY key DESC LIMIT ?
"""
_LAST = "SELECT key FROM search_text WHERE key >= ? AND key < ? ORDER BY key DESC OFFSET ? LIMIT 1"
_INDEXED = """
    WITH fitting AS MATERIALIZED (SELECT key FROM search_text WHERE words @@ ?::tsquery)
    SELECT key FROM fitting WHERE key >= ? AND key < ? ORDER BY key DESC LIMIT ?
"""
"""The keys come later: PostgreSQL would read its whole index of them beside that of the words."""


class TsVector:
    """PostgreSQL's index. `glance`: so many of the newest conversations are looked through without it."""

    def __init__(self, glance: int = GLANCE) -> None:
        self._glance = glance

    def put(self, connection: Connection, texts: Sequence[tuple[int, Folded]]) -> None:
        rows = [(key, packed_text(f"{text.subject}\n{text.body}\n{text.parts}"), tsvector(text)) for key, text in texts]
        connection.execute_many(
            "INSERT INTO search_text (key, packed, words) VALUES (?, ?, ?::tsvector)"
            " ON CONFLICT (key) DO UPDATE SET packed = excluded.packed, words = excluded.words",
            rows,
        )

    def remove(self, connection: Connection, keys: Sequence[int]) -> None:
        connection.execute_many("DELETE FROM search_text WHERE key = ?", [(key,) for key in keys])

    def texts(self, connection: Connection, keys: Sequence[int]) -> dict[int, Folded]:
        if not keys:
            return {}
        sql = f"SELECT key, packed FROM search_text WHERE key IN ({marks(len(keys))})"  # noqa: S608  marks alone
        return {key: Folded(*unpacked_text(packed).split("\n")) for key, packed in connection.rows(sql, keys)}

    def compact(self, connection: Connection) -> None:
        """A row of search_text is the whole of it: VACUUM does that."""

    def find(self, connection: Connection, wanted: Wanted, lo: int, hi: int, limit: int) -> list[int]:
        """Among the newest ones first: what many conversations say is found there at once, and the index would have
        to gather them all. Left to itself PostgreSQL chooses by statistics, which a new mirror does not have.
        """
        query = tsquery(wanted)
        found = [key for (key,) in connection.rows(_NEWEST, (lo, hi, self._glance, query, limit))]
        last = connection.row(_LAST, (lo, hi, self._glance - 1)) if len(found) < limit else None
        if last is None:
            return found
        rest = connection.rows(_INDEXED, (query, lo, last[0], limit - len(found)))
        return [*found, *(key for (key,) in rest)]


def tsvector(text: Folded) -> str:
    """The words and their places, as PostgreSQL reads them; a gap between the fields, so that no phrase spans two.

    Words beyond what a tsvector can hold are left out, the latest first.
    """
    pieces: list[str] = []
    size, place = 0, 0
    for field in (text.subject, text.body, text.parts):
        place += 1
        for word in field.split():
            place += 1
            size += len(word.encode()) + 4
            if size > _TSVECTOR_MOST:
                return " ".join(pieces)
            pieces.append(f"{word}:{min(place, _PLACES)}")
    return " ".join(pieces)


def tsquery(wanted: Wanted) -> str:
    """Words consist of letters and digits: none of them is an operator."""
    terms = [" <-> ".join((*run[:-1], f"{run[-1]}:*")) for run in wanted.words]
    terms += [" <-> ".join(run) for run in wanted.phrases]
    positive = " & ".join(f"({term})" for term in terms)
    return " & ".join([positive, *(f"!({' <-> '.join(run)})" for run in wanted.unwanted)])
