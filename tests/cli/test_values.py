"""What is typed, and what is meant."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.cli import values
from intercom_bulk.cli.screen import cells, clip, duration, table

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("read", "text", "meant"),
    [
        (values.span, "45m", timedelta(minutes=45)),
        (values.span, "1.5h", timedelta(minutes=90)),
        (values.span, "2w", timedelta(days=14)),
        (values.assignee, "none", None),
        (values.assignee, "0", None),
        (values.assignee, " Tier 2 ", "Tier 2"),
        (values.pair, "plan=a=b", ("plan", "a=b")),
        (values.pair, "seats:=12", ("seats", 12)),
        (values.pair, "active:=true", ("active", True)),
        (values.pair, "plan:=null", ("plan", None)),
        (values.whole, "31,000", 31_000),
        (values.share, "50%", 0.5),
        (values.share, "0.05", 0.05),
        (values.moment, "1790000000", 1_790_000_000),
        (values.moment, "2026-12-24T08:00+00:00", 1_798_099_200),
        (values.file_and_column, "-", ("-", None)),
        (values.file_and_column, "list.csv:Conversation ID", ("list.csv", "Conversation ID")),
        (values.file_and_column, "list.csv", ("list.csv", None)),
        (values.body, "@anna please", "@anna please"),
    ],
)
def test_what_is_typed_is_what_is_meant(read: Callable[[str], object], text: str, meant: object) -> None:
    assert read(text) == meant


def test_a_date_begins_where_this_machine_is() -> None:
    assert values.moment("2026-12-24") == int(datetime(2026, 12, 24).astimezone().timestamp())


def test_a_span_is_a_moment_to_come() -> None:
    assert abs(values.moment("2h") - (time.time() + 7200)) < 5


def test_a_text_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "reply.html").write_text("<p>Sorry.</p>\n")
    assert values.body(f"@{tmp_path / 'reply.html'}") == "<p>Sorry.</p>"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (values.span, "soon"),
        (values.moment, "yesterday"),
        (values.moment, "in 12h"),
        (values.moment, "30"),
        (values.pair, "plan"),
        (values.pair, "=pro"),
        (values.pair, "seats:=twelve"),
        (values.whole, "-1"),
        (values.positive, "0"),
        (values.share, "half"),
    ],
)
def test_what_cannot_be_meant_is_said_with_what_to_write(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(values.Misread):
        read(text)


def test_lines_are_cut_where_the_screen_ends_whatever_the_letters_take() -> None:
    assert clip("a" * 12, 10) == "a" * 9 + "…"
    assert clip("漢字" * 5, 10) == "漢字漢字…"
    assert cells("漢a") == 3
    assert table(("A", "B"), [("漢", "x"), ("abc", "y")]) == ["A    B", "漢   x", "abc  y"]


def test_about_one_second_is_a_second() -> None:
    assert (duration(1.4), duration(1.6)) == ("about a second", "about 2 seconds")
