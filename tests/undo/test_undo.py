"""An undo restores what was, exactly, and never touches what somebody changed since."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import (
    Assigner,
    ConversationCloser,
    ConversationUpdater,
    CustomAttributeUpdater,
    IntercomBulkUpdater,
    ReadMarker,
    RunOptions,
    Runs,
    RunState,
    StateChanger,
    Status,
    TagAssigner,
    TitleSetter,
    Untagger,
    UsageError,
)
from tests.undo.person import Person

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from intercom_bulk.sandbox import Sandbox, SandboxProcess

    Start = Callable[..., Sandbox]

pytestmark = pytest.mark.slow

EVERYTHING: dict[str, Any] = {"query": {"field": "created_at", "operator": ">", "value": 0}}
QUICK = RunOptions(settle=0.2)
LATER = int(time.time()) + 5 * 86_400 + 12_345  # no snooze of the population ends then


def state(sandbox: Sandbox | SandboxProcess) -> dict[str, dict[str, Any]]:
    """What the digest covers, by id."""
    volatile = {"effects", "parts", "updated_at"}
    return {one["id"]: {k: v for k, v in one.items() if k not in volatile} for one in sandbox.items()}


def done(updater: IntercomBulkUpdater, **keywords: Any) -> str:
    """The id of a run over everything, which must come to its end."""
    run = updater.start(**{**EVERYTHING, "options": QUICK, **keywords})
    assert run.result().state is RunState.COMPLETED
    return run.run_id


def undone(updater: IntercomBulkUpdater, run_id: str) -> dict[str, list[str]]:
    """Undo a run; the ids by status or code."""
    run = updater.undo(run_id, options=QUICK)
    assert run.result().state is RunState.COMPLETED
    found: dict[str, list[str]] = {}
    for outcome in Runs().outcomes(run.run_id):
        found.setdefault(outcome.code or outcome.status.value, []).append(outcome.item_id)
    return found


def test_undoing_mixed_items_restores_all_but_what_a_person_changed(mixed: SandboxProcess) -> None:
    """Done-when 3: exactly, by the sandbox's own digest."""
    person, ids = Person(mixed), list(state(mixed))
    for number, item_id in enumerate(ids[:120]):
        person.close(item_id) if number % 3 == 0 else person.assign(item_id, "admin", "782")
    before, digest = state(mixed), mixed.digest()
    closer = ConversationCloser(**mixed.settings_kwargs())
    run_id = done(closer)
    assert {one["state"] for one in state(mixed).values()} == {"closed"}
    changed = [item_id for item_id in ids[::40] if before[item_id]["state"] != "closed"]
    for number, item_id in enumerate(changed):
        person.snooze(item_id, LATER) if number % 2 or before[item_id]["state"] == "open" else person.open(item_id)
    touched, effects = state(mixed), mixed.effects()
    found = undone(closer, run_id)
    assert set(found) == {"done", "changed_since"}
    assert set(found["changed_since"]) == set(changed)
    after = state(mixed)
    assert after == {item_id: touched[item_id] if item_id in set(changed) else before[item_id] for item_id in ids}
    assert all(mixed.effects()[item_id] == effects[item_id] for item_id in changed)
    assert mixed.digest() != digest
    for item_id in changed:
        _set_state(person, before[item_id])
    assert mixed.digest() == digest  # nothing else was different


def _set_state(person: Person, was: dict[str, Any]) -> None:
    if was["state"] == "snoozed":
        person.snooze(was["id"], was["snoozed_until"])
    else:
        person.open(was["id"])


def test_runs_over_one_another_are_taken_back_in_the_opposite_order(varied: Sandbox) -> None:
    digest, connection = varied.digest(), varied.settings_kwargs()
    updaters: list[IntercomBulkUpdater] = [
        Assigner(admin="Ben Brook", team="Billing", reopen=True, **connection),
        TagAssigner(tag="stale", **connection),
        StateChanger(state="snoozed", snoozed_until=LATER, **connection),
        ConversationCloser(**connection),
    ]
    runs = [(updater, done(updater)) for updater in updaters]
    for updater, run_id in reversed(runs):
        assert list(undone(updater, run_id)) == ["done"]
    assert varied.digest() == digest


