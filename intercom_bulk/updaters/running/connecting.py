"""An updater's connection: its headers, its workspace, and one request through that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.resend import is_read
from intercom_bulk.errors import ApiError
from intercom_bulk.settings import Token, checked_base_url, checked_token
from intercom_bulk.updaters.running.calls import current_call
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.settings import Settings

__all__ = ["Headers", "answered", "connected"]


class Headers(dict[str, str]):
    """The headers for an updater's own requests; masked where they are shown."""

    @classmethod
    def of(cls, settings: Settings) -> Headers:
        """Those that Intercom wants."""
        return cls(
            {
                "Authorization": f"Bearer {settings.access_token!s}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                "Intercom-Version": settings.api_version,
            }
        )

    def __repr__(self) -> str:
        return repr({key: "…" if key == "Authorization" else value for key, value in self.items()})


def connected(settings: Settings, *, access_token: str, base_url: str) -> Workspace:
    """The workspace, by the token and the address as somebody may have set them since."""
    token, address = Token(checked_token(access_token)), checked_base_url(base_url)
    return Workspace(replace(settings, access_token=token, base_url=address))


def answered(
    workspace: Workspace,
    method: str,
    path: str,
    *,
    json: Mapping[str, Any] | None,
    params: Mapping[str, Any] | None,
    empty_ok: bool,
) -> dict[str, Any]:
    """The answer to one paced request; the call that it belongs to, if any, hears how it went. Raises `ApiError`."""
    call = current_call.get()
    attempts = workspace.reads if is_read(method, path) else workspace.writes
    if call is not None and call.looking:
        attempts = workspace.looks
    try:
        answer = attempts.call(
            lambda: workspace.client.send(method, path, json=json, params=params, empty_ok=empty_ok),
            resend=is_read(method, path) and not (call is not None and call.looking),
        )
    except ApiError as error:
        if call is not None:
            call.error = error
        raise
    if call is not None:
        call.accepted, call.request_id, call.error = True, answer.request_id, None
    return answer.body
