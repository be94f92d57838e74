"""A run and its items as their pages show them: made of what the desk says, without asking anything else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from intercom_bulk.runs.model import LEFT_ALONE
from intercom_bulk.service.pages.words import STATUSES, count, duration, percent, sentence, shown, state_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ItemView", "RunView", "Tab", "about", "changes", "item", "link", "tabs", "title_of"]

_KINDS = {"update": "run", "undo": "undo", "apply": "run of a plan", "retry": "second try"}
_OTHERS = {"phase": "phase of the pipeline"}
_WHY_TONE = {"halted": "bad", "failed": "bad", "interrupted": "warn", "stopped": "warn", "paused": "warn"}
_OF_ITEMS = {"conversations": "conversation", "contacts": "contact", "companies": "company", "tickets": "ticket"}


class RunView:
    """What a template asks of a run. `told` is the desk's word for it."""

    def __init__(self, told: Mapping[str, Any], window: Mapping[str, Any] | None = None) -> None:
        """`window`: the one that is open, as `Desk.rate` tells of it."""
        self._told, self._window = told, window
        self._moment: Mapping[str, Any] = told.get("progress") or {}
        counts: Mapping[str, int] = told["counts"]
        self.id: str = told["run_id"]
        self.path, self.api = f"/runs/{self.id}", f"/api/runs/{self.id}"
        self.state: str = told["state"]
        self.is_live: bool = told["live"]
        self.word, self.tone = state_word(self.state)
        self.title = title_of(told)
        self.kind_text = (_KINDS | _OTHERS).get(told["kind"], told["kind"].replace("_", " "))
        self.parent, self.by, self.created_at = told["parent"], told["by"], told["created_at"]
        self.done: int = counts["done"]
        self.skipped: int = counts["skipped"]
        self.failed: int = counts["failed"]
        self.unknown: int = counts["unknown"] + counts["needs_review"]
        self.settled = self.done + self.skipped + self.failed
        self.known = sum(counts.values())
        self.total: int | None = self._total()
        self.reasons = _reasons(told["codes"])

    def _total(self) -> int | None:
        total: int | None = self._moment.get("total") or self._told["total"]
        if total is None and self.is_live:
            return None
        return max(total or 0, self.known)

    @property
    def left(self) -> int:
        return max(0, (self.total or 0) - self.settled - self.unknown)

    @property
    def share(self) -> float:
        return min(1.0, self.settled / self.total) if self.total else 0.0

    @property
    def parts(self) -> list[tuple[str, float]]:
        whole = self.total or self.known or 1
        named = (("done", self.done), ("skipped", self.skipped), ("failed", self.failed), ("doubt", self.unknown))
        return [(name, many / whole) for name, many in named]

    @property
    def bar_label(self) -> str:
        told = f"{self.done:,} done, {self.skipped:,} skipped, {self.failed:,} failed, {self.unknown:,} in doubt"
        return f"{told}, of {self.total:,}" if self.total else told

    @property
    def why(self) -> str | None:
        """Why it stands still."""
        if self.is_live:
            return None
        if self.state == "interrupted" and not self._told["ended"]:
            return "Interrupted: its process died."
        told = self._told["error"] or self._told["ended"]
        return told and sentence(told)

    @property
    def why_tone(self) -> str:
        return _WHY_TONE.get(self.state, "warn")

    @property
    def pace(self) -> str:
        """One line on time."""
        seconds = self._moment.get("elapsed") if self.is_live else None
        if seconds is None and self._told["ended_at"]:
            seconds = self._told["ended_at"] - self.created_at
        lives = f", in {self._told['lives']} lives" if self._told["lives"] > 1 else ""
        return f"{duration(seconds)}{lives}" if seconds is not None else ""

    # While it is under way

    @property
    def rate_text(self) -> str:
        rate = self._moment.get("rate")
        return f"{rate:,.1f}/s" if rate is not None else "–"

    @property
    def rate_more(self) -> str:
        rate = self._moment.get("rate")
        return f"{rate * 60:,.0f} a minute" if rate else ""

    @property
    def eta_text(self) -> str:
        if self.state == "paused":
            return "paused"
        eta = self._moment.get("eta")
        return duration(eta) if eta is not None else "not known yet"

    @property
    def eta_more(self) -> str:
        return f"{self.left:,} to come" if self.total else ""

    @property
    def in_flight_text(self) -> str:
        return count(self._moment["in_flight"], "request", "requests") if self._moment else "–"

    @property
    def budget(self) -> dict[str, Any]:
        """Of the current window of ten seconds: what we and others used of the limit."""
        window = self._window
        if not window or not window["limit"]:
            limit = self._moment.get("limit")  # between two windows, nobody has spent anything yet
            between = f"0 of {limit:,}" if limit and self.state == "running" else "none is open"
            return {"known": False, "text": between}
        limit, used, others = window["limit"], window["used"], window["others"]
        ours = max(0, used - others)
        more = f"ends in {window['ends_in']:.0f} s" + (f", others {others:,}" if others else "")
        if self._moment.get("waiting"):
            more = f"spent, {more}"
        return {
            "known": True,
            "text": f"{used:,} of {limit:,}",
            "more": more,
            "parts": [("used", min(1.0, ours / limit)), ("others", min(1.0 - min(1.0, ours / limit), others / limit))],
            "label": f"{used:,} of {limit:,} requests of this window are used, {others:,} of them by others",
        }

    @property
    def say(self) -> str:
        """For a screen reader: the moment in a sentence."""
        told = f"{self.title}: {self.word}, {self.settled:,}"
        told += f" of {self.total:,}, {percent(self.share)}" if self.total else " so far"
        if self.failed:
            told += f", {self.failed:,} failed"
        eta = self._moment.get("eta")
        return f"{told}, {duration(eta)} left." if self.is_live and eta is not None else f"{told}."

    # What can be done

    @property
    def can(self) -> dict[str, bool]:
        changes = self._told["kind"] in _KINDS
        return {
            "pause": self.is_live and self.state == "running",
            "unpause": self.is_live and self.state in {"paused", "pausing"},
            "stop": self.is_live,
            "resume": self._told["resumable"],
            "undo": not self.is_live
            and changes
            and self._told["kind"] != "undo"
            and self.done > 0
            and self._told.get("undone_by") is None,
        }

    @property
    def next(self) -> str:
        """What can be done with it, in words."""
        can = self.can
        found = [word for word in ("resume", "undo") if can[word]]
        return ", ".join(found).capitalize()

    @property
    def undo_count(self) -> int:
        return self.done

    @property
    def undo_body(self) -> str:
        return json.dumps({"confirm": str(self.done)})

    @property
    def undo_text(self) -> str:
        items = count(self.done, _OF_ITEMS.get(self._told["collection"], "item"), self._told["collection"])
        return (
            f"{items} that this run changed are put back as they were, newest first. Whatever somebody has changed"
            " since is left alone and reported. This starts a run of its own."
        )


