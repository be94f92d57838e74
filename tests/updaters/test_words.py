"""Words are written once, found again, and taken back only where they are surely our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    NoteAdder,
    Replier,
    RunOptions,
    Runs,
    RunState,
    Settings,
    Status,
    UsageError,
)
from intercom_bulk.updaters.threads import is_same_text, plain_text, shortened
from tests.undo.person import Person
from tests.updaters.cases import ALL, Case

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox

    Prepare = Callable[[Case], Sandbox]

QUICK: dict[str, Any] = {**ALL, "options": RunOptions(settle=0.1)}
BODY = "Checked."


def population(**knobs: Any) -> Case:
    return Case(name="", make=lambda **c: NoteAdder(body=BODY, **c), knobs={"conversations": 4, **knobs})


def notes(sandbox: Sandbox) -> dict[str, list[str | None]]:
    """Bodies of all notes, by conversation; those that were redacted say so."""
    return {
        str(one.id): ["redacted" if part.redacted else part.body for part in one.parts if part.kind == "note"]
        for one in sandbox.workspace.conversations.values()
    }


def said(person: Person, item_id: str, body: str, admin_id: str) -> None:
    note = {"message_type": "note", "type": "admin", "admin_id": admin_id, "body": body}
    person.ask("POST", f"/conversations/{item_id}/reply", note)


def codes(run_id: str) -> dict[str, str | None]:
    return {outcome.item_id: outcome.code or outcome.status.value for outcome in Runs().outcomes(run_id)}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("Checked.", "<p>Checked.</p>"),
        ("a & b < c", "<p>a &amp; b &lt; c</p>"),
        ("One\n\nTwo", "<p>One</p>\n<p>Two</p>"),
        ("<b>Bold</b> words", '<p class="x"><b>Bold</b> words</p>'),
    ],
)
def test_a_text_is_known_again_in_the_html_that_comes_back(sent: str, shown: str) -> None:
    assert is_same_text(sent, shown)


@pytest.mark.parametrize(("one", "other"), [("Checked.", "Checked"), ("", ""), ("<img src='a'>", "<img src='b'>")])
def test_other_texts_and_texts_without_words_are_not_the_same(one: str, other: str) -> None:
    assert not is_same_text(one, other)


def test_a_long_text_is_recorded_short() -> None:
    assert len(shortened("word " * 500)) == 60
    assert shortened(BODY) == plain_text(f"<p>{BODY}</p>") == BODY


@pytest.mark.parametrize("kind", [NoteAdder, Replier])
@pytest.mark.parametrize("body", ["", "  ", "<p></p>", None, 7])
def test_a_body_without_words_is_refused(one_sandbox: Sandbox, kind: type[NoteAdder | Replier], body: Any) -> None:
    with pytest.raises(UsageError, match="body must be text"):
        kind(body=body, **one_sandbox.settings_kwargs())


def test_where_words_can_be_written_is_said(one_sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="conversations, tickets, contacts, companies"):
        NoteAdder(body=BODY, on="articles", **one_sandbox.settings_kwargs())
    with pytest.raises(UsageError, match="conversations, tickets, not 'contacts'"):
        Replier(body=BODY, on="contacts", **one_sandbox.settings_kwargs())
    with pytest.raises(UsageError, match="cannot search companies by JSON"):
        NoteAdder(body=BODY, on="companies", **one_sandbox.settings_kwargs()).get_search_query(**ALL)


def test_an_undo_blanks_the_note_of_the_run_and_no_other(prepared: Prepare) -> None:
    """Somebody else's, one of before, and one of ours that cannot be told from it stay."""
    sandbox = prepared(population())
    person, (first, second, third, fourth) = Person(sandbox), list(sandbox.states())
    said(person, first, BODY, sandbox.admin_id)
    sandbox.set(clock_skew=60)
    adder = NoteAdder(body=BODY, **sandbox.settings_kwargs())
    run = adder.start(**QUICK)
    assert run.result().success == 4
    said(person, second, BODY, "781")
    said(person, third, BODY, sandbox.admin_id)
    undone = run.undo()
    assert undone.result().state is RunState.COMPLETED
    assert codes(undone.run_id) == {first: "done", second: "done", third: "changed_since", fourth: "done"}
    assert notes(sandbox) == {
        first: [BODY, "redacted"],
        second: ["redacted", BODY],
        third: [BODY, BODY],
        fourth: ["redacted"],
    }
    adder.workspace.close()


