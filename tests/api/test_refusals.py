"""Each answer outside 2xx becomes the error that says what to do next."""

from __future__ import annotations

from typing import Any

import pytest

from intercom_bulk.api.refusals import refusal
from intercom_bulk.errors import ApiError, Gone, RateLimited, Rejected, Transient, Unauthorized

CLOSE = "conversations/1/parts"


def body(code: str, message: str = "Some reason") -> dict[str, Any]:
    return {"type": "error.list", "request_id": "r1", "errors": [{"code": code, "message": message}]}


@pytest.mark.parametrize(
    ("status", "said", "path", "kind"),
    [
        (429, body("rate_limit_exceeded"), CLOSE, RateLimited),
        (401, body("unauthorized", "Access Token Invalid"), CLOSE, Unauthorized),
        (403, body("forbidden"), CLOSE, Unauthorized),
        (403, None, CLOSE, Transient),
        (404, body("not_found", "Conversation not found"), CLOSE, Gone),
        (404, body("not_found", "Resource Not Found"), CLOSE, Gone),
        (404, body("conversation_not_found"), "anything", Gone),
        (404, body("ticket_not_found"), "tickets/1/tags", Gone),
        (410, body("contact_merged"), "contacts/1", Gone),
        (404, body("admin_not_found"), CLOSE, Rejected),
        (404, body("assignee_not_found"), CLOSE, Rejected),
        (404, body("tag_not_found"), "conversations/1/tags", Rejected),
        (404, body("not_found", "Resource Not Found"), "contacts/1/tags", Rejected),
        (404, body("not_found", "User Not Found"), "contacts/1/tags", Gone),
        (404, body("not_found", "Conversation not found"), "conversations/1/tags", Gone),
        (404, body("company_not_found"), "companies/1", Gone),
        (404, body("company_not_found"), "contacts/1/companies", Rejected),
        (404, body("company_not_found"), "/contacts/1/companies/2", Rejected),
        (404, body("not_found", "Resource Not Found"), "conversations/1/customers", Gone),
        (404, body("not_found", "User Not Found"), "conversations/1/customers/2", Rejected),
        (404, body("not_found"), "", Gone),
        (404, None, CLOSE, Rejected),
        (422, body("parameter_invalid"), CLOSE, Rejected),
        (400, body("parameter_not_found"), CLOSE, Rejected),
        (307, None, CLOSE, Rejected),
        (408, body("request_timeout"), CLOSE, Transient),
        (500, body("server_error"), CLOSE, Transient),
        (502, None, CLOSE, Transient),
    ],
)
def test_status_and_code_decide(status: int, said: dict[str, Any] | None, path: str, kind: type[ApiError]) -> None:
    error = refusal(status, {}, said, path)
    assert type(error) is kind
    assert error.status == status


def test_a_missing_admin_is_about_every_item_and_a_bad_field_about_one() -> None:
    missing = refusal(404, {}, body("admin_not_found"), CLOSE)
    bad = refusal(422, {}, body("parameter_invalid"), CLOSE)
    assert isinstance(missing, Rejected)
    assert isinstance(bad, Rejected)
    assert (missing.target, bad.target) == (True, False)


def test_a_server_error_may_have_been_processed_and_an_edge_refusal_may_not() -> None:
    server, edge = refusal(500, {}, None, CLOSE), refusal(403, {}, None, CLOSE)
    assert isinstance(server, Transient)
    assert isinstance(edge, Transient)
    assert (server.sent, edge.sent) == (True, False)


@pytest.mark.parametrize(("asked", "seconds"), [("7", 7.0), ("2.5", 2.5), ("9999", 120.0), ("soon", None), ("", None)])
def test_the_servers_own_wish_is_kept_within_reason(asked: str, seconds: float | None) -> None:
    error = refusal(429, {"Retry-After": asked}, None, CLOSE)
    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds


def test_a_refused_permission_names_the_area() -> None:
    assert "permission for conversations" in str(refusal(403, {}, body("forbidden"), CLOSE))


def test_a_redirect_says_which_setting_to_change() -> None:
    assert "INTERCOM_REGION" in str(refusal(301, {}, None, CLOSE))


def test_a_token_that_is_echoed_does_not_come_through() -> None:
    assert "s3cret-token" not in str(
        refusal(400, {}, body("bad", "no such thing: s3cret-token"), CLOSE, "s3cret-token")
    )


@pytest.mark.parametrize(
    "said", [{}, {"errors": None}, {"errors": []}, {"errors": ["x"]}, {"errors": [{"code": None}]}]
)
def test_an_error_body_of_any_shape_is_survived(said: dict[str, Any]) -> None:
    assert refusal(400, {}, said, CLOSE).code == "http_400"


@pytest.mark.parametrize(
    ("link", "canonical"),
    [
        ('</contacts/6762f1>; rel="canonical"', "6762f1"),
        ("<https://api.intercom.io/contacts/6762f1>; rel=canonical", "6762f1"),
        ('</contacts/6762f1>; rel="next"', None),
        ('</contacts/../me>; rel="canonical"', "me"),
        ('</contacts/a b>; rel="canonical"', None),
        (None, None),
    ],
)
def test_a_merged_contact_names_the_one_that_it_is_now(link: str | None, canonical: str | None) -> None:
    headers = {"Link": link} if link is not None else {}
    error = refusal(410, headers, body("contact_merged"), "contacts/1")
    assert isinstance(error, Gone)
    assert error.canonical == canonical
