"""Close the open conversations of a team's inbox. A dry run, unless you add --apply.

python examples/close_inbox.py --sandbox                          rehearse on a simulated inbox
python examples/close_inbox.py --team Support --csv plan.csv      list what would be closed in yours
python examples/close_inbox.py --team Support --max 10 --apply    close ten, and go and look at them
python examples/close_inbox.py --team Support --csv closed.csv --apply
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

from _sandbox import arguments, options, report, stop_on_ctrl_c, workspace

from intercom_bulk import ConversationCloser


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--team", help="name or id; without it INTERCOM_INBOX_ID")
    parser.add_argument("--csv", type=Path, default=os.devnull, help="write into this file what happened to each")
    given = parser.parse_args()
    with workspace(given):
        closer = ConversationCloser()
        team = given.team or closer.inbox_id
        if team is None:  # without a team the search would find the open conversations of all of them
            raise SystemExit("Which team? Add --team, or set INTERCOM_INBOX_ID.")
        run = closer.stream(
            team_id=team, state="open", max_items=given.max, dry_run=not given.apply, options=options(given, closer)
        )
        stop_on_ctrl_c(run)
        with given.csv.open("w", newline="") as file, run as outcomes:
            rows = csv.writer(file)
            rows.writerow(["conversation", "status", "code", "message", "was"])
            for one in outcomes:
                was = (one.before or {}).get("state")
                rows.writerow([one.item_id, one.status, one.code, one.message, was])
        return report(run.summary(), given)


if __name__ == "__main__":
    raise SystemExit(main())
