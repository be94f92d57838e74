"""Every bulk operation that people can name: one row each. Light: whoever asks for help waits for nothing else.

A row names the updater that does the work, by its public name, and what of the command line goes into which argument
of its constructor. A new operation is a row here, and nothing anywhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OPERATIONS", "RESOURCES", "STEPS", "Argument", "Operation", "StepWord", "operation", "typed"]

RESOURCES = ("conversations", "contacts", "companies", "tickets")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an operation.

    `name`: "tag" is a place on the line, "--until" an option. `kind` says how its words are read (see `values.py`):
    text, assignee (a name, an id or "none"), moment, pairs (NAME=VALUE, any number), on (a word that switches the
    keyword to `value`). `keyword` is the constructor's; with `entry`, the value goes into that mapping under this name.
    """

    name: str
    help: str
    keyword: str = ""
    kind: str = "text"
    entry: str | None = None
    metavar: str | None = None
    choices: tuple[str, ...] | None = None
    required: bool = False
    value: object = True

    @property
    def is_place(self) -> bool:
        return not self.name.startswith("-")

    @property
    def dest(self) -> str:
        """Its name among the parsed arguments; apart from those that every command has."""
        return f"_{self.name.lstrip('-').replace('-', '_')}"

    @property
    def goes_to(self) -> str:
        """The keyword of the constructor."""
        return self.keyword or self.name.lstrip("-").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Operation:
    """A verb on a resource. `fixed` are arguments of the constructor that the verb implies.

    `irreversible`: it is, or may be, something that nobody can undo: then it asks for a word instead of y.
    `either`: of these arguments at least one is needed. `by_ids`: no search finds them, they are given.
    """

    resource: str
    verb: str
    updater: str
    help: str
    arguments: tuple[Argument, ...] = ()
    fixed: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    irreversible: bool = False
    either: tuple[str, ...] = ()
    by_ids: bool = False

    @property
    def title(self) -> str:
        """As it is typed: conversations need no word of their own."""
        return self.verb if self.resource == "conversations" else f"{self.resource} {self.verb}"


@dataclass(frozen=True, slots=True)
class StepWord:
    """An option of `steps`: which factory of `intercom_bulk.steps` it calls, and with what."""

    name: str
    factory: str
    help: str
    keyword: str | None = None
    kind: str = "none"
    metavar: str | None = None


_TAG = Argument("tag", "the tag, by name or id; it must exist")
_BODY = Argument("body", "what it says; HTML as Intercom takes it. @FILE: read it from there", kind="body")
_UNTIL = Argument("--until", "when it wakes: 2026-12-24, 2026-12-24T08:00, or a span such as 12h, 30d",
                  "snoozed_until", "moment", metavar="WHEN", required=True)  # fmt: skip
_PAIRS = Argument("attributes", "NAME=TEXT, or NAME:=JSON for a number, true, false or null", kind="pairs",
                  metavar="NAME=VALUE", required=True)  # fmt: skip
_MORE_PAIRS = Argument("attributes", "custom attributes: NAME=TEXT, or NAME:=JSON", kind="pairs", metavar="NAME=VALUE")
_ADMIN = Argument("--admin", "the teammate, by name or id; none: nobody", kind="assignee", metavar="NAME")
_TEAM = Argument("--team", "the team, by name or id; none: no team", kind="assignee", metavar="NAME")
_CONTACT = Argument("contact", "the contact's id")
_COMPANY = Argument("company", "the company's id")
_SUBSCRIPTION = Argument("subscription", "the subscription type, by id or name")
_LIST = Argument("--source", "read companies by scroll (all of them), or by list (not those without users)",
                 choices=("scroll", "list"))  # fmt: skip


def _field(name: str, told: str, keyword: str = "fields") -> Argument:
    entry = name.replace("-", "_")
    return Argument(f"--{name}", told, keyword, entry=entry, metavar="TEXT")


