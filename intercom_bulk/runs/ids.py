"""Lists of ids: out of a program, a CSV, JSON lines or a pipe; row by row, so that each can be accounted for.

An id is text from end to end: a number would lose its leading zeros, or its last digits. What a spreadsheet puts around
an id to keep it so is taken off: `="123"`, and the apostrophe that our own exports write.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from itertools import chain
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.inputs import Input, Row, keep_input

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

__all__ = ["FED_BACK", "Ids", "Origin", "id_name", "plain_row"]

FED_BACK = frozenset({"failed", "started", "unknown", "needs_review"})
"""Of an export of ours, the items that a person feeds back in: failed and in doubt. `started` in an export is an answer
that never was recorded."""
NAMES = ("id", "conversation_id", "contact_id", "company_id", "ticket_id")
"""What a column of ids is called; our own exports call it `item_id`."""

_LONGEST = 200
"""Characters of a row that are kept: no id is as long."""
_AROUND = " \t\r\n\v\f\0\u00a0\u200b\u200e\u200f\u2060\ufeff"
_AS_TEXT = re.compile(r'="?([^"]*)"?')
_ROUNDED = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE]\+[0-9]+")
"""An id that a spreadsheet has spoiled: 2.15474E+14."""
_DECIMAL = re.compile(r"[0-9]+[.,]0+")
_SEPARATOR = re.compile(r'"?sep=(.)"?')
"""Excel's own first line."""
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))

Lines: TypeAlias = "str | PathLike[str] | Iterable[str]"


class Origin:
    """What a list is called, and how its rows are read."""

    def __init__(self, name: str, read: Callable[[], Iterable[Row]]) -> None:
        self.name = name
        self._read = read

    def __iter__(self) -> Iterator[Row]:
        yield from self._read()


class Ids:
    """The items of a run as a list: `RunOptions(source=Ids([...]))`, `Ids.from_csv("accounts.csv")`.

    Every row ends up as an item or as a reported row: a blank one is skipped (`blank`), a repeated id too
    (`duplicate`), both under "row 17"; an id that cannot be one has failed (`bad_id`). The list is read once, when a
    preview, a plan or a run first wants it: what was previewed is what runs. Reading raises `UsageError` for a file
    that cannot be read as what it should be.
    """

    def __init__(self, ids: Iterable[object]) -> None:
        if isinstance(ids, (str, bytes, PathLike)):
            raise UsageError("Ids() takes a list of ids: for a file there are Ids.from_csv, from_jsonl and from_lines.")
        self._origin = ids if isinstance(ids, Origin) else Origin("a list", lambda: _of_values(ids))
        self._known: Input | None = None

    @classmethod
    def from_csv(cls, source: Lines, column: str | None = None, *, statuses: Collection[str] | None = FED_BACK) -> Ids:
        """A column of a CSV (comma, semicolon or tab; UTF-8 or UTF-16): a path, an open text file, or lines.

        `column` None: `item_id`, else the one called id, conversation_id, contact_id, company_id or ticket_id, else the
        only one; then a first row with a digit in it is no heading. Of an export of ours only what failed or is in
        doubt is acted on, and the rest is skipped (`left_out`): `statuses` says otherwise, None: all.
        """
        return cls._from(source, lambda lines: _of_csv(lines, column, statuses))

    @classmethod
    def from_jsonl(cls, source: Lines, key: str | None = None, *, statuses: Collection[str] | None = FED_BACK) -> Ids:
        """JSON lines, an object or a bare id each. `key` None: as the column of `from_csv`; `statuses` as there."""
        return cls._from(source, lambda lines: _of_jsonl(lines, key, statuses))

    @classmethod
    def from_lines(cls, source: Lines) -> Ids:
        """An id a line: a path, or an open text file such as `sys.stdin`."""
        return cls._from(source, lambda lines: (plain_row(number, line) for number, line in enumerate(lines, 1)))

    @classmethod
    def _from(cls, source: Lines, parse: Callable[[Iterable[str]], Iterable[Row]]) -> Ids:
        return cls(Origin(_name(source), lambda: _of_lines(source, parse)))

    def rows(self) -> Iterator[Row]:
        """The list as it is read; once, where it comes from something that can be read once."""
        yield from self._origin

    def keep(self, folder: Path) -> Input:
        """The list, written down in a private file under `folder`; once, and the same list to every caller."""
        known = self._known
        if known is not None and (folder / f"{known.digest}.jsonl").exists():
            return known
        kept = keep_input(folder, self.rows(), self._origin.name)
        if known is not None and known != kept:
            raise UsageError(f"The list {kept.name} is not what it was when it was read first: make Ids of it anew.")
        self._known = kept
        return kept

    def __repr__(self) -> str:
        return f"Ids({self._origin.name})"