def test_a_note_of_an_earlier_run_is_not_taken_for_this_one(prepared: Prepare) -> None:
    """Its answer is lost, it never arrived, and the same words are there: that is for a person to look at."""
    sandbox = prepared(population())
    connection = sandbox.settings_kwargs()
    assert NoteAdder(body=BODY, **connection).bulk_process(**QUICK).success == 4
    sandbox.set(clock_skew=60, resets=1.0, resets_after_share=0.0, fault_scope="writes")
    with NoteAdder(body=BODY, **connection).stream(**QUICK) as outcomes:
        assert {outcome.status for outcome in outcomes} == {Status.NEEDS_REVIEW}
    sandbox.set(resets_after_share=1.0)
    assert NoteAdder(body=BODY, **connection).bulk_process(**QUICK).success == 4  # these arrived, and are found
    assert set(map(len, notes(sandbox).values())) == {2}


def test_a_note_is_found_by_the_process_that_resumes(prepared: Prepare) -> None:
    """All arrive, no answer does; the run is stopped before it could look, and gone on with from its record."""
    sandbox = prepared(population(conversations=12, resets=1.0, resets_after_share=1.0, fault_scope="writes"))
    adder = NoteAdder(body=BODY, **sandbox.settings_kwargs())
    run = adder.start(**{**QUICK, "options": RunOptions(settle=60)})
    while not sandbox.effects():
        assert not run.wait(0.01)
    run.stop()
    run.result()
    adder.workspace.close()
    written = len(sandbox.effects())
    assert written > 0
    sandbox.set(resets=0.0, clock_skew=60)
    runs = Runs(Settings.build(**sandbox.settings_kwargs()))
    assert runs.resume(run.run_id, options=RunOptions(settle=0.1)).result().success == 12
    assert set(sandbox.effects().values()) == {1}


def test_a_message_that_never_arrived_is_not_sent_by_the_process_that_resumes(prepared: Prepare) -> None:
    """Closing again would be harmless; the message makes it a question for a person."""
    sandbox = prepared(population(resets=1.0, resets_after_share=0.0, fault_scope="writes"))
    closer = ConversationCloser(message="Bye.", irreversible=True, **sandbox.settings_kwargs())
    run = closer.start(**{**QUICK, "options": RunOptions(settle=60)})
    while sandbox.stats()["faults"].get("reset", 0) < 4:
        assert not run.wait(0.01)
    run.stop()
    run.result()
    closer.workspace.close()
    sandbox.set(resets=0.0)
    resumed = Runs(Settings.build(**sandbox.settings_kwargs())).resume(run.run_id, options=RunOptions(settle=0.1))
    assert resumed.result().unknown == 4
    assert sandbox.effects() == {}


def test_an_undo_that_failed_is_tried_again_and_still_knows_the_note(prepared: Prepare) -> None:
    """The notes are older than the undo that is tried again: what counts is when their own run began."""
    sandbox = prepared(population())
    first, *_ = sandbox.states()
    adder = NoteAdder(body=BODY, **sandbox.settings_kwargs())
    run = adder.start(**QUICK)
    run.result()
    sandbox.set(clock_skew=60, poison_422_ids=(first,))
    undo = run.undo()
    assert (undo.result().success, undo.result().failed) == (3, 1)
    sandbox.set(poison_422_ids=())
    again = Runs().retry_failed(undo.run_id, adder)
    assert again.result().success == 1
    assert set(map(tuple, notes(sandbox).values())) == {("redacted",)}
    adder.workspace.close()


