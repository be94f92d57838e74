"""The options that many commands share, each said once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli.values import file_and_column, positive, share, span, whole

if TYPE_CHECKING:
    from intercom_bulk.operations import Operation

__all__ = [
    "COMMON",
    "EXAMPLES",
    "add_common",
    "add_confirmation",
    "add_pace",
    "add_plan_file",
    "add_record",
    "add_run",
    "add_selection",
    "add_yes",
]

EXAMPLES = {
    "conversations": "state:open team:Support updated<30d",
    "contacts": "role:lead last_seen<365d",
    "companies": "plan:free",
    "tickets": "open:true team:Support",
}
"""A search for each resource, as one would type it."""
COMMON: dict[str, Any] = {"json": False, "verbose": 0, "debug": False, "audit_trail": None, "region": None}
"""What these are where nobody says them. They may stand before the command or after it."""


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every command understands."""
    group = parser.add_argument_group("everywhere")
    _add(group, "--json", "one JSON document on stdout, for programs", action="store_true")
    _add(group, "--verbose", "log what happens to stderr; twice: every request", "-v", action="count")
    _add(group, "--debug", "show the traceback of an error", action="store_true")
    _add(group, "--audit-trail", "append a line of JSON for each call to Intercom; never the token", type=Path,
         metavar="FILE")  # fmt: skip
    _add(group, "--region", "where the workspace lives, unless INTERCOM_REGION says it", choices=("us", "eu", "au"))


def add_selection(parser: argparse.ArgumentParser, row: Operation) -> None:
    """Which items. One of these has to be said: nothing means everything."""
    group = parser.add_argument_group("which items (one of these)")
    one = group.add_mutually_exclusive_group(required=True)
    if row.by_ids:
        parser.set_defaults(where=None, query=None, all=False)
    else:
        one.add_argument("--where", metavar="TEXT", help=f"search for them: '{EXAMPLES[row.resource]}'")
        one.add_argument("--query", metavar="JSON", help="search by Intercom's own query JSON, or @FILE with it")
        one.add_argument("--all", action="store_true", help=f"all {row.resource} of the workspace")
    one.add_argument(
        "--ids",
        type=file_and_column,
        metavar="FILE[:COLUMN]",
        help="these ids: a CSV, JSON lines, or one a line; - for what is piped in",
    )
    one.add_argument("--from-mirror", metavar="SQL", help="what SQL, or a search, finds in the local mirror")
    one.add_argument("--failed-of", metavar="RUN", help="those that failed in an earlier run")
    narrow = parser.add_argument_group("of these")
    narrow.add_argument("--max", type=positive, metavar="N", help="change N at most, and leave the rest")
    narrow.add_argument(
        "--even-if-changed", action="store_true", help="with --from-mirror: also what has changed since it saw them"
    )
    if row.resource == "conversations":
        narrow.add_argument(
            "--exclude-recent", type=span, metavar="SPAN", help="not those whose customer wrote so lately: 2h, 3d"
        )
        narrow.add_argument("--exclude-priority", action="store_true", help="not those marked as priority")
        narrow.add_argument("--exclude-sla", action="store_true", help="not those with an SLA running or missed")
    narrow.add_argument("--sample", type=whole, default=5, metavar="N", help="how many to show beforehand (5)")


def add_confirmation(parser: argparse.ArgumentParser, row: Operation) -> None:
    group = parser.add_argument_group("before anything is written")
    group.add_argument("--dry-run", action="store_true", help="show what would be done, and end")
    add_yes(group, irreversible=row.irreversible)
    group.add_argument("--refuse-above", type=whole, metavar="N", help="write nothing if more than N items match")


def add_yes(group: Any, *, irreversible: bool) -> None:
    group.add_argument("--yes", "-y", action="store_true", help="do not ask; for scripts")
    if irreversible:
        group.add_argument("--irreversible", action="store_true", help="with --yes: also what cannot be undone")


def add_plan_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, default=Path("plan.jsonl"), metavar="FILE",
                        help="the file of the plan (plan.jsonl)")  # fmt: skip


def add_pace(parser: argparse.ArgumentParser, *, workers: bool = True) -> None:
    """`workers` False: a run that is gone on with keeps the number that it was started with."""
    group = parser.add_argument_group("pace")
    if workers:
        told = "requests in flight, at most (as many as needed)"
        group.add_argument("--workers", type=positive, metavar="N", help=told)
    group.add_argument("--share", type=share, metavar="SHARE", help="of the API's limit, use at most this: 50%%")
    group.add_argument(
        "--reserve", type=share, metavar="SHARE", help="leave this to others for as long as possible (5%%)"
    )


def add_record(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("on record")
    group.add_argument("--reason", metavar="TEXT", help="why, for the record of the run")
    group.add_argument("--run-key", metavar="NAME", help="your own name of the run: the same one again goes on with it")
    add_report(group)


def add_report(group: Any) -> None:
    group.add_argument("--report", type=Path, action="append", default=[], metavar="FILE",
                       help="write what happened to each item: .csv, .jsonl, or .md for a summary")  # fmt: skip


def add_run(parser: argparse.ArgumentParser) -> None:
    """Which run: its id, a part of it that no other has, or "last"."""
    parser.add_argument("run_id", metavar="RUN", help="its id, the end of it, or last for the newest")


def _add(group: Any, name: str, told: str, *more: str, **kind: Any) -> None:
    """Without a default of its own: said before the command, it must not be unsaid after it."""
    group.add_argument(name, *more, default=argparse.SUPPRESS, help=told, **kind)
