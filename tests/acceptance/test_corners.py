"""Where two things meet that each work alone: an undo of an undo, a retry after an undo, a note that is there twice."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    ContactEditor,
    ConversationCloser,
    ConversationRedactor,
    CustomAttributeUpdater,
    Ids,
    IntercomBulkUpdater,
    NoteAdder,
    RunOptions,
    Runs,
    Status,
    Steps,
    TicketAttributeSetter,
    TicketCloser,
    TicketConverter,
    UsageError,
)
from intercom_bulk import steps as s
from intercom_bulk.runs.plan import PlanReader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

EVERYTHING: dict[str, Any] = {"query": {"field": "created_at", "operator": ">", "value": 0}}
QUICK = RunOptions(settle=0.2, canary=0)


def told(run_id: str) -> Mapping[str, Outcome]:
    return {outcome.item_id: outcome for outcome in Runs().outcomes(run_id)}


# -- lists


@pytest.mark.parametrize("word", ["last", "None", "-1", "5f3a9c", "aaaa"])
@pytest.mark.parametrize("updater", [ConversationCloser, TicketCloser])
def test_an_id_that_is_no_number_is_one_bad_row(updater: type[IntercomBulkUpdater], word: str, start: Start) -> None:
    """A search for it is refused whole; and `conversations/last` would be somebody else's conversation."""
    sandbox = start(conversations=8, tickets=8)
    made = updater(**sandbox.settings_kwargs())
    good = list(made.search_items(query="open:true"))
    run = made.start(options=RunOptions(settle=0.2, source=Ids([*good[:2], word, *good[2:]])))
    assert run.result().success == len(good)
    assert {one.item_id: one.code for one in told(run.run_id).values() if one.status is Status.FAILED} == {
        word: "bad_id"
    }


# -- taken back


def test_an_undo_of_an_undo_does_not_say_that_it_wrote_a_note_again(start: Start) -> None:
    sandbox = start(conversations=4)
    notes = NoteAdder(body="Swept.", **sandbox.settings_kwargs())
    run = notes.start(options=QUICK, **EVERYTHING)
    assert run.result().success == 4
    undo = run.undo()
    assert undo.result().success == 4
    effects = sandbox.effects()
    again = notes.undo(undo.run_id)
    assert (again.result().success, sandbox.effects()) == (0, effects)
    assert {(one.status, one.code) for one in told(again.run_id).values()} == {(Status.SKIPPED, "stays")}


def test_a_composite_that_was_taken_back_is_not_gone_on_with_from_the_middle(start: Start) -> None:
    """Its first step no longer stands: done with the others alone, the items would say "done" without it."""
    sandbox = start(conversations=4)
    steps = Steps(s.tag("stale"), s.set_attributes({"nothing_of_that_name": 1}), **sandbox.settings_kwargs())
    run = steps.start(options=QUICK, **EVERYTHING)
    assert run.result().failed == 4
    assert steps.undo(run.run_id).result().success == 4
    with pytest.raises(UsageError, match="was taken back by"):
        Runs().retry_failed(run.run_id, steps)


def test_two_steps_with_the_same_words_are_refused() -> None:
    """The first one, found after a lost answer, would pass for the second one, which then is never written."""
    with pytest.raises(UsageError, match="write the same words"):
        Steps(s.note("Swept."), s.tag("stale"), s.note("<p>Swept.</p>"), access_token="x" * 10)
    Steps(s.note("Swept."), s.reply("Swept."), s.note("Swept again."), access_token="x" * 10)


# -- plans


def test_a_plan_does_not_say_where_the_token_goes(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = start(conversations=2)
    plan = ConversationCloser(**sandbox.settings_kwargs()).plan(tmp_path / "plan.jsonl", **EVERYTHING)
    head, _, rest = plan.path.read_text().partition("\n")
    forged = json.loads(head)
    forged["made_with"] |= {"base_url": "https://collector.example", "region": "au", "irreversible": True}
    plan.path.write_text(json.dumps(forged) + "\n" + rest)
    header = PlanReader(plan.path, sha256(plan.path.read_bytes()).hexdigest()).header
    monkeypatch.setenv("INTERCOM_ACCESS_TOKEN", sandbox.token)
    monkeypatch.setenv("INTERCOM_BASE_URL", sandbox.url)
    made = Runs(home=tmp_path).updater_for(header)
    assert made.base_url == sandbox.url
    assert not made.accepts_irreversible


# -- what JSON does not have


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused_before_it_becomes_null(number: float) -> None:
    """An empty cell of a data frame is NaN: sent as null it would clear the attribute of every item."""
    for make in (
        lambda: CustomAttributeUpdater(attributes={"score": number}, access_token="x" * 10),
        lambda: ContactEditor(attributes={"score": number}, access_token="x" * 10),
        lambda: TicketAttributeSetter(attributes={"score": number}, access_token="x" * 10),
        lambda: TicketConverter(ticket_type="Bug", attributes={"score": number}, access_token="x" * 10),
    ):
        with pytest.raises(UsageError, match="'score' cannot be"):
            make()


# -- redaction


class Filed(ConversationRedactor):
    """Conversations in which the contact has sent a photograph without a word."""

    def read_item(self, item_id: str) -> dict[str, Any]:
        item = super().read_item(item_id)
        photo: dict[str, Any] = {
            "id": "9",
            "part_type": "comment",
            "body": None,
            "author": {"type": "user"},
            "attachments": [{}],
        }
        item["conversation_parts"]["conversation_parts"].append(photo)
        item["conversation_parts"]["total_count"] += 1
        return item


def test_a_conversation_with_files_left_in_it_is_not_said_to_be_redacted(start: Start) -> None:
    sandbox = start(conversations=3, parts=2)
    run = Filed(irreversible=True, **sandbox.settings_kwargs()).start(options=QUICK, **EVERYTHING)
    assert run.result().failed == 3
    assert {one.code for one in told(run.run_id).values()} == {"files_left"}


def test_words_are_found_across_markup(start: Start) -> None:
    sandbox = start(conversations=3)
    NoteAdder(body="His card is 41<b>11</b> 1111.", **sandbox.settings_kwargs()).bulk_process(
        options=QUICK, **EVERYTHING
    )
    redactor = ConversationRedactor(
        author="admin", containing="4111 1111", irreversible=True, **sandbox.settings_kwargs()
    )
    assert redactor.bulk_process(options=QUICK, **EVERYTHING).success == 3
