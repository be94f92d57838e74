"""Answers: JSON that any reader takes, and errors that are one sentence."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route

from intercom_bulk.errors import IntercomBulkError
from intercom_bulk.service.models import ErrorAnswer
from intercom_bulk.service.refusals import status_of

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

    from intercom_bulk.settings import Settings

__all__ = ["Json", "errors", "speak_plainly"]

logger = logging.getLogger(__name__)

_TOLD = {
    400: "It was not understood, or cannot be meant.",
    401: "The token is missing or wrong.",
    403: "It came from a page of another origin.",
    404: "There is no such thing.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    415: "The body is no JSON.",
    421: "It was asked for by another host's name.",
    422: "A parameter or a field is malformed.",
    502: "Intercom refused, or could not be reached.",
    503: "It passes, or the store needs a look.",
}
_ALWAYS = (400, 401, 403, 413, 421, 503)


class Json(Response):
    """ASCII JSON: half of a surrogate pair, which a message may hold, would be no UTF-8."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":"), default=str).encode("ascii")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for its documentation: these, and those that any route may answer."""
    return {status: {"model": ErrorAnswer, "description": _TOLD[status]} for status in sorted({*_ALWAYS, *statuses})}


def speak_plainly(app: FastAPI, settings: Settings) -> None:
    """Every error as {"error": one sentence}."""

    def refused(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
        return Json({"error": settings.redact(sentence)}, status_code=status, headers=headers)

    @app.exception_handler(IntercomBulkError)
    def ours(_: Request, error: IntercomBulkError) -> Response:
        return refused(status_of(error), str(error))

    @app.exception_handler(RequestValidationError)
    def malformed(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = " ".join(str(part) for part in first["loc"][1:])
        if first["type"] == "json_invalid":
            return refused(422, "The body is no JSON: mend it, and send it again.")
        return refused(422, f"{place or 'The body'}: {_small(str(first['msg']))}; see /openapi.json.")

    @app.exception_handler(HTTPException)
    def by_framework(request: Request, error: HTTPException) -> Response:
        told = {404: "There is nothing at this address: see /openapi.json.",
                405: "This address takes another method: see /openapi.json.",
                400: "The body cannot be read: send JSON, less deeply nested."}  # fmt: skip
        sentence = told.get(error.status_code, str(error.detail))
        headers = {"allow": _allowed(app, request)} if error.status_code == 405 else None
        return refused(error.status_code, sentence, headers)

    @app.exception_handler(Exception)
    def unforeseen(_: Request, error: Exception) -> Response:
        logger.error("a request failed", exc_info=error)
        return refused(500, "The service failed at this: its log says where; please report it.")


def _allowed(app: FastAPI, request: Request) -> str:
    """The methods of all routes at this address; the framework tells those of the first one."""
    found: set[str] = set()
    for route in app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return ", ".join(sorted(found))


def _small(text: str) -> str:
    return text[:1].lower() + text[1:]
