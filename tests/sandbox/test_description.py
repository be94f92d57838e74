"""The sandbox's answers are valid against Intercom's own description of its API, where that file is at hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest
import yaml

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client

Start = Callable[..., "Client"]
DESCRIPTION = Path(__file__).parents[3] / "shared" / "intercom-openapi-2.16.yaml"
pytestmark = pytest.mark.skipif(not DESCRIPTION.exists(), reason="Intercom's description is not at hand")
# the description models `pages.next` of companies as an object, its own examples and the live API show a URL
NEXT_IS_A_URL = ("/companies", "/companies/list")
AGE = {"field": "created_at", "operator": ">", "value": 1}
READS = [
    "/me",
    "/admins",
    "/admins/780",
    "/teams",
    "/teams/5017691",
    "/teams/9",
    "/tags",
    "/tags/101",
    "/tags/999",
    "/conversations",
    "/contacts",
    "/conversations/deleted",
    "/conversations/attributes",
    "/conversations/5",
    "/companies",
    "/companies/scroll",
    "/ticket_types",
    "/ticket_states",
    "/subscription_types",
    "/data_attributes",
]
ADMIN = {"admin_id": "780", "type": "admin"}


def nullable(schema: Any) -> Any:
    """The schema with null allowed everywhere: the description seldom says where the API sends it."""
    if isinstance(schema, list):
        return [nullable(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: nullable(one) for name, one in schema.items() if name not in ("example", "examples", "nullable")}
    if isinstance(found.get("type"), str):
        found["type"] = [found["type"], "null"]
    if isinstance(found.get("enum"), list):
        found["enum"] = [*found["enum"], None]
    return found


class Description:
    def __init__(self) -> None:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._document = yaml.load(DESCRIPTION.read_text(), Loader=loader)
        self._components = nullable(self._document["components"])

    def faults(self, method: str, path: str, answer: Any) -> list[str]:
        """What is wrong with an answer; an undeclared status is wrong too."""
        template = self._template(method, path)
        declared = self._document["paths"][template][method]["responses"].get(str(answer.status_code))
        if declared is None:
            return [f"{method} {template}: {answer.status_code} is not declared"]
        content = declared.get("content", {}).get("application/json")
        if content is None or not answer.content:
            return []
        schema = {**nullable(content["schema"]), "components": self._components}
        errors = jsonschema_rs.Draft202012Validator(schema).iter_errors(answer.json())
        return [
            f"{method} {template} {error.instance_path}: {error.message[:120]}"
            for error in errors
            if not (template in NEXT_IS_A_URL and list(error.instance_path) == ["pages", "next"])
        ]

    def _template(self, method: str, path: str) -> str:
        segments = path.partition("?")[0].split("/")
        fitting: list[str] = [
            template
            for template, item in self._document["paths"].items()
            if method in item and _fits(template.split("/"), segments)
        ]
        return min(fitting, key=lambda template: template.count("{"))


def _fits(template: list[str], segments: list[str]) -> bool:
    pairs = zip(template, segments, strict=False)
    return len(template) == len(segments) and all(one == two or one.startswith("{") for one, two in pairs)


def test_every_answer_is_valid_against_the_description(start: Start) -> None:
    client, description = start(share_tagged=0.5, share_closed=0.3), Description()
    wrong: list[str] = []

    def ask(line: str, body: Any = None) -> Any:
        method, path = line.split(" ")
        answer = client(method, path, json=body)
        wrong.extend(description.faults(method.lower(), path, answer))
        return answer

    for path in READS:
        ask(f"GET {path}")
    one = ask("POST /conversations/search", {"query": AGE}).json()["conversations"][0]["id"]
    _use_conversation(ask, one, list(client.sandbox.workspace.contacts)[7])
    company = ask("POST /companies/list").json()["data"][0]["id"]
    _use_contact(ask, ask("POST /contacts/search", {"query": AGE}).json()["data"][0]["id"], company)
    _use_ticket(ask, ask("POST /tickets/search", {"query": AGE}).json()["tickets"][0]["id"])
    for line, body in (
        ("POST /tags", {"name": "new"}),
        ("POST /tags", {"name": "new", "companies": [{"id": company}]}),
        ("DELETE /tags/901", None),
        ("POST /companies", {"company_id": "zz", "name": "Z"}),
        (f"PUT /companies/{company}", {"name": "Y"}),
        (f"GET /companies/{company}", None),
        (f"DELETE /companies/{company}", None),
    ):
        ask(line, body)
    assert wrong == []


def _use_conversation(ask: Callable[..., Any], one: str, contact: str) -> None:
    path = f"/conversations/{one}"
    for part in (
        {"message_type": "close"},
        {"message_type": "assignment", "assignee_id": "781"},
        {"message_type": "assignment", "assignee_id": "0"},
        {"message_type": "snoozed", "snoozed_until": int(time.time()) + 999},
        {"message_type": "open"},
    ):
        ask(f"POST {path}/parts", {**ADMIN, **part})
    shown = ask(f"POST {path}/reply", {**ADMIN, "message_type": "note", "body": "hello"}).json()
    part_id = shown["conversation_parts"]["conversation_parts"][-1]["id"]
    redacted = {"type": "conversation_part", "conversation_id": one, "conversation_part_id": part_id}
    for line, body in (
        (f"PUT {path}", {"custom_attributes": {"issue_type": "x"}, "title": "t", "read": True}),
        (f"POST {path}/tags", {**ADMIN, "id": "102"}),
        (f"DELETE {path}/tags/102", ADMIN),
        (f"DELETE {path}/tags/999", ADMIN),
        (f"POST {path}/customers", {**ADMIN, "customer": {"intercom_user_id": contact}}),
        (f"DELETE {path}/customers/{contact}", ADMIN),
        (f"GET {path}", None),
        ("POST /conversations/redact", redacted),
        (f"POST {path}/convert", {"ticket_type_id": "95"}),
        (f"DELETE {path}", None),
        ("GET /conversations/deleted", None),
    ):
        ask(line, body)


def _use_contact(ask: Callable[..., Any], one: str, company: str) -> None:
    path = f"/contacts/{one}"
    for line, body in (
        (f"GET {path}", None),
        (f"PUT {path}", {"name": "z"}),
        (f"POST {path}/tags", {"id": "102"}),
        (f"GET {path}/tags", None),
        (f"DELETE {path}/tags/102", None),
        (f"POST {path}/notes", {"body": "x"}),
        (f"GET {path}/notes", None),
        (f"POST {path}/companies", {"id": company}),
        (f"GET {path}/companies", None),
        (f"DELETE {path}/companies/{company}", None),
        (f"POST {path}/subscriptions", {"id": "37846", "consent_type": "opt_out"}),
        (f"GET {path}/subscriptions", None),
        (f"DELETE {path}/subscriptions/37846", None),
        (f"POST {path}/archive", None),
        (f"POST {path}/unarchive", None),
        (f"POST {path}/block", None),
        (f"DELETE {path}", None),
        ("POST /contacts", {"email": "new@customer.example"}),
    ):
        ask(line, body)


def _use_ticket(ask: Callable[..., Any], one: str) -> None:
    path = f"/tickets/{one}"
    for line, body in (
        (f"GET {path}", None),
        (f"PUT {path}", {"ticket_state_id": "8540", "open": False}),
        (f"POST {path}/reply", {**ADMIN, "message_type": "note", "body": "x"}),
        (f"POST {path}/tags", {**ADMIN, "id": "102"}),
        (f"DELETE {path}/tags/102", ADMIN),
        (f"DELETE {path}", None),
    ):
        ask(line, body)
