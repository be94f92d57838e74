"""Updaters of tickets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from intercom_bulk import (
    NoteAdder,
    Replier,
    TagAssigner,
    TicketAssigner,
    TicketAttributeSetter,
    TicketCloser,
    TicketDeleter,
    TicketOpener,
    TicketSnoozer,
    TicketStateSetter,
    Untagger,
)
from tests.updaters.cases import Case

if TYPE_CHECKING:
    from intercom_bulk.sandbox import Sandbox
    from tests.undo.person import Person

__all__ = ["CASES"]

LATER = int(time.time()) + 5 * 86_400 + 12_345
SOONER = LATER - 86_400


def desk_work(sandbox: Sandbox, person: Person) -> None:
    """A third is closed, a third sleeps; some are assigned and have a severity."""
    for number, item_id in enumerate(sandbox.states("tickets")):
        fields: dict[str, Any] = {"admin_id": 781}
        if number % 3:
            fields |= {"open": False} if number % 3 == 1 else {"snoozed_until": SOONER}
        if number % 2:
            fields |= {"assignee_id": "782", "ticket_attributes": {"severity": "low"}}
        person.ask("PUT", f"/tickets/{item_id}", fields)
        person.ask("POST", f"/tickets/{item_id}/tags", {"id": "102", "admin_id": "781"})


def ticket(name: str, **said: Any) -> Case:
    return Case(name=f"tickets {name}", on="tickets", before=desk_work, **said)


CASES = (
    ticket(
        "state",
        make=lambda **c: TicketStateSetter(ticket_state="Resolved", **c),
        causes=("The customer may be told of the new state",),
    ),
    ticket("state of each type", make=lambda **c: TicketStateSetter(ticket_state="escalated", **c)),
    ticket(
        "state of one type",
        make=lambda **c: TicketStateSetter(ticket_state="8543", skip_notifications=True, **c),
    ),
    ticket("attributes", make=lambda **c: TicketAttributeSetter(attributes={"severity": "high"}, **c)),
    ticket("assign", make=lambda **c: TicketAssigner(admin="Ben Brook", team="Sales", **c), effects=None),
    ticket("assign to one", make=lambda **c: TicketAssigner(admin=783, **c)),
    ticket("unassign", make=lambda **c: TicketAssigner(admin=None, **c)),
    ticket("open", make=lambda **c: TicketOpener(**c)),
    ticket("close", make=lambda **c: TicketCloser(**c), causes=("It is snoozed: the snooze ends.",)),
    ticket("snooze", make=lambda **c: TicketSnoozer(until=LATER, **c)),
    ticket("tag", make=lambda **c: TagAssigner(tag="stale", on="tickets", **c), undoes=False, tells=False),
    ticket("untag", make=lambda **c: Untagger(tag="vip", on="tickets", **c), undoes=False, tells=False),
    ticket(
        "note",
        make=lambda **c: NoteAdder(body="Checked.", on="tickets", **c),
        undoes=False,
        irreversible=True,
        appends=True,
        tells=False,
    ),
    ticket(
        "reply",
        make=lambda **c: Replier(body="Is it solved?", on="tickets", **c),
        undoes=False,
        irreversible=True,
        appends=True,
        tells=False,
        causes=("The text goes to the customer.",),
    ),
    ticket("delete", make=lambda **c: TicketDeleter(**c), undoes=False, irreversible=True),
)
