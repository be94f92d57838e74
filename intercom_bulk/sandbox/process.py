"""The sandbox in a process of its own, where it costs the measured process no CPU."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from http.client import HTTPConnection, HTTPSConnection
from ssl import CERT_NONE, SSLContext, create_default_context
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from intercom_bulk.sandbox.options import SandboxOptions

__all__ = ["SandboxProcess"]

_STOP_SECONDS = 10.0


class SandboxProcess:
    """The same as `Sandbox`, but outside: it talks to the server through the endpoints under /sandbox."""

    def __init__(self, options: SandboxOptions | None = None, **knobs: Any) -> None:
        self.options = (options or SandboxOptions()).with_knobs(**knobs)
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    def __repr__(self) -> str:
        return f"SandboxProcess({self.url!r}, running={self._process is not None})"

    @property
    def token(self) -> str:
        """The access token."""
        return self.options.token

    @property
    def admin_id(self) -> str:
        """The teammate of the token."""
        return self.options.admin_id

    @property
    def inbox_id(self) -> str:
        """The team whose inbox is full."""
        return self.options.team_id

    @property
    def pid(self) -> int:
        """The id of the process."""
        if self._process is None:
            raise RuntimeError("The sandbox is not running.")
        return self._process.pid

    def settings_kwargs(self) -> dict[str, Any]:
        """What a client needs to know."""
        return {"access_token": self.token, "base_url": self.url, "admin_id": self.admin_id}

    def environ(self) -> dict[str, str]:
        """The environment variables that point a client here."""
        return {
            "INTERCOM_BASE_URL": self.url,
            "INTERCOM_ACCESS_TOKEN": self.token,
            "INTERCOM_ADMIN_ID": self.admin_id,
            "INTERCOM_INBOX_ID": self.inbox_id,
        }

    def start(self) -> Self:
        """Start the process, and return once it answers."""
        command = [sys.executable, "-m", "intercom_bulk.sandbox", "--json", *_arguments(self.options)]
        # A group of its own: Ctrl-C is for whoever started it, and they may need it until they are done.
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, process_group=0)  # noqa: S603
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise RuntimeError("The sandbox process could not start; its own words are on stderr.")
        self.url = json.loads(line)["url"]
        return self

    def stop(self) -> None:
        """End the process."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def windows(self) -> list[dict[str, float]]:
        """The account of every window so far, the open one last."""
        return list(self._ask("windows"))

    def effects(self, resource: str = "conversations") -> dict[str, int]:
        """Effects per item, of the items that had any."""
        return dict(self._ask("effects", resource=resource))

    def digest(self, resource: str = "conversations") -> str:
        """SHA-256 over the state of all conversations, contacts, companies or tickets."""
        return str(self._ask("digest", resource=resource)["digest"])

    def stats(self) -> dict[str, Any]:
        """Requests, statuses, concurrency, connections, CPU seconds, memory, faults that struck."""
        return dict(self._ask("stats"))

    def items(self, **query: Any) -> list[dict[str, Any]]:
        """Conversations with their state, effects and number of parts."""
        return list(self._ask("items", **query))

    def arrived(self) -> list[str]:
        """The ids of the conversations that arrived while it ran."""
        return list(self._ask("arrived"))

    def set(self, **knobs: Any) -> None:
        """Change knobs while it runs; `delete_tag="101"` deletes a tag."""
        self._ask("options", post=knobs)
        knobs.pop("delete_tag", None)
        self.options = self.options.with_knobs(**knobs)

    def reset(self) -> None:
        """A fresh workspace."""
        self._ask("reset", post={})

    def _ask(self, name: str, *, post: dict[str, Any] | None = None, **query: Any) -> Any:
        parts = urlsplit(self.url)
        host, port = parts.hostname or "", parts.port
        secure = parts.scheme == "https"
        connection = HTTPSConnection(host, port, context=_trusting()) if secure else HTTPConnection(host, port)
        try:
            body = None if post is None else json.dumps(post)
            path = f"/sandbox/{name}?{urlencode(query)}" if query else f"/sandbox/{name}"
            headers = {"Authorization": f"Bearer {self.token}"}
            connection.request("GET" if post is None else "POST", path, body, headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
            if answer.status != 200:
                raise ValueError(content["errors"][0]["message"])
            return content
        finally:
            connection.close()


def _trusting() -> SSLContext:
    """Our own process on loopback, whose certificate was made for the occasion."""
    context = create_default_context()
    context.check_hostname = False
    context.verify_mode = CERT_NONE
    return context


def _arguments(options: SandboxOptions) -> list[str]:
    arguments = []
    for field in fields(options):
        value = getattr(options, field.name)
        if value != field.default:
            text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
            arguments.append(f"--{field.name.replace('_', '-')}={text}")
    return arguments
