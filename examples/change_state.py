"""Open, close or snooze a team's conversations. A dry run, unless you add --apply.

python examples/change_state.py --sandbox
python examples/change_state.py --team Support --to snoozed --hours 16
python examples/change_state.py --team Support --from snoozed --to open --apply
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from _sandbox import arguments, options, report, workspace

from intercom_bulk import StateChanger


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--team", default="Support", help="name or id (Support)")
    parser.add_argument("--from", dest="source", default="open", choices=["open", "closed", "snoozed"])
    parser.add_argument("--to", dest="target", default="snoozed", choices=["open", "closed", "snoozed"])
    parser.add_argument("--hours", type=float, default=16, help="how long to snooze (16)")
    given = parser.parse_args()
    until = datetime.now(UTC) + timedelta(hours=given.hours) if given.target == "snoozed" else None
    with workspace(given):
        changer = StateChanger(state=given.target, snoozed_until=until)
        summary = changer.bulk_process(
            team_id=given.team,
            state=given.source,
            max_items=given.max,
            dry_run=not given.apply,
            options=options(given, changer),
        )
        return report(summary, given)


if __name__ == "__main__":
    raise SystemExit(main())
