"""What the words after `pipeline` understand. Light, like the table: nothing of the library is loaded for help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk.cli import options
from intercom_bulk.cli.values import positive

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["fill"]


def fill(parser: Any) -> None:
    """`pipeline`, and its verbs."""
    words = parser.add_subparsers(metavar="VERB", required=True, parser_class=type(parser))
    for name, told, own in _VERBS:
        parser.branch(words, name, told, _verb(name, own))


def _verb(name: str, own: Callable[[Any], None]) -> Callable[[Any], None]:
    def fill(parser: Any) -> None:
        parser.set_defaults(run=f"intercom_bulk.cli.pipelining:{name}")
        own(parser)
        options.add_common(parser)

    return fill


def _run(parser: Any) -> None:
    parser.add_argument("--days", type=positive, default=90, metavar="N", help="created in the last N days (90)")
    parser.add_argument("--no-stories", action="store_true", help="leave out the last phase, which tells stories")


def _resume(parser: Any) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("run_id", nargs="?", type=positive, metavar="RUN", help="by its number, on whatever day")
    which.add_argument("--days", type=positive, metavar="N", help="the newest of today that is N days long (90)")


def _one(parser: Any) -> None:
    parser.add_argument("run_id", nargs="?", type=positive, metavar="RUN", help="by its number (the newest)")


def _several(parser: Any) -> None:
    parser.add_argument("-n", type=positive, default=20, metavar="N", dest="count", help="how many (20)")


def _stories(parser: Any) -> None:
    _several(parser)
    parser.add_argument("--markdown", action="store_true", help="whole, to be pasted somewhere")


_VERBS: tuple[tuple[str, str, Callable[[Any], None]], ...] = (
    ("run", "fetch conversations and work them out, phase by phase", _run),
    ("status", "how a run stands", _one),
    ("history", "the runs, newest first", _several),
    ("resume", "go on with a run, over its own range", _resume),
    ("stop", "ask the run under way to end, in whatever process; it can be resumed", _one),
    ("themes", "what people write about, the largest themes first", _several),
    ("stories", "a story for each larger theme", _stories),
)
