"""Plans: what an operation would change, looked at by people, applied by digest, once."""

from __future__ import annotations

import json
import math
import secrets
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import UsageError
from intercom_bulk.runs.exclude import Exclude
from intercom_bulk.runs.ids import Ids
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.runs.plan import PlanReader
from intercom_bulk.service.arguments import made, row_of
from intercom_bulk.service.naming import names_in
from intercom_bulk.service.refusals import Conflict, NotThere, Overloaded
from intercom_bulk.updaters.running.arguments import Arguments
from intercom_bulk.updaters.running.planning import plan_and_preview
from intercom_bulk.workspace import written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from intercom_bulk.operations import Operation
    from intercom_bulk.runs.preview import Preview
    from intercom_bulk.service.runs import RunTable
    from intercom_bulk.settings import Settings
    from intercom_bulk.updaters.history import Runs

__all__ = ["LIFE", "PlanShelf", "check_plain"]

LIFE = 86_400.0
"""Seconds that a plan may be applied for: after that, somebody should look again."""
FORGOTTEN = 7 * LIFE
"""Seconds after which a plan that nobody applied is deleted."""
AT_A_TIME = 2
"""Plans that are made at a time: each is a walk over a search."""
SAMPLE = 20
EVERYTHING = {"field": "created_at", "operator": ">", "value": 0}
"""Intercom's searches want a filter; this one holds for each item."""


class PlanShelf:
    """The plans in one folder (0700): a file of items for each digest, and beside it what people look at."""

    def __init__(self, settings: Settings, runs: Runs, table: RunTable) -> None:
        self._settings = settings
        self._runs = runs
        self._table = table
        self._folder = settings.home / "plans"
        self._making = threading.BoundedSemaphore(AT_A_TIME)
        self._applying = threading.Lock()
        self._walks: set[Callable[[], None]] = set()
        self._lock = threading.Lock()
        self._closing = False

    def make(
        self,
        operation: str,
        arguments: Mapping[str, Any],
        *,
        where: str | None = None,
        query: Mapping[str, Any] | None = None,
        ids: Sequence[str] | None = None,
        everything: bool = False,
        exclude: Mapping[str, Any] | None = None,
        max_items: int | None = None,
        reason: str | None = None,
    ) -> dict[str, Any]:
        """Walk over the items once, and write nothing to Intercom. Exactly one of `where`, `query`, `ids` and
        `everything` says which. Raises `UsageError`, `ApiError`, `Overloaded`.
        """
        check_plain((operation, arguments, where, query, ids, exclude, reason))
        row = row_of(operation)
        keywords, source = _selection(row, where, query, ids, everything=everything)
        held_out = Exclude(**exclude) if exclude is not None else None
        options = RunOptions(source=source, exclude=held_out, reason=reason)
        chosen = Arguments(max_items=max_items, dry_run=True, options=options, keywords=keywords)
        if not self._making.acquire(blocking=False):
            raise Overloaded(f"{AT_A_TIME} plans are being made: wait for one of them, then ask again.")
        try:
            return self._made(row, arguments, chosen, {"where": where, "query": query, "all": everything or None,
                                                       "ids": None if ids is None else len(ids)})  # fmt: skip
        finally:
            self._making.release()

    def _made(
        self, row: Operation, arguments: Mapping[str, Any], chosen: Arguments, selection: Mapping[str, Any]
    ) -> dict[str, Any]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._forget_old()
        updater = made(row, arguments, self._settings)
        path = self._folder / f"new-{secrets.token_hex(8)}.jsonl"
        walks: list[Callable[[], None]] = []

        def begun(stop: Callable[[], None]) -> None:
            walks.append(stop)
            self._begun(stop)

        try:
            file, preview = plan_and_preview(updater, chosen, path, SAMPLE, begun=begun)
            names = names_in(preview.sample, updater.workspace.directory.name)
            path.replace(self._items(file.digest))
        finally:
            with self._lock:
                self._walks.difference_update(walks)
            path.unlink(missing_ok=True)
            updater.workspace.close()
        told = {
            "digest": file.digest,
            "operation": row.title,
            "collection": row.resource,
            "arguments": dict(arguments),
            "selection": {name: one for name, one in selection.items() if one is not None},
            "reason": chosen.options.reason,
            "workspace": file.header.workspace,
            "created_at": SYSTEM.time(),
            "expires_at": SYSTEM.time() + LIFE,
            **_preview_view(preview),
            "names": names,
        }
        with written(self._view(file.digest)) as out:
            json.dump(told, out)
        return self._standing(told)

    def _begun(self, stop: Callable[[], None]) -> None:
        with self._lock:
            self._walks.add(stop)
            late = self._closing
        if late:
            stop()

    def stopping(self) -> None:
        """End the walks of plans that are being made: nobody waits for them any more."""
        with self._lock:
            self._closing = True
            walks = [*self._walks]
        for stop in walks:
            stop()

    def list(self, limit: int = 50) -> list[dict[str, Any]]:
        """Newest first, without their samples."""
        found = [self._read(path) for path in self._folder.glob("*.json")]
        newest = sorted((one for one in found if one), key=lambda one: -float(one["created_at"]))[:limit]
        return [{**self._standing(one), "sample": []} for one in newest]

    def view(self, digest: str) -> dict[str, Any]:
        """One plan as it stands. Raises `NotThere`."""
        return self._standing(self._known(digest))

    def apply(
        self, digest: str, *, irreversible: bool = False, strict: bool = False, max_items: int | None = None
    ) -> dict[str, Any]:
        """Start the run over exactly its items. Raises `Conflict` where it was changed, has expired or was applied, and
        `UsageError` where what cannot be undone was not confirmed.
        """
        told = self._known(digest)
        with self._applying:
            self._refuse_unready(self._standing(told))
            if told["irreversible"] and not irreversible:
                raise UsageError(
                    f"This cannot be undone: {told['irreversible']} Send irreversible: true if that is meant."
                )
            try:
                reader = PlanReader(self._items(digest), digest)
            except UsageError as error:
                raise Conflict(f"{error} Make a new plan.") from None
            updater = self._runs.updater_for(reader.header, irreversible=irreversible)
            options = RunOptions(run_key=_key(digest), reason=told["reason"])
            return self._table.work(
                lambda: updater.apply(reader.path, digest=digest, strict=strict, max_items=max_items, options=options),
                updater,
            )

    def _refuse_unready(self, told: Mapping[str, Any]) -> None:
        if told["state"] == "applied":
            raise Conflict(f"This plan was applied already, by run {told['run_id']}: look at that run.")
        if told["state"] == "expired":
            raise Conflict("This plan is older than a day: make a new one, and look at it.")
        if told["state"] == "gone":
            raise Conflict("The file of this plan is gone: make a new one.")

    def _standing(self, told: dict[str, Any]) -> dict[str, Any]:
        """ready, applied (by `run_id`), expired or gone."""
        digest = str(told["digest"])
        run_id = self._table.store.find_key(_key(digest))
        state = "applied" if run_id is not None else "ready"
        if state == "ready" and SYSTEM.time() > float(told["expires_at"]):
            state = "expired"
        elif state == "ready" and not self._items(digest).is_file():
            state = "gone"
        return {**told, "state": state, "run_id": run_id}

    def _known(self, digest: str) -> dict[str, Any]:
        told = self._read(self._view(checked_digest(digest)))
        if told is None:
            raise NotThere("There is no plan of this digest: GET /api/plans lists them.")
        return told

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return told

    def _forget_old(self) -> None:
        before = SYSTEM.time() - FORGOTTEN
        for path in self._folder.glob("*.json"):
            told = self._read(path)
            if told and float(told["created_at"]) < before and self._table.store.find_key(_key(told["digest"])) is None:
                self._items(told["digest"]).unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def _items(self, digest: str) -> Path:
        return self._folder / f"{digest}.jsonl"

    def _view(self, digest: str) -> Path:
        return self._folder / f"{digest}.json"


