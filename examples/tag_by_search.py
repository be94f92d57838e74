"""Tag the open conversations that nobody has touched for a while. A dry run, unless you add --apply.

python examples/tag_by_search.py --sandbox
python examples/tag_by_search.py --tag stale --days 30
python examples/tag_by_search.py --tag stale --days 30 --apply
"""

from __future__ import annotations

import time

from _sandbox import arguments, options, report, workspace

from intercom_bulk import TagAssigner


def main() -> int:
    parser = arguments(__doc__)
    parser.add_argument("--tag", default="stale", help="name or id of a tag that exists (stale)")
    parser.add_argument("--days", type=float, default=30, help="untouched for so long (30)")
    given = parser.parse_args()
    untouched = {"field": "updated_at", "operator": "<", "value": int(time.time() - given.days * 86_400)}
    with workspace(given):
        tagger = TagAssigner(tag=given.tag)
        summary = tagger.bulk_process(
            query=untouched,
            state="open",
            max_items=given.max,
            dry_run=not given.apply,
            options=options(given, tagger),
        )
        return report(summary, given)


if __name__ == "__main__":
    raise SystemExit(main())
