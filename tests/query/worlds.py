"""Three hundred items of each kind: as facts, as the sandbox's records, and as the JSON that a search shows."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from intercom_bulk.sandbox import SandboxOptions
from intercom_bulk.sandbox.documents import company, contact
from intercom_bulk.sandbox.population import TICKET_STATES, first_message
from intercom_bulk.sandbox.query import Grammar
from intercom_bulk.sandbox.records import Record, TagMark
from intercom_bulk.sandbox.threads import conversation, ticket
from intercom_bulk.sandbox.workspace import Workspace
from tests.query.plain import NAMES, World

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["NOW", "ZONES", "Population", "names", "population"]

NOW = 1_762_700_000
"""A week after most clocks went back."""
COUNT = 300
ZONES = ("UTC", "America/Los_Angeles", "Asia/Kathmandu", "Africa/Cairo", "America/Havana", "Pacific/Kiritimati")
TAGS = ("101", "102", "103", "104")
TEAMS = ("5017691", "5017692", "5017693")
ADMINS = ("780", "781", "782")


@dataclass(frozen=True, eq=False)
class Population:
    """`facts`, `records` and `shown` are of the same items, in the same order.

    `seconds`: worth comparing with. `known`: what single filters were seen to select.
    """

    world: World
    grammar: Grammar
    records: list[Any]
    facts: list[Mapping[str, Any]]
    shown: list[dict[str, Any]]
    seconds: tuple[int, ...]
    known: dict[str, frozenset[int]] = field(default_factory=dict)


def names(kind: str, wanted: str) -> str:
    """The ids of the names that the tests use."""
    assert kind in {"team", "admin", "tag", "ticket_type", "ticket_state"}
    return NAMES.get(wanted, wanted)


@cache
def population(resource: str, zone: str) -> Population:
    """Always the same for the same arguments."""
    few = SandboxOptions(timezone=zone, conversations=0, contacts=30, tickets=0, companies=0)
    workspace = Workspace(few.with_knobs(**{resource: COUNT}))
    draw = random.Random(f"{resource} {zone}")
    moments = _moments(draw, ZoneInfo(zone))
    records: list[Any] = list(getattr(workspace, resource).values())
    change, shown = _MAKERS[resource]
    facts = [change(record, draw, moments) for record in records]
    return Population(
        World(NOW, ZoneInfo(zone)),
        Grammar(
            record_type=type(records[0]),
            attributes=workspace.attributes[type(records[0]).__name__.lower()],
            zone=workspace.zone,
        ),
        records,
        facts,
        [shown(workspace, record) for record in records],
        tuple(moments),
    )


def _moments(draw: random.Random, zone: ZoneInfo) -> list[int]:
    """Seconds of which many are shared, many stand at an edge of a day, and some are each other's neighbours."""
    start = datetime.fromtimestamp(NOW, zone).replace(hour=0, minute=0, second=0)
    midnights = [int((start - timedelta(days=days)).timestamp()) for days in range(15)]
    edges = [at + shift for at in midnights for shift in (-1, 0, 1)]
    return [*edges, *(NOW - draw.randrange(15 * 86400) for _ in range(30)), NOW - 86400, NOW - 3600, NOW]


def _maybe(draw: random.Random, make: Callable[[], Any], share: float = 0.7) -> Any:
    return make() if draw.random() < share else None


def _marked(record: Record, draw: random.Random, most: int = 3) -> frozenset[str]:
    wanted = draw.sample(TAGS, draw.randrange(min(most, len(TAGS)) + 1))
    record.tags = tuple(TagMark(tag, NOW, "780") for tag in wanted)
    return frozenset(wanted)


def _timed(record: Record, draw: random.Random, moments: list[int]) -> dict[str, Any]:
    record.created_at, record.updated_at = draw.choice(moments), draw.choice(moments)
    return {"created": record.created_at, "updated": record.updated_at}


def _conversation(record: Any, draw: random.Random, moments: list[int]) -> Mapping[str, Any]:
    facts = _timed(record, draw, moments)
    record.state = draw.choice(("open", "closed", "snoozed"))
    record.read, record.priority = draw.random() < 0.5, draw.choice(("priority", "none"))
    team, admin = _maybe(draw, lambda: draw.choice(TEAMS)), _maybe(draw, lambda: draw.choice(ADMINS))
    record.team, record.admin = int(team or 0), int(admin or 0)
    record.waiting_since = _maybe(draw, lambda: draw.choice(moments))
    record.snoozed_until = _maybe(draw, lambda: draw.choice(moments), 0.3)
    record.first_close_at = record.last_close_at = _maybe(draw, lambda: draw.choice(moments))
    record.closed_by = _maybe(draw, lambda: draw.choice(ADMINS))
    record.reopens = draw.randrange(5)
    record.title = _maybe(draw, lambda: draw.choice(("Refund", "refund please", "Late")))
    attributes = {
        "issue_type": _maybe(draw, lambda: draw.choice(("Billing", "Technical", "5"))),
        "priority_score": _maybe(draw, lambda: draw.choice((-1, 0, 1, 2, 2.5, 3, 120_000_000))),
        "processed": _maybe(draw, lambda: draw.random() < 0.5),
        "processed_at": _maybe(draw, lambda: draw.choice(moments)),
    }
    record.attributes = {name: value for name, value in attributes.items() if value is not None}
    return {
        **facts,
        **{f"custom.{name}": value for name, value in attributes.items()},
        "id": str(record.id),
        "state": record.state,
        "open": record.state != "closed",
        "read": record.read,
        "priority": record.priority,
        "team": team,
        "admin": admin,
        "waiting": record.waiting_since,
        "snoozed": record.snoozed_until,
        "closed_at": record.last_close_at,
        "closed_by": record.closed_by,
        "count_reopens": record.reopens,
        "title": record.title,
        "tag": _marked(record, draw),
        "contact": frozenset(record.contacts),
        "teammate": frozenset({admin} if admin else ()),
        "body": first_message(record.number)[3:-4],
        "channel": "messenger",
    }