def test_a_plan_of_notes_is_applied_once(prepared: Prepare) -> None:
    """The note does not show in a search: what it did is known by the item having changed at all."""
    sandbox = prepared(population(days=5))
    adder = NoteAdder(body=BODY, **sandbox.settings_kwargs())
    plan = adder.plan(**ALL)
    assert adder.apply(plan.path, digest=plan.digest, options=QUICK["options"]).result().success == 4
    again = adder.apply(plan.path, digest=plan.digest, options=QUICK["options"]).result()
    assert (again.success, again.codes) == (0, {"moved": 4})
    assert set(map(len, notes(sandbox).values())) == {1}
    adder.workspace.close()


def test_an_undone_note_sets_the_snooze_again_and_says_where_it_is_over(prepared: Prepare) -> None:
    sandbox = prepared(population(share_snoozed=1.0))
    was = sandbox.states()
    adder = NoteAdder(body=BODY, **sandbox.settings_kwargs())
    run = adder.start(**QUICK)
    assert run.result().success == 4
    assert {one["state"] for one in sandbox.states().values()} == {"open"}
    assert run.undo().result().success == 4
    assert sandbox.states() == was
    adder.workspace.close()


def test_the_message_of_a_close_makes_it_final_and_stays_after_an_undo(prepared: Prepare) -> None:
    sandbox = prepared(population())
    connection = sandbox.settings_kwargs()
    silent, telling = ConversationCloser(**connection), ConversationCloser(message="Bye.", **connection)
    assert (silent.irreversible, silent.idempotent) == (None, True)
    assert telling.irreversible is not None
    assert not telling.idempotent
    telling = ConversationCloser(message="Bye.", irreversible=True, **connection)
    run = telling.start(**QUICK)
    assert run.result().success == 4
    undone = run.undo()
    assert undone.result().success == 4
    messages = {outcome.message for outcome in Runs().outcomes(undone.run_id)}
    assert messages == {"The message to the customer stays."}
    assert {one["state"] for one in sandbox.states().values()} == {"open"}
    telling.workspace.close()


def test_a_close_that_somebody_else_made_is_not_taken_for_our_message(prepared: Prepare) -> None:
    """The request never arrived, a person closed it meanwhile: the customer has not been told."""
    sandbox = prepared(population(conversations=1, resets=1.0, resets_after_share=0.0, fault_scope="writes"))
    (item_id,) = sandbox.states()
    closer = ConversationCloser(message="Bye.", irreversible=True, **sandbox.settings_kwargs())
    run = closer.start(**{**QUICK, "options": RunOptions(settle=0.5)})
    while not sandbox.stats()["faults"]:
        assert not run.wait(0.01)
    sandbox.set(resets=0.0)
    Person(sandbox).close(item_id)
    run.result()
    assert codes(run.run_id)[item_id] != "done"
    assert [outcome.status for outcome in Runs().outcomes(run.run_id)] == [Status.NEEDS_REVIEW]
    closer.workspace.close()


def test_a_resumed_run_need_not_be_allowed_again(prepared: Prepare) -> None:
    sandbox = prepared(population(conversations=16, latency_ms=15))
    replier = Replier(body=BODY, irreversible=True, **sandbox.settings_kwargs())
    with replier.stream(parallel_workers=1, **QUICK) as outcomes:
        next(outcomes)
    replier.workspace.close()
    other = Replier(body=BODY, **sandbox.settings_kwargs())
    assert other.resume(outcomes.summary().run_id, options=QUICK["options"]).result().success == 16
    with pytest.raises(UsageError, match="Pass irreversible=True to Replier"):
        other.bulk_process(**QUICK)
    assert set(sandbox.effects().values()) == {1}
    other.workspace.close()
