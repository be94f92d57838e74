"""Several steps on each item."""

from __future__ import annotations

from intercom_bulk import Steps
from intercom_bulk.steps import assign, close, note, open, reply, set_attributes, set_title, tag, untag
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
    Case(
        name="conversations steps with a note",
        make=lambda **c: Steps(note("Part of incident 42."), tag("stale"), close(), **c),
        knobs={"conversations": 16, "share_snoozed": 0.4},
        appends=True,
        tells=False,
        effects=3,
        causes=("It is snoozed: this wakes it.",),
    ),
    Case(
        name="conversations steps with a note that wakes nothing",
        make=lambda **c: Steps(tag("stale"), note("Part of incident 42."), open(), **c),
        knobs={"conversations": 16, "share_snoozed": 1.0, "words_wake": False},
        appends=True,
        tells=False,
        effects=3,  # it seems open after the note, and is opened all the same
    ),
    Case(
        name="conversations steps with a last word",
        make=lambda **c: Steps(reply("We are back."), close("Good bye."), **c),
        knobs={"conversations": 16},
        undoes=True,
        irreversible=True,
        appends=True,
        tells=False,
        effects=2,
    ),
)
