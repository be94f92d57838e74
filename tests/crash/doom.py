"""A run that dies where it is told to: a store, a ledger and updaters that kill their own process at a named point."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from intercom_bulk import ConversationCloser, Step, Steps, TagAssigner
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.store import FileStore
from intercom_bulk.updaters.conversations import ConversationUpdater
from intercom_bulk.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.runs.model import Item, Outcome, Page, StepRecord
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.settings import Settings

__all__ = [
    "BETWEEN",
    "BODY",
    "FIRST_LIFE",
    "KINDS",
    "SECOND_LIFE",
    "Doom",
    "DoomedStore",
    "NaiveLedger",
    "NoteAdder",
    "doomed",
]

BODY = "<p>Closed in bulk, see the status page.</p>"

FIRST_LIFE = (
    "key-reserved",
    "file-made",
    "run-recorded",
    "before-commit:page",
    "after-commit:page",
    "before-commit:intents",
    "after-commit:intents",
    "before-send",
    "after-send",
    "before-commit:outcomes",
    "after-commit:outcomes",
    "before-commit:end",
    "after-commit:end",
    "closed",
)
"""Where a process may die that begins a run."""
BETWEEN = ("before-commit:step", "after-commit:step")
"""Where it may die between the steps of an item."""
SECOND_LIFE = ("before-commit:recovery", "after-commit:recovery", "before-look", "after-look", "before-commit:again")
"""Where it may die that takes one over which died in flight."""


class Doom:
    """SIGKILL at the `nth` passing of `point`; None: never."""

    def __init__(self, point: str | None = None, nth: int = 1) -> None:
        self._point = point
        self._left = nth
        self._lock = threading.Lock()

    def at(self, point: str) -> None:
        if point != self._point:
            return
        with self._lock:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(60)


class DoomedLedger(Ledger):
    """Passes the points of its transactions by the name of what is in them."""

    def __init__(self, doom: Doom, *args: Any, **kwargs: Any) -> None:
        self.doom = doom
        self._inside: list[str] = []
        super().__init__(*args, **kwargs)
        doom.at("file-made")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._inside.clear()
        with super().atomic():
            yield
            self._pass("before-commit")
        self._pass("after-commit")

    def _pass(self, moment: str) -> None:
        for what in dict.fromkeys(self._inside):
            self.doom.at(f"{moment}:{what}")

    def atomic(self) -> Any:
        return self._transaction()

    def save(self, record: RunRecord) -> None:
        super().save(record)
        if record.ended_at is not None:
            self._inside.append("end")

    def recover(self, *args: Any, **kwargs: Any) -> Any:
        """Its own transaction is opened inside."""
        found = super().recover(*args, **kwargs)
        self.doom.at("after-commit:recovery")
        return found

    def outcomes(self, *args: Any, **kwargs: Any) -> Iterator[Outcome]:
        self._inside.append("recovery")  # inside a transaction only recovery asks for them
        return super().outcomes(*args, **kwargs)

    def stage(self, page: Page, *args: Any, **kwargs: Any) -> list[Item]:
        fresh = super().stage(page, *args, **kwargs)
        self._inside.append("page")
        return fresh

    def start(self, items: Iterable[Item], now: float) -> None:
        chosen = list(items)
        super().start(chosen, now)
        if chosen:
            self._inside.append("intents")

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        super().settle(outcomes)
        self._inside.append("outcomes")

    def complete(self, item_id: str, records: Sequence[StepRecord]) -> None:
        super().complete(item_id, records)
        self._inside.append("step")

    def restage(self, items: Iterable[Item], *, attempted: bool) -> None:
        super().restage(items, attempted=attempted)
        if attempted and "step" not in self._inside:  # then it went on, and was not tried again
            self._inside.append("again")

    def close(self) -> None:
        super().close()
        self.doom.at("closed")


class NaiveLedger(DoomedLedger):
    """The protection switched off: the intent is written with the outcome, after the fact, as most scripts do it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._meant: dict[str, tuple[Item, float]] = {}

    def start(self, items: Iterable[Item], now: float) -> None:
        for item in items:
            self._meant[item.id] = (item, now)

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        self._write_late(outcome.item_id for outcome in outcomes)
        super().settle(outcomes)

    def restage(self, items: Iterable[Item], *, attempted: bool) -> None:
        chosen = list(items)
        self._write_late(item.id for item in chosen)
        super().restage(chosen, attempted=attempted)

    def _write_late(self, ids: Iterable[str]) -> None:
        for item_id in ids:
            if item_id in self._meant:
                item, now = self._meant.pop(item_id)
                super().start([item], now)


class DoomedStore(FileStore):
    """Keeps real files; its ledgers are doomed."""

    def __init__(self, *args: Any, doom: Doom, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doom = doom

    def remember(self, record: RunRecord) -> None:
        super().remember(record)
        self._doom.at("key-reserved")

    def create(self, record: RunRecord) -> Ledger:
        ledger = super().create(record)
        self._doom.at("run-recorded")
        return ledger


class DoomedWorkspace(Workspace):
    """The one that composes, once more: with a store of ours."""

    def __init__(self, settings: Settings, doom: Doom, kind: type[DoomedLedger]) -> None:
        super().__init__(settings)
        self._doom = doom
        self._kind = kind

    @property
    def store(self) -> DoomedStore:
        def make(*args: Any, **kwargs: Any) -> Ledger:
            return self._kind(self._doom, *args, **kwargs)

        return DoomedStore(self.settings.home / "runs", make, doom=self._doom)


class NoteAdder(ConversationUpdater):
    """Adds a note: an append, which must not be sent twice."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        note = {"message_type": "note", "type": "admin", "admin_id": self.admin_id, "body": BODY}
        return self.request("POST", f"conversations/{item_id}/reply", json=note)

    def already_done(self, item_id: str) -> bool:
        said = self.request("GET", f"conversations/{item_id}")["conversation_parts"]["conversation_parts"]
        return any(
            part["part_type"] == "note" and part["body"] == BODY and str(part["author"]["id"]) == self.admin_id
            for part in said
        )


KINDS = ("close", "tag", "note", "steps")
STEPS: tuple[tuple[type[ConversationUpdater], dict[str, str]], ...] = (
    (NoteAdder, {}),
    (TagAssigner, {"tag": "vip"}),
    (ConversationCloser, {}),
)


def doomed(kind: str, doom: Doom, ledger: type[DoomedLedger] = DoomedLedger) -> ConversationUpdater:
    """An updater of that kind, from the environment, that dies at its doom."""
    steps = [Step(_mortal(base, doom), keywords) for base, keywords in STEPS]
    bases: dict[str, Any] = dict(zip(("note", "tag", "close"), steps, strict=True))
    base: Any = Steps if kind == "steps" else bases[kind].updater

    class Doomed(base):  # type: ignore[misc]
        def _connect(self) -> Workspace:
            return DoomedWorkspace(self._settings, doom, ledger)

    made: ConversationUpdater = Doomed(*steps) if kind == "steps" else Doomed(**bases[kind].keywords)
    return made


def _mortal(base: Any, doom: Doom) -> type[ConversationUpdater]:
    class Mortal(base):  # type: ignore[misc]
        idempotent = base.idempotent

        def perform_action(self, item_id: str) -> dict[str, Any]:
            doom.at("before-send")
            answer: dict[str, Any] = super().perform_action(item_id)
            doom.at("after-send")
            return answer

        def already_done(self, item_id: str) -> bool | None:
            doom.at("before-look")
            seen: bool | None = super().already_done(item_id)
            doom.at("after-look")
            return seen

    return Mortal
