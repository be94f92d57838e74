"""Set a custom attribute on a team's closed or open conversations. A dry run, unless you add --apply.

python examples/custom_field.py --sandbox
python examples/custom_field.py --team Support --state closed --name processed --value true
python examples/custom_field.py --team Support --state closed --name reviewed_by --value Ann --apply
"""

from __future__ import annotations

import json

from _sandbox import arguments, options, report, workspace

from intercom_bulk import CustomAttributeUpdater


def typed(text: str) -> object:
    """true, false, null and numbers as such; everything else as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--team", default="Support", help="name or id (Support)")
    parser.add_argument("--state", default="open", choices=["open", "closed", "snoozed"])
    parser.add_argument("--name", default="processed", help="an attribute that exists (processed)")
    parser.add_argument("--value", type=typed, default=True, help="true, false, null, a number or text (true)")
    given = parser.parse_args()
    with workspace(given):
        setter = CustomAttributeUpdater(attributes={given.name: given.value})
        summary = setter.bulk_process(
            team_id=given.team,
            state=given.state,
            max_items=given.max,
            dry_run=not given.apply,
            options=options(given, setter),
        )
        return report(summary, given)


if __name__ == "__main__":
    raise SystemExit(main())
