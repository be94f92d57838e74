"""Several steps on each item."""

from __future__ import annotations

from intercom_bulk import Steps
from intercom_bulk.steps import assign, close, open, set_attributes, set_title, tag, untag
from tests.updaters.cases import Case
from tests.updaters.conversation_cases import VARIED, desk_work

__all__ = ["CASES"]

CASES = (
    Case(
        name="conversations steps",
        make=lambda **c: Steps(tag("stale"), set_title("Swept"), close(), **c),
        knobs={"conversations": 16, "share_snoozed": 0.4},
        effects=3,
        causes=("It is snoozed: the snooze ends.",),
    ),
    Case(
        name="conversations many steps",
        make=lambda **c: Steps(
            open(), assign(team="Sales"), set_attributes({"issue_type": "Spam"}), untag("vip"), close(), **c
        ),
        knobs=VARIED,
        before=desk_work,
        effects=None,
        tells=False,  # what was closed is opened again first
    ),
)
