"""What a handler returns, and the errors it raises, in Intercom's shapes."""

from __future__ import annotations

import itertools
from typing import Any

import orjson

__all__ = ["Answer", "Call", "Problem", "html", "ok"]

_numbers = itertools.count(1)
_JSON = b"application/json; charset=utf-8"
_HTML = b"text/html"


class Answer:
    """A status, a body and the headers beyond those that every answer has."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(
        self,
        status: int,
        body: bytes,
        content_type: bytes = _JSON,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers


class Call:
    """One request, as handlers see it: the wildcard segments of its path, its query and its JSON body."""

    __slots__ = ("_json", "body", "ids", "method", "now", "query")

    def __init__(self, method: str, ids: tuple[str, ...], query: dict[str, str], body: bytes, now: float) -> None:
        self.method = method
        self.ids = ids
        self.query = query
        self.body = body
        self.now = now
        self._json: dict[str, Any] | None = None

    @property
    def json(self) -> dict[str, Any]:
        """The JSON object of the body; an empty body is an empty object. Raises Problem 400 on anything else."""
        if self._json is None:
            self._json = self._parse()
        return self._json

    def _parse(self) -> dict[str, Any]:
        if not self.body:
            return {}
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise Problem(400, "bad_request", "the body is not valid JSON") from error
        if not isinstance(parsed, dict):
            raise Problem(400, "bad_request", "the body must be a JSON object")
        return parsed

    def text(self, name: str) -> str:
        """A required value of the body, as text (Intercom takes ids as strings and as integers)."""
        value = self.json.get(name)
        if value is None or isinstance(value, (bool, dict, list)) or value == "":
            raise Problem(400, "parameter_not_found", f"{name} is a required parameter", field=name)
        return str(value)

    def page_number(self, default_size: int, largest: int) -> tuple[int, int]:
        """`page` and `per_page` of the query string, checked."""
        try:
            page, size = int(self.query.get("page", 1)), int(self.query.get("per_page", default_size))
        except ValueError as error:
            raise Problem(400, "parameter_invalid", "page and per_page must be integers") from error
        if page < 1 or not 1 <= size <= largest:
            raise Problem(400, "parameter_invalid", f"per_page must be between 1 and {largest}")
        return page, size


class Problem(Exception):
    """An answer in Intercom's error shape."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.headers = headers

    def answer(self) -> Answer:
        """The answer on the wire."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            error["field"] = self.field
        body = {"type": "error.list", "request_id": f"sandbox-{next(_numbers):012x}", "errors": [error]}
        return Answer(self.status, orjson.dumps(body), headers=self.headers)


def ok(value: Any, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, orjson.dumps(value))


def html(status: int, title: str) -> Answer:
    """What a load balancer says instead of Intercom."""
    name = f"{status} {title}"
    page = f"<html><head><title>{name}</title></head><body><center><h1>{name}</h1></center></body></html>"
    return Answer(status, page.encode(), _HTML)
