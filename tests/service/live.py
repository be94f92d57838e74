"""A service as people have it: a real server on a port of its own, on a sandbox, asked over sockets."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.service.serving import Service
from intercom_bulk.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from intercom_bulk.pipeline.pipeline import Pipeline
    from intercom_bulk.sandbox import Sandbox

__all__ = ["TOKEN", "Answer", "Live", "events", "serving"]

TOKEN = "canary-token-of-the-service-0123456789"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        told = self.json
        assert set(told) == {"error"}, told
        return str(told["error"])


@dataclass
class Live:
    service: Service
    sandbox: Sandbox
    home: Path
    token: str = TOKEN

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.service.port}"

    def raw(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """With these headers, and no others but the length of the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name, value)
            if body is not None and not headers.keys() & {"Content-Length", "Transfer-Encoding"}:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        """As a program does that has the token."""
        headers = {"Host": self.host, "Authorization": f"Bearer {self.token}"}
        if body is None:
            return self.raw(method, path, headers)
        return self.raw(method, path, {**headers, "Content-Type": "application/json"}, json.dumps(body).encode())

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status == 200, answer
        return answer.json

    def post(self, path: str, body: Any = None) -> Any:
        answer = self.ask("POST", path, {} if body is None else body)
        assert answer.status == 200, answer
        return answer.json

    def ended(self, run_id: str) -> dict[str, Any]:
        """The run when it is over: its handle is waited for, nobody sleeps."""
        worked = self.service.desk.table.worked()[run_id]
        assert worked.run.wait(30)
        told: dict[str, Any] = self.get(f"/api/runs/{run_id}")
        return told

    def plan(self, operation: str = "tag", where: str = "state:open", **more: Any) -> dict[str, Any]:
        arguments = more.pop("arguments", {"tag": "vip"} if operation == "tag" else {})
        told: dict[str, Any] = self.post(
            "/api/plans", {"operation": operation, "arguments": arguments, "where": where, **more}
        )
        return told

    def applied(self, plan: Mapping[str, Any], **more: Any) -> str:
        return str(self.post(f"/api/plans/{plan['digest']}/apply", more)["run_id"])

    @contextmanager
    def stream(self, path: str) -> Iterator[http.client.HTTPResponse]:
        """A stream of events, to be read line by line."""
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        connection.request("GET", path, headers={"Host": self.host, "Authorization": f"Bearer {self.token}"})
        answer = connection.getresponse()
        try:
            yield answer
        finally:
            answer.close()
            connection.close()


@contextmanager
def serving(sandbox: Sandbox, home: Path, *, pipeline: Pipeline | None = None, **more: Any) -> Iterator[Live]:
    """Until the block ends; then the service is stopped as Ctrl-C would."""
    settings = Settings.build(env={**sandbox.environ(), "INTERCOM_BULK_HOME": str(home)})
    service = Service(settings, token=TOKEN, port=0, pipeline=pipeline, **more)
    thread = threading.Thread(target=service.run)
    thread.start()
    try:
        assert service.ready.wait(20)
        yield Live(service, sandbox, home)
    finally:
        service.stop()
        thread.join(30)
        assert not thread.is_alive()


def events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, Any]]:
    """(name, data) of each event, until the stream ends."""
    name = ""
    for line in answer:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text.removeprefix("event: ")
        elif text.startswith("data: "):
            yield name, json.loads(text.removeprefix("data: "))
