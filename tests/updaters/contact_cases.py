"""Updaters of contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from intercom_bulk import (
    CompanyAttacher,
    CompanyDetacher,
    ContactArchiver,
    ContactBlocker,
    ContactDeleter,
    ContactEditor,
    ContactUnarchiver,
    CustomAttributeUpdater,
    Subscriber,
    TagAssigner,
    Unsubscriber,
    Untagger,
)
from tests.updaters.cases import CONTACTS, Case

if TYPE_CHECKING:
    from intercom_bulk.sandbox import Sandbox
    from tests.undo.person import Person

__all__ = ["CASES"]

NEWSLETTERS, NEWS = "37846", "37847"
MANY: dict[str, Any] = {"contacts": 160}
"""More than go into one call."""


def tagged(sandbox: Sandbox, person: Person) -> None:
    """Some have the tag already, some another one."""
    for number, item_id in enumerate(sandbox.states("contacts")):
        if number % 3:
            person.tag(item_id, "102" if number % 3 == 1 else "101", on="contacts")


def known(sandbox: Sandbox, person: Person) -> None:
    """Everybody has a plan and a phone number, some have an owner."""
    for number, item_id in enumerate(sandbox.states("contacts")):
        body: dict[str, Any] = {"phone": f"+35387000{number:04}", "custom_attributes": {"plan": "free"}}
        person.ask("PUT", f"/contacts/{item_id}", body | ({"owner_id": "782"} if number % 2 else {}))


def subscribed(sandbox: Sandbox, person: Person) -> None:
    for number, item_id in enumerate(sandbox.states("contacts")):
        for chosen, consent in ((NEWSLETTERS, "opt_out"), (NEWS, "opt_in")):
            if number % 3:
                body = {"id": chosen, "consent_type": consent}
                person.ask("POST", f"/contacts/{item_id}/subscriptions", body)


def employed(sandbox: Sandbox, person: Person) -> None:
    """Two out of three work for the first company, one of these for the second one too."""
    first, second = list(sandbox.states("companies"))[:2]
    for number, item_id in enumerate(sandbox.states("contacts")):
        for company in (first, second)[: number % 3]:
            person.ask("POST", f"/contacts/{item_id}/companies", {"id": company})


def archived(sandbox: Sandbox, person: Person) -> None:
    for item_id in archived_ids(sandbox):
        person.ask("POST", f"/contacts/{item_id}/archive")


def archived_ids(sandbox: Sandbox) -> list[str]:
    return list(sandbox.states("contacts"))[::2]


CASES = (
    Case(
        name="contacts tag",
        make=lambda **c: TagAssigner(tag="VIP", on="contacts", **c),
        on="contacts",
        search=CONTACTS,
        knobs=MANY,
        before=tagged,
    ),
    Case(
        name="contacts untag",
        make=lambda **c: Untagger(tag="vip", on="contacts", **c),
        on="contacts",
        search=CONTACTS,
        before=tagged,
    ),
    Case(
        name="contacts attributes",
        make=lambda **c: CustomAttributeUpdater(attributes={"plan": "pro", "score": 3}, on="contacts", **c),
        on="contacts",
        search=CONTACTS,
        before=known,
    ),
    Case(
        name="contacts edit",
        make=lambda **c: ContactEditor(
            fields={"name": "Jo", "phone": None, "unsubscribed_from_emails": True},
            attributes={"plan": "pro", "active": True},
            owner="ben brook",
            **c,
        ),
        on="contacts",
        search=CONTACTS,
        before=known,
    ),
    Case(
        name="contacts archive",
        make=lambda **c: ContactArchiver(**c),
        on="contacts",
        search=CONTACTS,
        causes=("Its e-mail address and external id stay taken",),
    ),
    Case(
        name="contacts unarchive",
        make=lambda **c: ContactUnarchiver(**c),
        on="contacts",
        search={},
        ids=archived_ids,
        before=archived,
    ),
    Case(
        name="contacts block",
        make=lambda **c: ContactBlocker(**c),
        on="contacts",
        search=CONTACTS,
        undoes=False,
        irreversible=True,
        causes=("Its conversations are archived too.",),
    ),
    Case(
        name="contacts delete",
        make=lambda **c: ContactDeleter(**c),
        on="contacts",
        search=CONTACTS,
        undoes=False,
        irreversible=True,
    ),
    Case(
        name="contacts subscribe",
        make=lambda **c: Subscriber(subscription="product news", **c),
        on="contacts",
        search=CONTACTS,
        before=subscribed,
    ),
    Case(
        name="contacts subscribe out",
        make=lambda **c: Subscriber(subscription=NEWSLETTERS, consent="opt_out", **c),
        on="contacts",
        search=CONTACTS,
        before=subscribed,
        causes=("It is an opt-out type: this opts the contact out of its messages.",),
    ),
    Case(
        name="contacts unsubscribe",
        make=lambda **c: Unsubscriber(subscription="Newsletters", **c),
        on="contacts",
        search=CONTACTS,
        before=subscribed,
        causes=("It is an opt-out type: this opts the contact in again for its messages.",),
    ),
    Case(
        name="contacts attach company",
        make=lambda **c: CompanyAttacher(company="company-1", **c),
        on="contacts",
        search=CONTACTS,
        before=employed,
    ),
    Case(
        name="contacts detach company",
        make=lambda **c: CompanyDetacher(company="company-1", **c),
        on="contacts",
        search=CONTACTS,
        before=employed,
    ),
)
