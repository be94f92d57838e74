"""What an answer that is not 2xx means: a table from status and code to the error that says what to do next."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import ApiError, Gone, RateLimited, Rejected, Transient, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["refusal"]

ITEM_CODES = frozenset(
    {"conversation_not_found", "ticket_not_found", "company_not_found", "contact_not_found", "contact_merged"}
)
"""404s and 410s that speak of the item itself, whatever the path (OpenAPI 2.16) but for a contact's companies."""
_CANONICAL = re.compile(r'<[^>]*/([A-Za-z0-9_-]{1,60})>\s*;\s*rel="?canonical')


def refusal(
    status: int, headers: Mapping[str, str], body: Mapping[str, Any] | None, path: str, token: str = ""
) -> ApiError:
    """The error for an answer outside 2xx. `path` tells whose `not_found` it is; `token` is cut out of the message."""
    code, said, request_id = _first_error(headers, body)
    said = said.replace(token, "…") if token else said
    if status == 429:
        asked = headers.get("Retry-After", "")
        return RateLimited(
            f"Intercom asks to slow down: {said}",
            retry_after=min(float(asked), 120.0) if asked.replace(".", "", 1).isdigit() else None,
            request_id=request_id,
        )
    if status == 401 or (status == 403 and body is not None):
        return Unauthorized(
            _permission(status, said, path), code=code or "unauthorized", status=status, request_id=request_id
        )
    if status == 403:
        # Intercom's load balancer at times answers a bare HTML 403 that the next try does not get.
        return Transient(
            "The edge in front of Intercom refused (403 HTML).", sent=False, code="edge_403", status=status
        )
    if status in {408, 423} or status >= 500:
        return Transient(
            f"Intercom answered {status}: {said}", sent=True, code=code or f"http_{status}", status=status,
            request_id=request_id,
        )  # fmt: skip
    if status in {404, 410} and _is_items_own(code, said, path):
        return Gone(
            f"The item no longer exists: {said}", code="gone", status=status, request_id=request_id,
            canonical=_canonical(headers),
        )  # fmt: skip
    if 300 <= status < 400:
        said = "it redirects elsewhere; set INTERCOM_REGION or INTERCOM_BASE_URL to the workspace's own host"
    return Rejected(
        f"Intercom refused the request ({status}): {said}",
        code=code or f"http_{status}",
        status=status,
        request_id=request_id,
        target=status == 404,
    )


def _canonical(headers: Mapping[str, str]) -> str | None:
    """`Link: </contacts/{id}>; rel="canonical"` of a 410: the one that this one was merged into."""
    found = _CANONICAL.search(headers.get("Link", ""))
    return found[1] if found is not None else None


def _first_error(headers: Mapping[str, str], body: Mapping[str, Any] | None) -> tuple[str, str, str | None]:
    errors = (body or {}).get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    said = " ".join(str(first.get("message") or first.get("code") or "no reason given").split())[:200]
    request_id = headers.get("X-Request-Id") or (body or {}).get("request_id")
    return str(first.get("code") or ""), said, str(request_id) if request_id else None


def _is_items_own(code: str, said: str, path: str) -> bool:
    """A bare `not_found` speaks of the item, unless the path also names a tag and the text does not say whose it is."""
    if code in ITEM_CODES:
        return not (code == "company_not_found" and path.strip("/").startswith("contacts/"))
    if code != "not_found":
        return False
    parts = path.partition("?")[0].strip("/").split("/")
    if len(parts) < 2:
        return path == ""  # a caller who kept no path acts on items
    if len(parts) > 2 and parts[2] == "customers":
        return "user" not in said.lower()  # "User Not Found" is the contact's, "Resource Not Found" the conversation's
    if len(parts) > 2 and parts[2] in {"tags", "companies", "subscriptions"}:
        noun = {"conversations": "conversation", "contacts": "user", "tickets": "ticket"}.get(parts[0], parts[0])
        return noun in said.lower() or "contact" in said.lower()
    return True


def _permission(status: int, said: str, path: str) -> str:
    area = path.strip("/").partition("/")[0] or "this resource"
    if status == 401 and "invalid" in said.lower():
        return f"Intercom does not accept the access token ({said}): check INTERCOM_ACCESS_TOKEN and INTERCOM_REGION."
    return f"The access token may not do this ({said}): give the app the permission for {area} in the Developer Hub."
