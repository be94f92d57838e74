"""The commands that are no operations: what they understand, and who does them. Light, like the table."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.cli import mirrors, options, pipelines
from intercom_bulk.cli.values import positive, whole
from intercom_bulk.operations import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COMMANDS", "SHELLS", "Command"]

LOOKS = {"list": "records:list_runs", "show": "records:show", "report": "records:report", "watch": "watching:watch"}
"""Of `runs`, the verbs that look; the others are in a room of their own."""
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    help: str
    fill: Callable[[Any], None]


def _apply(parser: Any) -> None:
    parser.set_defaults(run="intercom_bulk.cli.applying:apply")
    parser.add_argument("plan", type=Path, metavar="FILE", help="the plan, as `plan` made it")
    parser.add_argument("--digest", metavar="SHA256", help="the plan that was looked at; needed with --yes")
    parser.add_argument("--strict", action="store_true", help="read each item itself right before it is changed")
    parser.add_argument("--max", type=positive, metavar="N", help="change N at most, and leave the rest")
    parser.add_argument("--sample", type=whole, default=5, metavar="N", help="how many to show beforehand (5)")
    parser.add_argument("--dry-run", action="store_true", help="show the plan, and end")
    options.add_yes(parser, irreversible=True)
    options.add_pace(parser)
    options.add_record(parser)
    options.add_common(parser)


def _query(parser: Any) -> None:
    words = parser.add_subparsers(metavar="VERB", required=True, parser_class=type(parser))
    for name, told in (
        ("explain", "say which part Intercom answers and which is filtered here; reads names only"),
        ("count", "count what it finds"),
        ("sample", "show some of what it finds"),
    ):
        parser.branch(words, name, told, _query_verb(name))


class _Joined(argparse.Action):
    """One text, which the shell took apart where nobody quoted it."""

    def __call__(self, _: Any, namespace: Any, values: Any, *__: object) -> None:
        setattr(namespace, self.dest, " ".join(values))


def _query_verb(name: str) -> Callable[[Any], None]:
    def fill(parser: Any) -> None:
        parser.set_defaults(run=f"intercom_bulk.cli.query:{name}")
        parser.add_argument(
            "where", metavar="TEXT", nargs="+", action=_Joined, help="the search: 'state:open team:Support updated<30d'"
        )
        parser.add_argument("--on", choices=RESOURCES, default=RESOURCES[0], metavar="WHAT",
                            help=f"{', '.join(RESOURCES[:-1])} or {RESOURCES[-1]}")  # fmt: skip
        if name == "sample":
            parser.add_argument("-n", type=whole, default=10, metavar="N", dest="sample", help="how many (10)")
        options.add_common(parser)

    return fill


def _runs(parser: Any) -> None:
    words = parser.add_subparsers(metavar="VERB", required=True, parser_class=type(parser))
    for name, told, fill in _RUNS:
        parser.branch(words, name, told, _run_verb(name, fill))


def _run_verb(name: str, own: Callable[[Any], None]) -> Callable[[Any], None]:
    def fill(parser: Any) -> None:
        parser.set_defaults(run=f"intercom_bulk.cli.{LOOKS.get(name, f'runs:{name}')}")
        own(parser)
        options.add_common(parser)

    return fill


def _list(parser: Any) -> None:
    parser.add_argument("--resumable", action="store_true", help="only those that can be gone on with")
    parser.add_argument("-n", type=positive, default=20, metavar="N", dest="count", help="how many (20)")


def _prune(parser: Any) -> None:
    parser.add_argument("--older-than", type=positive, default=90, metavar="DAYS", help="ended so long ago (90)")
    parser.add_argument("--resumable", action="store_true", help="also those that could be gone on with")
    options.add_yes(parser, irreversible=False)


def _undo(parser: Any) -> None:
    _going_on(parser, irreversible=False)


def _resume(parser: Any) -> None:
    _going_on(parser, irreversible=True)


def _going_on(parser: Any, *, irreversible: bool) -> None:
    options.add_run(parser)
    options.add_yes(parser, irreversible=irreversible)
    options.add_pace(parser, workers=False)
    group = parser.add_argument_group("on record")
    options.add_report(group)


def _retry(parser: Any) -> None:
    _resume(parser)
    parser.add_argument(
        "--needs-review", action="store_true", help="also those of which nobody knows: again, regardless"
    )


def _report(parser: Any) -> None:
    options.add_run(parser)
    parser.add_argument("output", nargs="?", type=Path, metavar="FILE", help="a .csv, .jsonl or .md; else to stdout")
    parser.add_argument("--format", choices=("csv", "jsonl", "markdown"), help="of what goes to stdout (markdown)")


def _show(parser: Any) -> None:
    options.add_run(parser)
    parser.add_argument("--items", metavar="STATUS", help="list the items of this status, such as failed")
    parser.add_argument("--item", metavar="ID", help="all that is known of one item, step by step")
    parser.add_argument("-n", type=whole, default=20, metavar="N", dest="count", help="of them, so many (20)")


_RUNS: tuple[tuple[str, str, Callable[[Any], None]], ...] = (
    ("list", "the runs, newest first", _list),
    ("show", "how a run stands", _show),
    ("watch", "follow a run of another process", options.add_run),
    ("pause", "ask the process that works on a run to send nothing more", options.add_run),
    ("resume", "go on with a run", _resume),
    ("stop", "ask the process that works on a run to end it; it can be resumed", options.add_run),
    ("retry", "try the failed items of a run again", _retry),
    ("undo", "take back what a run did, where nobody changed it since", _undo),
    ("report", "what happened to each item: CSV, JSON lines or a summary", _report),
    ("prune", "forget old runs", _prune),
)


def _doctor(parser: Any) -> None:
    parser.set_defaults(run="intercom_bulk.cli.doctor:doctor")
    options.add_common(parser)


def _serve(parser: Any) -> None:
    parser.set_defaults(run="intercom_bulk.cli.serving:serve")
    where = "where to listen (127.0.0.1); beyond this machine it takes INTERCOM_BULK_SERVICE_TOKEN"
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=where)
    parser.add_argument("--port", type=whole, default=8000, metavar="N", help="the port (8000); 0: one that is free")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                        help="answer to this name too, as a browser shows it; may be repeated")  # fmt: skip
    parser.add_argument("--https", action="store_true", help="it stands behind a proxy that speaks https")
    options.add_common(parser)


def _sandbox(parser: Any) -> None:
    parser.set_defaults(run="intercom_bulk.cli.rehearsal:sandbox")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its knobs: see `intercom-bulk sandbox --help`")


def _demo(parser: Any) -> None:
    parser.set_defaults(run="intercom_bulk.cli.rehearsal:demo")
    parser.add_argument("--conversations", type=positive, default=3000, metavar="N", help="how many (3000)")
    parser.add_argument("--latency-ms", type=float, default=250, metavar="MS", help="how long an answer takes (250)")
    parser.add_argument("--search-latency-ms", type=float, default=600, metavar="MS", help="and a search (600)")
    options.add_common(parser)


def _completion(parser: Any) -> None:
    parser.set_defaults(run="intercom_bulk.cli.completion:completion")
    parser.add_argument("shell", choices=SHELLS, help="your shell")
    options.add_common(parser)


COMMANDS = (
    Command("apply", "do exactly what a plan says", _apply),
    Command("query", "try a search: explain, count, sample", _query),
    Command("runs", "list, show, watch, pause, stop, resume, retry, undo, report ...", _runs),
    Command("mirror", "a local copy: backfill, sync, search, sql, export ...", mirrors.fill),
    Command("pipeline", "work conversations out: run, status, resume, themes, stories ...", pipelines.fill),
    Command("serve", "watch and steer runs in a browser, or over HTTP", _serve),
    Command("doctor", "check token, permissions, limits, clock and records", _doctor),
    Command("sandbox", "a simulated workspace to rehearse on", _sandbox),
    Command("demo", "close 3,000 simulated conversations at the speed limit", _demo),
    Command("completion", "print what makes your shell complete these words", _completion),
)
