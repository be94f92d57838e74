"""The state of the simulated workspace, and the only way to change it.

A change goes through `changing` first, so that the search index hears of it, and through `effect` when it counts:
a transition, an appended part, a tag added or removed. A close of a closed conversation counts.
"""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import orjson

from intercom_bulk.sandbox.answers import Problem
from intercom_bulk.sandbox.clock import SandboxClock
from intercom_bulk.sandbox.index import Index
from intercom_bulk.sandbox.population import ATTRIBUTES, OTHER_TEAMS, TAGS, Population
from intercom_bulk.sandbox.records import Company, Contact, Conversation, Part, Record, TagMark, Ticket
from intercom_bulk.sandbox.states import state_of

if TYPE_CHECKING:
    from intercom_bulk.sandbox.options import SandboxOptions

__all__ = ["Workspace"]

_PART_IDS = 3_000_000_000


class Workspace:
    """Conversations, contacts, companies, tickets and what they refer to. Lives on one thread."""

    def __init__(self, options: SandboxOptions, clock: SandboxClock | None = None) -> None:
        self.options = options
        self.clock = clock or SandboxClock(options.clock_skew)
        self.population = Population(options, self.clock.now())
        draw = self.population
        self.contacts = draw.contacts()
        self.contact_ids = list(self.contacts)
        self.conversations = draw.conversations(self.contact_ids)
        self.companies = draw.companies()
        self.tickets = draw.tickets(self.contact_ids)
        self.admins = draw.admins()
        self.teams = dict([(options.team_id, "Support"), *OTHER_TEAMS])
        self.tags = dict(TAGS)
        self.attributes = {model: dict(kinds) for model, kinds in ATTRIBUTES.items()}
        self.deleted: list[tuple[str, int, bool]] = []
        self.scroll: tuple[str, float, list[Company]] | None = None
        self.zone = _zone(options.timezone)
        self._part_id = _PART_IDS
        self._tag_id = 900
        self._arrival_random = random.Random(options.seed ^ 0xA221)
        self._next_arrival: float | None = None
        self.arrived: list[int] = []
        self._removed: dict[str, dict[str, int]] = {}
        lag = options.index_lag
        self.indexes: dict[str, Index] = {
            "conversations": Index(self.conversations, lag),
            "contacts": Index(self.contacts, lag),
            "companies": Index(self.companies, lag),
            "tickets": Index(self.tickets, lag),
        }

    def set_options(self, options: SandboxOptions) -> None:
        """Knobs that concern the running state; the population stays."""
        before = self.options
        meaning = (options.index_lag, options.gt_inclusive, options.timezone)
        if meaning != (before.index_lag, before.gt_inclusive, before.timezone):
            for index in self.indexes.values():
                index.lag = options.index_lag
                index.refresh()
        if options.arrivals != self.options.arrivals:
            self._next_arrival = None
        self.zone = _zone(options.timezone)
        self.clock.skew = options.clock_skew
        self.options = options

    # changes

    def changing(self, record: Record, now: float, *, created: bool = False) -> None:
        """To be called just before `record` changes, appears or disappears."""
        self._index_of(record).changing(record, now, created=created)

    def effect(self, record: Record) -> None:
        """Count one effect on `record`."""
        record.effects += 1

    def part_id(self) -> int:
        """The id of the next part."""
        self._part_id += 1
        return self._part_id

    def append(self, record: Conversation | Ticket, part: Part) -> None:
        """Add a part to the history."""
        record.parts = (*record.parts, part)

    def add_tag(self, record: Record, tag_id: str, admin_id: str, now: float) -> TagMark:
        """Put a tag on an item; putting it on twice changes nothing but is counted."""
        self.changing(record, now)
        self.effect(record)
        for mark in record.tags:
            if mark.tag_id == tag_id:
                return mark
        mark = TagMark(tag_id, int(now), admin_id)
        record.tags = (*record.tags, mark)
        if self.options.tag_bumps_updated_at:
            record.updated_at = int(now)
        return mark

    def remove_tag(self, record: Record, tag_id: str, now: float) -> None:
        """Take a tag off an item. Raises Problem 404 where it is not on it and the switch says so."""
        if not record.has_tag(tag_id):
            if self.options.untag_missing_404:
                raise Problem(404, "tag_not_found", "Tag not found")
            return
        self.changing(record, now)
        self.effect(record)
        record.tags = tuple(mark for mark in record.tags if mark.tag_id != tag_id)
        if self.options.tag_bumps_updated_at:
            record.updated_at = int(now)

    def create_tag(self, name: str) -> str:
        """The id of the tag of that name, made if it does not exist. Names are case-insensitive."""
        for tag_id, known in self.tags.items():
            if known.casefold() == name.casefold():
                return tag_id
        self._tag_id += 1
        self.tags[str(self._tag_id)] = name
        return str(self._tag_id)

    def delete_tag(self, tag_id: str, now: float) -> None:
        """A deleted tag disappears from every item."""
        del self.tags[tag_id]
        for records in (self.conversations, self.contacts, self.companies, self.tickets):
            for record in records.values():
                if record.tags and record.has_tag(tag_id):
                    self.changing(record, now)
                    record.tags = tuple(mark for mark in record.tags if mark.tag_id != tag_id)

    def arrive(self, now: float) -> None:
        """Let the conversations arrive that should have by `now`."""
        rate = self.options.arrivals
        if rate <= 0:
            return
        if self._next_arrival is None:
            self._next_arrival = now
        while self._next_arrival <= now:
            self.add_conversation(self._next_arrival)
            self._next_arrival += self._arrival_random.expovariate(rate)

    def add_conversation(self, now: float) -> Conversation:
        """A new open conversation in the inbox."""
        number = len(self.conversations) + len(self.deleted) + 1
        made = self.population.conversation(number, int(now), self.contact_ids, plain=True)
        self.changing(made, now, created=True)
        self.conversations[made.id] = made
        self.arrived.append(made.id)
        return made

    def remove(self, record: Record, now: float) -> None:
        """Delete an item for good."""
        self.changing(record, now)
        self.effect(record)
        self._removed.setdefault(_NAMES[type(record).__name__], {})[str(record.id)] = record.effects
        del self._resource(_NAMES[type(record).__name__])[record.id]

    # what was done

    def effects(self, resource: str = "conversations") -> dict[str, int]:
        """Effects per item, of the items that had any; also of those that were deleted."""
        here = {str(one.id): one.effects for one in self._resource(resource).values() if one.effects}
        return {**here, **self._removed.get(resource, {})}

    def states(self, resource: str = "conversations") -> dict[str, dict[str, Any]]:
        """What the digest covers, by id."""
        return {str(one.id): state_of(one) for one in self._resource(resource).values()}

    def digest(self, resource: str = "conversations") -> str:
        """SHA-256 over the state of all of them."""
        total = hashlib.sha256()
        for _, state in sorted(self.states(resource).items()):
            total.update(orjson.dumps(state, option=orjson.OPT_SORT_KEYS))
        return total.hexdigest()

    # finding things

    def conversation(self, segment: str) -> Conversation:
        """The conversation of a path segment. Raises Problem 404."""
        found = self.conversations.get(int(segment)) if segment.isdecimal() else None
        if found is None:
            raise Problem(404, "not_found", "Resource Not Found")
        return found

    def contact(self, segment: str, *, archived: bool = False) -> Contact:
        """The contact of a path segment; 404 where it never was, 410 where it was merged.

        One that is archived is not found either, but by what may be done to it (`archived`).
        """
        found = self.contacts.get(segment)
        if found is None or (found.archived and not archived):
            raise Problem(404, "not_found", "User Not Found")
        if found.merged_into:
            link = f'</contacts/{found.merged_into}>; rel="canonical"'.encode()
            message = "This contact has been merged. See the 'Link' header for the canonical contact."
            raise Problem(410, "contact_merged", message, headers=((b"link", link),))
        return found

    def ticket(self, segment: str) -> Ticket:
        """The ticket of a path segment. Raises Problem 404."""
        found = self.tickets.get(int(segment)) if segment.isdecimal() else None
        if found is None:
            raise Problem(404, "ticket_not_found", "Ticket not found")
        return found

    def admin(self, admin_id: str) -> str:
        """The id, if there is such a teammate. Raises Problem 404."""
        if admin_id not in self.admins:
            raise Problem(404, "admin_not_found", "Admin not found")
        return admin_id

    def tag(self, tag_id: str) -> str:
        """The id, if there is such a tag. Raises Problem 404."""
        if tag_id not in self.tags:
            raise Problem(404, "tag_not_found", "Tag not found")
        return tag_id

    def resource_named(self, resource: str) -> dict[Any, Any]:
        """The collection of that name. Raises Problem 404."""
        if resource not in self.indexes:
            raise Problem(404, "not_found", f"no resource {resource}")
        return self._resource(resource)

    def _resource(self, resource: str) -> dict[Any, Any]:
        collection: dict[Any, Any] = getattr(self, resource)
        return collection

    def _index_of(self, record: Record) -> Index:
        return self.indexes[_NAMES[type(record).__name__]]


_NAMES = {"Conversation": "conversations", "Contact": "contacts", "Company": "companies", "Ticket": "tickets"}


def _zone(name: str) -> tzinfo:
    return UTC if name.upper() == "UTC" else ZoneInfo(name)
