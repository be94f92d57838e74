"""Who and what a workspace has: the token's admin, teams, tags, admins; names to ids. Read once, kept."""

from __future__ import annotations

import threading
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from intercom_bulk.errors import UnknownNameError

if TYPE_CHECKING:
    from intercom_bulk.api.attempts import Attempts
    from intercom_bulk.api.client import Answer, Client

__all__ = ["Directory"]

_LISTS = {"team": ("teams", "teams"), "tag": ("tags", "data"), "admin": ("admins", "admins")}


class Directory:
    """Reads `/me`, `/teams`, `/tags` and `/admins`, each at most once. Thread-safe."""

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
        """The id of a team, tag or admin, given by id or by name (case does not matter).

        Raises `UnknownNameError`, with the nearest names, when there is none or more than one.
        """
        entries = self._entries(kind)
        text = str(wanted).strip()
        if any(str(entry.get("id")) == text for entry in entries):
            return text
        named = [entry for entry in entries if str(entry.get("name", "")).casefold() == text.casefold()]
        if len(named) == 1:
            return str(named[0]["id"])
        if named:
            ids = ", ".join(str(entry["id"]) for entry in named)
            raise UnknownNameError(f"There are {len(named)} {kind}s named {text!r}: use one of the ids {ids}.")
        names = [str(entry.get("name", "")) for entry in entries]
        near = get_close_matches(text, names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has {len(names)} {kind}s."
        raise UnknownNameError(f"The workspace has no {kind} {text[:80]!r}: {hint}")

    def knows(self, kind: str) -> bool:
        """Whether things of this kind are found by name."""
        return kind in _LISTS

    def name(self, kind: str, entry_id: str) -> str | None:
        """The name behind an id, where the workspace knows it."""
        return next((str(e.get("name")) for e in self._entries(kind) if str(e.get("id")) == str(entry_id)), None)

    def _entries(self, kind: str) -> list[dict[str, Any]]:
        with self._lock:
            if kind not in self._lists:
                path, key = _LISTS[kind]
                answer = self._attempts.call(lambda: self._client.send("GET", path), resend=True)
                listed = answer.body.get(key)
                self._lists[kind] = [entry for entry in listed or [] if isinstance(entry, dict)]
            return self._lists[kind]