def _contact(record: Any, draw: random.Random, moments: list[int]) -> Mapping[str, Any]:
    facts = _timed(record, draw, moments)
    record.signed_up_at = _maybe(draw, lambda: draw.choice(moments))
    record.owner_id = _maybe(draw, lambda: draw.choice(ADMINS))
    record.phone = _maybe(draw, lambda: f"+1555{draw.randrange(5)}")
    last_seen = _maybe(draw, lambda: draw.choice(moments))
    unsubscribed = draw.random() < 0.5
    record.fields = {"last_seen_at": last_seen, "unsubscribed_from_emails": unsubscribed}
    attributes = {
        "plan": _maybe(draw, lambda: draw.choice(("pro", "Pro", "free"))),
        "score": _maybe(draw, lambda: draw.choice((-1, 0, 1, 2, 2.5, 3, 120_000_000))),
        "active": _maybe(draw, lambda: draw.random() < 0.5),
        "trial_ends_at": _maybe(draw, lambda: draw.choice(moments)),
    }
    record.attributes = {name: value for name, value in attributes.items() if value is not None}
    held = set(_marked(record, draw))
    if draw.random() < 0.1:
        hidden = [TagMark(str(2000 + number), NOW, "780") for number in range(12)]
        record.tags = (*hidden, *record.tags)  # the ones that are asked for are not among the ten that it shows
        held |= {mark.tag_id for mark in hidden}
    return {
        **facts,
        **{f"custom.{name}": value for name, value in attributes.items()},
        "id": record.id,
        "role": record.role,
        "name": record.name,
        "email": record.email,
        "email_domain": record.email.split("@")[1],
        "phone": record.phone,
        "external_id": record.external_id,
        "owner": record.owner_id,
        "signed_up": record.signed_up_at,
        "last_seen": last_seen,
        "unsubscribed": unsubscribed,
        "tag": frozenset(held),
    }


def _ticket(record: Any, draw: random.Random, moments: list[int]) -> Mapping[str, Any]:
    facts = _timed(record, draw, moments)
    team, admin = _maybe(draw, lambda: draw.choice(TEAMS)), _maybe(draw, lambda: draw.choice(ADMINS))
    record.team, record.admin = int(team or 0), int(admin or 0)
    record.open, record.state_id = draw.random() < 0.5, draw.choice(("8537", "8538", "8540"))
    record.snoozed_until = _maybe(draw, lambda: draw.choice(moments), 0.3)
    severity = _maybe(draw, lambda: draw.choice(("high", "low")))
    record.attributes = {**record.attributes, **({"severity": severity} if severity else {})}
    return {
        **facts,
        "id": str(record.id),
        "team": team,
        "admin": admin,
        "open": record.open,
        "state": TICKET_STATES[record.state_id].category,
        "ticket_state": record.state_id,
        "snoozed": record.snoozed_until,
        "title": record.attributes["_default_title_"],
        "description": None,
        "category": {"95": "request", "96": "task"}[record.type_id],
        "ticket_type": record.type_id,
        "contact": frozenset(record.contacts),
        "custom.severity": severity,
    }


def _company(record: Any, draw: random.Random, moments: list[int]) -> Mapping[str, Any]:
    facts = _timed(record, draw, moments)
    record.last_request_at = _maybe(draw, lambda: draw.choice(moments))
    record.plan = _maybe(draw, lambda: draw.choice(("pro", "free")))
    seats, industry = draw.randrange(5), _maybe(draw, lambda: draw.choice(("Toys", "Law")))
    record.attributes = {"seats": seats, **({"industry": industry} if industry else {})}
    return {
        **facts,
        "id": record.id,
        "company_id": record.company_id,
        "name": record.name,
        "plan": record.plan,
        "last_request_at": record.last_request_at,
        "user_count": record.user_count,
        "tag": _marked(record, draw),
        "custom.seats": seats,
        "custom.industry": industry,
    }


_MAKERS: Mapping[str, tuple[Callable[[Any, random.Random, list[int]], Mapping[str, Any]], Callable[..., Any]]] = {
    "conversations": (_conversation, conversation),
    "contacts": (_contact, contact),
    "tickets": (_ticket, ticket),
    "companies": (_company, company),
}
