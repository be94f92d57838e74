"""The judge itself: it converts schemas as it says, accepts what is right, and bites."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.openapi import to_2020
from tests.contract.recorder import Exchange

if TYPE_CHECKING:
    from tests.contract.openapi import Description

HEADERS = {"authorization": "Bearer token", "content-type": "application/json", "intercom-version": "2.16"}
QUERY = {"field": "state", "operator": "=", "value": "open"}
CLOSE = {"message_type": "close", "type": "admin", "admin_id": "780"}
TAG = {"id": "101", "admin_id": "780"}
PARTS, SEARCH, TAGS = "POST /conversations/5/parts", "POST /conversations/search", "POST /conversations/5/tags"


def request(line: str, body: Any = None, **headers: str) -> Exchange:
    method, target = line.split(" ")
    path, _, query = target.partition("?")
    data = b"" if body is None else json.dumps(body).encode()
    return Exchange(method=method, path=path, query=query, headers=HEADERS | headers, body=data)


GOOD = [
    request(PARTS, CLOSE),
    request(PARTS, {"message_type": "snoozed", "admin_id": "780", "snoozed_until": 1790000000}),
    request(SEARCH, {"query": QUERY, "pagination": {"per_page": 150, "starting_after": None}}),
    request(SEARCH, {"query": {"operator": "AND", "value": [QUERY, QUERY]}}),
    request(TAGS, TAG),
    request("POST /contacts/6762f14a/tags", {"id": "101"}),
    request("PUT /conversations/5", {"custom_attributes": {"issue_type": "Billing", "score": 3}}),
    request("DELETE /conversations/5?retain_metrics=false"),
    request("GET /me"),
]


@pytest.mark.parametrize("exchange", GOOD)
def test_good_requests_pass(exchange: Exchange, description: Description) -> None:
    assert description.request_faults(exchange) == []


BAD = {
    "close without type": (request(PARTS, {"message_type": "close", "admin_id": "780"}), '"type" is a required'),
    "close without admin": (request(PARTS, {"message_type": "close", "type": "admin"}), '"admin_id" is a required'),
    "close by a number": (request(PARTS, {**CLOSE, "admin_id": 780}), 'admin_id: 780 is not of type "string"'),
    "snooze until text": (
        request(PARTS, {"message_type": "snoozed", "admin_id": "780", "snoozed_until": "tomorrow"}),
        'snoozed_until: "tomorrow" is not of type "integer"',
    ),
    "unheard-of part": (request(PARTS, {**CLOSE, "message_type": "shut"}), '"shut"'),
    "tag without admin_id": (request(TAGS, {"id": "101"}), '"admin_id" is a required'),
    "tag without id": (request("POST /contacts/6762f14a/tags", {"tag": "101"}), '"id" is a required'),
    "missing query": (request(SEARCH, {"pagination": {"per_page": 5}}), '"query" is a required'),
    "per_page as a string": (
        request(SEARCH, {"query": QUERY, "pagination": {"per_page": "150"}}),
        '/pagination/per_page: "150" is not of type "integer"',
    ),
    "unheard-of operator": (request(SEARCH, {"query": {**QUERY, "operator": "LIKE"}}), '"LIKE"'),
    "leaf beside group": (
        request(SEARCH, {"query": {"operator": "AND", "value": [QUERY, {"operator": "OR", "value": [QUERY]}]}}),
        "/query/value",
    ),
    "empty group": (request(SEARCH, {"query": {"operator": "AND", "value": []}}), "/query"),
    "sort order of contacts": (
        request("POST /contacts/search", {"query": QUERY, "sort": {"field": "id", "order": "asc"}}),
        '/sort/order: "asc"',
    ),
    "attribute that is a list": (
        request("PUT /conversations/5", {"custom_attributes": {"issue_type": ["Billing"]}}),
        "/custom_attributes/issue_type",
    ),
    "unknown path": (request("GET /conversation/5"), "no such operation"),
    "path that goes on": (request("GET /conversations/5/parts/6"), "no such operation"),
    "empty segment": (request("GET /conversations//parts"), "no such operation"),
    "unknown method": (request("PATCH /conversations/5"), "no such operation"),
    "method of another path": (request("GET /conversations/search"), "no such operation"),
    "wrong version": (request("GET /me", **{"intercom-version": "9.9"}), 'header Intercom-Version: "9.9"'),
    "no token": (request("GET /me", authorization="Basic dG9rZW4="), "no bearer token"),
    "not JSON by name": (request(TAGS, TAG, **{"content-type": "text/plain"}), "text/plain is not one of"),
    "not JSON": (replace(request(TAGS), body=b"id=101"), "not JSON"),
    "body where none is": (request("POST /contacts/6762f14a/archive", {"now": True}), "takes none"),
    "path parameter": (request("GET /conversations/last"), 'path conversation_id: "last" is not of type "integer"'),
    "query parameter": (request("GET /conversations?per_page=151"), "query per_page: 151 is greater"),
    "query parameter's type": (request("GET /conversations?per_page=all"), '"all" is not of type "integer"'),
    "unknown query parameter": (request("GET /conversations?page=2"), "query page: not a parameter"),
    "missing query parameter": (request("GET /admins/activity_logs"), "query created_at_after: missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_requests_are_refused_with_the_reason(name: str, description: Description) -> None:
    exchange, reason = BAD[name]
    faults = description.request_faults(exchange)
    assert [fault for fault in faults if reason in fault], faults


def test_members_that_no_schema_names_are_told(description: Description) -> None:
    assert description.undescribed_members(request(SEARCH, {"query": QUERY, "sort": {}, "limit": 5})) == {
        "sort",
        "limit",
    }
    assert description.undescribed_members(request(PARTS, {**CLOSE, "silent": True})) == {"silent"}
    assert description.undescribed_members(request(PARTS, CLOSE)) == set()


NOT_FOUND = {"type": "error.list", "request_id": None, "errors": [{"code": "not_found", "message": None}]}
ITEM: dict[str, Any] = {"type": "conversation", "id": "5", "company": None, "title": None, "admin_assignee_id": 0}


def answer(line: str, status: int, body: Any, answer_type: str = "application/json; charset=utf-8") -> Exchange:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return replace(request(line), status=status, answer=data, answer_type=answer_type)


@pytest.mark.parametrize(
    "exchange",
    [
        answer("GET /conversations/5", 200, ITEM),
        answer("GET /conversations/5", 404, NOT_FOUND),
        answer("GET /conversations/5", 429, NOT_FOUND),
        answer("DELETE /tags/5", 200, b""),
    ],
)
def test_good_answers_pass(exchange: Exchange, description: Description) -> None:
    assert description.answer_faults(exchange) == []


BAD_ANSWERS = {
    "null where none is": (answer("GET /conversations/5", 200, {**ITEM, "admin_assignee_id": None}), "null is not"),
    "number for an id": (answer("GET /conversations/5", 200, {**ITEM, "id": 5}), "/id: 5 is not"),
    "unheard-of state": (answer("GET /conversations/5", 200, {**ITEM, "state": "done"}), '/state: "done"'),
    "behind a nullable reference": (
        answer("GET /conversations/5", 200, {**ITEM, "company": {"id": 7}}),
        "/company/id: 7 is not",
    ),
    "deep in a list": (
        answer(SEARCH, 200, {"type": "conversation.list", "conversations": [ITEM, {**ITEM, "open": "yes"}]}),
        '/conversations/1/open: "yes" is not',
    ),
    "unknown status": (answer("GET /me", 204, b""), "not a status of this operation"),
    "error without its list": (answer("GET /me", 500, {"type": "error.list"}), '"errors" is a required'),
    "gateway's page": (answer("GET /me", 200, b"<html>", "text/html"), "text/html is not one of"),
    "cut": (answer("GET /me", 200, b'{"type": "adm'), "not JSON"),
    "more than nothing": (answer("DELETE /tags/5", 200, {"deleted": True}), "there should be none"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answers_are_refused_with_the_reason(name: str, description: Description) -> None:
    exchange, reason = BAD_ANSWERS[name]
    faults = description.answer_faults(exchange)
    assert [fault for fault in faults if reason in fault], faults


REFERENCE = {"$ref": "#/components/schemas/company", "nullable": True, "description": "ignored beside a reference"}


@pytest.mark.parametrize(
    ("schema", "converted"),
    [
        ({"type": "string", "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ({"type": "string", "nullable": False, "example": 1, "x-tags": []}, {"type": "string"}),
        (REFERENCE, {"$ref": "home:#/components/schemas/company"}),
        (
            {"properties": {"nullable": {"type": "boolean"}, "example": REFERENCE}},
            {"properties": {"nullable": {"type": "boolean"}, "example": {"$ref": "home:#/components/schemas/company"}}},
        ),
        ({"enum": ["a", None], "required": ["title"]}, {"enum": ["a", None], "required": ["title"]}),
        (
            {"items": {"oneOf": [{"type": "integer", "format": "date-time"}]}, "additionalProperties": True},
            {"items": {"oneOf": [{"type": "integer"}]}, "additionalProperties": True},
        ),
    ],
)
def test_schemas_of_3_0_become_2020_12(schema: dict[str, Any], converted: dict[str, Any]) -> None:
    assert to_2020(schema, home="home:") == converted


def test_null_beside_a_reference_counts_in_answers_only() -> None:
    reference = {"$ref": "#/components/schemas/company"}
    assert to_2020(REFERENCE) == reference
    assert to_2020(REFERENCE, nullable_refs=True) == {"anyOf": [reference, {"type": "null"}]}
