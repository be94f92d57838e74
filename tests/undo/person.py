"""Somebody at work in the same workspace, through the API, while nobody of the library looks."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from intercom_bulk.sandbox import Sandbox, SandboxProcess

__all__ = ["Person"]


class Person:
    """A teammate with an API client."""

    def __init__(self, sandbox: Sandbox | SandboxProcess) -> None:
        self._token = sandbox.token
        self._parts = urlsplit(sandbox.url)

    def close(self, item_id: str) -> None:
        self._part(item_id, message_type="close")

    def open(self, item_id: str) -> None:
        self._part(item_id, message_type="open")

    def snooze(self, item_id: str, until: int) -> None:
        self._part(item_id, message_type="snoozed", snoozed_until=until)

    def assign(self, item_id: str, kind: str, assignee: str) -> None:
        self._part(item_id, message_type="assignment", type=kind, assignee_id=assignee)

    def tag(self, item_id: str, tag: str, on: str = "conversations") -> None:
        self.ask("POST", f"/{on}/{item_id}/tags", {"id": tag, "admin_id": "781"})

    def untag(self, item_id: str, tag: str) -> None:
        self.ask("DELETE", f"/conversations/{item_id}/tags/{tag}", {"admin_id": "781"})

    def put(self, item_id: str, **fields: Any) -> None:
        self.ask("PUT", f"/conversations/{item_id}", fields)

    def _part(self, item_id: str, **body: Any) -> None:
        self.ask("POST", f"/conversations/{item_id}/parts", {"type": "admin", "admin_id": "781", **body})

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        with closing(HTTPConnection(self._parts.hostname or "", self._parts.port)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            said: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, said
        return said
