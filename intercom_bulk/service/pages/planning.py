"""The form of a plan, and a plan as its page shows it."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from intercom_bulk.service.pages.views import changes, title_of
from intercom_bulk.service.pages.words import count, duration, shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["APART", "PlanView", "fields", "grouped"]

APART = "\x1f"
"""Between an object and what goes into it, in the name of a field: no name of an argument has it."""
_PLACEHOLDERS = {"moment": "2026-12-24T08:00+00:00, 12h or 30d", "assignee": "a name or an id"}
_STATES = {"ready": ("ready to approve", "live"), "applied": ("applied", "good"), "expired": ("expired", "warn"),
           "gone": ("its file is gone", "bad")}  # fmt: skip
_ONE_OF = {"conversations": "conversation", "contacts": "contact", "companies": "company", "tickets": "ticket"}
_AS_BY_HAND = "Workflows, SLAs, surveys and webhooks fire for each of them, as if a teammate did it by hand."
WORD = "irreversible"
"""What is typed for what nobody can undo."""


def grouped(operations: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Operations by what they work on, in their own order."""
    return [(name, list(rows)) for name, rows in groupby(operations, key=lambda row: str(row["resource"]))]


def fields(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of an operation's arguments."""
    found = [_field(one) for one in row["arguments"]]
    if row["steps"]:
        words = ", ".join(one["name"] for one in row["steps"])
        found.append(_field({
            "name": "steps", "kind": "steps", "choices": [], "required": True,
            "help": f"In this order, one on a line: a word, and what it takes. Words: {words}",
        }) | {
            "bare": " ".join(one["name"] for one in row["steps"] if one["kind"] == "none"),
            "pairs": " ".join(one["name"] for one in row["steps"] if one["kind"] == "pair"),
        })  # fmt: skip
    return found


def _field(one: Mapping[str, Any]) -> dict[str, Any]:
    name = str(one["name"])
    return {
        "id": f"argument-{name}",
        "field": f"arguments{APART}{name}",
        "label": name.replace("_", " ").capitalize(),
        "help": str(one["help"]).replace("; @FILE: read it", "").replace(" @FILE: read it from there", ""),
        "kind": one["kind"],
        "choices": one["choices"],
        "required": one["required"],
        "placeholder": _PLACEHOLDERS.get(one["kind"], ""),
        "bare": "",
        "pairs": "",
    }


class PlanView:
    """What a template asks of a plan. `told` is the desk's word for it."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self.digest: str = told["digest"]
        self.short = self.digest[:12]
        self.title = title_of(told)
        self.created_at: float = told["created_at"]
        self.run_id: str | None = told["run_id"]
        self.state: str = told["state"]
        self.word, self.tone = _STATES.get(self.state, (self.state, ""))
        self.count: int = told["count"]
        self.selected: int = told["matched"]
        self.apply = f"/api/plans/{self.digest}/apply"
        self.word_wanted = WORD
        self.needs_word = bool(told["irreversible"])

    @property
    def is_ready(self) -> bool:
        return self.state == "ready" and self.count > 0

    @property
    def noun(self) -> str:
        resource = str(self._told["collection"])
        return _ONE_OF.get(resource, "item") if self.count == 1 else resource

    @property
    def question(self) -> str:
        """What it was let loose on, and with what."""
        said = {**self._told["arguments"], **self._told["selection"]}
        return ", ".join(f"{name}: {shown(one)}" for name, one in said.items())

    @property
    def alone(self) -> int:
        return max(0, self.selected - self.count)

    @property
    def alone_why(self) -> str:
        named = (("already so", self._told["already"]), ("left out", sum(self._told["left_out"].values())),
                 ("held out", self._told["held_out"]), ("do not fit", self._told["filtered"]),
                 ("cannot be judged", self._told["failed"]))  # fmt: skip
        return ", ".join(f"{many:,} {word}" for word, many in named if many)

    @property
    def reasons(self) -> list[tuple[str, int]]:
        return sorted(self._told["reasons"].items(), key=lambda one: -one[1])

    @property
    def requests_text(self) -> str:
        return f"{self._told['writes'] + self._told['reads']:,}"

    @property
    def requests_more(self) -> str:
        reads = self._told["reads"]
        return f"{self._told['writes']:,} writes" + (f", {reads:,} reads" if reads else "")

    @property
    def takes_text(self) -> str:
        return duration(self._told["seconds"])

    @property
    def takes_more(self) -> str:
        limit = self._told["limit"]
        return f"at {limit:,} requests in ten seconds" if limit else ""

    @property
    def effects(self) -> list[str]:
        told = self._told["side_effects"]
        named = [f"{count(one['items'], 'item', 'items')}: {one['text']}" for one in told]
        return [*named, _AS_BY_HAND] if self.count else named

    @property
    def forever(self) -> str:
        return self._told["irreversible"] or ""

    @property
    def sample(self) -> list[dict[str, Any]]:
        return [
            {
                "id": one["id"],
                "title": one["name"] or "",
                "change": changes(one["before"], one["after"], self._told.get("names")),
                "link": one.get("link"),
            }
            for one in self._told["sample"]
        ]
