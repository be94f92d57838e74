"""What every example shares: `--sandbox` instead of your workspace, a dry run unless `--apply`, and the last words."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from intercom_bulk import IntercomBulkError, IntercomBulkUpdater, RunOptions, RunState, SettingsError
from intercom_bulk.display import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk import Summary
    from intercom_bulk.runs.stream import OutcomeStream


def arguments(description: str | None, *, writes: bool = True) -> argparse.ArgumentParser:
    """The arguments that every example has; an example adds its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    if writes:
        parser.add_argument("--apply", action="store_true", help="do it; without this word nothing is changed")
        parser.add_argument("--refuse-above", type=int, metavar="N", help="write nothing if more than N items match")
    parser.add_argument("--max", type=int, metavar="N", help="attempt N items at most")
    parser.add_argument("--sandbox", action="store_true", help="a simulated workspace instead of yours")
    sandbox = parser.add_argument_group("with --sandbox")
    sandbox.add_argument("--conversations", type=int, default=300, metavar="N", help="how many it has (300)")
    sandbox.add_argument("--contacts", type=int, default=100, metavar="N", help="how many it has (100)")
    sandbox.add_argument(
        "--latency-ms", type=float, default=250, metavar="MS", help="how long it takes to answer (250)"
    )
    return parser


@contextmanager
def workspace(given: argparse.Namespace) -> Iterator[None]:
    """Inside, an updater without arguments talks to the sandbox, if that was asked for, and else to your workspace.

    What goes wrong ends the program with one sentence, and the status 1; Ctrl-C with 130.
    """
    try:
        if not given.sandbox:
            yield
            return
        from intercom_bulk.sandbox import Sandbox  # an extra: whoever has a token can do without

        size = {"conversations": given.conversations, "contacts": given.contacts}
        pace = {"latency_ms": given.latency_ms, "search_latency_ms": 2 * given.latency_ms}
        with Sandbox(**size, **pace) as sandbox, TemporaryDirectory() as home:
            os.environ.update(sandbox.environ())
            os.environ["INTERCOM_BULK_HOME"] = home  # a rehearsal does not belong into the history of your runs
            yield
    except SettingsError as error:
        raise SystemExit(f"{error} To rehearse without a token: --sandbox") from None
    except IntercomBulkError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        print("\nStopped: nothing was sent after what was in flight.", file=sys.stderr)
        raise SystemExit(130) from None


def options(given: argparse.Namespace, updater: IntercomBulkUpdater) -> RunOptions:
    """Progress on stderr, and the guard against more items than expected. Says first where it is going."""
    applies = getattr(given, "apply", False)
    intent = "changing what it finds" if applies else "changing nothing"
    print(f"{type(updater).__name__} on {updater.base_url}, {intent}:", file=sys.stderr)
    return RunOptions(progress=ProgressLine(), refuse_above=given.refuse_above if applies else None)


def stop_on_ctrl_c(run: OutcomeStream) -> None:
    """Ctrl-C ends the run, and what was in flight still comes out of it; a second one kills."""

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        run.stop()

    signal.signal(signal.SIGINT, stop)


def report(summary: Summary, given: argparse.Namespace) -> int:
    """Print the totals; the status for the shell: 0 only if every item is accounted for and well."""
    if sys.stderr.isatty():
        print(file=sys.stderr)  # leaves the last progress line where it is
    print(summary)
    for code, count in summary.codes.items():
        print(f"  {count:,} x {code}")
    if not getattr(given, "apply", True):
        print(f"Dry run: {summary.would_change:,} would be changed, nothing was. To do it, add: --apply", end=" ")
        print("" if given.max is not None else f"--refuse-above {summary.skipped}")
    return 0 if summary.state is RunState.COMPLETED else 1
