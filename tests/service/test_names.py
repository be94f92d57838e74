"""Ids that a plan shows by their names: those that the workspace tells, and the id itself where it tells none."""

from __future__ import annotations

from intercom_bulk.errors import IntercomBulkError
from intercom_bulk.runs.preview import PreviewItem
from intercom_bulk.service.naming import names_in
from intercom_bulk.service.pages.views import changes, title_of

BEFORE = {"tags": ["101"], "team_assignee_id": "0", "state": "open"}
AFTER = {"tags": ["101", "103"], "team_assignee_id": 7, "state": "101"}


def test_ids_of_the_sample_have_the_names_that_the_workspace_tells_each_asked_once() -> None:
    asked: list[tuple[str, str]] = []

    def name_of(kind: str, value: str) -> str | None:
        asked.append((kind, value))
        if kind == "team":
            raise IntercomBulkError("not allowed")
        return {"101": "vip", "103": "billing"}.get(value)

    names = names_in([PreviewItem("1", BEFORE, AFTER, None)] * 2, name_of)
    assert names == {"tags": {"101": "vip", "103": "billing"}}
    assert asked.count(("tag", "101")) == 1
    assert ("team", "0") not in asked


def test_a_change_is_shown_by_names_where_they_are_known_and_by_ids_elsewhere() -> None:
    told = changes(BEFORE, AFTER, {"tags": {"101": "vip"}})
    assert told == [
        ("tags", "vip", "vip, 103"), ("team_assignee_id", "0", "7"), ("state", "open", "101"),
    ]  # fmt: skip
    assert changes(BEFORE, AFTER)[0] == ("tags", "101", "101, 103")


def test_an_undo_does_not_read_like_what_it_takes_back() -> None:
    told = {"collection": "conversations", "operation": "close", "kind": "update"}
    assert (title_of(told), title_of({**told, "kind": "undo"})) == ("Close conversations", "Undo: close conversations")
