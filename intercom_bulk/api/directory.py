"""Who and what a workspace has: the token's admin, teams, tags, subscription types; names to ids. Read once, kept."""

from __future__ import annotations

import threading
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UnknownNameError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from intercom_bulk.api.attempts import Attempts
    from intercom_bulk.api.client import Answer, Client

__all__ = ["Directory"]

_LISTS = {
    "admin": ("admins", "admins"),
    "subscription": ("subscription_types", "data"),
    "tag": ("tags", "data"),
    "team": ("teams", "teams"),
    "ticket_state": ("ticket_states", "data"),
    "ticket_type": ("ticket_types", "data"),
}


FEW = 8
"""Names that are all listed where none of them is near."""


class Directory:
    """Reads `/me` and the lists of teams, tags, admins, subscription types, ticket types and states, each at most once.

    Thread-safe.
    """

    def __init__(self, client: Client, attempts: Attempts) -> None:
        self._client = client
        self._attempts = attempts
        self._lock = threading.RLock()
        self._me: dict[str, Any] | None = None
        self._lists: dict[str, list[dict[str, Any]]] = {}

    def me(self) -> dict[str, Any]:
        """The admin whose token this is, with the workspace under `app` (GET /me)."""
        with self._lock:
            if self._me is None:
                self.refresh()
            return self._me or {}

    def refresh(self) -> Answer:
        """Read /me anew: also the cheapest way to learn the state of the window and the server's clock."""
        answer = self._attempts.call(lambda: self._client.send("GET", "me"), resend=True)
        with self._lock:
            self._me = answer.body
        return answer

    def admin_id(self) -> str:
        """The id to act as when none was given."""
        admin = self.me().get("id")
        if not admin:
            raise UnknownNameError("The token belongs to no admin: set INTERCOM_ADMIN_ID to the id of a teammate.")
        return str(admin)

    def resolve(self, kind: str, wanted: str | int) -> str:
        """The id of a team, tag, admin, subscription or ticket type, given by id or by name (case does not matter).

        Raises `UnknownNameError`, with the nearest names, when there is none or more than one.
        """
        return str(self.entry(kind, wanted)["id"])

    def entry(self, kind: str, wanted: str | int) -> dict[str, Any]:
        """The same, with all that the list says of it."""
        entries, said = self.entries(kind), kind.replace("_", " ")
        text = str(wanted).strip()
        for entry in entries:
            if str(entry.get("id")) == text:
                return entry
        named = [entry for entry in entries if _name_of(entry).casefold() == text.casefold()]
        if len(named) == 1:
            return named[0]
        if named:
            ids = ", ".join(str(entry["id"]) for entry in named)
            raise UnknownNameError(f"There are {len(named)} {said}s named {text!r}: use one of the ids {ids}.")
        names = [_name_of(entry) for entry in entries]
        near = get_close_matches(text, names, n=3, cutoff=0.5)
        has = f": {', '.join(map(repr, names))}" if 0 < len(names) <= FEW else ""
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {len(names)} {said}s{has}."
        raise UnknownNameError(f"The workspace has no {said} {text[:80]!r}: {hint}")

    def knows(self, kind: str) -> bool:
        """Whether things of this kind are found by name."""
        return kind in _LISTS

    def name(self, kind: str, entry_id: str) -> str | None:
        """The name behind an id, where the workspace knows it."""
        return next((_name_of(e) for e in self.entries(kind) if str(e.get("id")) == str(entry_id)), None)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """The whole list, as it was when it was first read."""
        with self._lock:
            if kind not in self._lists:
                path, key = _LISTS[kind]
                answer = self._attempts.call(lambda: self._client.send("GET", path), resend=True)
                listed = answer.body.get(key)
                self._lists[kind] = [entry for entry in listed or [] if isinstance(entry, dict)]
            return self._lists[kind]


def _name_of(entry: Mapping[str, Any]) -> str:
    """Subscription types have their name in every language."""
    return str(entry.get("name") or (entry.get("default_translation") or {}).get("name") or "")
