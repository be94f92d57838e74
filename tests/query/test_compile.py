"""One rule of the compiler a test: what is sent, what is filtered here, and what is refused."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from intercom_bulk.api.language.compile import Compiled, compile_query
from intercom_bulk.api.language.expression import Expression, Q
from intercom_bulk.api.language.literals import days_ago
from intercom_bulk.api.query import both
from intercom_bulk.errors import QueryError
from tests.query.worlds import names

NOW = 1_760_000_000
ZONE = ZoneInfo("America/Los_Angeles")
DAY = 86_400
MIDNIGHT = 1_759_993_200
"""9 October 2025 in Los Angeles, two hours before NOW."""


def made(expression: Expression | str, resource: str = "conversations", **more: Any) -> Compiled:
    return compile_query(expression, resource, **{"names": names, "zone": ZONE, "now": NOW, **more})


def leaf(field: str, operator: str, value: Any) -> dict[str, Any]:
    return {"field": field, "operator": operator, "value": value}


def group(operator: str, *members: dict[str, Any]) -> dict[str, Any]:
    return {"operator": operator, "value": list(members)}


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("state:open", leaf("state", "=", "open")),
        ("team:Support", leaf("team_assignee_id", "=", 5017691)),
        ("-tag:vip", leaf("tag_ids", "!=", "102")),
        ("tag:vip,bug", leaf("tag_ids", "IN", ["102", "104"])),
        ("tag:vip OR tag:bug", leaf("tag_ids", "IN", ["102", "104"])),
        ("-tag:vip -tag:bug", leaf("tag_ids", "NIN", ["102", "104"])),
        ("tag:vip tag:bug", group("AND", leaf("tag_ids", "=", "102"), leaf("tag_ids", "=", "104"))),
        ("team:none", group("OR", leaf("team_assignee_id", "=", None), leaf("team_assignee_id", "=", 0))),
        ("admin!=none", group("AND", leaf("admin_assignee_id", "!=", None), leaf("admin_assignee_id", "!=", 0))),
        ("tag:none", leaf("tag_ids", "=", None)),
        ("body:refund", leaf("source.body", "=", "refund")),
        ("-body~refund", leaf("source.body", "!~", "refund")),
        ("updated<1d", group("AND", leaf("updated_at", "<", NOW - DAY), leaf("updated_at", "!=", NOW - DAY))),
        ("updated>2h", group("AND", leaf("updated_at", ">", NOW - 7200), leaf("updated_at", "!=", NOW - 7200))),
        ("created:1700000000", leaf("created_at", "=", 1_700_000_000)),
        ("custom.plan:pro", leaf("custom_attributes.plan", "=", "pro")),
    ],
)  # fmt: skip
def test_what_can_be_asked_exactly_is_sent_whole(text: str, query: dict[str, Any]) -> None:
    assert (made(text).query, made(text).rest) == (query, None)


def test_less_than_excludes_equality_whatever_intercom_means_by_it() -> None:
    sent = made("count_reopens<3").query
    assert sent == group("AND", *(leaf("statistics.count_reopens", sign, 3) for sign in ("<", "!=")))
    sent = made("count_reopens<=3").query
    assert sent == group("OR", *(leaf("statistics.count_reopens", sign, 3) for sign in ("<", "=")))


def test_a_negated_comparison_keeps_what_has_no_value() -> None:
    never = made("-snoozed<1d")
    assert never.query is not None
    assert leaf("snoozed_until", "=", None) in str_leaves(never.query)
    assert never.keeps({"snoozed_until": None})


def str_leaves(query: dict[str, Any]) -> list[dict[str, Any]]:
    return [query] if "field" in query else [one for member in query["value"] for one in str_leaves(member)]


def test_an_or_of_ands_is_sent_as_it_is_where_the_other_way_round_would_not_fit() -> None:
    shifts = [(Q.team == number) & (Q.admin == 100 + number) & (Q.read == (number % 2 == 0)) for number in range(1, 9)]
    query = made(_any(shifts)).query
    assert query is not None
    assert query["operator"] == "OR"
    assert len(query["value"]) == 8
    assert made(_any(shifts)).rest is None


def test_an_and_of_ors_is_sent_as_it_is() -> None:
    query = made("(state:open OR tag:vip) (read:true OR tag:bug)").query
    assert query is not None
    assert (query["operator"], [member["operator"] for member in query["value"]]) == ("AND", ["OR", "OR"])


def test_more_than_fifteen_conditions_are_grouped() -> None:
    wanted = made(_all([Q.tag == str(number) for number in range(40)]))
    assert wanted.rest is None
    assert wanted.query is not None
    assert [len(member["value"]) for member in wanted.query["value"]] == [15, 15, 10]


def test_what_does_not_fit_is_narrowed_and_then_filtered_here() -> None:
    many = [(Q.team == number) & (Q.contact == f"c{number}") for number in range(1, 30)]
    wanted = made(_any(many))
    assert wanted.query is not None
    assert leaf("team_assignee_id", "IN", list(range(1, 30))) in str_leaves(wanted.query)
    assert str(wanted.rest) == str(_any(many))
    assert "does not fit" in wanted.explain()


def test_what_intercom_cannot_search_by_is_filtered_here_and_the_rest_is_sent() -> None:
    wanted = made("state:open title~refund")
    assert wanted.query == leaf("state", "=", "open")
    assert str(wanted.rest) == "title~refund"
    assert wanted.keeps({"state": "open", "title": "Refund please"})
    assert not wanted.keeps({"state": "open", "title": None})
    assert "Intercom cannot search by title" in wanted.explain()


def test_a_search_always_has_a_filter() -> None:
    assert made("title~refund").query == leaf("created_at", ">", 0)


def test_room_is_left_to_cut_the_search_by_time() -> None:
    query = made("state:open team:Support updated<30d -tag:vip").query
    assert query is not None
    assert both(query, leaf("created_at", ">", 1), leaf("created_at", "<", 9)) is not None


# -- contacts


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", ":"])
def test_a_second_of_a_contact_is_asked_by_its_day_and_sorted_out_here(sign: str) -> None:
    wanted = made(f"created{sign}{NOW}", "contacts")
    assert wanted.query is not None
    assert {one["operator"] for one in str_leaves(wanted.query)} <= {"=", "<", ">"}
    assert str(wanted.rest) == f"created{sign}{NOW}"
    assert wanted.keeps({"created_at": NOW}) == (sign in {"<=", ">=", ":"})
    assert "whole days (America/Los_Angeles)" in wanted.explain()


@pytest.mark.parametrize(
    "text", ["created>=2025-10-09", f"created>={MIDNIGHT}", "created<2025-10-09", "created:2025-10-09"]
)
def test_whole_days_of_contacts_are_asked_exactly(text: str) -> None:
    assert made(text, "contacts").rest is None


def test_a_day_begins_where_the_workspace_is() -> None:
    kept = made("created>=2025-10-09", "companies")
    assert kept.keeps({"created_at": MIDNIGHT})
    assert not kept.keeps({"created_at": MIDNIGHT - 1})


def test_a_zone_that_is_not_known_widens_the_question_and_refuses_days() -> None:
    wanted = made("created<2h", "contacts", zone=None)
    assert wanted.query == leaf("created_at", "<", NOW - 7200 + 2 * DAY)
    with pytest.raises(QueryError, match="time zone is not known"):
        made("created<2026-10-01", "contacts", zone=None)


def test_tags_of_contacts_are_only_asked_with_what_intercom_knows_of_them() -> None:
    query = made("tag:vip,bug -tag:stale,104 role:user", "contacts").query
    assert query is not None
    assert {(one["field"], one["operator"]) for one in str_leaves(query)} == {
        ("tag_id", "="), ("tag_id", "!="), ("role", "="),
    }  # fmt: skip


def test_what_neither_side_can_decide_is_refused() -> None:
    with pytest.raises(QueryError, match=r"tag_id is not shown in full .* split the run at its OR"):
        made("tag:vip OR updated<2h", "contacts")
    assert made("tag:vip OR updated<2025-10-09", "contacts").rest is None


def test_a_large_number_may_be_a_date() -> None:
    wanted = made("custom.renewal>1760000000", "contacts")
    assert wanted.query == leaf("custom_attributes.renewal", ">", 1_760_000_000 - 2 * DAY)
    assert wanted.rest is not None
    assert made("custom.score>5", "contacts").rest is None


# -- elsewhere


def test_companies_are_filtered_here_alone() -> None:
    wanted = made('plan:pro -tag:vip name^"Acme"', "companies")
    assert wanted.query is None
    tags = {"tags": [{"id": "104"}]}
    assert wanted.keeps({"plan": {"name": "pro"}, "name": "ACME Ltd", "tags": tags})
    assert not wanted.keeps({"plan": {"name": "pro"}, "name": "ACME Ltd", "tags": {"tags": [{"id": "102"}]}})
    assert not wanted.keeps({"plan": {}, "name": "Acme", "tags": tags})


def test_a_list_has_no_filters() -> None:
    assert made("state:open", by_server=False).query is None
    with pytest.raises(QueryError, match="items do not show tag_id"):
        made("tag:vip", "contacts", by_server=False)


def test_the_words_of_html_are_those_that_a_reader_sees() -> None:
    wanted = made('body~"no refund" title~x')
    assert not made("title~x body:refund OR title~y").keeps({"title": None})
    assert wanted.rest is not None
    item = {"title": "y", "source": {"body": "<p>No&nbsp;<b>Refund</b></p>"}}
    assert made('body~"no refund" OR title~x').keeps(item)
    assert made("body:refund OR title~x").keeps(item)
    assert not made("body:b OR title~x").keeps(item)


@pytest.mark.parametrize(
    ("text", "resource", "said"),
    [
        ("stat:open", "conversations", "Unknown field 'stat' of conversations: did you mean state"),
        ("read:true stat:open", "conversations", "At character 11 of the query: Unknown field 'stat'"),
        ("state:opne", "conversations", "state is one of open, closed, snoozed, not 'opne'; did you mean open"),
        ("tag:vip", "tickets", "Tickets cannot be searched by tag"),
        ("created>yesterday", "conversations", "created is a date, not 'yesterday'"),
        ("created>1760000000000", "conversations", "were milliseconds meant"),
        ("updated:30d", "conversations", "would be one second"),
        ("updated>30", "conversations", "30 is no moment: did you mean 30d"),
        ("created:7", "contacts", "7 is no moment"),
        ("updated<none", "conversations", "cannot be compared with none"),
        ("state>open", "conversations", "state is a text field and knows only"),
        ("tag~vip", "conversations", "tag is a ids field and knows only"),
        ("read:maybe", "conversations", "read is true or false"),
        ('body:"no refund"', "conversations", "by single words: write body~"),
        ("rating>good", "conversations", "compared with a number"),
        ('name:""', "contacts", "compared with an empty text"),
        ('name~""', "contacts", "needs a text that is not empty"),
        ("state:open", "articles", "articles cannot be searched by an expression"),
    ],
)
def test_a_mistake_is_refused_with_what_to_write_instead(text: str, resource: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        made(text, resource)


def test_names_need_somebody_to_look_them_up() -> None:
    assert made("team:5", names=None).query == leaf("team_assignee_id", "=", 5)
    with pytest.raises(QueryError, match="nobody is here to look it up"):
        made("team:Support", names=None)


def test_relative_times_count_from_the_start_of_the_run() -> None:
    with pytest.raises(QueryError, match="counts from the start of a run"):
        made(Q.updated_at < days_ago(1), now=None)


def test_the_explanation_says_it_all() -> None:
    assert made('open:true team:Support title~"late"').explain() == (
        "Search of conversations: open:true team:Support title~late\n"
        "\n"
        "Sent to Intercom:\n"
        '  {"operator": "AND", "value": [\n'
        '    {"field": "open", "operator": "=", "value": true},\n'
        '    {"field": "team_assignee_id", "operator": "=", "value": 5017691}\n'
        "  ]}\n"
        "\n"
        "Filtered here, item by item: title~late\n"
        "  title~late: Intercom cannot search by title.\n"
        "\n"
        "team 'Support' is 5017691.\n"
        "open:true selects snoozed conversations too; state:open selects only what is in the inbox."
    )


def _any(parts: list[Expression]) -> Expression:
    found = parts[0]
    for part in parts[1:]:
        found = found | part
    return found


def _all(parts: list[Expression]) -> Expression:
    return ~_any([~part for part in parts])