MAKERS: dict[str, Callable[[dict[str, Any]], IntercomBulkUpdater]] = {
    "close": lambda c: ConversationCloser(**c),
    "open": lambda c: StateChanger(state="open", **c),
    "snooze": lambda c: StateChanger(state="snoozed", snoozed_until=LATER, **c),
    "tag": lambda c: TagAssigner(tag="stale", **c),
    "untag": lambda c: Untagger(tag="vip", **c),
    "assign": lambda c: Assigner(admin=781, team="Sales", **c),
    "unassign": lambda c: Assigner(admin=None, team=0, **c),
    "assign and reopen": lambda c: Assigner(admin=783, reopen=True, **c),
    "attributes": lambda c: CustomAttributeUpdater(attributes={"issue_type": "Spam", "priority_score": 9}, **c),
    "title": lambda c: TitleSetter(title="Cleaned up", **c),
    "read": lambda c: ReadMarker(**c),
}


@pytest.fixture
def varied(start: Start) -> Sandbox:
    """60 conversations of every kind."""
    knobs = {"share_snoozed": 0.3, "share_closed": 0.2, "share_tagged": 0.6, "share_other_team": 0.4}
    sandbox = start(conversations=60, string_assignees=0.5, **knobs)
    person = Person(sandbox)
    for number, (item_id, one) in enumerate(state(sandbox).items()):
        if number % 4 == 0:
            person.put(item_id, read=True, title=f"Case {number}")
        if number % 5 == 0 and one["state"] != "closed":
            person.assign(item_id, "admin", "782")
    return sandbox


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_every_reversible_updater_restores_exactly(
    varied: Sandbox, make: Callable[[dict[str, Any]], IntercomBulkUpdater]
) -> None:
    updater = make(varied.settings_kwargs())
    digest = varied.digest()
    run_id = done(updater)
    changed = varied.digest()
    assert changed != digest
    counted = Runs().get(run_id).counts[Status.DONE]
    before = int(varied.stats()["total"])
    found = undone(updater, run_id)
    assert varied.digest() == digest
    assert list(found) == ["done"]
    calls = 2 * counted + (counted if isinstance(updater, Assigner) else 0)
    assert int(varied.stats()["total"]) - before <= calls + 60  # the looks at /sandbox and at /me are counted too


def test_undo_of_an_undo_does_it_again_and_that_is_undone_too(varied: Sandbox) -> None:
    closer = ConversationCloser(**varied.settings_kwargs())
    first = varied.digest()
    run = closer.start(**EVERYTHING, options=QUICK)
    run.result()
    closed = varied.digest()
    back = run.undo()
    back.result()
    assert varied.digest() == first
    again = back.undo()
    again.result()
    assert varied.digest() == closed
    again.undo().result()
    assert varied.digest() == first


def test_a_second_undo_writes_nothing(varied: Sandbox) -> None:
    tagger = TagAssigner(tag="stale", **varied.settings_kwargs())
    run_id = done(tagger)
    undone(tagger, run_id)
    digest, effects = varied.digest(), varied.effects()
    assert list(undone(tagger, run_id)) == ["already_done"]
    assert (varied.digest(), varied.effects()) == (digest, effects)


def test_only_what_the_run_tagged_is_untagged(start: Start) -> None:
    sandbox = start(conversations=30, share_tagged=1.0)
    digest = sandbox.digest()
    tagger = TagAssigner(tag="vip", **sandbox.settings_kwargs())
    run_id = done(tagger)
    held = Runs().get(run_id).counts[Status.SKIPPED]
    assert held > 0
    undone(tagger, run_id)
    assert sandbox.digest() == digest


def test_the_newest_is_undone_first(start: Start) -> None:
    sandbox = start(conversations=40)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    run = closer.start(parallel_workers=1, **EVERYTHING, options=QUICK)
    run.result()
    order = [outcome.item_id for outcome in Runs().outcomes(run.run_id)]
    back = run.undo()
    back.result()
    assert [outcome.item_id for outcome in Runs().outcomes(back.run_id)] == order[::-1]


