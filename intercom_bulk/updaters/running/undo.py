"""Taking one item back: read it, compare what the run wrote, write what was there before."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience
from intercom_bulk.errors import ChangedSince, IntercomBulkError, LeftAlone, Transient
from intercom_bulk.runs.model import Effect, Item, Receipt
from intercom_bulk.updaters.running.calls import Call, current_call

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["UndoAction"]


class UndoAction:
    """An item's `effect` is the way back: `before` is how the run left the item, `after` what it was.

    Two requests an item. A field that is not as the run left it means that somebody changed it since: the item is left
    alone. Whatever was lost on the way can be tried again, because every try compares first.
    """

    max_batch = 1
    steps: Sequence[str] = ()

    def __init__(self, updater: IntercomBulkUpdater, *, timeout: float, since: int | None = None) -> None:
        """`since`: when the run that is taken back began (epoch seconds, by the server's clock)."""
        self._updater = updater
        self._since = since
        self._timeout = timeout

    def is_idempotent(self, item: Item) -> bool:
        """Every try compares first."""
        del item
        return True

    def prepare(self) -> None:
        """The updater's own `prepare()` checks what it would write, which an undo does not write."""

    def effect(self, item: Item) -> Effect | None:
        return item.effect

    def already_done(self, item: Item) -> bool | None:
        if item.effect is None:
            return None
        with self.calling(looking=True):
            return _holds(self._fields(self._updater.read_item(item.id)), item.effect.after)

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        return [self._settled(item) for item in batch]

    def compare(self, way: Effect, found: dict[str, Any]) -> None:
        """Raises `ChangedSince` where the item is neither as the run left it nor back already."""
        now = self._fields(found)
        if not _holds(now, way.after):
            self._check(way, now)

    @staticmethod
    def harmless(error: IntercomBulkError) -> IntercomBulkError:
        """Every try compares first, so what was lost may be tried again."""
        if isinstance(error, Transient):
            error.resendable = True
        return error

    @contextmanager
    def calling(self, *, looking: bool = False) -> Iterator[Call]:
        """Requests inside are those of one item."""
        call = Call(looking=looking, since=self._since)
        token = current_call.set(call)
        try:
            with patience(self._timeout):
                yield call
        finally:
            current_call.reset(token)

    def _settled(self, item: Item) -> Receipt | Exception:
        try:
            with self.calling() as call:
                note = self._restore(item)
        except IntercomBulkError as error:
            return self.harmless(error)
        return Receipt(call.request_id, note)

    def _restore(self, item: Item) -> str | None:
        way = item.effect
        if way is None:
            raise LeftAlone("What it was before is not on record: nothing is guessed.", code="no_before")
        now = self._fields(self._updater.read_item(item.id))
        if _holds(now, way.after):
            raise LeftAlone("It already is as it was before the run.", code="already_done")
        self._check(way, now)
        return self._updater.restore(item.id, way.after, now)

    def _check(self, way: Effect, now: Mapping[str, Any]) -> None:
        changed = next((name for name in way.before if not self._is_as_left(name, now, way)), None)
        if changed is not None:
            held, left = _shown(now.get(changed)), _shown(way.before[changed])
            raise ChangedSince(f"Somebody changed {changed} since: it is {held} now, and the run left it at {left}.")

    def _is_as_left(self, name: str, now: Mapping[str, Any], way: Effect) -> bool:
        """Fields written one by one may be back already, when the answer to the first of two writes was lost."""
        if self._updater.writes_apart and name in way.after and _holds(now, {name: way.after[name]}):
            return True
        return _holds(now, {name: way.before[name]})

    def _fields(self, found: dict[str, Any]) -> Mapping[str, Any]:
        try:
            effect = self._updater.effect(found)
        except LeftAlone as error:
            raise ChangedSince(str(error)) from error
        if effect is None:
            raise LeftAlone("What it is now cannot be read whole: nothing is guessed.", code="not_readable")
        return effect.before


def _holds(fields: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether these fields have those values, as far as the ledger's JSON can tell."""
    return all(name in fields and _plain(fields[name]) == _plain(value) for name, value in wanted.items())


def _plain(value: object) -> object:
    return value if value is None or isinstance(value, (str, int)) else json.loads(json.dumps(value, default=str))


def _shown(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
