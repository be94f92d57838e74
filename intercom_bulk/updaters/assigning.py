"""Assigning conversations to a teammate, a team, both, or nobody."""

from __future__ import annotations

from types import EllipsisType
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import segment
from intercom_bulk.errors import ChangedSince, LeftAlone, UsageError
from intercom_bulk.runs.model import Effect
from intercom_bulk.updaters.conversations import ConversationUpdater
from intercom_bulk.updaters.running.holdouts import of_an_assignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Assigner"]

FIELDS = {"team": "team_assignee_id", "admin": "admin_assignee_id"}
"""In the order of writing: a team may choose its own teammate, who is then replaced by the one that was asked for."""


class Assigner(ConversationUpdater):
    """Assigns conversations to a teammate (`admin`), a `team`, or both, each by name or id; None or 0 unassigns.

    What is left out is not touched. Assigning a closed conversation reopens it (OpenAPI 2.16: `assign_and_reopen`) and
    counts in the reports: closed ones are skipped (`closed`) unless `reopen=True`.
    """

    idempotent = True
    writes_apart = True

    def __init__(
        self, access_token: str | None = None, admin_id: str | int | None = None, *,
        admin: str | int | EllipsisType | None = ..., team: str | int | EllipsisType | None = ...,
        reopen: bool = False, **connection: Any,
    ) -> None:  # fmt: skip
        super().__init__(access_token, admin_id, **connection)
        given = {"team": team, "admin": admin}
        self.assignees = {kind: one for kind, one in given.items() if not isinstance(one, EllipsisType)}
        if not self.assignees:
            raise UsageError("Assign to whom? Pass admin=, team= or both; None unassigns.")
        self.reopen = reopen
        self._ids: dict[str, int] = {}

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        return [*super().side_effects(item), *of_an_assignment(item)]

    def prepare(self) -> None:
        super().prepare()
        for kind, one in self.assignees.items():
            if not _is_nobody(one):
                self._check(kind, str(one))

    def perform_action(self, item_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = {}
        for kind in self.assignees:
            answer = self._assign(item_id, kind, self._id(kind))
        return answer

    def effect(self, item: dict[str, Any]) -> Effect:
        state = item.get("state")
        if state == "closed" and not self.reopen:
            raise LeftAlone("It is closed, and assigning it would reopen it: reopen=True does.", code="closed")
        before: dict[str, Any] = {field: _number(item.get(field)) for field in FIELDS.values()}
        after: dict[str, Any] = {FIELDS[kind]: self._id(kind) for kind in self.assignees}
        if self.reopen:
            changes = any(before[field] != wanted for field, wanted in after.items())
            before["state"], after["state"] = state, "open" if state == "closed" and changes else state
        return Effect(before, after)

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """The team and the teammate, and closed again what the assignment had opened."""
        differ = {
            kind: field for kind, field in FIELDS.items() if field in before and before[field] != after.get(field)
        }
        foreign = [field for kind, field in differ.items() if kind not in self.assignees]
        if foreign:
            raise ChangedSince(f"{foreign[0]} is not what it was, and this run did not ask for that: it is left alone.")
        for kind, field in differ.items():
            self._assign(item_id, kind, before[field])
        if before.get("state") == "closed":
            self._change(item_id, "closed", None)
        elif after.get("state") == "closed" and "state" in before and not differ:
            self._change(item_id, "open", None)

    def _assign(self, item_id: str, kind: str, assignee: int) -> dict[str, Any]:
        body = {"message_type": "assignment", "type": kind, "admin_id": self.admin_id, "assignee_id": str(assignee)}
        return self.request("POST", f"conversations/{segment(item_id)}/parts", json=body)

    def _id(self, kind: str) -> int:
        """Looked up once. Raises `UnknownNameError`."""
        if kind not in self._ids:
            one = self.assignees[kind]
            text = str(one).strip()
            known = "0" if _is_nobody(one) else text if text.isdigit() else self.workspace.directory.resolve(kind, text)
            self._ids[kind] = int(known)
        return self._ids[kind]


def _is_nobody(one: object) -> bool:
    return one is None or str(one).strip() in {"", "0"}


def _number(assignee: object) -> int:
    """Nobody is 0 or null, and ids come as numbers or as text (OpenAPI 2.16 and before)."""
    return 0 if _is_nobody(assignee) else int(str(assignee))