# -- rows


def plain_row(number: int, text: str) -> Row:
    """A row of one cell, judged as far as its text goes."""
    item_id = _bare(text)[:_LONGEST]
    if not item_id:
        return Row(number, "", ("blank", "The row has no id."))
    if _ROUNDED.fullmatch(item_id):
        why = f"A spreadsheet has rounded this id to {item_id}: go back to the original file."
        return Row(number, item_id, ("bad_id", why))
    if _DECIMAL.fullmatch(item_id):
        why = f"{item_id} is a number with a decimal point: export the ids as text."
        return Row(number, item_id, ("bad_id", why))
    return Row(number, item_id)


def _bare(text: str) -> str:
    stripped = text.strip(_AROUND)
    as_text = _AS_TEXT.fullmatch(stripped) if stripped.startswith("=") else None
    return (as_text[1] if as_text else stripped).removeprefix("'").strip(_AROUND)


def _bad(number: int, said: str, why: str) -> Row:
    return Row(number, said[:_LONGEST], ("bad_id", why))


def _chosen(row: Row, status: str | None, statuses: Collection[str] | None) -> Row:
    """The row of an export, unless its item ended in a way that nobody wants again."""
    if status is None or statuses is None or status in statuses or row.problem is not None:
        return row
    why = f"Item {row.text} has the status {status[:40]!r} in the list: pass statuses=None to act on it all the same."
    return Row(row.number, row.text, ("left_out", why))


def _of_values(ids: Iterable[object]) -> Iterator[Row]:
    for number, value in enumerate(ids, 1):
        if value is None or isinstance(value, str):
            yield plain_row(number, value or "")
        elif isinstance(value, Integral) and not isinstance(value, bool):
            yield plain_row(number, str(int(value)))
        else:
            said = repr(value)
            yield _bad(number, said, f"An id is a text or a whole number, not {said[:60]}.")


# -- files


def _name(source: Lines) -> str:
    if isinstance(source, (str, PathLike)):
        return Path(source).name
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) else "a list"


def _of_lines(source: Lines, parse: Callable[[Iterable[str]], Iterable[Row]]) -> Iterator[Row]:
    if not isinstance(source, (str, PathLike)):
        yield from parse(_without_mark(source))
        return
    path = Path(source)
    try:
        with _opened(path) as file:
            yield from parse(file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): give the file that the ids are in.") from error
    except UnicodeError as error:
        raise UsageError(f"{path} cannot be read as {error.encoding}: save it as UTF-8.") from error  # type: ignore[attr-defined]


