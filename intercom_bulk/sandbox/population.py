"""What a fresh workspace holds, drawn from a seed: the same options always make the same workspace."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from intercom_bulk.sandbox.records import Admin, Company, Contact, Conversation, TagMark, Ticket, TicketState

if TYPE_CHECKING:
    from intercom_bulk.sandbox.options import SandboxOptions

__all__ = [
    "ADMINS",
    "ATTRIBUTES",
    "OTHER_TEAMS",
    "SUBSCRIPTIONS",
    "TAGS",
    "TICKET_STATES",
    "TICKET_TYPES",
    "Population",
    "first_message",
]

ADMINS = (("780", "Ann Archer"), ("781", "Ben Brook"), ("782", "Cleo Cray"), ("783", "Dan Dale"))
OTHER_TEAMS = (("5017692", "Billing"), ("5017693", "Sales"))
TAGS = (("101", "stale"), ("102", "vip"), ("103", "billing"), ("104", "bug"), ("105", "spam"))
ATTRIBUTES = {
    "conversation": {
        "issue_type": "string",
        "priority_score": "integer",
        "processed": "boolean",
        "processed_at": "datetime",
        "reviewed_by": "string",
    },
    "contact": {"plan": "string", "score": "integer", "trial_ends_at": "date", "active": "boolean"},
    "company": {"industry": "string", "seats": "integer"},
    "ticket": {"_default_title_": "string", "_default_description_": "string", "severity": "string"},
}
SUBSCRIPTIONS = {"37846": ("Newsletters", "opt_out"), "37847": ("Product news", "opt_in")}
TICKET_TYPES = (("95", "Bug report", "Customer"), ("96", "Internal task", "Back-office"))
_EVERY = ("95", "96")
TICKET_STATES = {
    "8537": TicketState("8537", "submitted", "Submitted", _EVERY),
    "8538": TicketState("8538", "in_progress", "In progress", _EVERY),
    "8539": TicketState("8539", "waiting_on_customer", "Waiting on customer", _EVERY),
    "8540": TicketState("8540", "resolved", "Resolved", _EVERY),
    "8541": TicketState("8541", "in_progress", "Escalated", ("95",)),
    "8542": TicketState("8542", "in_progress", "Escalated", ("96",)),
    "8543": TicketState("8543", "waiting_on_customer", "With the vendor", ("96",)),
}
"""By id. Two types may each have a state of their own with the same label."""
QUESTIONS = (
    "how do I export my data?", "I cannot log in since this morning.", "please refund my last invoice.",
    "where do I add a colleague?", "the page stays white.",
)  # fmt: skip
_DAY = 86_400
_EMPTY: dict[str, Any] = {}


def first_message(number: int) -> str:
    """What the customer of a conversation wrote first, as HTML."""
    return f"<p>Hello, question {number}: {QUESTIONS[number % len(QUESTIONS)]}</p>"


class Population:
    """Draws records. `now` is the moment the workspace is looked at: nothing is younger."""

    def __init__(self, options: SandboxOptions, now: float) -> None:
        self.options = options
        self.now = int(now)
        self.random = random.Random(options.seed)
        self._issued: set[int] = set()

    def admins(self) -> dict[str, Admin]:
        """The teammates; the first is the one of the token."""
        team = int(self.options.team_id)
        named = [(self.options.admin_id, ADMINS[0][1]), *ADMINS[1:]]
        return {
            number: Admin(number, name, f"{name.split()[0].lower()}@example.com", (team,) if place < 3 else ())
            for place, (number, name) in enumerate(named)
        }

    def conversations(self, contacts: list[str]) -> dict[int, Conversation]:
        """By id, in order of creation."""
        times = self._times(self.options.conversations)
        made = [self.conversation(number, at, contacts) for number, at in enumerate(times, 1)]
        return {conversation.id: conversation for conversation in made}

    def conversation(self, number: int, at: int, contacts: list[str], *, plain: bool = False) -> Conversation:
        """One conversation; a `plain` one is open and in the inbox whatever the shares say."""
        options, draw = self.options, self.random.random
        made = Conversation()
        made.id, made.number = self._conversation_id(), number
        made.created_at = made.updated_at = at
        made.state, made.snoozed_until, made.waiting_since = "open", None, at
        made.team, made.admin = int(options.team_id), 0
        made.contacts = (contacts[number % len(contacts)],) if contacts else ()
        made.tags, made.attributes, made.parts = (), _EMPTY, ()
        made.redacted, made.ticket = frozenset(), None
        made.seeded_parts = 600 if number <= options.long_threads else options.parts
        made.title, made.company, made.priority, made.read = None, None, "none", False
        made.first_close_at = made.last_close_at = made.closed_by = None
        made.effects = made.reopens = made.assignments = 0
        if plain:
            return made
        if draw() < options.share_other_team:
            made.team = int(OTHER_TEAMS[number % len(OTHER_TEAMS)][0])
        state = draw()
        if state < options.share_closed:
            made.state, made.waiting_since = "closed", None
            made.first_close_at = made.last_close_at = at
            made.closed_by = options.admin_id
        elif state < options.share_closed + options.share_snoozed:
            made.state, made.snoozed_until = "snoozed", self.now + _DAY * (1 + number % 9)
        if options.share_assigned and draw() < options.share_assigned:
            made.admin = int(ADMINS[1 + number % 3][0])
        if draw() < options.share_tagged:
            made.tags = (TagMark(TAGS[number % len(TAGS)][0], at, options.admin_id),)
        if number % 3 == 0:
            made.attributes = _BILLING if number % 2 else _TECHNICAL
        return made

    def contacts(self) -> dict[str, Contact]:
        """By id."""
        return {one.id: one for one in map(self.contact, range(1, self.options.contacts + 1))}

    def contact(self, number: int, at: int | None = None) -> Contact:
        """One contact; `at` is when it was created, drawn if None."""
        made = Contact()
        made.id, made.number = f"{0x6762F14A00000000 + number:016x}{self.random.getrandbits(32):08x}", number
        made.created_at = self._moment() if at is None else at
        made.updated_at = made.created_at
        made.role = "lead" if number % 4 == 0 else "user"
        made.name, made.email = f"Person {number}", f"person{number}@customer{number % 17}.example"
        made.external_id = f"ext-{number}" if made.role == "user" else None
        made.phone = made.owner_id = made.merged_into = None
        made.signed_up_at = made.created_at if made.role == "user" else None
        made.archived = made.blocked = False
        made.companies, made.notes, made.subscriptions, made.tags = (), (), (), ()
        made.attributes, made.fields, made.effects = _EMPTY, _EMPTY, 0
        return made

    def companies(self) -> dict[str, Company]:
        """By id."""
        return {one.id: one for one in map(self.company, range(1, self.options.companies + 1))}

    def company(self, number: int, at: int | None = None) -> Company:
        """One company."""
        made = Company()
        made.id, made.number = f"{0x6762F07A00000000 + number:016x}{self.random.getrandbits(32):08x}", number
        made.created_at = self._moment() if at is None else at
        made.updated_at, made.last_request_at = made.created_at, made.created_at
        made.company_id, made.name, made.plan = f"company-{number}", f"Company {number}", None
        made.user_count, made.tags, made.attributes, made.effects = 1 + number % 7, (), _EMPTY, 0
        made.fields, made.notes = _EMPTY, ()
        return made

    def tickets(self, contacts: list[str]) -> dict[int, Ticket]:
        """By id."""
        made = [self.ticket(number, at, contacts) for number, at in enumerate(self._times(self.options.tickets), 1)]
        return {ticket.id: ticket for ticket in made}

    def ticket(self, number: int, at: int, contacts: list[str]) -> Ticket:
        """One ticket."""
        made = Ticket()
        made.id, made.number, made.ticket_number = 600 + number * 7, number, str(number)
        made.created_at = made.updated_at = at
        made.contacts = (contacts[number % len(contacts)],) if contacts else ()
        made.type_id, made.state_id = TICKET_TYPES[number % 2][0], next(iter(TICKET_STATES))
        made.admin, made.team, made.open, made.is_shared = 0, int(self.options.team_id), True, False
        made.snoozed_until, made.parts, made.tags, made.effects = None, (), (), 0
        made.attributes = {"_default_title_": f"Ticket {number}", "_default_description_": None}
        return made

    def _times(self, count: int) -> list[int]:
        """Uneven: quiet nights, bursts, and some that share a second."""
        times: list[int] = []
        while len(times) < count:
            at = self._moment()
            times.append(at)
            if self.random.random() < 0.02:
                burst = min(count - len(times), self.random.randint(2, 25))
                times.extend(at + self.random.randint(0, 40) for _ in range(burst))
            elif self.random.random() < 0.05 and len(times) < count:
                times.append(at)
        newest = self.now - 60
        return sorted(min(at, newest) for at in times)

    def _moment(self) -> int:
        day = int(self.random.random() * self.options.days)
        hour = min(max(self.random.gauss(14, 3.5), 0), 23.99)
        midnight = self.now - self.now % _DAY - day * _DAY
        return min(int(midnight + hour * 3600), self.now - 60 - int(self.random.random() * 3600))

    def _conversation_id(self) -> int:
        while True:
            drawn = self.random.randrange(10**14, 10**15)
            if drawn not in self._issued:
                self._issued.add(drawn)
                return drawn


_BILLING: dict[str, Any] = {"issue_type": "Billing", "priority_score": 3}
_TECHNICAL: dict[str, Any] = {"issue_type": "Technical"}