def test_a_snooze_that_has_passed_becomes_open_and_is_said(start: Start) -> None:
    sandbox = start(conversations=3)
    person, soon = Person(sandbox), int(time.time()) + 2
    ids = list(state(sandbox))
    person.snooze(ids[0], soon)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    run_id = done(closer)
    undone(closer, run_id)
    assert {one["state"] for one in state(sandbox).values()} == {"open"}
    (last,) = [run for run in Runs().list() if run.kind == "undo"]
    notes = {outcome.item_id: outcome.message for outcome in Runs().outcomes(last.run_id) if outcome.message}
    assert list(notes) == [ids[0]]
    assert "has passed" in str(notes[ids[0]])


def test_an_assigned_conversation_that_was_closed_since_is_not_reopened(start: Start) -> None:
    sandbox = start(conversations=10)
    person = Person(sandbox)
    assigner = Assigner(admin=781, **sandbox.settings_kwargs())
    run_id = done(assigner)
    ids = list(state(sandbox))
    person.close(ids[0])
    person.assign(ids[1], "team", "5017692")
    now = {item_id: state(sandbox)[item_id] for item_id in ids[:2]}
    found = undone(assigner, run_id)
    assert set(found["changed_since"]) == set(ids[:2])
    assert {item_id: state(sandbox)[item_id] for item_id in ids[:2]} == now


def test_closed_ones_are_not_assigned_unless_reopened(start: Start) -> None:
    sandbox = start(conversations=40, share_closed=0.5)
    closed = {item_id for item_id, one in state(sandbox).items() if one["state"] == "closed"}
    run_id = done(Assigner(admin=781, **sandbox.settings_kwargs()))
    assert {o.item_id for o in Runs().outcomes(run_id) if o.code == "closed"} == closed
    assert {item_id for item_id, one in state(sandbox).items() if one["state"] == "closed"} == closed


def test_what_a_person_changed_elsewhere_on_an_item_stays(start: Start) -> None:
    """Compared are the fields that the run wrote: the others are nobody's business of an undo."""
    sandbox = start(conversations=4)
    person, before = Person(sandbox), state(sandbox)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    run_id = done(closer)
    ids = list(before)
    person.tag(ids[0], "102")
    person.put(ids[1], title="Look at this")
    assert list(undone(closer, run_id)) == ["done"]
    assert state(sandbox) == {
        **before,
        ids[0]: {**before[ids[0]], "tags": ["102"]},
        ids[1]: {**before[ids[1]], "title": "Look at this"},
    }


def test_half_an_assignment_that_came_back_already_is_finished(start: Start) -> None:
    """Two writes an item: the first may have arrived before its answer was lost."""
    sandbox = start(conversations=5)
    digest = sandbox.digest()
    assigner = Assigner(admin=781, team="Sales", **sandbox.settings_kwargs())
    run_id = done(assigner)
    for item_id in state(sandbox):
        Person(sandbox).assign(item_id, "team", sandbox.inbox_id)
    assert list(undone(assigner, run_id)) == ["done"]
    assert sandbox.digest() == digest


def test_lost_answers_and_errors_do_not_spoil_an_undo(start: Start) -> None:
    sandbox = start(conversations=100, share_snoozed=0.3)
    digest = sandbox.digest()
    closer = ConversationCloser(**sandbox.settings_kwargs())
    run_id = done(closer)
    sandbox.set(resets=0.05, errors_5xx=0.05, errors_5xx_after_share=0.5)
    run = closer.undo(run_id, options=QUICK)
    run.result()
    sandbox.set(resets=0.0, errors_5xx=0.0)
    assert set(Runs().get(run.run_id).counts) == {Status.DONE}
    assert sandbox.digest() == digest


# -- contacts: nested tags stop at ten


def _tags(person: Person, count: int) -> list[str]:
    return [str(person.ask("POST", "/tags", {"name": f"kind {n}"})["id"]) for n in range(count)]


