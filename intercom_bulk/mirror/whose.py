"""Which workspace a token is for. Asked of Intercom once, and then remembered: a token never changes its workspace, and
a question to the mirror should not wait for a request.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from intercom_bulk.api.leases import budget_key
from intercom_bulk.errors import SettingsError
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.settings import Settings

__all__ = ["Whose", "whose"]


@dataclass(frozen=True, slots=True)
class Whose:
    """A workspace's id (`app.id_code` of GET /me), and the name of its time zone, where it has one."""

    workspace: str
    timezone: str | None = None

    @property
    def zone(self) -> tzinfo:
        """UTC, where this machine does not know the workspace's own."""
        try:
            return ZoneInfo(self.timezone or "")
        except (KeyError, ValueError, OSError):
            return UTC


def whose(settings: Settings, workspace: Workspace | None = None) -> Whose:
    """The workspace of the token; `workspace` is what is asked with, where nothing is remembered. Raises what asking
    raises, and `SettingsError` for a token without a workspace.
    """
    path = settings.home / "mirror" / "workspaces.json"
    key = budget_key(settings.access_token, settings.base_url)
    known = _remembered(path)
    if key in known:
        return known[key]
    found = _asked(settings) if workspace is None else _told(workspace)
    _remember(path, {**known, key: found})
    return found


def _asked(settings: Settings) -> Whose:
    workspace = Workspace(settings)
    try:
        return _told(workspace)
    finally:
        workspace.close()


def _told(workspace: Workspace) -> Whose:
    app = workspace.directory.me().get("app") or {}
    if not app.get("id_code"):
        raise SettingsError("Intercom does not say which workspace this token is for: use one that may read /me.")
    return Whose(str(app["id_code"]), str(app["timezone"]) if app.get("timezone") else None)


def _remembered(path: Path) -> dict[str, Whose]:
    """What cannot be read was never known."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): Whose(str(one[0]), one[1] and str(one[1])) for key, one in said.items()}
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        return {}


def _remember(path: Path, known: dict[str, Whose]) -> None:
    """Where that cannot be done, it is asked again the next time."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    said = {key: [one.workspace, one.timezone] for key, one in known.items()}
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump(said, out)
        part.replace(path)
