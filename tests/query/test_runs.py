"""Runs over what an expression selects: searched, filtered, recorded, resumed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from intercom_bulk import (
    ConversationCloser,
    Expression,
    IntercomBulkUpdater,
    Q,
    QueryError,
    RunOptions,
    Runs,
    Settings,
    TagAssigner,
    UnknownNameError,
    UsageError,
    days_ago,
)
from intercom_bulk.sandbox import Sandbox

Make = Callable[..., Sandbox]


@pytest.fixture
def sandbox(make_intercom_sandbox: Make) -> Sandbox:
    return make_intercom_sandbox(
        conversations=400, contacts=40, companies=30, share_closed=0.2, share_snoozed=0.1, share_other_team=0.3,
        share_tagged=0.5,
    )  # fmt: skip


def closer(sandbox: Sandbox) -> ConversationCloser:
    return ConversationCloser(**sandbox.settings_kwargs())


def among(sandbox: Sandbox, test: Callable[[Any], bool]) -> set[str]:
    return {str(one.id) for one in sandbox.workspace.conversations.values() if test(one)}


def test_a_text_closes_exactly_what_it_says(sandbox: Sandbox) -> None:
    wanted = among(sandbox, lambda one: one.state == "open" and one.team == 5017691 and not one.has_tag("102"))
    summary = closer(sandbox).bulk_process(query="state:open team:Support -tag:vip")
    assert summary.success == len(wanted) > 50
    assert set(sandbox.workspace.effects()) == wanted


def test_what_intercom_cannot_search_by_is_no_item_of_the_run(sandbox: Sandbox) -> None:
    for one in list(sandbox.workspace.conversations.values())[::3]:
        one.title = "Refund"
    wanted = among(sandbox, lambda one: one.state == "open" and one.title == "Refund")
    summary = closer(sandbox).bulk_process(query=(Q.state == "open") & (Q.title == "Refund"))
    assert (summary.success, summary.skipped) == (len(wanted), 0)
    assert set(sandbox.workspace.effects()) == wanted


def test_a_run_refuses_by_what_is_kept_and_not_by_what_was_read(sandbox: Sandbox) -> None:
    for one in list(sandbox.workspace.conversations.values())[:5]:
        one.title, one.state = "Refund", "open"
    summary = closer(sandbox).bulk_process(query="title:Refund", options=RunOptions(refuse_above=5))
    assert summary.success == 5


@pytest.mark.parametrize("inclusive", [False, True])
def test_times_are_exact_whatever_less_than_means(make_intercom_sandbox: Make, *, inclusive: bool) -> None:
    sandbox = make_intercom_sandbox(conversations=60, gt_inclusive=inclusive)
    middle = sorted(one.created_at for one in sandbox.workspace.conversations.values())[30]
    for sign, test in (("<", int.__lt__), ("<=", int.__le__), (">", int.__gt__), (">=", int.__ge__)):
        found = set(closer(sandbox).search_items(query=f"created{sign}{middle}"))
        assert found == among(sandbox, lambda one, test=test: test(one.created_at, middle))  # type: ignore[misc]


def test_the_team_and_the_state_narrow_an_expression(sandbox: Sandbox) -> None:
    found = set(closer(sandbox).search_items(team_id="Support", state="snoozed", query=Q.updated_at < days_ago(30)))
    by_hand = set(closer(sandbox).search_items(query="team:Support state:snoozed updated<30d"))
    assert found == by_hand
    assert found
    with pytest.raises(UsageError, match="team_id is empty"):
        next(closer(sandbox).search_items(team_id=None, query="state:open"))


def test_contacts_are_found_by_the_second(make_intercom_sandbox: Make) -> None:
    sandbox = make_intercom_sandbox(contacts=120, timezone="America/Los_Angeles")
    times = sorted(one.created_at for one in sandbox.workspace.contacts.values())
    tagger = TagAssigner(**sandbox.settings_kwargs(), tag="vip", on="contacts")
    found = set(tagger.search_items(query=f"created>{times[60]} -tag:vip"))
    assert found == {one.id for one in sandbox.workspace.contacts.values() if one.created_at > times[60]}


class CompanyReader(IntercomBulkUpdater):
    """Finds companies in a list or a scroll, which take no filter."""

    endpoint = "companies/list"

    def get_search_endpoint(self) -> str:
        return self.endpoint

    def get_search_query(self, *, query: Expression | str) -> Expression | str:
        return query

    def perform_action(self, item_id: str) -> dict[str, Any]:
        return {}


class CompanyScroller(CompanyReader):
    endpoint = "companies/scroll"


class CompanySearcher(CompanyReader):
    endpoint = "companies/search"


@pytest.mark.parametrize("kind", [CompanyReader, CompanyScroller])
def test_companies_are_read_and_filtered_here(sandbox: Sandbox, kind: type[CompanyReader]) -> None:
    found = set(kind(**sandbox.settings_kwargs()).search_items(query="user_count>=5 name^Company"))
    assert found == {one.id for one in sandbox.workspace.companies.values() if one.user_count >= 5}
    assert found


def test_a_search_without_expressions_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(QueryError, match="takes Intercom's own query JSON only"):
        next(CompanySearcher(**sandbox.settings_kwargs()).search_items(query="name:x"))


def test_a_mistake_ends_the_run_before_anything_is_searched(sandbox: Sandbox) -> None:
    with pytest.raises(UnknownNameError, match="'Suport': did you mean 'Support'"):
        closer(sandbox).bulk_process(query="team:Suport state:open")
    with pytest.raises(QueryError, match="At character 1 of the query: Unknown field 'stat'"):
        closer(sandbox).bulk_process(query="stat:open")
    assert sandbox.workspace.effects() == {}


def test_me_is_the_admin_of_the_token(sandbox: Sandbox) -> None:
    mine = list(sandbox.workspace.conversations.values())[7]
    mine.admin = 780
    assert set(closer(sandbox).search_items(query="admin:me")) == {str(mine.id)}


def test_a_stopped_run_is_resumed_from_its_record_alone(sandbox: Sandbox) -> None:
    for one in sandbox.workspace.conversations.values():
        one.title = f"Title {one.number % 2}"
    wanted = among(sandbox, lambda one: one.state == "open" and one.title == "Title 1")
    query = (Q.state == "open") & (Q.title == "Title 1") & (Q.created_at > days_ago(365))
    with closer(sandbox).stream(query=query, parallel_workers=2) as outcomes:
        for _ in zip(range(20), outcomes, strict=False):
            pass
    run_id = outcomes.summary().run_id
    record = Runs().get(run_id).record
    assert record.parameters["keywords"] == {"query": str(query)}
    assert 20 <= len(sandbox.workspace.effects()) < len(wanted)
    settings = Settings.build(**sandbox.settings_kwargs())
    Runs(settings).resume(run_id).result()
    assert set(sandbox.workspace.effects()) == wanted
    assert set(sandbox.workspace.effects().values()) == {1}


def test_a_key_knows_its_query_in_whichever_form(sandbox: Sandbox) -> None:
    options = RunOptions(run_key="nightly")
    first = closer(sandbox).bulk_process(query=(Q.state == "open") & (Q.team == "Support"), options=options)
    again = closer(sandbox).bulk_process(query="state:open team:Support", options=options)
    assert again.run_id == first.run_id


def test_previews_and_plans_take_expressions(sandbox: Sandbox, tmp_path: Any) -> None:
    wanted = len(among(sandbox, lambda one: one.state == "open" and one.has_tag("102")))
    assert closer(sandbox).preview(query=(Q.state == "open") & (Q.tag == "vip")).count == wanted > 0
    plan = closer(sandbox).plan(tmp_path / "plan.jsonl", query=(Q.state == "open") & (Q.tag == "vip"))
    assert closer(sandbox).apply(plan.path, digest=plan.digest).result().success == wanted
