"""Stories: true counts, quotes that harm nobody, and a query that the search language takes."""

from __future__ import annotations

import shlex
from datetime import UTC
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.corpus import Memory
from intercom_bulk import compile_query, parse_query
from intercom_bulk.insights.phase import Document
from intercom_bulk.insights.stories import StoryCreation
from intercom_bulk.insights.suggestion import MOST_IDS, Seen, suggest
from intercom_bulk.insights.telling import as_markdown
from intercom_bulk.insights.text import escape_markdown, redact
from intercom_bulk.insights.themes import Theme, ThemeExtraction
from intercom_bulk.insights.trend import trend

DAY = 86_400


def compiled(text: str) -> Any:
    return compile_query(parse_query(text), "conversations", names=lambda _, wanted: wanted, zone=UTC, now=1.8e9)


def test_a_story_counts_the_members_of_its_theme(worked: Memory) -> None:
    sizes: dict[str, int] = {}
    for _, result in worked.results("theme_extraction"):
        if result["theme"] is not None:
            sizes[result["theme"]] = sizes.get(result["theme"], 0) + 1
    stories = worked.said["story_creation"]
    assert {theme: story["size"] for theme, story in stories.items()} == {
        theme: size for theme, size in sizes.items() if size >= 5
    }
    assert len(stories) > 5
    assert all(sum(story["counts"]["language"].values()) == story["size"] for story in stories.values())


def test_each_suggestion_is_a_query_that_a_plan_takes(worked: Memory) -> None:
    for story in worked.said["story_creation"].values():
        suggestion = story["suggestion"]
        words = shlex.split(suggestion["command"])
        assert words[:4] == ["intercom-bulk", "plan", "tag", *suggestion["arguments"]]
        assert words[5] == suggestion["where"]
        assert compiled(suggestion["where"]).query


def test_quotes_are_of_members_and_link_to_the_inbox(worked: Memory) -> None:
    placed = {item: result["theme"] for item, result in worked.results("theme_extraction")}
    quotes = [(theme, one) for theme, story in worked.said["story_creation"].items() for one in story["quotes"]]
    assert quotes
    for theme, one in quotes:
        assert placed[one["id"]] == theme
        assert one["url"] == f"https://app.intercom.com/a/inbox/abc123/inbox/conversation/{one['id']}"


# -- customers' words


EVIL = (
    "# Hi <script>alert(1)</script> [x](javascript:1) `rm` ![i](http://e.x/p) | **b** call +44 20 7946 0018 or a.b@c.de"
)


def told(body: str) -> dict[str, Any]:
    """The story of one theme of seven conversations that all say this, and whose name is made of it."""
    documents = [Document(f"{n}", "1", created_at=n * DAY, body=body, tags=("t`ag \"x'",)) for n in range(7)]
    corpus = Memory(documents)
    placed = {"theme": "T1", "name": body, "score": 0.9}
    corpus.said["theme_extraction"] = {one.id: placed for one in documents}
    corpus.states["theme_extraction"] = themes_state(Theme("T1", body, (body,)))
    corpus.run([StoryCreation(min_story=2)])
    return dict(corpus.said["story_creation"]["T1"])


def themes_state(theme: Theme) -> bytes:
    import numpy as np

    from intercom_bulk.insights.state import pack

    about = {"kind": "themes-1", "fit": "", "documents": 1, "next_id": 2}
    theme_said = {"id": theme.id, "name": theme.name, "terms": list(theme.terms), "retired": False}
    return pack({**about, "themes": [theme_said]}, {"centres": np.zeros((1, 2), dtype=np.float32)})


def test_what_customers_write_is_shown_as_words() -> None:
    markdown = told(EVIL)["markdown"]
    prose = markdown.split("```")[0]
    assert "<script" not in prose
    assert "](javascript" not in prose
    assert "](http://e.x" not in prose
    assert "a.b@c.de" not in markdown
    assert "7946" not in prose
    assert prose.startswith("## ")
    assert prose.count("\n## ") == 0


@given(st.text(max_size=80))
def test_any_words_make_a_story_and_a_query(text: str) -> None:
    story = told(f"hello {text}")
    assert compiled(story["suggestion"]["where"])
    assert as_markdown(story).count("## ") >= 1
    assert "\n" not in story["title"]


@given(st.text())
def test_escaped_text_has_no_bare_mark(text: str) -> None:
    escaped = escape_markdown(text)
    assert all(escaped[at - 1] == "\\" for at, char in enumerate(escaped) if char in "`*_[]|" and at)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("write to ann.o'x+y@mail.example.org now", False),
        ("call 0151 23456789", False),
        ("card 4111 1111 1111 1111", False),
        ("order 20931 of 2024-05-01", True),
        ("error 500 at 10:30", True),
    ],
)
def test_addresses_and_long_numbers_are_left_out(text: str, kept: bool) -> None:
    assert (redact(text) == text) == kept or "2024-05-01" in text


# -- what is suggested


def test_a_large_theme_is_asked_for_by_what_finds_it() -> None:
    seen = Seen(["refund"])
    for at in range(MOST_IDS + 50):
        seen.add("T1", ["refund"] if at % 10 else ["money"], [])
    for _ in range(20):
        seen.add(None, ["refund"], [])
    size = MOST_IDS + 50
    found = suggest("T1", "refund", size=size, ids=["1"], first=10 * DAY, seen=seen)
    assert found.where == 'body~"refund" created>=1970-01-10'
    assert (found.of_theme, found.found) == (size - size // 10, size - size // 10 + 20)


def test_a_small_theme_is_asked_for_by_its_ids() -> None:
    found = suggest("T1", "x", size=2, ids=["12", "a b"], first=0, seen=Seen([]))
    assert found.where == 'id:12,"a b"'
    assert (found.found, found.of_theme, found.size) == (2, 2, 2)


@pytest.mark.parametrize(
    ("early", "late", "direction"), [(1, 5, "rising"), (5, 1, "falling"), (3, 3, "steady"), (0, 4, "rising")]
)
def test_a_trend_is_told_from_chance(early: int, late: int, direction: str) -> None:
    by_day = {day: late if day >= 76 else early for day in range(90)}
    assert trend(by_day, 0, 89)["direction"] == direction


def test_two_more_than_none_is_no_trend() -> None:
    assert trend({89: 1}, 0, 89)["direction"] == "steady"
    assert trend({1: 5}, 0, 3)["direction"] == "unknown"


def test_a_story_of_no_theme_is_an_error_of_that_item() -> None:
    (said,) = StoryCreation().process([Document("T9", "1")])
    assert "no theme T9" in str(said)
    assert ThemeExtraction.name in StoryCreation.uses
