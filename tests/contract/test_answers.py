"""Every operation that the sandbox has answers in the shapes of Intercom's own description."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk.sandbox.routes import find_route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.openapi import Description
    from tests.contract.recorder import Exchange, Recorder

    Record = Callable[..., Recorder]

Ask = Callable[..., Any]
ANY = {"query": {"field": "created_at", "operator": ">", "value": 1}}
BY_AGE = {"sort": {"field": "created_at", "order": "ascending"}}
ADMIN = {"admin_id": "780"}


@pytest.fixture
def asker(record: Record) -> Iterator[Callable[..., tuple[Ask, Recorder]]]:
    """Asks a sandbox with the given knobs as a program does that knows nothing of this package."""
    with requests.Session() as session:
        session.trust_env = False

        def start(**knobs: Any) -> tuple[Ask, Recorder]:
            recorder = record(share_closed=0.3, share_snoozed=0.3, share_tagged=0.5, **knobs)
            session.headers.update({"Authorization": f"Bearer {recorder.sandbox.token}", "Intercom-Version": "2.16"})

            def ask(line: str, body: Any = None, **headers: str) -> Any:
                method, path = line.split(" ")
                answer = session.request(method, recorder.url + path, json=body, headers=headers, timeout=5)
                return answer.json() if answer.content else None

            return ask, recorder

        yield start


def test_every_operation_of_the_sandbox_answers_as_described(
    asker: Callable[..., tuple[Ask, Recorder]], description: Description
) -> None:
    ask, recorder = asker()
    for use in (_directory, _conversations, _contacts, _companies, _tickets):
        use(ask)
    exchanges = recorder.exchanges
    assert {exchange.status for exchange in exchanges} == {200}
    assert _faults(description.faults, exchanges) == []
    asked = {str(description.operation(exchange.method, exchange.path)) for exchange in exchanges}
    assert set(map(str, _served(description))) - asked == set()


def _served(description: Description) -> Iterator[object]:
    for operation in description.operations():
        path = re.sub(r"\{\w+\}", "*", operation.template)
        route, _ = find_route(operation.method, path)
        if route is not None and route.name == f"{operation.method} {path}":
            yield operation


def _faults(check: Callable[[Exchange], list[str]], exchanges: list[Exchange]) -> list[str]:
    return [fault for exchange in exchanges for fault in check(exchange)]


def _directory(ask: Ask) -> None:
    for path in ("me", "admins", "admins/780", "teams", "teams/5017691", "tags", "tags/101", "ticket_types"):
        ask(f"GET /{path}")
    for path in ("ticket_states", "subscription_types", "conversations/attributes", "data_attributes"):
        ask(f"GET /{path}")
    ask("GET /data_attributes?model=company")
    made = ask("POST /tags", {"name": "new"})
    ask("POST /tags", {"id": made["id"], "name": "newer"})
    ask(f"DELETE /tags/{made['id']}")


def _conversations(ask: Ask) -> None:
    first = ask("POST /conversations/search", {**ANY, **BY_AGE, "pagination": {"per_page": 5}})
    ask("POST /conversations/search", {**ANY, "pagination": first["pages"]["next"]})
    ask("GET /conversations?per_page=5")
    one, other = (item["id"] for item in first["conversations"][:2])
    path = f"/conversations/{one}"
    ask(f"GET {path}")
    ask(f"PUT {path}", {"custom_attributes": {"issue_type": "Billing"}, "title": "Bill", "read": True})
    for part in (
        {"message_type": "close", "type": "admin"},
        {"message_type": "open"},
        {"message_type": "snoozed", "snoozed_until": int(time.time()) + 3600},
        {"message_type": "assignment", "type": "team", "assignee_id": "5017692"},
        {"message_type": "assignment", "type": "admin", "assignee_id": "0"},
    ):
        ask(f"POST {path}/parts", {**ADMIN, **part})
    ask(f"POST {path}/reply", {**ADMIN, "type": "admin", "message_type": "comment", "body": "hello"})
    noted = ask(f"POST {path}/reply", {**ADMIN, "type": "admin", "message_type": "note", "body": "secret"})
    part = noted["conversation_parts"]["conversation_parts"][-1]["id"]
    redaction = {"type": "conversation_part", "conversation_id": one, "conversation_part_id": part}
    ask("POST /conversations/redact", redaction)
    source = ask(f"GET {path}")["source"]["id"]
    ask("POST /conversations/redact", {"type": "source", "conversation_id": one, "source_id": source})
    ask(f"POST {path}/tags", {**ADMIN, "id": "102"})
    ask(f"DELETE {path}/tags/102", ADMIN)
    for contact in ask("GET /contacts")["data"][:3]:
        ask(f"POST {path}/customers", {**ADMIN, "customer": {"intercom_user_id": contact["id"]}})
    ask(f"DELETE {path}/customers/{contact['id']}", ADMIN)
    ask(f"POST /conversations/{other}/convert", {"ticket_type_id": "95"})
    ask(f"DELETE {path}?retain_metrics=true")
    ask(f"DELETE /conversations/{other}")
    ask("GET /conversations/deleted?per_page=1")


def _contacts(ask: Ask) -> None:
    found = ask("POST /contacts/search", {**ANY, **BY_AGE, "pagination": {"per_page": 5}})
    ask("POST /contacts/search", {**ANY, **BY_AGE, "pagination": {**found["pages"]["next"], "per_page": 5}})
    made = ask("POST /contacts", {"email": "new@customer.example", "role": "user"})
    path = f"/contacts/{made['id']}"
    ask(f"GET {path}")
    ask(f"PUT {path}", {"name": "New", "owner_id": "781", "custom_attributes": {"plan": "pro", "score": 1}})
    ask(f"POST {path}/tags", {"id": "101"})
    ask(f"GET {path}/tags")
    ask(f"POST {path}/notes", {"body": "called", **ADMIN})
    ask(f"GET {path}/notes?per_page=5")
    ask(f"DELETE {path}/tags/101")
    ask("POST /tags", {"name": "stale", "users": [{"id": made["id"]}]})
    company = ask("POST /companies/list")["data"][0]["id"]
    ask(f"POST {path}/companies", {"id": company})
    ask(f"GET {path}/companies")
    ask(f"POST {path}/subscriptions", {"id": "37847", "consent_type": "opt_in"})
    ask(f"GET {path}/subscriptions")
    ask(f"GET {path}")
    ask(f"DELETE {path}/companies/{company}")
    ask(f"DELETE {path}/subscriptions/37847")
    for action in ("archive", "unarchive", "block"):
        ask(f"POST {path}/{action}")
    ask(f"DELETE {path}")
    ask("GET /contacts?per_page=5")


def _companies(ask: Ask) -> None:
    ask("GET /companies/scroll")
    ask("GET /companies?page=1&per_page=5")
    ask("POST /companies/list?page=2&per_page=5&order=asc")
    made = ask("POST /companies", {"company_id": "c-1", "name": "One", "plan": "big", "monthly_spend": 9})
    path = f"/companies/{made['id']}"
    ask(f"PUT {path}", {"name": "Two", "custom_attributes": {"industry": "books"}})
    ask("POST /tags", {"name": "vip", "companies": [{"company_id": "c-1"}]})
    ask(f"POST {path}/notes", {"body": "called", **ADMIN})
    ask(f"GET {path}/notes")
    ask(f"GET {path}")
    ask(f"DELETE {path}")


def _tickets(ask: Ask) -> None:
    found = ask("POST /tickets/search", {**ANY, **BY_AGE, "pagination": {"per_page": 5}})
    path = f"/tickets/{found['tickets'][0]['id']}"
    ask(f"PUT {path}", {"ticket_state_id": "8538", "ticket_attributes": {"severity": "high"}})
    ask(f"PUT {path}", {"assignee_id": "781", "admin_id": 780})
    ask(f"PUT {path}", {"open": True, "snoozed_until": int(time.time()) + 3600})
    ask(f"POST {path}/reply", {**ADMIN, "type": "admin", "message_type": "note", "body": "hm"})
    ask(f"POST {path}/tags", {**ADMIN, "id": "101"})
    ask(f"GET {path}")
    ask(f"DELETE {path}/tags/101", ADMIN)
    ask(f"DELETE {path}")


# -- refusals


def test_refusals_are_as_described(asker: Callable[..., tuple[Ask, Recorder]], description: Description) -> None:
    ask, recorder = asker()
    one = ask("POST /conversations/search", ANY)["conversations"][0]
    first, second, third = (item["id"] for item in ask("POST /contacts/search", ANY)["data"][:3])
    recorder.sandbox.workspace.contacts[second].merged_into = first
    ask("GET /me", Authorization="Bearer nobody")
    ask(f"PUT /conversations/{one['id']}", {"custom_attributes": {"unheard_of": 1}})
    ask("POST /conversations/5/parts", {**ADMIN, "message_type": "open"})
    ask(f"POST /conversations/{one['id']}/tags", {**ADMIN, "id": "999"})
    ask(f"DELETE /conversations/{one['id']}/customers/{one['contacts']['contacts'][0]['id']}", ADMIN)
    ask("POST /contacts/search", {**ANY, "sort": {"field": "created_at", "order": "asc"}})
    ask("PUT /contacts/nobody", {"name": "x"})
    ask(f"GET /contacts/{second}")
    ask(f"PUT /contacts/{third}", {"email": ask(f"GET /contacts/{first}")["email"]})
    ask("GET /data_attributes?model=conversation")
    ask("GET /tags/999")
    ask("POST /tags", {})
    ask("GET /companies/scroll")
    ask("GET /companies/scroll")
    ask("GET /companies/nobody")
    ask("PUT /tickets/1", {"open": True})
    recorder.sandbox.set(denied=("/me", "write"))
    ask("GET /me")
    ask(f"POST /conversations/{one['id']}/parts", {**ADMIN, "message_type": "open"})
    recorder.sandbox.set(denied=(), poison_500_ids=(one["id"],))
    ask(f"POST /conversations/{one['id']}/parts", {**ADMIN, "message_type": "open"})
    recorder.sandbox.set(limit_per_minute=1)
    for _ in range(3):
        ask("GET /me")
    seen = {exchange.status for exchange in recorder.exchanges}
    assert seen == {200, 400, 401, 403, 404, 409, 410, 422, 429, 500}
    assert _faults(description.answer_faults, recorder.exchanges) == []
