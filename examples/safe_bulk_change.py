"""Close an inbox the careful way: preview, plan, apply, report, undo. A dry run, unless you add --apply.

python examples/safe_bulk_change.py --sandbox                   look, and freeze the list in plan.jsonl
python examples/safe_bulk_change.py --sandbox --apply --undo    rehearse all of it, there and back
python examples/safe_bulk_change.py --team Support              the same look at your own inbox
python examples/safe_bulk_change.py --team Support --apply --digest 4f6c...
                                                                apply the plan.jsonl that you looked at
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from _sandbox import arguments, options, workspace

from intercom_bulk import ConversationCloser, Exclude, RunOptions, Runs, RunState
from intercom_bulk.display import ProgressLine

if TYPE_CHECKING:
    import argparse

    from intercom_bulk import Run, Summary


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--team", help="name or id; without it INTERCOM_INBOX_ID")
    parser.add_argument("--plan", type=Path, default="plan.jsonl", metavar="FILE", help="the list (plan.jsonl)")
    parser.add_argument("--digest", help="apply the plan of this digest instead of making a new one")
    parser.add_argument("--hours", type=float, default=1, help="leave alone whose customer wrote so recently (1)")
    parser.add_argument("--reason", help="why, for the record")
    parser.add_argument("--undo", action="store_true", help="take it all back afterwards: for a rehearsal")
    given = parser.parse_args()
    with workspace(given):
        closer = ConversationCloser()
        digest = given.digest or planned(closer, given)
        if not given.apply:
            print(f"Nothing was changed. To do exactly this list, add: --apply --digest {digest}")
            return 0
        run = closer.apply(given.plan, digest=digest, options=RunOptions(reason=given.reason, progress=ProgressLine()))
        summary = finished(run)
        reported(run)
        if given.undo:
            print("Taking it all back:")
            finished(run.undo())
        elif not given.sandbox:
            print(f'To take it back: Runs().undo("{run.run_id}")')
        return 0 if summary.state is RunState.COMPLETED else 1


def planned(closer: ConversationCloser, given: argparse.Namespace) -> str:
    """Preview and plan; the digest of the plan."""
    team = given.team or closer.inbox_id
    if team is None:  # without a team the search would find the open conversations of all of them
        raise SystemExit("Which team? Add --team, or set INTERCOM_INBOX_ID.")
    chosen = options(given, closer)
    careful = RunOptions(
        refuse_above=chosen.refuse_above, exclude=Exclude(customer_wrote_within=timedelta(hours=given.hours))
    )
    print(closer.preview(team_id=team, state="open", sample=5, max_items=given.max, options=careful))
    plan = closer.plan(given.plan, team_id=team, state="open", max_items=given.max, options=careful)
    if given.refuse_above is not None and plan.count > given.refuse_above:
        raise SystemExit(f"{plan.count:,} match, and you expected {given.refuse_above:,} at most: nothing was changed.")
    print(f"\n{plan}")
    return plan.digest


def finished(run: Run) -> Summary:
    """Wait for the end; Ctrl-C stops the run, which can then be resumed."""
    try:
        summary = run.result()
    except KeyboardInterrupt:
        run.stop()
        summary = run.result()
        print(f'Stopped. To go on: Runs().resume("{run.run_id}")', file=sys.stderr)
    print(f"\n{summary}")
    return summary


def reported(run: Run) -> None:
    """What happened to each item, for the spreadsheet and for the ticket."""
    for path, form in ((f"{run.run_id}.csv", "csv"), (f"{run.run_id}.md", "markdown")):
        print("Written:", Runs().export(run.run_id, path, form))


if __name__ == "__main__":
    raise SystemExit(main())
