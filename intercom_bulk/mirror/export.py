"""What the mirror holds, for spreadsheets (CSV), programs (JSONL) and analysts (Parquet, extra `analytics`).

Rows are streamed. Nothing here opens a text file; hand over ones opened with `newline=""` and UTF-8 (`utf-8-sig` when a
CSV is meant for Excel). A cell of a CSV that a spreadsheet would run as a formula, or an id that it would take for
another number, has an apostrophe in front, as in the reports of runs.
"""

from __future__ import annotations

import csv
import json
import math
import os
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from intercom_bulk.errors import SettingsError, UsageError
from intercom_bulk.runs.report import id_cell, printable, safe_cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from intercom_bulk.mirror.keeping.store import MirrorStore

__all__ = ["CONVERSATIONS", "MESSAGES", "write_csv", "write_jsonl", "write_parquet"]

CONVERSATIONS = "SELECT * FROM conversations_flat ORDER BY created_at, id"
MESSAGES = "SELECT * FROM messages ORDER BY conversation_id, created_at, position"
_FLAGS = frozenset({"open", "read", "redacted", "metrics_retained"})
"""Columns that are true or false: SQLite has 1 and 0 for that."""


def write_csv(store: MirrorStore, out: TextIO, *, sql: str = CONVERSATIONS, parameters: Sequence[object] = ()) -> int:
    """One row each under the names of the columns; how many. Raises `UsageError` for what is no question."""
    with store.asking(sql, parameters) as (names, rows):
        guards = [id_cell if name == "id" or name.endswith("_id") else safe_cell for name in names]
        writer = csv.writer(out)
        writer.writerow([safe_cell(name) for name in names])
        count = 0
        for row in rows:
            writer.writerow([_cell(guard, value) for guard, value in zip(guards, row, strict=True)])
            count += 1
    return count


def write_jsonl(store: MirrorStore, out: TextIO, *, sql: str = CONVERSATIONS, parameters: Sequence[object] = ()) -> int:
    """One object a line, as it is: nothing is guarded; `custom_attributes` is an object."""
    with store.asking(sql, parameters) as (names, rows):
        count = 0
        for line in _lines(_apart(names), rows):
            out.write(line + "\n")
            count += 1
    return count


def write_parquet(
    store: MirrorStore, path: Path, *, sql: str = CONVERSATIONS, parameters: Sequence[object] = ()
) -> int:
    """A private Parquet file that appears under its name when it is whole; how many rows. `custom_attributes` is JSON
    text. Raises `SettingsError` without the extra.
    """
    try:
        import duckdb
    except ImportError as error:
        raise SettingsError("Parquet needs an extra: pip install 'intercom-bulk[analytics]'.") from error
    kinds: dict[str, set[type]] = {}
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=_folder(path)) as folder:
        rows, part = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        with store.asking(sql, parameters) as (names, answers), rows.open("w", encoding="utf-8") as out:
            count = 0
            kinds = {name: set() for name in names}
            for line in _lines(_apart(names), _seen(answers, kinds), nested=False):
                out.write(line + "\n")
                count += 1
        if not count:
            raise UsageError("There is nothing to export: a Parquet file needs a row to know its columns by.")
        with duckdb.connect() as database:
            source = f"read_json(?, format = 'newline_delimited', columns = {_types(kinds)})"
            copy = f"COPY (SELECT * FROM {source}) TO '{_quoted(part)}' (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608
            database.execute(copy, [str(rows)])
        part.chmod(0o600)
        os.replace(part, path)  # noqa: PTH105  a rename within the folder
    return count


def _folder(path: Path) -> Path:
    folder = path.absolute().parent
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder.name!r} to write {path.name} into.")
    return folder


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


def _seen(rows: Iterable[tuple[Any, ...]], kinds: Mapping[str, set[type]]) -> Iterator[tuple[Any, ...]]:
    """The rows, noting of which types the values of each column are. To guess from JSON would make dates of texts."""
    for row in rows:
        for (name, kind), value in zip(kinds.items(), row, strict=True):
            if value is not None:
                kind.add(bool if name in _FLAGS else type(value))
        yield row


def _types(kinds: Mapping[str, set[type]]) -> str:
    columns = [f"'{name.replace(chr(39), chr(39) * 2)}': '{_type(kind)}'" for name, kind in kinds.items()]
    return "{" + ", ".join(columns) + "}"


def _type(kinds: set[type]) -> str:
    if kinds == {bool}:
        return "BOOLEAN"
    if kinds == {int}:
        return "BIGINT"
    if kinds and kinds <= {int, float}:
        return "DOUBLE"
    return "VARCHAR"


def _apart(names: Sequence[str]) -> Sequence[str]:
    """The same names. Raises `UsageError` where a row by name would lose a column."""
    if len(set(names)) < len(names):
        raise UsageError("Two columns have the same name, and one of them would be lost: name them apart with AS.")
    return names


def _lines(names: Sequence[str], rows: Iterable[tuple[Any, ...]], *, nested: bool = True) -> Iterator[str]:
    place = names.index("custom_attributes") if nested and "custom_attributes" in names else None
    for row in rows:
        one = {name: _value(name, value) for name, value in zip(names, row, strict=True)}
        if place is not None and isinstance(row[place], str):
            one["custom_attributes"] = json.loads(row[place])
        if nested:  # for whoever reads JSON, which has no word for them; DuckDB takes them as they are
            one = {name: _finite(value) for name, value in one.items()}
        yield printable(json.dumps(one, ensure_ascii=False, default=str))


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _value(name: str, value: object) -> object:
    return bool(value) if name in _FLAGS and isinstance(value, int) else value


def _cell(guard: Callable[[str], str], value: object) -> str:
    """A number is no formula, below zero neither; an id is guarded though it is one."""
    text = _text(value)
    return text if isinstance(value, (int, float, Decimal)) and guard is safe_cell else guard(text)


def _text(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)
