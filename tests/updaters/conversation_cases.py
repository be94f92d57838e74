"""Updaters of conversations."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from intercom_bulk import (
    Assigner,
    ContactAttacher,
    ContactDetacher,
    ConversationCloser,
    ConversationDeleter,
    ConversationRedactor,
    CustomAttributeUpdater,
    NoteAdder,
    ReadMarker,
    Replier,
    StateChanger,
    TagAssigner,
    TicketConverter,
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


CONTACT = "6762f14a000000012265b1f5"
"""The first one that the sandbox draws."""
NOTE = "Checked by the bulk run: <b>nothing</b> to do & closed."


def in_some(sandbox: Sandbox, person: Person) -> None:
    """The contact takes part in two of three conversations, in none alone."""
    for number, (item_id, one) in enumerate(sandbox.states().items()):
        if number % 3 and CONTACT not in one["contacts"]:
            body = {"admin_id": "781", "customer": {"intercom_user_id": CONTACT}}
            person.ask("POST", f"/conversations/{item_id}/customers", body)


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
    Case(
        name="conversations close with a message",
        make=lambda **c: ConversationCloser(message="We close this now.", **c),
        knobs=VARIED,
        irreversible=True,
        appends=True,
        causes=("The text goes to the customer.",),
    ),
    Case(
        name="conversations note",
        make=lambda **c: NoteAdder(body=NOTE, **c),
        knobs=VARIED,
        appends=True,
        tells=False,
        causes=("It is snoozed: this wakes it.",),
    ),
    Case(
        name="conversations note that wakes nothing",
        make=lambda **c: NoteAdder(body=NOTE, **c),
        knobs={**VARIED, "words_wake": False},
        appends=True,
        tells=False,
    ),
    Case(
        name="conversations reply",
        make=lambda **c: Replier(body="Is it solved?", skip_notifications=True, **c),
        knobs=VARIED,
        undoes=False,
        irreversible=True,
        appends=True,
        tells=False,
        causes=("The text goes to the customer.", "It is snoozed: this wakes it."),
    ),
    Case(
        name="conversations attach a contact",
        make=lambda **c: ContactAttacher(contact=CONTACT, **c),
        knobs=VARIED,
        causes=("The contact can read the conversation from then on.",),
    ),
    Case(
        name="conversations detach a contact",
        make=lambda **c: ContactDetacher(contact=CONTACT, **c),
        knobs=VARIED,
        before=in_some,
    ),
    Case(
        name="conversations convert",
        make=lambda **c: TicketConverter(ticket_type="Bug report", attributes={"severity": "high"}, **c),
        knobs=VARIED,
        undoes=False,
        irreversible=True,
        appends=True,
    ),
    Case(
        name="conversations redact",
        make=lambda **c: ConversationRedactor(containing="line 2", **c),
        knobs={**VARIED, "parts": 3},
        undoes=False,
        irreversible=True,
    ),
    Case(
        name="conversations redact all",
        make=lambda **c: ConversationRedactor(author="anyone", **c),
        knobs={**VARIED, "parts": 2},
        undoes=False,
        irreversible=True,
        effects=None,  # each message is one
    ),
    Case(
        name="conversations delete",
        make=lambda **c: ConversationDeleter(retain_metrics=False, **c),
        knobs=VARIED,
        undoes=False,
        irreversible=True,
    ),
)
