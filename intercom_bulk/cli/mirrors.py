"""What the words after `mirror` understand. Light, like the table: nothing of the library is loaded for help."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli import options
from intercom_bulk.cli.values import past, positive, span

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fill"]

LOOKS = frozenset({"status", "search", "sql", "export"})
"""These ask the mirror alone."""


def fill(parser: Any) -> None:
    """`mirror`, and its verbs."""
    words = parser.add_subparsers(metavar="VERB", required=True, parser_class=type(parser))
    for name, told, own in _VERBS:
        parser.branch(words, name, told, _verb(name, own))


def _verb(name: str, own: Callable[[Any], None]) -> Callable[[Any], None]:
    def fill(parser: Any) -> None:
        room = "mirrored" if name in LOOKS else "backfilling" if name == "backfill" else "mirroring"
        parser.set_defaults(run=f"intercom_bulk.cli.{room}:{name}")
        own(parser)
        if name in LOOKS:
            parser.add_argument("--workspace", metavar="ID", help="of which workspace, where there are several")
        options.add_common(parser)

    return fill


def _backfill(parser: Any) -> None:
    group = parser.add_argument_group("created when (the last 90 days, where nothing is said)")
    one = group.add_mutually_exclusive_group()
    one.add_argument("--days", type=positive, metavar="N", help="in the last N days")
    one.add_argument("--period", choices=("day", "week", "month", "quarter", "year"), help="in the last so long")
    one.add_argument("--since", type=past, metavar="DATE", help="from then on: 2026-09-01, or 30d for so long ago")
    one.add_argument("--resume", metavar="RUN", dest="run_id", help="go on with a backfill, over its own range")
    group.add_argument("--until", type=past, metavar="DATE", help="with --since: up to then (now)")
    how = parser.add_argument_group("how")
    how.add_argument("--rows-only", action="store_true", help="not the messages: 150 conversations a call instead of 1")
    _add_contacts(how)
    options.add_pace(parser)
    record = parser.add_argument_group("on record")
    record.add_argument("--reason", metavar="TEXT", help="why, for the record of the run")
    options.add_report(record)


def _sync(parser: Any) -> None:
    parser.add_argument("--full", action="store_true", help="read every row, not only what changed since")
    parser.add_argument("--strategy", choices=("auto", "updated", "contacts"), help="how changes are found (auto)")
    _add_contacts(parser)
    parser.add_argument("--no-deletions", action="store_true", help="do not ask what was deleted (a call or two)")
    options.add_pace(parser)


def _add_contacts(parser: Any) -> None:
    parser.add_argument("--no-contacts", action="store_true", help="not who they are with (a call for 150 contacts)")


def _range(parser: Any) -> None:
    parser.add_argument("--since", type=past, metavar="DATE", help="created from then on: 2026-09-01, or 30d")
    parser.add_argument("--until", type=past, metavar="DATE", help="created up to then")


def _search(parser: Any) -> None:
    parser.add_argument("words", nargs="*", metavar="WORD", help="all of them, by their beginnings; '\"a phrase\"'")
    _range(parser)
    parser.add_argument("-n", type=positive, default=20, metavar="N", dest="count", help="the N newest (20)")
    parser.add_argument("--wait", type=span, metavar="SPAN", help="first fetch what is missing: 30s at most")


def _sql(parser: Any) -> None:
    parser.add_argument("sql", metavar="SQL", help="such as 'SELECT state, count(*) FROM conversation GROUP BY 1'")
    parser.add_argument("-n", type=positive, metavar="N", dest="count", help="N rows at most (100; all with --json)")


def _export(parser: Any) -> None:
    parser.add_argument("output", type=Path, metavar="FILE", help="a .csv, .jsonl or .parquet; - for stdout, as JSONL")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--messages", action="store_true", help="a row for each message instead of each conversation")
    which.add_argument("--sql", metavar="SQL", help="the rows of this question")


def _verify(parser: Any) -> None:
    _range(parser)
    parser.add_argument("--window", type=span, metavar="SPAN", help="count by so long a time (1d)")


def _repair(parser: Any) -> None:
    _verify(parser)
    options.add_pace(parser)


def _nothing(_: Any) -> None:
    pass


_VERBS: tuple[tuple[str, str, Callable[[Any], None]], ...] = (
    ("backfill", "copy conversations by when they were created", _backfill),
    ("sync", "copy what has changed since the last time", _sync),
    ("status", "what is there, and how far it can be trusted", _nothing),
    ("search", "find conversations by words", _search),
    ("sql", "ask in SQL", _sql),
    ("export", "write it to a CSV, JSON lines or Parquet", _export),
    ("verify", "count it against Intercom, day by day", _verify),
    ("repair", "fetch again what verify finds short, and only that", _repair),
)