def checked_digest(digest: str) -> str:
    """64 hexadecimal digits: it becomes the name of a file. Raises `NotThere`."""
    if len(digest) != 64 or not all(c in "0123456789abcdef" for c in digest):
        raise NotThere("There is no plan of this digest: it is 64 hexadecimal digits, as the plan was answered with.")
    return digest


def _key(digest: str) -> str:
    return f"plan {digest}"


def _selection(
    row: Operation,
    where: str | None,
    query: Mapping[str, Any] | None,
    ids: Sequence[str] | None,
    *,
    everything: bool,
) -> tuple[dict[str, Any], Ids | None]:
    """Keywords of the search, or the list that replaces it."""
    if sum((where is not None, query is not None, ids is not None, everything)) != 1:
        raise UsageError("Say which items by exactly one of where, query, ids and all.")
    if ids is not None:
        return {}, Ids(list(ids))
    if row.by_ids:
        raise UsageError(f"No search finds what {row.title} works on: send ids.")
    if everything:
        return {"query": {} if row.resource == "companies" else EVERYTHING}, None
    if where is not None and not where.strip():
        raise UsageError("where is empty: write a search such as state:open updated<30d, or send all: true.")
    return {"query": where if where is not None else dict(query or {})}, None


def _preview_view(preview: Preview) -> dict[str, Any]:
    told = asdict(preview)
    effects = sorted(preview.side_effects.items(), key=lambda pair: -pair[1])
    return {
        **{name: told[name] for name in ("title", "count", "already", "filtered", "held_out", "failed", "left_out",
                                         "reasons", "writes", "reads", "seconds", "limit", "irreversible",
                                         "failures")},
        "matched": preview.matched,
        "sample": [asdict(item) for item in preview.sample],
        "side_effects": [{"text": text, "items": items} for text, items in effects],
    }  # fmt: skip


def check_plain(value: object, *, depth: int = 0) -> None:
    """Raises `UsageError` for what no record can hold: half of a pair, NUL, numbers that are none, depths."""
    if depth > 30:
        raise UsageError("This is nested more than 30 deep: no query is.")
    if isinstance(value, str) and ("\0" in value or any("\ud800" <= c <= "\udfff" for c in value)):
        raise UsageError("A text holds a character that no text has (NUL, or half of a pair): leave it out.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UsageError("NaN and Infinity are no JSON: leave them out.")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 1 << 63:
        raise UsageError("A number has more than 64 bits: write it as a text.")
    if isinstance(value, dict):
        for name, one in value.items():
            check_plain(name, depth=depth + 1)
            check_plain(one, depth=depth + 1)
    elif isinstance(value, (list, tuple)):
        for one in value:
            check_plain(one, depth=depth + 1)
