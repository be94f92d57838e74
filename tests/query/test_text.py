"""The text form: what it means, that it is what str() writes, and what is said of mistakes."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk.api.language.expression import And, Expression, Filter, Named, Not, Or, Q
from intercom_bulk.api.language.literals import Ago, days_ago, hours_ago
from intercom_bulk.api.language.text import parse_query
from intercom_bulk.errors import QueryError
from tests.query.agreement import many
from tests.query.expressions import expressions

OPEN, VIP = Filter("state", "=", "open"), Filter("tag", "=", "vip")
OLD = Filter("updated", "<", Ago(30, "d"))


def values() -> st.SearchStrategy[Any]:
    texts = st.text(max_size=12) | st.from_regex(
        r"[-\w:.,+]{1,8}|\d{1,4}[smhdw]|-?\d+(\.\d+)?|none|true|<x|1e\d+", fullmatch=True
    )
    numbers = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
    spans = st.builds(Ago, st.integers(0, 900), st.sampled_from("smhdw"))
    return st.one_of(texts, numbers, st.none(), spans)


def any_expressions() -> st.SearchStrategy[Expression]:
    names = st.sampled_from(
        ["state", "or", "NOT", "source.body", "custom.plan", "custom.Plan name", 'custom.a"\\b', "x y"]
    )
    single = st.builds(Filter, names, st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "~", "^", "$"]), values())
    listed = st.lists(values(), min_size=2, max_size=4, unique_by=repr)
    several = st.builds(lambda name, wanted: Named(name).in_(wanted), names, listed)
    return st.recursive(
        single | several,
        lambda inner: st.one_of(
            st.builds(lambda one, other: one & other, inner, inner),
            st.builds(lambda one, other: one | other, inner, inner),
            st.builds(lambda one: ~one, inner),
        ),
    )


@many(600)
@given(any_expressions())
def test_what_is_written_is_read_back(expression: Expression) -> None:
    assert parse_query(str(expression)) == expression


@many(400)
@given(expressions("conversations", "UTC"))
def test_what_is_searched_for_is_read_back(expression: Expression) -> None:
    assert parse_query(str(expression)) == expression


@many(500)
@given(st.text(max_size=30) | st.text('abc:<>=~()"-, 1dORANT\\', max_size=20))
def test_any_text_is_an_expression_or_is_refused(text: str) -> None:
    with suppress(QueryError):
        assert parse_query(str(parse_query(text))) == parse_query(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("state:open tag:vip", OPEN & VIP),
        ("state:open AND tag:vip", OPEN & VIP),
        ("state:open tag:vip OR updated<30d", (OPEN & VIP) | OLD),
        ("state:open (tag:vip or updated<30d)", OPEN & (VIP | OLD)),
        ("-tag:vip", ~VIP),
        ("NOT tag:vip", ~VIP),
        ("-(state:open tag:vip)", ~(OPEN & VIP)),
        ("tag:vip,stale", Filter("tag", "in", ("vip", "stale"))),
        ("tag!=vip,stale", ~Filter("tag", "in", ("vip", "stale"))),
        ("tag!=vip", Filter("tag", "!=", "vip")),
        ('team:"Tier 2"', Filter("team", "=", "Tier 2")),
        ("team:none", Filter("team", "=", None)),
        ('team:"none"', Filter("team", "=", "none")),
        ("read:false", Filter("read", "=", False)),
        ("updated:<30d", OLD),
        ("updated>=2h", Filter("updated", ">=", Ago(2, "h"))),
        ("created>2026-10-01", Filter("created", ">", "2026-10-01")),
        ("created>2026-10-01T09:00:00+02:00", Filter("created", ">", "2026-10-01T09:00:00+02:00")),
        ("body~refund", Filter("body", "~", "refund")),
        ("body!~refund", ~Filter("body", "~", "refund")),
        ("name^Ann", Filter("name", "^", "Ann")),
        ("email$example.com", Filter("email", "$", "example.com")),
        ("custom.plan:pro", Filter("custom.plan", "=", "pro")),
        ('custom."Plan name":pro', Filter("custom.Plan name", "=", "pro")),
        ("custom.score>2.5", Filter("custom.score", ">", 2.5)),
        ("external_id:007", Filter("external_id", "=", "007")),
        ("id:215472856448646", Filter("id", "=", 215472856448646)),
        (r'name:"say \"hi\" \\"', Filter("name", "=", r'say "hi" \ '.strip())),
    ],
)
def test_a_text_means(text: str, meant: Expression) -> None:
    assert parse_query(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("refund", "At character 1 .*'refund' is no filter"),
        ("state:open refund", "At character 12 .*'refund' is no filter"),
        ("state: open", "At character 7 .*state has no value"),
        ("(state:open", "At character 1 .*never closed"),
        ("state:open)", "At character 11 .*closes nothing"),
        ("state:open OR", "At character 14 .*missing at the end"),
        ('team:"Tier 2', "At character 6 .*quote is never closed"),
        ("created<1d,2d", "a list of values goes with created:"),
        ("- state:open", "stands directly before"),
        ("(" * 60 + "state:open" + ")" * 60, "more than 50 parentheses"),
    ],
)
def test_a_mistake_is_shown_where_it_is(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        parse_query(text)


def test_python_and_text_say_the_same() -> None:
    built = (
        (Q.state == "open") & Q.team.in_(["Support", 5]) & (Q.updated_at < days_ago(30)) & ~Q.custom("plan").has("x")
    )
    assert str(built) == "state:open team:Support,5 updated_at<30d -custom.plan~x"
    assert str(hours_ago(1.5)) == "5400s"
    assert str(Q.created > date(2026, 10, 1)) == "created>2026-10-01"
    assert str(Q.created > datetime(2026, 10, 1, tzinfo=UTC)) == "created>2026-10-01T00:00:00+00:00"
    assert str(Q["source.author.email"].ends(".edu") | Q.tag.is_none()) == "source.author.email$.edu OR tag:none"
    assert ~~OPEN == OPEN
    assert isinstance(OPEN & VIP & OLD, And)
    assert (OPEN & VIP) & OLD == OPEN & (VIP & OLD)
    assert isinstance(OPEN | VIP, Or)
    assert isinstance(~OPEN, Not)


@pytest.mark.parametrize(
    "slip",
    [
        lambda: bool(Q.state == "open"),
        lambda: 1 < Q.rating < 5,
        lambda: Q.state == "open" & Q.read,
        lambda: (Q.state == "open") & Q.read,
        lambda: (Q.state == "open") & {"field": "state", "operator": "=", "value": "open"},
        lambda: Q.tag.in_("vip"),
        lambda: Q.tag.in_([]),
        lambda: Q.created > datetime(2026, 10, 1),  # noqa: DTZ001
        lambda: Q.created > object(),
        lambda: Q.score > float("nan"),
        lambda: Q.id == 10**20,
        lambda: days_ago(-1),
        lambda: Filter("state", "LIKE", "open"),
    ],
)
def test_a_slip_of_python_is_refused(slip: Any) -> None:
    with pytest.raises(QueryError):
        slip()
