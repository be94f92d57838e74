"""Updaters of conversations."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from intercom_bulk import (
    Assigner,
    ConversationCloser,
    CustomAttributeUpdater,
    ReadMarker,
    StateChanger,
    TagAssigner,
    TitleSetter,
    Untagger,
)
from tests.updaters.cases import Case

if TYPE_CHECKING:
    from intercom_bulk.sandbox import Sandbox
    from tests.undo.person import Person

__all__ = ["CASES"]

LATER = int(time.time()) + 5 * 86_400 + 12_345
VARIED: dict[str, Any] = {"conversations": 16, "share_snoozed": 0.4, "share_closed": 0.2, "share_tagged": 0.6}
OPEN: dict[str, Any] = {"query": {"field": "state", "operator": "!=", "value": "closed"}}


def desk_work(sandbox: Sandbox, person: Person) -> None:
    """Some are read and have a title, some are assigned."""
    for number, (item_id, one) in enumerate(sandbox.states().items()):
        if number % 4 == 0:
            person.put(item_id, read=True, title=f"Case {number}")
        if number % 5 == 0 and one["state"] != "closed":
            person.assign(item_id, "admin", "782")


CASES = (
    Case(
        name="conversations close",
        make=lambda **c: ConversationCloser(**c),
        knobs=VARIED,
        causes=("It is snoozed: the snooze ends.",),
    ),
    Case(
        name="conversations open",
        make=lambda **c: StateChanger(state="open", **c),
        knobs=VARIED,
        causes=("It is closed: this reopens it",),
    ),
    Case(
        name="conversations snooze",
        make=lambda **c: StateChanger(state="snoozed", snoozed_until=LATER, **c),
        knobs=VARIED,
    ),
    Case(
        name="conversations assign",
        make=lambda **c: Assigner(admin=781, team="Sales", **c),
        search=OPEN,
        knobs=VARIED,
        before=desk_work,
        effects=None,  # two writes an item: one that was stopped between them begins anew
    ),
    Case(
        name="conversations assign and reopen",
        make=lambda **c: Assigner(admin=783, reopen=True, **c),
        knobs=VARIED,
        before=desk_work,
        causes=("It is closed: assigning reopens it",),
    ),
    Case(name="conversations tag", make=lambda **c: TagAssigner(tag="stale", **c), knobs=VARIED),
    Case(name="conversations untag", make=lambda **c: Untagger(tag="vip", **c), knobs={**VARIED, "conversations": 48}),
    Case(
        name="conversations attributes",
        make=lambda **c: CustomAttributeUpdater(attributes={"issue_type": "Spam", "priority_score": 9}, **c),
        knobs=VARIED,
    ),
    Case(
        name="conversations title",
        make=lambda **c: TitleSetter(title="Cleaned up", **c),
        knobs=VARIED,
        before=desk_work,
    ),
    Case(name="conversations read", make=lambda **c: ReadMarker(**c), knobs=VARIED, before=desk_work),
)
