"""Runs of the pipeline, phase by phase, and the stories that they end in."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from intercom_bulk.service.pages.words import duration, number, percent, sentence, state_word

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PipelineView", "StoryView"]

_PHASES = {"classification": "Classify", "embedding_generation": "Embed", "facet_extraction": "Facets",
           "theme_extraction": "Themes", "story_creation": "Stories"}  # fmt: skip
_QUOTES = 3
_LONGEST = 120


class PipelineView:
    """What a template asks of a run. `told` is its status."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self.id: int = told["run_id"]
        self.status: str = told["status"]
        self.word, self.tone = state_word(self.status)
        self.is_live = self.status in {"running", "stopping"}
        self.resumable: bool = told["resumable"]
        self.range = f"{str(told['date_from'])[:10]} to {str(told['date_to'])[:10]}"
        self.classified, self.themes, self.stories = (
            told["conversations_classified"], told["themes"], told["stories"],
        )  # fmt: skip
        self.error: str | None = sentence(told["error"]) if told["error"] else None
        self.warning: str | None = sentence(told["warning"]) if told.get("warning") else None
        self.resume_body = json.dumps({"resume": True, "resume_run_id": self.id})

    @property
    def pace(self) -> str:
        if self.is_live and self._told["eta"] is not None:
            return f"about {duration(self._told['eta'])} left in this phase"
        return ""

    @property
    def say(self) -> str:
        """For a screen reader."""
        where = str(self._told["current_phase"]).replace("_", " ")
        return f"Pipeline run {self.id}: {self.word}, {where}, {self.classified:,} classified."

    @property
    def phases(self) -> list[dict[str, Any]]:
        """The fetch, which belongs to the first of them, and each phase."""
        return [self._fetch(), *(self._phase(name, one) for name, one in self._told["phases"].items())]

    def _fetch(self) -> dict[str, Any]:
        fetched, stored = self._told["conversations_fetched"], self._told["conversations_stored"]
        is_current = self._told["stage"] == "fetch"
        share = 1.0 if not is_current else stored / fetched if fetched else 0.0
        return _row("Fetch", self._state(is_current, done=not is_current), min(share, 1.0), f"{stored:,} stored")

    def _phase(self, name: str, one: Mapping[str, Any]) -> dict[str, Any]:
        done, total = one["done"], one["total"]
        is_current = name == self._told["current_phase"] and self._told["stage"] != "fetch"
        share = 1.0 if one["state"] == "done" else min(1.0, done / total) if total else 0.0
        tail = f"{done:,} of {total:,}" if total is not None and one["state"] != "done" else f"{done:,}"
        if one["failed"]:
            tail += f", {one['failed']:,} failed"
        if one["seconds"]:
            tail += f" · {duration(one['seconds'])}"
        label = _PHASES.get(name, name.replace("_", " ").capitalize())
        return _row(label, self._state(is_current, done=one["state"] == "done"), share, tail if done or total else "")

    def _state(self, is_current: bool, *, done: bool) -> tuple[str, str]:  # noqa: FBT001  read beside each other
        if done:
            return "done", "good"
        if is_current:
            return self.word, self.tone
        return "to come", ""

    @property
    def facts(self) -> list[tuple[str, str]]:
        told = self._told
        return [
            ("Fetched", number(told["conversations_fetched"])),
            ("Classified", number(self.classified)),
            ("Themes", number(self.themes)),
            ("Stories", number(self.stories)),
            ("Requests", number(told["api_calls"])),
            ("Refused with 429", number(told["rate_limited"])),
        ]


def _row(name: str, state: tuple[str, str], share: float, tail: str) -> dict[str, Any]:
    word, tone = state
    return {"word": f"{name}: {word}", "tone": tone, "parts": [("good" if word == "done" else "used", share)],
            "label": f"{name}: {percent(share)}", "tail": tail}  # fmt: skip


class StoryView:
    """A story as its phase told it: ours, or one of somebody's own phase, of which only the title is sure."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = told
        self.title = str(told.get("title") or told["id"])
        self.count: int | None = told.get("size")
        self._next: Mapping[str, Any] = told.get("suggestion") or {}

    @property
    def trend(self) -> str:
        """Its direction, and by how much."""
        told: Mapping[str, Any] = self._told.get("trend") or {}
        direction, change = told.get("direction"), told.get("change")
        if direction in {None, "unknown"}:
            return ""
        return f"{direction}, {change:+.0%} in {told['recent_days']} days" if change is not None else str(direction)

    @property
    def quotes(self) -> list[dict[str, Any]]:
        """Links that are no https are not followed: what a phase of somebody's writes is not ours."""
        return [
            {"text": str(one.get("text", "")), "id": str(one.get("id", "")),
             "link": url if isinstance(url := one.get("url"), str) and url.startswith("https://") else None}
            for one in (self._told.get("quotes") or ())[:_QUOTES]
        ]  # fmt: skip

    @property
    def action(self) -> str:
        where = str(self._next.get("where") or "")
        return where if len(where) <= _LONGEST else f"{where[: _LONGEST - 1]}…"

    @property
    def coverage(self) -> str:
        """How well the query finds the theme."""
        told = self._next
        if not told.get("found"):
            return ""
        found, hits, size = told["found"], told["of_theme"], told["size"]
        if found == hits == size:
            return "finds all of them, and no others"
        others = f", and {found - hits:,} others" if found > hits else ", and no others"
        return f"finds {hits:,} of the {size:,}{others}"

    @property
    def plan_href(self) -> str | None:
        """The form of a plan, filled in."""
        where = self._next.get("where")
        if not isinstance(where, str) or not where:
            return None
        return (
            f"/plan?operation={quote(str(self._next.get('operation') or 'tag'), safe='')}&where={quote(where, safe='')}"
        )