_CONVERSATIONS = (
    Operation("conversations", "close", "ConversationCloser", "close them",
              (Argument("--message", "say this to the customer while closing: it cannot be unsaid; @FILE: read it",
                        kind="body", metavar="TEXT"),),
              irreversible=True),
    Operation("conversations", "open", "StateChanger", "open or wake them",
              fixed={"state": "open"}),
    Operation("conversations", "snooze", "StateChanger", "snooze them",
              (_UNTIL,), {"state": "snoozed"}),
    Operation("conversations", "assign", "Assigner", "assign them to a teammate, a team or nobody",
              (_ADMIN, _TEAM, Argument("--reopen", "closed ones too: assigning opens them", kind="on")),
              either=("--admin", "--team")),
    Operation("conversations", "tag", "TagAssigner", "put a tag on them", (_TAG,)),
    Operation("conversations", "untag", "Untagger", "take a tag off them", (_TAG,)),
    Operation("conversations", "note", "NoteAdder", "add an internal note",
              (_BODY,), irreversible=True),
    Operation("conversations", "reply", "Replier", "reply to the customer",
              (_BODY, Argument("--skip-notifications", "without e-mail or push to the customer", kind="on")),
              irreversible=True),
    Operation("conversations", "set", "CustomAttributeUpdater", "set custom attributes",
              (_PAIRS,)),
    Operation("conversations", "title", "TitleSetter", "give them a title",
              (Argument("title", "the title; '' takes it away", kind="text_or_none"),)),
    Operation("conversations", "read", "ReadMarker", "mark them as read or unread",
              (Argument("--unread", "as unread", "read", "on", value=False),)),
    Operation("conversations", "convert", "TicketConverter", "turn them into tickets",
              (Argument("ticket_type", "the ticket type, by name or id; a customer type"), _MORE_PAIRS),
              irreversible=True),
    Operation("conversations", "attach", "ContactAttacher", "add a contact to them", (_CONTACT,)),
    Operation("conversations", "detach", "ContactDetacher", "take a contact out of them",
              (_CONTACT,)),
    Operation("conversations", "redact", "ConversationRedactor", "blank what was written in them",
              (Argument("--author", "whose words", choices=("contact", "admin", "anyone")),
               Argument("--containing", "only what contains this", metavar="TEXT")), irreversible=True),
    Operation("conversations", "delete", "ConversationDeleter", "delete them",
              (Argument("--forget-metrics", "also in the reports", "retain_metrics", "on", value=False),),
              irreversible=True),
)  # fmt: skip

_ON_CONTACTS = {"on": "contacts"}
_CONTACTS = (
    Operation("contacts", "set", "ContactEditor", "set fields and custom attributes",
              (_MORE_PAIRS, _field("name", "the full name"), _field("email", "the address"),
               _field("phone", "in the form +353871234567"), _field("external-id", "your own id of the contact"),
               Argument("--owner", "the teammate who owns them, by name or id; none: nobody", kind="assignee",
                        metavar="NAME")),
              either=("attributes", "--name", "--email", "--phone", "--external-id", "--owner")),
    Operation("contacts", "tag", "TagAssigner", "put a tag on them", (_TAG,), _ON_CONTACTS),
    Operation("contacts", "untag", "Untagger", "take a tag off them", (_TAG,), _ON_CONTACTS),
    Operation("contacts", "archive", "ContactArchiver", "archive them"),
    Operation("contacts", "unarchive", "ContactUnarchiver", "bring archived ones back, by --ids", by_ids=True),
    Operation("contacts", "block", "ContactBlocker", "block them", irreversible=True),
    Operation("contacts", "delete", "ContactDeleter", "delete them", irreversible=True),
    Operation("contacts", "note", "NoteAdder", "add a note", (_BODY,), _ON_CONTACTS, irreversible=True),
    Operation("contacts", "subscribe", "Subscriber", "add a subscription to them",
              (_SUBSCRIPTION, Argument("--consent", "what they agreed to", choices=("opt_in", "opt_out")))),
    Operation("contacts", "unsubscribe", "Unsubscriber", "take a subscription off them",
              (_SUBSCRIPTION,)),
    Operation("contacts", "attach-company", "CompanyAttacher", "add them to a company", (_COMPANY,)),
    Operation("contacts", "detach-company", "CompanyDetacher", "take them out of a company",
              (_COMPANY,)),
)  # fmt: skip

