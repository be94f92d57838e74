"""A raw client for the sandbox: what a program sees that knows nothing of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk.sandbox import Sandbox
from intercom_bulk.testing import intercom_sandbox, make_intercom_sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Client", "intercom_sandbox", "make_intercom_sandbox", "plain", "start"]


class Client:
    """Requests with the token; answers as they come."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers.update({"Authorization": f"Bearer {sandbox.token}", "Intercom-Version": "2.16"})

    def __call__(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        return self.session.request(method, self.sandbox.url + path, timeout=kwargs.pop("timeout", 5), **kwargs)

    def part(self, one: str, kind: str, **more: Any) -> requests.Response:
        return self("POST", f"/conversations/{one}/parts", json={"message_type": kind, "admin_id": "780", **more})

    def close(self, one: str) -> requests.Response:
        return self.part(one, "close", type="admin")

    def search(self, query: Any, resource: str = "conversations", **more: Any) -> requests.Response:
        return self("POST", f"/{resource}/search", json={"query": query, **more})

    def walk(
        self, query: Any, resource: str = "conversations", per_page: int = 150, **more: Any
    ) -> Iterator[list[str]]:
        cursor: dict[str, Any] = {}
        while True:
            page = self.search(query, resource, pagination={"per_page": per_page, **cursor}, **more).json()
            yield [item["id"] for item in page.get(resource, page.get("data"))]
            following = page["pages"].get("next")
            if following is None:
                return
            cursor = {"starting_after": following["starting_after"]}


@pytest.fixture
def start(make_intercom_sandbox: Callable[..., Sandbox]) -> Iterator[Callable[..., Client]]:
    """Starts a sandbox with the given knobs, and gives a client of it."""
    clients: list[Client] = []

    def make(**knobs: Any) -> Client:
        client = Client(make_intercom_sandbox(**{"conversations": 40, "contacts": 20, **knobs}))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.session.close()


@pytest.fixture(scope="session")
def plain() -> Iterator[Client]:
    """A sandbox without any knob turned, for tests that change nothing."""
    with Sandbox(conversations=20, contacts=20) as sandbox:
        client = Client(sandbox)
        yield client
        client.session.close()