def test_a_contact_with_more_tags_than_are_nested_is_read_whole_or_refused(start: Start) -> None:
    sandbox = start(conversations=0, contacts=3)
    person = Person(sandbox)
    tags = _tags(person, 12)
    search: dict[str, Any] = {"query": {"field": "role", "operator": "IN", "value": ["user", "lead"]}}
    listed = person.ask("POST", "/contacts/search", {"query": {"field": "role", "operator": "=", "value": "user"}})
    full, ten, bare = [one["id"] for one in listed["data"]][:3]
    for tag in tags:
        person.tag(full, tag, "contacts")
    for tag in tags[:10]:
        person.tag(ten, tag, "contacts")
    held = {one: _contact_tags(person, one) for one in (full, ten, bare)}
    tagger = TagAssigner(tag="vip", on="contacts", **sandbox.settings_kwargs())
    run = tagger.start(**search, options=QUICK)
    assert run.result().success == 3
    found = undone(tagger, run.run_id)
    assert found["no_before"] == [full]
    assert set(found["done"]) == {ten, bare}
    assert _contact_tags(person, ten) == held[ten]
    assert _contact_tags(person, bare) == held[bare]
    assert _contact_tags(person, full) == held[full] | {"102"}


def _contact_tags(person: Person, contact: str) -> set[str]:
    return {tag["id"] for tag in person.ask("GET", f"/contacts/{contact}/tags")["data"]}


# -- what cannot be taken back says so before anything is sent


class Noter(ConversationUpdater):
    """Writes a note, which stays."""

    irreversible = "a note cannot be taken back."

    def perform_action(self, item_id: str) -> dict[str, Any]:
        body = {"message_type": "note", "type": "admin", "admin_id": self.admin_id, "body": "seen"}
        return self.request("POST", f"conversations/{item_id}/reply", json=body)


class ById(ConversationCloser):
    """Knows only ids."""

    ids: tuple[str, ...] = ()

    def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Iterator[str]:
        yield from self.ids


class Silent(ConversationUpdater):
    """Does not say how to restore."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return self.request("PUT", f"conversations/{item_id}", json={"read": True})


@pytest.mark.parametrize(
    ("updater", "says"),
    [(Noter, "a note cannot be taken back"), (ById, "not on record"), (Silent, "no restore")],
)
def test_what_cannot_be_undone_is_refused_before_anything_is_sent(
    start: Start, updater: type[ConversationUpdater], says: str
) -> None:
    sandbox = start(conversations=4)
    ById.ids = tuple(state(sandbox))
    made = updater(irreversible=updater.irreversible is not None, **sandbox.settings_kwargs())
    run = made.start(**({} if updater is ById else EVERYTHING), options=QUICK)
    assert run.result().success == 4
    before = sandbox.stats()["requests"]
    with pytest.raises(UsageError, match=says):
        run.undo()
    assert sandbox.stats()["requests"] == before
    assert [record.kind for record in Runs().list()] == ["update"]


def test_a_run_under_way_is_not_undone(start: Start) -> None:
    sandbox = start(conversations=100, latency_ms=50)
    run = ConversationCloser(**sandbox.settings_kwargs()).start(parallel_workers=1, **EVERYTHING)
    with pytest.raises(UsageError, match="under way"):
        run.undo()
    run.stop()
    assert run.result().state is RunState.STOPPED  # if not even its first item was looked for
    assert Runs().get(run.run_id).record.is_resumable


def test_another_workspace_is_refused(start: Start) -> None:
    sandbox = start(conversations=5)
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    other = start(conversations=5, app_id="other")
    run = ConversationCloser(**other.settings_kwargs()).undo(run_id)
    with pytest.raises(UsageError, match="belongs to workspace sandbox1"):
        run.result()
    assert other.effects() == {}
    assert [record.kind for record in Runs().list()] == ["update"]


def test_another_updater_is_refused(start: Start) -> None:
    sandbox = start(conversations=5)
    run_id = done(ConversationCloser(**sandbox.settings_kwargs()))
    with pytest.raises(UsageError, match="made by ConversationCloser"):
        ReadMarker(**sandbox.settings_kwargs()).undo(run_id)
