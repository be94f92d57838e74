"""What single updaters of conversations and tickets refuse, skip and say."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ContactAttacher,
    ContactDetacher,
    ConversationDeleter,
    ConversationRedactor,
    IntercomBulkUpdater,
    RunOptions,
    Runs,
    TicketAssigner,
    TicketAttributeSetter,
    TicketCloser,
    TicketConverter,
    TicketDeleter,
    TicketSnoozer,
    TicketStateSetter,
    UnknownNameError,
    UsageError,
)
from tests.undo.person import Person
from tests.updaters.cases import ALL, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox

    Prepare = Callable[[Case], Sandbox]

QUICK: dict[str, Any] = {**ALL, "options": RunOptions(settle=0.1)}


def population(**knobs: Any) -> Case:
    return Case(name="", make=lambda **c: ConversationDeleter(**c), knobs={"conversations": 6, "tickets": 6, **knobs})


def codes(updater: IntercomBulkUpdater) -> dict[str, str]:
    """A run to its end: the code of each item, or its status."""
    run = updater.start(**QUICK)
    run.result()
    updater.workspace.close()
    return {outcome.item_id: outcome.code or outcome.status.value for outcome in Runs().outcomes(run.run_id)}


def refusal(updater: IntercomBulkUpdater) -> str:
    """What a run is refused with, before any write."""
    with pytest.raises(UsageError) as refused:
        updater.bulk_process(**QUICK)
    updater.workspace.close()
    return str(refused.value)


# -- deleting


def test_what_is_gone_already_is_skipped_by_a_deleter(prepared: Prepare) -> None:
    sandbox = prepared(population())
    gone, *_ = sandbox.states()
    sandbox.set(gone_ids=(gone,))
    found = codes(ConversationDeleter(irreversible=True, **sandbox.settings_kwargs()))
    assert found.pop(gone) == "gone"
    assert set(found.values()) == {"done"}
    assert len(found) == 5


@pytest.mark.parametrize("kind", [ConversationDeleter, TicketDeleter])
def test_a_deletion_whose_answer_was_lost_is_done_and_not_gone(
    prepared: Prepare, kind: type[ConversationDeleter | TicketDeleter]
) -> None:
    sandbox = prepared(population(resets=1.0, resets_after_share=1.0, fault_scope="writes"))
    assert set(codes(kind(irreversible=True, **sandbox.settings_kwargs())).values()) == {"done"}


def test_taking_conversations_out_of_the_reports_too_is_asked_for_and_said(prepared: Prepare) -> None:
    sandbox = prepared(population())
    connection = sandbox.settings_kwargs()
    assert "reports" not in str(ConversationDeleter(**connection).irreversible)
    deleter = ConversationDeleter(retain_metrics=False, irreversible=True, **connection)
    assert "reports" in str(deleter.irreversible)
    assert set(codes(deleter).values()) == {"done"}
    assert {kept for _, _, kept in sandbox.workspace.deleted} == {False}


# -- redacting


def test_only_messages_of_the_author_with_the_words_are_redacted(prepared: Prepare) -> None:
    """The first message counts too, and a close says nothing."""
    sandbox = prepared(population(parts=2))
    person, ids = Person(sandbox), list(sandbox.states())
    note = {"message_type": "note", "type": "admin", "admin_id": "781", "body": "<b>Card</b> 4111"}
    for item_id in ids[:2]:
        person.ask("POST", f"/conversations/{item_id}/reply", note)
        person.close(item_id)
    redactor = ConversationRedactor(
        author="admin", containing="card 4111", irreversible=True, **sandbox.settings_kwargs()
    )
    found = codes(redactor)
    assert {item_id for item_id, code in found.items() if code == "done"} == set(ids[:2])
    assert {item_id for item_id, code in found.items() if code == "already_done"} == set(ids[2:])
    for item_id in ids:
        document = person.ask("GET", f"/conversations/{item_id}")
        redacted = [
            part["part_type"] for part in document["conversation_parts"]["conversation_parts"] if part["redacted"]
        ]
        assert redacted == (["note"] if item_id in ids[:2] else [])
        assert not document["source"]["redacted"]


def test_a_thread_that_reaches_beyond_what_the_api_shows_is_listed(prepared: Prepare) -> None:
    sandbox = prepared(population(conversations=1, long_threads=1))
    (item_id,) = sandbox.states()
    redactor = ConversationRedactor(containing="line 599", irreversible=True, **sandbox.settings_kwargs())
    assert codes(redactor) == {item_id: "too_many_parts"}
    assert sandbox.effects() == {item_id: 1}


def test_what_to_redact_is_checked(one_sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="contact, admin, anyone"):
        ConversationRedactor(author="bot", **one_sandbox.settings_kwargs())
    with pytest.raises(UsageError, match="containing= is empty"):
        ConversationRedactor(containing=" ", **one_sandbox.settings_kwargs())


# -- participants


def test_the_last_participant_stays_and_nobody_else_is_touched(prepared: Prepare) -> None:
    sandbox = prepared(population(contacts=3))
    was = {item_id: one["contacts"] for item_id, one in sandbox.states().items()}
    contact = was[next(iter(was))][0]
    detacher = ContactDetacher(contact=contact, **sandbox.settings_kwargs())
    assert detacher.preview(**ALL).count == 0
    found = codes(detacher)
    assert found == {
        item_id: "last_participant" if contacts == [contact] else "already_done" for item_id, contacts in was.items()
    }
    assert sandbox.effects() == {}


@pytest.mark.parametrize("kind", [ContactAttacher, ContactDetacher])
def test_a_contact_that_does_not_exist_is_refused(prepared: Prepare, kind: type[ContactAttacher]) -> None:
    sandbox = prepared(population())
    assert "no contact 6762f14a0000ffff" in refusal(kind(contact="6762f14a0000ffff", **sandbox.settings_kwargs()))
    assert sandbox.effects() == {}


def test_a_conversation_that_is_gone_is_not_taken_for_a_contact_that_is(prepared: Prepare) -> None:
    sandbox = prepared(population())
    gone, *_ = sandbox.states()
    contact = list(sandbox.states("contacts"))[-1]
    sandbox.set(gone_ids=(gone,))
    assert codes(ContactAttacher(contact=contact, **sandbox.settings_kwargs()))[gone] == "gone"


# -- converting


@pytest.mark.parametrize(
    ("ticket_type", "says"),
    [
        ("Internal task", "category Back-office"),
        (96, "category Back-office"),
        ("Bug repot", "did you mean 'Bug report'"),
    ],
)
def test_a_ticket_type_that_conversations_cannot_have_is_refused(
    prepared: Prepare, ticket_type: str | int, says: str
) -> None:
    sandbox = prepared(population())
    converter = TicketConverter(ticket_type=ticket_type, irreversible=True, **sandbox.settings_kwargs())
    assert says in refusal(converter)
    assert sandbox.effects() == {}


def test_a_conversion_whose_answer_was_lost_before_it_arrived_is_left_to_a_person(prepared: Prepare) -> None:
    sandbox = prepared(population(resets=1.0, resets_after_share=0.0, fault_scope="writes"))
    converter = TicketConverter(ticket_type=95, irreversible=True, **sandbox.settings_kwargs())
    with converter.stream(**QUICK) as outcomes:
        assert {outcome.status.value for outcome in outcomes} == {"needs_review"}
    converter.workspace.close()
    assert sandbox.effects() == {}


# -- tickets


def test_tickets_whose_type_has_no_such_state_are_skipped(prepared: Prepare) -> None:
    sandbox = prepared(population())
    types = {item_id: one["type_id"] for item_id, one in sandbox.states("tickets").items()}
    found = codes(TicketStateSetter(ticket_state="with the VENDOR", **sandbox.settings_kwargs()))
    assert found == {item_id: "done" if kind == "96" else "no_such_state" for item_id, kind in types.items()}


def test_a_label_stands_for_the_state_of_the_tickets_own_type(prepared: Prepare) -> None:
    sandbox = prepared(population())
    assert set(codes(TicketStateSetter(ticket_state="Escalated", **sandbox.settings_kwargs())).values()) == {"done"}
    held = {(one["type_id"], one["state_id"]) for one in sandbox.states("tickets").values()}
    assert held == {("95", "8541"), ("96", "8542")}


def test_an_unknown_ticket_state_is_refused(prepared: Prepare) -> None:
    sandbox = prepared(population())
    setter = TicketStateSetter(ticket_state="Done", **sandbox.settings_kwargs())
    with pytest.raises(UnknownNameError, match="no ticket state 'Done': it has 'Escalated', 'In progress'"):
        setter.bulk_process(**QUICK)
    setter.workspace.close()


def test_closed_tickets_do_not_sleep(prepared: Prepare) -> None:
    sandbox = prepared(population())
    person, (first, *_) = Person(sandbox), list(sandbox.states("tickets"))
    person.ask("PUT", f"/tickets/{first}", {"open": False, "admin_id": 781})
    found = codes(TicketSnoozer(until=int(time.time()) + 9_000, **sandbox.settings_kwargs()))
    assert found.pop(first) == "closed"
    assert set(found.values()) == {"done"}


def test_an_undo_opens_a_ticket_whose_snooze_is_over_and_says_so(prepared: Prepare) -> None:
    sandbox = prepared(population())
    first, *_ = sandbox.states("tickets")
    soon = int(time.time()) + 2  # so near its end it is not set again
    Person(sandbox).ask("PUT", f"/tickets/{first}", {"snoozed_until": soon, "admin_id": 781})
    closer = TicketCloser(**sandbox.settings_kwargs())
    run = closer.start(**QUICK)
    run.result()
    undone = run.undo()
    assert undone.result().success == 6
    messages = {outcome.item_id: outcome.message for outcome in Runs().outcomes(undone.run_id)}
    assert str(soon) in str(messages[first])
    state = sandbox.states("tickets")[first]
    assert (state["open"], state["snoozed_until"]) == (True, None)
    closer.workspace.close()


def test_a_ticket_that_had_no_team_keeps_the_one_it_was_given(prepared: Prepare) -> None:
    sandbox = prepared(population())
    for one in sandbox.workspace.tickets.values():
        one.team = 0
    assigner = TicketAssigner(team="Sales", **sandbox.settings_kwargs())
    run = assigner.start(**QUICK)
    run.result()
    undone = run.undo()
    undone.result()
    assert {outcome.message for outcome in Runs().outcomes(undone.run_id)} == {
        "It had no team before, which the API cannot set: the team stays."
    }
    assigner.workspace.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda c: TicketAssigner(**c), "Assign to whom"),
        (lambda c: TicketAssigner(team=0, **c), "team cannot be taken off"),
        (lambda c: TicketAttributeSetter(attributes={}, **c), "one or more names"),
        (lambda c: TicketSnoozer(until=1_900_000_000_000, **c), "epoch seconds"),
    ],
)
def test_what_tickets_cannot_have_is_refused(
    one_sandbox: Sandbox, make: Callable[[dict[str, Any]], IntercomBulkUpdater], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        make(one_sandbox.settings_kwargs())


def test_tickets_are_not_all_taken_by_mistake(prepared: Prepare) -> None:
    sandbox = prepared(population())
    with pytest.raises(UsageError, match="What to search for"):
        TicketCloser(**sandbox.settings_kwargs()).bulk_process()


def test_links_into_the_inbox_are_for_conversations(prepared: Prepare) -> None:
    sandbox = prepared(population())
    for updater, linked in ((TicketCloser, False), (ConversationDeleter, True)):
        made = updater(irreversible=True, **sandbox.settings_kwargs())
        run = made.start(**QUICK)
        run.result()
        made.workspace.close()
        assert ("https://" in Runs().export(run.run_id, "out.csv").read_text(encoding="utf-8-sig")) is linked