_ON_COMPANIES = {"on": "companies"}
_COMPANIES = (
    Operation("companies", "set", "CompanyEditor", "set fields and custom attributes",
              (_MORE_PAIRS, _field("name", "the name"), _field("website", "the address of its site"),
               _field("industry", "what it does"), _field("plan", "the plan it is on"), _LIST),
              either=("attributes", "--name", "--website", "--industry", "--plan")),
    Operation("companies", "tag", "TagAssigner", "put a tag on them", (_TAG,), _ON_COMPANIES),
    Operation("companies", "untag", "Untagger", "take a tag off them", (_TAG,), _ON_COMPANIES),
    Operation("companies", "delete", "CompanyDeleter", "delete them", (_LIST,), irreversible=True),
    Operation("companies", "note", "NoteAdder", "add a note", (_BODY,), _ON_COMPANIES,
              irreversible=True),
)  # fmt: skip

_ON_TICKETS = {"on": "tickets"}
_TICKETS = (
    Operation("tickets", "set", "TicketAttributeSetter", "set attributes", (_PAIRS,)),
    Operation("tickets", "state", "TicketStateSetter", "move them to a state",
              (Argument("ticket_state", "the state, by name or id"),)),
    Operation("tickets", "assign", "TicketAssigner", "assign them to a teammate, a team or nobody",
              (_ADMIN, _TEAM), either=("--admin", "--team")),
    Operation("tickets", "open", "TicketOpener", "open them"),
    Operation("tickets", "close", "TicketCloser", "close them"),
    Operation("tickets", "snooze", "TicketSnoozer", "snooze them",
              (Argument("--until", _UNTIL.help, "until", "moment", metavar="WHEN", required=True),)),
    Operation("tickets", "tag", "TagAssigner", "put a tag on them", (_TAG,), _ON_TICKETS),
    Operation("tickets", "untag", "Untagger", "take a tag off them", (_TAG,), _ON_TICKETS),
    Operation("tickets", "note", "NoteAdder", "add an internal note", (_BODY,), _ON_TICKETS,
              irreversible=True),
    Operation("tickets", "reply", "Replier", "reply to the customer",
              (_BODY, Argument("--skip-notifications", "without e-mail or push to the customer", kind="on")),
              _ON_TICKETS, irreversible=True),
    Operation("tickets", "delete", "TicketDeleter", "delete them", irreversible=True),
)  # fmt: skip

STEPS = (
    StepWord("--note", "note", "add an internal note", "body", "body", "TEXT"),
    StepWord("--reply", "reply", "reply to the customer", "body", "body", "TEXT"),
    StepWord("--tag", "tag", "put a tag on it", "tag", "text", "TAG"),
    StepWord("--untag", "untag", "take a tag off it", "tag", "text", "TAG"),
    StepWord("--assign-admin", "assign", "assign it to a teammate; none: nobody", "admin", "assignee", "NAME"),
    StepWord("--assign-team", "assign", "assign it to a team; none: no team", "team", "assignee", "NAME"),
    StepWord("--set", "set_attributes", "set a custom attribute: NAME=TEXT or NAME:=JSON", "attributes", "pair",
             "NAME=VALUE"),
    StepWord("--title", "set_title", "give it a title", "title", "text_or_none", "TEXT"),
    StepWord("--mark-read", "mark_read", "mark it as read"),
    StepWord("--open", "open", "open it"),
    StepWord("--snooze", "snooze", "snooze it until then", "until", "moment", "WHEN"),
    StepWord("--close", "close", "close it"),
)  # fmt: skip
"""In the order of the help; they are done in the order of the command line."""

_STEPS = Operation("conversations", "steps", "Steps", "several of these, in order, on each of them",
                   irreversible=True)  # fmt: skip

OPERATIONS = (*_CONVERSATIONS, _STEPS, *_CONTACTS, *_COMPANIES, *_TICKETS)


def typed(updater: str, made_with: Mapping[str, object]) -> str | None:
    """What is typed for what an updater of this public name does, when it is made with this; None where nothing is."""
    rows = [row for row in OPERATIONS if row.updater == updater]
    found = [row for row in rows if all(made_with.get(name) == one for name, one in row.fixed.items())]
    found = [row for row in found if made_with.get("on", row.resource) == row.resource]
    return max(found, key=lambda row: len(row.fixed)).title if found else None


def operation(title: str) -> Operation:
    """The row of what is typed, such as "contacts tag"."""
    return next(row for row in OPERATIONS if row.title == title)
