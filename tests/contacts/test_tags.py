"""Tags on contacts and companies go by name, many in a call, and each item is still told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    IntercomBulkUpdater,
    RunOptions,
    RunState,
    Status,
    TagAssigner,
    UnknownNameError,
    Untagger,
    UsageError,
)
from tests.undo.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

EVERYBODY: dict[str, Any] = {"query": {"field": "created_at", "operator": ">", "value": 1}}
QUICK = RunOptions(settle=0.2)


def outcomes(updater: IntercomBulkUpdater, **keywords: Any) -> dict[str, Outcome]:
    with updater.stream(options=QUICK, **keywords) as stream:
        return {outcome.item_id: outcome for outcome in stream}


def calls(sandbox: Sandbox, name: str) -> int:
    return sum(sandbox.stats()["requests"].get(name, {}).values())


def test_many_are_tagged_in_a_few_calls(start: Start) -> None:
    sandbox = start(contacts=210)
    found = outcomes(TagAssigner(tag=102, on="contacts", **sandbox.settings_kwargs()), **EVERYBODY)
    assert {outcome.status for outcome in found.values()} == {Status.DONE}
    assert sandbox.effects("contacts") == dict.fromkeys(found, 1)
    assert calls(sandbox, "POST /tags") <= 6  # the canary's ten, then fifty at a time


def test_contacts_are_untagged_one_by_one_and_companies_together(start: Start) -> None:
    sandbox = start(companies=60)
    person, ids = Person(sandbox), list(sandbox.states("companies"))
    person.ask("POST", "/tags", {"name": "vip", "companies": [{"id": one} for one in ids]})
    person.ask("POST", "/tags", {"name": "vip", "users": [{"id": one} for one in sandbox.states("contacts")]})
    before = calls(sandbox, "POST /tags")
    outcomes(Untagger(tag="vip", on="companies", **sandbox.settings_kwargs()), query={})
    assert all(not one["tags"] for one in sandbox.states("companies").values())
    assert calls(sandbox, "POST /tags") - before <= 3
    outcomes(Untagger(tag="vip", on="contacts", **sandbox.settings_kwargs()), **EVERYBODY)
    assert all(not one["tags"] for one in sandbox.states("contacts").values())
    assert calls(sandbox, "DELETE /contacts/*/tags/*") == 8


@pytest.mark.parametrize("omits", [False, True], ids=["listed as not tagged", "not listed"])
def test_the_one_that_is_gone_is_told_from_the_others(start: Start, omits: bool) -> None:
    sandbox = start(index_lag=60.0, tag_omits_unknown=omits)
    gone = list(sandbox.states("contacts"))[2]
    Person(sandbox).ask("DELETE", f"/contacts/{gone}")  # the search shows it still
    found = outcomes(TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs()), **EVERYBODY)
    assert (found[gone].status, found[gone].code) == (Status.SKIPPED, "gone")
    assert {outcome.status for item_id, outcome in found.items() if item_id != gone} == {Status.DONE}


@pytest.mark.parametrize("on", ["contacts", "companies"])
def test_a_typo_makes_no_tag(start: Start, on: str) -> None:
    sandbox = start()
    updater = TagAssigner(tag="vpi", on=on, **sandbox.settings_kwargs())
    with pytest.raises(UnknownNameError, match="did you mean 'vip'"):
        outcomes(updater, **(EVERYBODY if on == "contacts" else {"query": {}}))
    assert "vpi" not in sandbox.workspace.tags.values()


def test_a_tag_that_is_deleted_meanwhile_is_not_quietly_replaced(start: Start) -> None:
    """Intercom makes a tag of the name that is gone: that is not the one that was meant."""
    sandbox = start(contacts=40)
    updater = TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs())
    updater.prepare()
    sandbox.set(delete_tag="102")
    with updater.stream(options=QUICK, **EVERYBODY) as stream:
        found = list(stream)
    assert stream.summary().state is RunState.HALTED
    assert {outcome.code for outcome in found} == {"tag_changed"}
    assert len(found) == 10


def test_a_contact_with_more_tags_than_it_shows_is_tagged_all_the_same(start: Start) -> None:
    sandbox = start(contacts=1)
    person, item_id = Person(sandbox), next(iter(sandbox.states("contacts")))
    for number in range(11):
        person.ask("POST", "/tags", {"name": f"tag {number}", "users": [{"id": item_id}]})
    updater = TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs())
    assert updater.already_done(item_id) is False
    found = outcomes(updater, **EVERYBODY)
    assert (found[item_id].status, found[item_id].before) == (Status.DONE, None)
    assert updater.already_done(item_id) is True


def test_lost_answers_are_read_back_item_by_item(start: Start) -> None:
    sandbox = start(contacts=60, fault_scope="writes", resets=1.0, resets_after_share=1.0)
    found = outcomes(TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs()), **EVERYBODY, max_items=10)
    assert {outcome.status for outcome in found.values()} == {Status.DONE}
    assert sandbox.effects("contacts") == dict.fromkeys(found, 1)
    assert len(found) == 10


def test_contacts_have_no_team_and_companies_no_json_search(start: Start) -> None:
    sandbox = start()
    with pytest.raises(UsageError, match="choose contacts by query="):
        outcomes(TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs()), team_id="Support")
    with pytest.raises(UsageError, match="Pass query="):
        outcomes(TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs()))
    with pytest.raises(UsageError, match="cannot search companies by JSON"):
        outcomes(TagAssigner(tag="vip", on="companies", **sandbox.settings_kwargs()), **EVERYBODY)
