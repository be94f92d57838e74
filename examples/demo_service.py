"""The dashboard on a simulated workspace: a run under way, some history, a mirror with a hole in it, a pipeline run.

make demo-service                                 then open the address that it prints; Ctrl-C ends all
python examples/demo_service.py --conversations 3000
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from intercom_bulk import Backfill, ConversationCloser, Ids, RunOptions, Runs, Settings, TagAssigner
from intercom_bulk.sandbox import SandboxProcess
from intercom_bulk.service.serving import Service, chosen_token

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = 10.0
"""Seconds in which Intercom counts requests, by the clock."""
SHARES = {"share_snoozed": 0.08, "share_closed": 0.15, "share_tagged": 0.2}
WORDS = """\
{login}

Open it: a run is closing {open:,} conversations at {limit:,} requests a minute. Pause it, stop it, resume it, undo it.
Nothing here leaves this machine. Ctrl-C ends all of it."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--conversations", type=int, default=6000, metavar="N", help="how many the workspace has (6000)"
    )
    parser.add_argument("--limit", type=int, default=1500, metavar="N", help="requests a minute, for the run (1500)")
    parser.add_argument("--port", type=int, default=8000, help="where to serve (8000; 0: any that is free)")
    parser.add_argument("--without-pipeline", action="store_true", help="ready sooner: no classes, themes and stories")
    given = parser.parse_args()
    try:
        with TemporaryDirectory() as home:
            serve(given, home)
    except KeyboardInterrupt:
        pass  # before it served: from then on the service ends by it, in order
    print("\nStopped.", file=sys.stderr)
    return 0


def serve(given: argparse.Namespace, home: str) -> None:
    """Fill the workspace, the mirror and the history as fast as it goes; then slow the workspace down, and serve."""
    quick: dict[str, float] = {"latency_ms": 2.0, "search_latency_ms": 5.0, "limit_per_minute": 120_000}
    with SandboxProcess(conversations=given.conversations, contacts=300, days=70, **SHARES, **quick) as sandbox:
        os.environ.update(sandbox.environ())
        os.environ["INTERCOM_BULK_HOME"] = home
        settings = Settings.build()
        for words, fill in steps(settings, given):
            print(f"  {words}...", file=sys.stderr, flush=True)
            fill()
        # From here on as in life: slow, short of requests, shared with others, and with items that cannot be changed.
        sandbox.set(latency_ms=180.0, search_latency_ms=400.0, limit_per_minute=given.limit, cotenant_share=0.18,
                    poison_422=0.008)  # fmt: skip
        forget_pace(home)
        service = Service(
            settings, token=chosen_token(os.environ.get("INTERCOM_BULK_SERVICE_TOKEN"), "127.0.0.1"), port=given.port
        )
        plan = service.desk.plan("close", where="state:open", reason="Spring cleaning")
        service.desk.apply(plan["digest"])
        print(WORDS.format(login=service.login, open=plan["count"], limit=given.limit), flush=True)
        service.run()


def steps(settings: Settings, given: argparse.Namespace) -> list[tuple[str, Callable[[], Any]]]:
    """What a workspace has after some weeks of use."""
    found: list[tuple[str, Callable[[], Any]]] = [
        ("copying conversations, but for one week", lambda: mirror(settings)),
        ("making some history", lambda: history(settings)),
    ]
    if not given.without_pipeline:
        found.append(("grouping the last 28 days", lambda: pipeline(settings)))
    return found


def mirror(settings: Settings) -> None:
    """Two backfills that leave a week out: the page of the mirror shows what that looks like."""
    now = datetime.now(UTC)
    for first, last in ((70, 41), (34, 0)):
        ago = {"since": now - timedelta(days=first), "until": now - timedelta(days=last)}
        with Backfill(**ago, settings=settings) as backfill:
            backfill.run()


def history(settings: Settings) -> None:
    """Runs that ended well, with failures, by an undo, and before their time."""
    said = {"reason": "Snoozed ones are looked at by Billing"}
    TagAssigner(tag="billing", settings=settings).bulk_process(
        state="snoozed", max_items=300, options=RunOptions(**said)
    )
    closer = ConversationCloser(settings=settings)
    known = [one.item_id for one in closer.stream(state="open", max_items=40, dry_run=True)]
    said = {"reason": "The list of Monday"}
    summary = closer.bulk_process(options=RunOptions(source=Ids([*known, "999001", "999002", "999003"]), **said))
    Runs(settings).undo(summary.run_id).wait()


def forget_pace(home: str) -> None:
    """What was spent before the workspace became slow would dwarf the chart of the rate: begin with a new window."""
    time.sleep(WINDOW - time.time() % WINDOW)
    for file in Path(home).glob("governor.db*"):
        file.unlink()


def pipeline(settings: Settings) -> None:
    from intercom_bulk import Pipeline

    Pipeline(settings=settings).start(28).result()


if __name__ == "__main__":
    raise SystemExit(main())
