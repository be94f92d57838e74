"""Items of a bulk run, picked from the mirror: by SQL, or by a query that is answered here instead of by Intercom.

The mirror may be behind. So each id carries the `updated_at` of the row that it was picked by, and a run looks at every
item before it writes: one that is gone is skipped, and one that has changed since (`moved`) is left alone too, for what
it was picked for may hold no longer.
"""

from __future__ import annotations

from difflib import get_close_matches
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.language.compile import compile_query
from intercom_bulk.errors import UnknownNameError, UsageError
from intercom_bulk.mirror.keeping.backend import marks
from intercom_bulk.mirror.keeping.packing import unpack
from intercom_bulk.runs.ids import Ids, Origin, id_name, plain_row
from intercom_bulk.runs.inputs import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from intercom_bulk.api.language.expression import Expression
    from intercom_bulk.mirror.keeping.store import MirrorStore

__all__ = ["Picked", "by_query", "by_sql"]

_BATCH = 400
_SHOWN = 100
"""Characters of a question that the record of a run keeps as the name of its list."""
_NAMED = {"admin": "admin", "tag": "tag", "team": "team"}
"""Tables of names."""


class Picked(Ids):
    """What a question finds: rows as dicts to look at (`for row in picked`), or, as `RunOptions(source=picked)`, the
    items of a run. It is asked when it is first needed; what was previewed is what runs.
    """

    def __init__(
        self, name: str, rows: Callable[[], Iterable[Row]], look: Callable[[], Iterator[dict[str, Any]]]
    ) -> None:
        super().__init__(Origin(name, rows))
        self._look = look

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._look()


def by_sql(
    store: MirrorStore, text: str, parameters: Sequence[object] = (), *, column: str | None = None,
    even_if_changed: bool = False,
) -> Picked:  # fmt: skip
    """The rows of any question in SQL; their ids are in `column`: None: in `id`, or else as `Ids.from_csv` finds it.

    `even_if_changed`: also items that have changed since the mirror last saw them. Asking raises `UsageError` for what
    is no question, or has no ids.
    """

    def rows() -> Iterator[Row]:
        numbered = enumerate(_column_of(store, text, parameters, column), 1)
        while batch := list(islice(numbered, _BATCH)):
            listed = [plain_row(number, _said(value)) for number, value in batch]
            yield from listed if even_if_changed else _dated(store, listed)

    return Picked(f"mirror: {text}"[:_SHOWN], rows, partial(_looked, store, text, parameters))


def by_query(
    store: MirrorStore, query: Expression | str, *, zone: tzinfo, now: float, even_if_changed: bool = False
) -> Picked:
    """Conversations that meet a query (`state:open team:Support updated<30d`), by what the mirror knows of them.

    Relative times count from `now` (epoch seconds). Raises `QueryError`, and `UnknownNameError` for a name that the
    mirror has not met.
    """
    compiled = compile_query(query, "conversations", names=partial(_id, store), zone=zone, now=now, by_server=False)

    def found() -> Iterator[tuple[str, int]]:
        sql = """
            SELECT c.id, c.updated_at, r.document FROM conversation AS c JOIN conversation_raw AS r ON r.key = c.key
            WHERE c.deleted_at IS NULL ORDER BY c.key
        """
        with store.asking(sql) as (_, answers):
            for item_id, updated_at, document in answers:
                if compiled.keeps(unpack(bytes(document))):
                    yield item_id, updated_at

    def rows() -> Iterator[Row]:
        for number, (item_id, updated_at) in enumerate(found(), 1):
            yield Row(number, item_id, as_of=None if even_if_changed else updated_at)

    def look() -> Iterator[dict[str, Any]]:
        ids = (item_id for item_id, _ in found())
        while batch := list(islice(ids, _BATCH)):
            yield from store.conversations(batch)

    return Picked(f"mirror: {query}"[:_SHOWN], rows, look)


# -- SQL


def _column_of(store: MirrorStore, text: str, parameters: Sequence[object], column: str | None) -> Iterator[object]:
    with store.asking(text, parameters) as (names, answers):
        place = names.index(_ids_in(names, column))
        for row in answers:
            yield row[place]


def _ids_in(names: Sequence[str], column: str | None) -> str:
    if column is None and "id" in names:
        return "id"
    found = id_name(names, column, "column")
    if found is None and len(names) == 1:
        return names[0]
    if found is None:
        raise UsageError(f"Which column has the ids? There are {', '.join(names) or 'none'}: say it with column=.")
    return found


def _said(value: object) -> str:
    return "" if value is None else str(value)


def _dated(store: MirrorStore, rows: Sequence[Row]) -> Iterator[Row]:
    """With the moment up to which the mirror knows each; what is no mirrored conversation has none."""
    ids = [row.text for row in rows if row.problem is None]
    sql = f"SELECT id, updated_at FROM conversation WHERE id IN ({marks(len(ids))})"  # noqa: S608  marks alone
    with store.reading() as on:
        known: dict[str, int] = dict(on.rows(sql, ids)) if ids else {}
    for row in rows:
        yield row if row.problem is not None else Row(row.number, row.text, as_of=known.get(row.text))


def _looked(store: MirrorStore, text: str, parameters: Sequence[object]) -> Iterator[dict[str, Any]]:
    with store.asking(text, parameters) as (names, answers):
        for row in answers:
            yield dict(zip(names, row, strict=True))


# -- names


def _id(store: MirrorStore, kind: str, wanted: str) -> str:
    """An id of what the mirror has met; an id that it has not met is taken as it is."""
    table = _NAMED.get(kind)
    text = wanted.strip()
    known = store.sql(f"SELECT id, name FROM {table}").rows if table is not None else []  # noqa: S608  a constant
    if any(item_id == text for item_id, _ in known):
        return text
    named = [item_id for item_id, name in known if name.casefold() == text.casefold()]
    if len(named) == 1:
        return str(named[0])
    if named:
        raise UnknownNameError(f"There are {len(named)} {kind}s named {text!r}: use one of the ids {', '.join(named)}.")
    if text.isascii() and text.isdigit():
        return text
    near = get_close_matches(text, [name for _, name in known], n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "sync it first, or use the id."
    raise UnknownNameError(f"The mirror has met no {kind.replace('_', ' ')} {text[:80]!r}: {hint}")