def title_of(told: Mapping[str, Any]) -> str:
    """ "contacts tag" is how it is typed; what it does is read the other way round."""
    collection, typed = told["collection"], str(told["operation"])
    if told.get("kind", "apply") not in _KINDS:
        return _capital(typed.replace("_", " "))
    verb = typed.removeprefix(f"{collection} ")
    title = _capital(f"{verb} {collection}") if verb.islower() and " " not in verb else typed
    return f"Undo: {title[:1].lower()}{title[1:]}" if told.get("kind") == "undo" else title


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _reasons(codes: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent first; a skip has a reason as well, and is no failure."""
    failures = [(code, many) for code, many in codes.items() if code not in LEFT_ALONE]
    return sorted(failures, key=lambda one: (-one[1], one[0]))[:8]


@dataclass(frozen=True, slots=True)
class ItemView:
    """A row of the table. `change`: (field, before, after)."""

    id: str
    word: str
    tone: str
    change: Sequence[tuple[str, str, str]]
    code: str | None
    message: str | None
    attempts: int
    at: float | None
    link: str | None
    title: str | None


def item(told: Mapping[str, Any]) -> ItemView:
    """Of the desk's word for it."""
    word, tone = STATUSES.get(told["status"], (told["status"], ""))
    return ItemView(
        told["id"], word, tone, changes(told["before"], told["after"]), told["code"], told["message"],
        told["attempts"], told["at"], told["link"], told.get("title"),
    )  # fmt: skip


def changes(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    names: Mapping[str, Mapping[str, str]] | None = None,
) -> list[tuple[str, str, str]]:
    """The fields that an item's change writes. `names`: field -> id -> what people call it, where that is known."""
    was, known = before or {}, names or {}
    return [
        (name, shown(_named(was.get(name), known.get(name))), shown(_named(value, known.get(name))))
        for name, value in (after or {}).items()
    ]


def _named(value: Any, names: Mapping[str, str] | None) -> Any:
    if not names:
        return value
    if isinstance(value, (list, tuple)):
        return [names.get(str(one), one) for one in value]
    return names.get(str(value), value)


@dataclass(frozen=True, slots=True)
class Tab:
    """Items of one outcome, with their number."""

    word: str
    count: int
    href: str
    here: bool


_TABS = (("", "All"), ("done", "Done"), ("failed", "Failed"), ("skipped", "Skipped"), ("unknown", "In doubt"),
         ("needs_review", "To review"), ("started", "In flight"), ("staged", "To come"))  # fmt: skip


def tabs(told: Mapping[str, Any], status: str | None, text: str | None) -> list[Tab]:
    """All, and each outcome that there is."""
    counts = told["counts"]
    found = []
    for name, word in _TABS:
        many = counts[name] if name else sum(counts.values())
        if name and not many and name != status and name != "failed":
            continue
        found.append(Tab(word, many, link(f"/runs/{told['run_id']}", status=name, text=text), name == (status or "")))
    return found


def link(path: str, **query: str | None) -> str:
    """A path with what of the query is not empty."""
    said = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(said)}" if said else path


def about(told: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What it was made with, for whoever wonders later."""
    found = {
        "Why": told["reason"],
        "Workspace": told["workspace"],
        "Items": ", ".join(f"{name}: {shown(one)}" for name, one in told["selection"].items()),
        "Made with": ", ".join(f"{name}: {shown(one)}" for name, one in (told["made_with"] or {}).items()),
        "At most": told["max_items"],
    }
    return [(name, str(value)) for name, value in found.items() if value]
