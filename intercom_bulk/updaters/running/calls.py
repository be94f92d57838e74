"""One call of somebody's `perform_action`: what was seen of it, and what its end means."""

from __future__ import annotations

import re
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import requests.utils

from intercom_bulk.api import codec, transport
from intercom_bulk.api.client import reading_of
from intercom_bulk.api.refusals import refusal
from intercom_bulk.api.resend import is_resendable
from intercom_bulk.errors import ApiError, SettingsError, Transient

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.api.pace import Reading

__all__ = ["Call", "current_call", "failure_of_error", "failure_of_value", "refuse_netrc"]


@dataclass(slots=True)
class Call:
    """What `self.request` did while one `perform_action` ran. `looking`: it is a read-back, which repeats itself.

    `since`: the run began after this second (epoch, by the server's clock); None where that does not matter.
    """

    looking: bool = False
    since: int | None = None
    accepted: bool = False
    request_id: str | None = None
    error: ApiError | None = None


current_call: ContextVar[Call | None] = ContextVar("intercom_bulk_call", default=None)


def failure_of_error(error: requests.RequestException, base_url: str, token: str) -> tuple[ApiError, Reading | None]:
    """What an exception of a request that was not ours means, and what its answer said of the window."""
    request, response = error.request, error.response
    resendable = _is_resendable(request, base_url)
    failure = _failure_of_response(response, base_url, token) if response is not None else None
    if response is not None and failure is not None:
        if isinstance(failure, Transient):
            failure.resendable = resendable
        return failure, reading_of(response.headers)
    sent, code = transport.classify(error)
    text = f"The request in perform_action() failed ({code})."
    return Transient(text, sent=sent, code=code, resendable=resendable), None


def failure_of_value(value: object, base_url: str, token: str) -> tuple[ApiError | None, Reading | None]:
    """The failure that a returned value stands for, where `perform_action` made its own requests; None: it is done."""
    if isinstance(value, requests.Response):
        failure = _failure_of_response(value, base_url, token)
        if isinstance(failure, Transient):
            failure.resendable = _is_resendable(value.request, base_url)
        return failure, reading_of(value.headers)
    if isinstance(value, dict) and value.get("type") == "error.list":
        return refusal(_status_of(value), {}, value, "", token), None
    if value is None:
        text = "perform_action() returned None, which means that it failed, and did not say why."
        return Transient(text, sent=False, code="returned_none"), None
    return None, None


def refuse_netrc(perform_action: Callable[..., Any], base_url: str) -> None:
    """A `.netrc` entry for the host silently replaces the Bearer header of plain `requests` calls: refuse to start.

    Only where `perform_action` can see `requests` at all; our own session reads no `.netrc`.
    """
    function = getattr(perform_action, "__func__", perform_action)
    names = getattr(function, "__globals__", {})
    uses_requests = any(getattr(value, "__name__", None) == "requests" for value in names.values()) or any(
        str(getattr(value, "__module__", "")).startswith("requests.") for value in names.values() if callable(value)
    )
    if uses_requests and requests.utils.get_netrc_auth(base_url) is not None:
        host = urlsplit(base_url).hostname
        raise SettingsError(
            f"Your .netrc has an entry for {host}: `requests` would send that instead of the access token;"
            " remove the entry, or send with self.request()."
        )


def _failure_of_response(response: requests.Response, base_url: str, token: str) -> ApiError | None:
    """None only for a 2xx with a JSON object that is not an error."""
    said = _json(response)
    if not 200 <= response.status_code < 300:
        path = str(response.url or "").removeprefix(base_url)
        return refusal(response.status_code, response.headers, said, path, token)
    if said is not None and said.get("type") != "error.list":
        return None
    text = "Intercom answered 2xx without the JSON it promises."
    return Transient(text, sent=True, code="bad_answer", status=response.status_code)


def _json(response: requests.Response) -> dict[str, Any] | None:
    try:
        value = codec.decode(response.content or b"")
    except (ValueError, requests.RequestException, RuntimeError):
        return None
    return value if isinstance(value, dict) else None


def _status_of(value: dict[str, Any]) -> int:
    """The status behind an error body whose response nobody kept."""
    errors = value.get("errors")
    code = str(errors[0].get("code", "")) if isinstance(errors, list) and errors else ""
    for pattern, status in _STATUSES:
        if re.search(pattern, code):
            return status
    return 422


_STATUSES = (
    ("rate_limit", 429),
    ("unauthorized|token_|missing_authorization", 401),
    ("forbidden|api_plan", 403),
    ("not_found", 404),
    ("server_error|service_unavailable", 503),
)


def _is_resendable(request: Any, base_url: str) -> bool:
    """From the request that failed, as far as `requests` tells of it."""
    method, url, body = (getattr(request, name, None) for name in ("method", "url", "body"))
    if not method or not url:
        return False
    try:
        said = codec.decode(body if isinstance(body, bytes) else str(body or "{}").encode())
    except ValueError:
        said = None
    return is_resendable(method, str(url).removeprefix(base_url), said if isinstance(said, dict) else None)
