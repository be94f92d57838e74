"""The page on searching: each word of it is understood, and both forms of it mean the same."""

from __future__ import annotations

import re
from datetime import UTC

import pytest

from intercom_bulk import Expression, Q, compile_query, days_ago, hours_ago, parse_query
from tests.docs.conftest import ROOT

PAGE = (ROOT / "docs" / "searching.md").read_text()
ROWS = re.findall(r"^\| (`.+?) \| (`.+?`) \|", PAGE, re.MULTILINE)
IDS = {"pro": "1"}


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize(("text", "python"), [row for row in ROWS if "a OR b" not in row[0]])
def test_text_and_python_mean_the_same(text: str, python: str) -> None:
    names = {"Q": Q, "days_ago": days_ago, "hours_ago": hours_ago}
    meant: list[Expression] = [eval(one, names) for one in words(python)]
    read = [parse_query(one) for one in words(text)]
    assert {str(one) for one in read} == {str(one) for one in meant}


FIELDS = [
    (resource, field)
    for resource in ("conversations", "contacts", "companies", "tickets")
    for field in words(re.search(rf"^\| {resource} \| (.+) \|$", PAGE, re.MULTILINE)[1])  # type: ignore[index]
]


@pytest.mark.parametrize(("resource", "field"), FIELDS)
def test_each_field_is_known(resource: str, field: str) -> None:
    question = Q.custom("plan") if field == "custom.NAME" else getattr(Q, field)
    compile_query(question != None, resource, names=lambda _, wanted: wanted, zone=UTC, now=1.7e9)  # noqa: E711


def test_all_rows_are_read() -> None:
    assert len(ROWS) >= 14
    assert len(FIELDS) >= 50
