"""What contacts and companies refuse, and what happens to those that are merged, archived or gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    CompanyAttacher,
    CompanyDeleter,
    CompanyDetacher,
    CompanyEditor,
    CompanyUpdater,
    ContactArchiver,
    ContactDeleter,
    ContactEditor,
    ContactUnarchiver,
    ContactUpdater,
    CustomAttributeUpdater,
    Gone,
    Rejected,
    RunOptions,
    Status,
    Subscriber,
    TagAssigner,
    UnknownNameError,
    UsageError,
)
from tests.undo.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import IntercomBulkUpdater, Outcome
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

EVERYBODY: dict[str, Any] = {"query": {"field": "created_at", "operator": ">", "value": 1}}


def outcomes(updater: IntercomBulkUpdater, **keywords: Any) -> dict[str, Outcome]:
    with updater.stream(options=RunOptions(settle=0.2), **keywords) as stream:
        return {outcome.item_id: outcome for outcome in stream}


def test_a_taken_address_fails_the_item_with_intercoms_sentence(start: Start) -> None:
    sandbox = start()
    first, *others = sandbox.states("contacts")
    taken = sandbox.states("contacts")[first]["email"]
    found = outcomes(ContactEditor(fields={"email": taken}, **sandbox.settings_kwargs()), **EVERYBODY)
    assert found[first].code == "already_done"
    assert {(found[one].status, found[one].code) for one in others} == {(Status.FAILED, "conflict")}
    assert f"A contact matching those details already exists with id={first}" in str(found[others[0]].message)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "What to set"),
        ({"fields": {"emial": "a@b.example"}}, "did you mean 'email'"),
        ({"fields": {"plan": "pro"}}, "custom attributes go in attributes="),
        ({"fields": {"name": 7}}, "must be str or None"),
        ({"fields": {"signed_up_at": True}}, "must be int or None"),
        ({"fields": {"role": "boss"}}, "'user' or 'lead'"),
        ({"fields": {"owner_id": 780}, "owner": "Ann Archer"}, "owner once"),
        ({"attributes": {"plan": ["pro"]}}, "must be text, a number"),
    ],
)
def test_what_cannot_be_set_on_a_contact_is_refused_at_once(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        ContactEditor("some-token", **arguments)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "What to set"),
        ({"fields": {"company_id": "9"}}, "never changes"),
        ({"fields": {"monthly_spend": 9.5}}, "must be int or None"),
        ({"fields": {"name": "Acme"}, "source": "search"}, "scroll, list"),
    ],
)
def test_what_cannot_be_set_on_a_company_is_refused_at_once(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        CompanyEditor("some-token", **arguments)


def test_companies_are_not_deleted_from_under_their_list() -> None:
    with pytest.raises(UsageError, match="moves the pages"):
        CompanyDeleter("some-token", source="list")


def test_an_unknown_owner_is_refused_before_the_first_write(start: Start) -> None:
    sandbox = start()
    with pytest.raises(UnknownNameError, match="did you mean 'Ben Brook'"):
        outcomes(ContactEditor(owner="Ben Brok", **sandbox.settings_kwargs()), **EVERYBODY)
    assert sandbox.effects("contacts") == {}


def test_nobody_owns_what_is_given_to_none(start: Start) -> None:
    sandbox = start()
    ids = list(sandbox.states("contacts"))
    for item_id in ids[:3]:
        Person(sandbox).ask("PUT", f"/contacts/{item_id}", {"owner_id": "781"})
    found = outcomes(ContactEditor(owner=None, **sandbox.settings_kwargs()), **EVERYBODY)
    assert {item_id for item_id, one in found.items() if one.status is Status.DONE} == set(ids[:3])
    assert {one["owner_id"] for one in sandbox.states("contacts").values()} == {None}


def test_archived_contacts_are_in_no_search(start: Start) -> None:
    sandbox = start()
    with pytest.raises(UsageError, match=r"in no search: give their ids"):
        outcomes(ContactUnarchiver(**sandbox.settings_kwargs()))


def test_archived_and_merged_are_told_apart(start: Start) -> None:
    sandbox = start()
    archived, merged, into, here = list(sandbox.states("contacts"))[:4]
    Person(sandbox).ask("POST", f"/contacts/{archived}/archive")
    sandbox.workspace.contacts[merged].merged_into = into
    archiver, unarchiver = (kind(**sandbox.settings_kwargs()) for kind in (ContactArchiver, ContactUnarchiver))
    assert [archiver.already_done(one) for one in (archived, here)] == [True, False]
    assert [unarchiver.already_done(one) for one in (archived, here)] == [False, True]
    deleter = ContactDeleter(**sandbox.settings_kwargs())
    for look in (archiver.already_done, unarchiver.already_done, deleter.already_done, archiver.perform_action):
        with pytest.raises(Gone):
            look(merged)
    with pytest.raises(Rejected, match="not restorable"):
        unarchiver.perform_action(merged)
    found = outcomes(archiver, **EVERYBODY)
    assert {archived, merged} & set(found) == set()


@pytest.mark.parametrize(("kind", "on"), [(ContactDeleter, "contacts"), (CompanyDeleter, "companies")])
def test_a_deletion_whose_answer_was_lost_is_done_and_not_gone(
    start: Start, kind: type[ContactUpdater | CompanyUpdater], on: str
) -> None:
    sandbox = start(companies=8, fault_scope="writes", resets=1.0, resets_after_share=1.0)
    updater = kind(irreversible=True, **sandbox.settings_kwargs())
    found = outcomes(updater, **(EVERYBODY if on == "contacts" else {"query": {}}))
    assert {outcome.status for outcome in found.values()} == {Status.DONE}
    assert len(found) == 8
    assert sandbox.states(on) == {}


def test_nobody_is_opted_out_unasked(start: Start) -> None:
    sandbox = start()
    with pytest.raises(UsageError, match=r"opts people out of it[.] Pass consent='opt_out'"):
        outcomes(Subscriber(subscription="Newsletters", **sandbox.settings_kwargs()), **EVERYBODY)
    with pytest.raises(UsageError, match="opts people in"):
        outcomes(Subscriber(subscription="37847", consent="opt_out", **sandbox.settings_kwargs()), **EVERYBODY)
    with pytest.raises(UnknownNameError, match="did you mean 'Product news'"):
        outcomes(Subscriber(subscription="Produkt news", **sandbox.settings_kwargs()), **EVERYBODY)
    assert sandbox.effects("contacts") == {}


def test_a_company_is_found_by_either_id_or_refused(start: Start) -> None:
    sandbox = start()
    known = next(iter(sandbox.states("companies")))
    for company in (known, "company-1"):
        assert CompanyAttacher(company=company, **sandbox.settings_kwargs()).intercom_id == known
    with pytest.raises(UnknownNameError, match="your own company_id"):
        outcomes(CompanyAttacher(company="company 1", **sandbox.settings_kwargs()), **EVERYBODY)
    assert sandbox.effects("contacts") == {}


def test_a_company_that_disappears_meanwhile_leaves_the_contacts_where_they_are(start: Start) -> None:
    """The same 404 as of a contact that is gone would skip each of them without a word."""
    sandbox = start()
    updater = CompanyAttacher(company="company-1", **sandbox.settings_kwargs())
    updater.prepare()
    Person(sandbox).ask("DELETE", f"/companies/{updater.intercom_id}")
    assert {one.code for one in outcomes(updater, **EVERYBODY).values()} == {"company_not_found"}
    detacher = CompanyDetacher(company="company-2", **sandbox.settings_kwargs())
    assert detacher.perform_action(next(iter(sandbox.states("contacts")))) == {}  # it was no member


def test_companies_beyond_the_ten_that_a_contact_shows_are_read(start: Start) -> None:
    sandbox = start(companies=70, contacts=1)
    person, item_id = Person(sandbox), next(iter(sandbox.states("contacts")))
    *others, last = sandbox.states("companies")
    for company in others:
        person.ask("POST", f"/contacts/{item_id}/companies", {"id": company})
    updater = CompanyAttacher(company=last, **sandbox.settings_kwargs())
    assert updater.already_done(item_id) is False
    updater.perform_action(item_id)
    assert updater.already_done(item_id) is True


def test_the_item_as_an_updater_leaves_it_is_done_for_that_updater(start: Start) -> None:
    """What the next of several steps is shown."""
    sandbox = start(contacts=1)
    connection = sandbox.settings_kwargs()
    person, contact = Person(sandbox), next(iter(sandbox.states("contacts")))
    item = person.ask("GET", f"/contacts/{contact}")
    company = person.ask("GET", f"/companies/{next(iter(sandbox.states('companies')))}")
    for updater, shown in (
        (ContactEditor(fields={"name": "Jo"}, attributes={"plan": "pro"}, owner="Ben Brook", **connection), item),
        (CompanyEditor(fields={"plan": "Gold"}, attributes={"seats": 3}, **connection), company),
        (Subscriber(subscription="Product news", **connection), item),
        (CompanyAttacher(company="company-1", **connection), item),
        (TagAssigner(tag="vip", on="contacts", **connection), item),
        (CustomAttributeUpdater(attributes={"plan": "pro"}, on="contacts", **connection), item),
    ):
        effect = updater.effect(shown)
        assert effect is not None
        assert not effect.is_done
        left = updater.effect(updater.with_fields(shown, effect.after))
        assert left is not None
        assert left.is_done
        assert updater.effect(updater.with_fields(shown, effect.before)) == effect