def _opened(path: Path) -> TextIO:
    """In the encoding that its first bytes tell. Ids are ASCII: what else a UTF-8 file holds need not be whole."""
    with path.open("rb") as file:
        start = file.read(4)
    encoding = next((name for mark, name in _MARKS if start.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in start:
        encoding = "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    lenient = "surrogateescape" if encoding.startswith("utf-8") else "strict"
    return path.open(encoding=encoding, errors=lenient, newline="")


def _without_mark(lines: Iterable[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield line if number else line.removeprefix("\ufeff")


def id_name(names: Sequence[str], asked: str | None, kind: str) -> str | None:
    """Which of them holds the ids; None: none is called so. Where two do, nobody should guess."""
    if asked is not None:
        found = next((name for name in names if name == asked), None) or next(
            (name for name in names if _plain(name) == _plain(asked)), None
        )
        if found is None:
            raise UsageError(f"There is no {kind} {asked!r}: there are {_listed(names)}.")
        return found
    ours = next((name for name in names if _plain(name) == "item_id"), None)
    others = [name for name in names if _plain(name) in NAMES]
    if ours is None and len(others) > 1:
        way = "column=" if kind == "column" else "key="
        raise UsageError(f"Both {others[0]} and {others[1]} hold ids: say with {way} which are meant.")
    return ours or next(iter(others), None)


def _plain(name: str) -> str:
    return name.strip(_AROUND).lower().replace(" ", "_")


def _listed(names: Sequence[str]) -> str:
    shown = [name.strip(_AROUND)[:40] for name in names if name.strip(_AROUND)]
    return ", ".join(shown[:12]) + (", …" if len(shown) > 12 else "") or "none"


# -- CSV


def _of_csv(lines: Iterable[str], column: str | None, statuses: Collection[str] | None) -> Iterator[Row]:
    records, heading = _opened_csv(iter(lines))
    if heading is None:
        return
    first, names = heading
    name = id_name(names, column, "column")
    if name is None:
        filled = [cell for cell in names if cell.strip(_AROUND)]
        if len(filled) > 1:
            raise UsageError(f"Which column has the ids? There are {_listed(names)}: say it with column=.")
        name = filled[0]
        if re.search("[0-9]", name):  # no heading, but the first id
            records = chain([(first, names)], records)
    index = names.index(name)
    plain = [_plain(cell) for cell in names]
    told = plain.index("status") if _plain(name) == "item_id" and "status" in plain else None
    for number, cells in records:
        row = plain_row(number, cells[index] if index < len(cells) else "")
        status = cells[told].strip(_AROUND) if told is not None and told < len(cells) else None
        yield _chosen(row, status, statuses)


def _opened_csv(lines: Iterator[str]) -> tuple[Iterator[tuple[int, list[str]]], tuple[int, list[str]] | None]:
    """The rows, and the first of them with something in it. The line it stands in tells what separates the cells."""
    before = []
    delimiter: str | None = None
    for line in lines:
        before.append(line)
        separator = _SEPARATOR.fullmatch(line.strip(_AROUND))
        if separator is not None and delimiter is None:
            delimiter = separator[1]
            before[-1] = "\n"
        elif line.strip(_AROUND):
            break
    # Excel writes semicolons where the comma is the decimal sign.
    records = _records(chain(before, lines), delimiter or max(",;\t", key=(before or [""])[-1].count))
    heading = next(((number, cells) for number, cells in records if any(cell.strip(_AROUND) for cell in cells)), None)
    return records, heading


def _records(lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Rows by the line that they begin in. Strict: an open quote would swallow all the ids after it."""
    reader, number = csv.reader(lines, delimiter=delimiter, strict=True), 1
    try:
        for cells in reader:
            yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise UsageError(f"The CSV cannot be read from line {number} on ({error}): mend it, or use JSONL.") from error


# -- JSON lines


def _of_jsonl(lines: Iterable[str], key: str | None, statuses: Collection[str] | None) -> Iterator[Row]:
    name: str | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip(_AROUND):
            yield plain_row(number, "")
            continue
        entry = _json(line)
        if not isinstance(entry, dict):
            yield _row_of_value(number, entry, line)
            continue
        if name is None:
            if "run_id" in entry and "item_id" not in entry and key is None:
                continue  # the record that our own exports begin with
            name = _key_of(entry, key)
        status = entry.get("status") if name == "item_id" else None
        row = _row_of_value(number, entry.get(name), line)
        yield _chosen(row, status if isinstance(status, str) else None, statuses)


def _key_of(entry: dict[str, Any], key: str | None) -> str:
    name = id_name(list(entry), key, "key")
    if name is None:
        raise UsageError(f"Which key has the ids? There are {_listed(list(entry))}: say it with key=.")
    return name


def _row_of_value(number: int, value: object, line: str) -> Row:
    if value is None or isinstance(value, str):
        return plain_row(number, value or "")
    said = line.strip(_AROUND)
    return _bad(number, said, f"There is no id in {said[:60]!r}: it must be a text or a whole number.")


def _json(line: str) -> object:
    """Numbers keep their digits; what is no JSON is nothing that has an id."""
    try:
        return json.loads(line, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return False
