"""What happened to each item of a run, for spreadsheets (CSV), programs (JSONL) and tickets (Markdown).

Outcomes are streamed: none is kept. Nothing here opens a file; hand over text files opened with `newline=""` and UTF-8
(`utf-8-sig` when a CSV is meant for Excel, which reads others in the machine's own encoding).

A cell of the CSV that a spreadsheet would run as a formula has an apostrophe in front, and so has an id that a
spreadsheet would take for another number or a date (OWASP ASVS 1.2.10, CWE-1236). `Ids.from_csv` takes it off. Cells
of the other columns that begin with apostrophes and then a formula get one more, so one off is always the text itself.
"""

from __future__ import annotations

import csv
import html
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO
from urllib.parse import quote, urlsplit

from intercom_bulk.runs.model import Outcome, RunState, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.runs.record import RunRecord

__all__ = ["COLUMNS", "id_cell", "inbox_of", "printable", "safe_cell", "write_csv", "write_jsonl", "write_markdown"]

COLUMNS = (
    "item_id", "status", "attempts", "at", "code", "message", "request_id", "before", "after", "link", "step",
)  # fmt: skip

_FORMULA = re.compile(r"['\s]*[=+\-@＝＋－＠\t\r\n\0]")
_MANGLED = re.compile(r"0[0-9]+|[0-9]{16,}|[0-9]+[eE][0-9]+|[0-9]+(?:[-/][0-9]+)+")
"""Ids that a spreadsheet changes on opening: leading zeros, more than 15 digits, 1E5, dates."""
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_JSON_UNSAFE = re.compile(r"[\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What JSON may hold but UTF-8 cannot, or what some readers take for the end of a line."""
_INBOXES = {"api.eu.intercom.io": "app.eu.intercom.com", "api.au.intercom.io": "app.au.intercom.com"}


def write_csv(
    record: RunRecord, outcomes: Iterable[Outcome], out: TextIO, *, collection: str = "conversations"
) -> None:
    """One row per item under `COLUMNS`; `at` is ISO 8601 in UTC, `before` and `after` are JSON.

    `step` is how many steps of a composite are over.
    `link` opens the item in the inbox; it is empty for other collections and where the workspace is not known.
    """
    writer = csv.writer(out)  # CRLF, as RFC 4180 has it: with "\n" alone, a lone CR in a cell would not be quoted
    writer.writerow(COLUMNS)
    inbox = inbox_of(record) if collection == "conversations" else None
    writer.writerows(_row(outcome, inbox) for outcome in outcomes)


def write_jsonl(record: RunRecord, outcomes: Iterable[Outcome], out: TextIO) -> None:
    """The run's record, then every field of every outcome, raw: times are epoch seconds, nothing is guarded."""
    out.write(printable(record.to_json()) + "\n")
    for outcome in outcomes:
        out.write(_json({name: getattr(outcome, name) for name in _OUTCOME_FIELDS}) + "\n")


def write_markdown(
    record: RunRecord,
    counts: Mapping[Status, int],
    codes: Mapping[str, int],
    samples: Iterable[Outcome],
    out: TextIO,
    *,
    known: int | None = None,
) -> None:
    """A summary to paste into a ticket: what, who, why, when, totals, one example of each error, what to do next.

    `samples` give the examples: the first of each code is taken. `known` is how many items the ledger has. Raises
    ValueError, with nothing written, when the totals do not add up to it or one of them is negative.
    """
    totals = _totals(counts)
    items = sum(totals.values())
    if min(totals.values()) < 0 or items != (items if known is None else known):
        raise ValueError(f"The totals do not add up: {totals} are {items} items, the ledger knows {known}.")
    _write(out, f"# {_escape(record.title)}: {_words(record.state)}", "")
    _write(out, *_table(("", ""), _facts(record)), "")
    _write(out, "## Totals", "", *_table(("", "items"), _total_rows(totals, items, record.total)), "")
    if codes:
        _write(out, "## What was not done, and why", "")
        _write(out, *_table(("code", "items", "example", "message", "request id"), _code_rows(codes, samples)), "")
    _write(out, "## What to do next", "", *(f"- {line}" for line in _advice(record, totals)))


_OUTCOME_FIELDS = tuple(field.name for field in fields(Outcome))
_FINISHED = frozenset({RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS})


# -- CSV and JSONL


def _row(outcome: Outcome, inbox: str | None) -> tuple[str, ...]:
    return (
        id_cell(outcome.item_id),
        outcome.status.value,
        str(outcome.attempts),
        _when(outcome.at, "milliseconds") if outcome.at else "",
        safe_cell(outcome.code or ""),
        safe_cell(outcome.message or ""),
        id_cell(outcome.request_id or ""),
        _json(outcome.before) if outcome.before is not None else "",
        _json(outcome.after) if outcome.after is not None else "",
        inbox + quote(_encodable(outcome.item_id), safe="") if inbox and " " not in outcome.item_id else "",
        str(outcome.step or ""),
    )


def safe_cell(text: str) -> str:
    """Text that no spreadsheet runs as a formula."""
    return _encodable(f"'{text}" if _FORMULA.match(text) else text)


def id_cell(text: str) -> str:
    """An id that no spreadsheet takes for another number or a date."""
    guarded = text.startswith("'") or _FORMULA.match(text) or _MANGLED.fullmatch(text)
    return _encodable(f"'{text}" if guarded else text)


def _encodable(text: str) -> str:
    """Half of an emoji, which JSON may carry, would end the export with a UnicodeEncodeError."""
    return _SURROGATE.sub(_escaped, text)


def _json(value: object) -> str:
    return printable(json.dumps(value, ensure_ascii=False, default=_plain))


def printable(line: str) -> str:
    """JSON that every reader takes for one line."""
    return _JSON_UNSAFE.sub(_escaped, line)


def _escaped(char: re.Match[str]) -> str:
    return f"\\u{ord(char[0]):04x}"


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def inbox_of(record: RunRecord) -> str | None:
    """What a conversation's id is put behind to open it in the inbox; None where the workspace is not known."""
    if record.workspace is None:
        return None
    host = _INBOXES.get(urlsplit(record.base_url or "").hostname or "", "app.intercom.com")
    return f"https://{host}/a/apps/{quote(record.workspace, safe='')}/inbox/conversation/"


# -- Markdown


def _totals(counts: Mapping[Status, int]) -> dict[str, int]:
    """Every status counts in exactly one of these."""
    words = {
        Status.DONE: "done",
        Status.SKIPPED: "skipped",
        Status.FAILED: "failed",
        Status.UNKNOWN: "unknown",
        Status.STARTED: "unknown",
        Status.NEEDS_REVIEW: "needs review",
        Status.STAGED: "unprocessed",
    }
    totals = dict.fromkeys(words.values(), 0)
    for status, count in counts.items():
        totals[words[status]] += count
    return totals


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    of = f", of run {record.parent}" if record.parent else ""
    yield "What", f"{record.title} ({record.kind}{of})"
    yield "Run", record.run_id
    if record.parameters:
        yield "With", _json(record.parameters)
    yield "Who", f"admin {record.by or 'not known'}, workspace {record.workspace or 'not known'}"
    yield "Why", record.reason or "no reason was given"
    end = record.updated_at if record.ended_at is None else record.ended_at
    yield "When", f"{_when(record.created_at)} to {_when(end)}"
    times = f", started {record.lives} times, the pauses included" if record.lives > 1 else ""
    yield "How long", f"{timedelta(seconds=round(max(end - record.created_at, 0)))} (h:mm:ss){times}"
    yield "State", f"{_words(record.state)}: {record.ended}" if record.ended else _words(record.state)


def _total_rows(totals: Mapping[str, int], items: int, matched: int | None) -> Iterator[tuple[str, str]]:
    for name, count in totals.items():
        yield name, f"{count:,}"
    yield "items known", f"{items:,}"
    if matched is not None and matched != items:
        yield "counted by the search at the start", f"{matched:,}"


def _code_rows(codes: Mapping[str, int], samples: Iterable[Outcome]) -> Iterator[tuple[str, ...]]:
    examples: dict[str, Outcome] = {}
    for sample in samples:
        if sample.code in codes:
            examples.setdefault(sample.code or "", sample)
    for code, count in sorted(codes.items(), key=lambda pair: (-pair[1], pair[0])):
        seen = examples.get(code)
        example = (seen.item_id, seen.message or "", seen.request_id or "") if seen else ("", "", "")
        yield code, f"{count:,}", *example


def _advice(record: RunRecord, totals: Mapping[str, int]) -> Iterator[str]:
    run, left, doubt = _escape(record.run_id), totals["unprocessed"], totals["unknown"]
    under_way = not record.is_resumable and record.state not in _FINISHED
    if under_way:
        yield "Wait: the run is under way, these are its numbers so far."
    if record.is_resumable:
        yield (
            f"**Resume** run {run} to go on where it stood. Unprocessed so far: {left:,}; in doubt, to be read back"
            f" first: {doubt:,}."
        )
    elif doubt and not under_way:
        yield f"**Look** at the items in doubt ({doubt:,}): the run ended before they could be read back."
    if totals["needs review"]:
        yield (
            f"**Look** by hand at the items to review ({totals['needs review']:,}): whether they were changed could not"
            " be proved, and doing them twice would show."
        )
    if totals["failed"]:
        yield f"**Retry** the failed items of run {run} ({totals['failed']:,}) once the causes above are mended."
    if totals["done"] and record.kind != "undo" and not under_way:
        yield (
            f"**Undo** run {run} if it was a mistake: of the items done ({totals['done']:,}), what can be taken back"
            " is, but not where somebody changed them since."
        )
    if record.state in _FINISHED and totals["done"] + totals["skipped"] == sum(totals.values()):
        yield "Nothing else: every item known is done or was skipped."


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _line(head)
    yield "|" + " --- |" * len(head)
    for row in rows:
        yield _line([_escape(cell) for cell in row])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_BLANKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
_MARKUP = re.compile(r"[\\`*\[\]|#~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_LONGEST = 500


def _escape(text: str) -> str:
    """One line of text that reads as it is: no markup, no HTML, no formula when the table goes on to a spreadsheet."""
    flat = _BLANKS.sub(" ", text).strip()
    shown = safe_cell(flat if len(flat) <= _LONGEST else flat[: _LONGEST - 1] + "…")
    return _MARKUP.sub(r"\\\g<0>", html.escape(shown, quote=False))


def _words(state: RunState) -> str:
    return state.value.replace("_", " ")


def _when(at: float, timespec: str = "seconds") -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def _write(out: TextIO, *lines: str) -> None:
    out.writelines(f"{line}\n" for line in lines)
