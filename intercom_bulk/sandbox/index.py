"""The search index: sorted candidate lists, one per distinct query, kept up to date from a log of changes.

The index may lag: a change becomes visible `lag` seconds after it was made, and until then the searches see the
record as it was before.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox.query import Filter
    from intercom_bulk.sandbox.records import Record

__all__ = ["Index", "Key", "View"]

_VIEWS = 96
_LOG = 300_000
_FEW = 40


Key = tuple[Any, Any]
"""The place of a record in a sorted list: its sort value, and its id to break ties."""


class View:
    """The ids that match one query, in ascending order of its sort key."""

    __slots__ = ("filter", "first_cursor", "get", "keys", "position", "stable")

    def __init__(self, filter_: Filter, get: Callable[[Record], Any], *, stable: bool) -> None:
        self.filter = filter_
        self.get = get
        self.stable = stable
        self.keys: list[Key] = []
        self.position = 0
        self.first_cursor: str | None = None

    def after(self, key: Key | None, count: int, *, descending: bool) -> list[Key]:
        """The `count` keys that follow `key` in the given direction; from the start where it is None."""
        keys = self.keys
        if descending:
            end = len(keys) if key is None else bisect_left(keys, key)
            return keys[max(0, end - count) : end][::-1]
        start = 0 if key is None else bisect_right(keys, key)
        return keys[start : start + count]

    def discard(self, gone: list[Key]) -> None:
        """Take keys out, neighbours together: copying 200,000 references would cost more than a page may."""
        keys, places = self.keys, []
        for key in gone:
            place = bisect_left(keys, key)
            if place < len(keys) and keys[place] == key:
                places.append(place)
        places.sort(reverse=True)
        end = 0
        for at, place in enumerate(places):
            end = end or place + 1
            if at + 1 == len(places) or places[at + 1] != place - 1:
                del keys[place:end]
                end = 0

    def slice(self, start: int, count: int, *, descending: bool) -> list[Key]:
        """The keys at those places of the list as it is now."""
        if descending:
            end = max(0, len(self.keys) - start)
            return self.keys[max(0, end - count) : end][::-1]
        return self.keys[start : start + count]


class Index:
    """The searchable picture of one collection."""

    def __init__(self, records: dict[Any, Any], lag: float) -> None:
        self.lag = lag
        self._records = records
        self._views: OrderedDict[Any, View] = OrderedDict()
        self._log: list[tuple[float, Any]] = []
        self._dropped = 0
        self._past: dict[Any, list[tuple[float, Record | None]]] = {}

    def changing(self, record: Record, now: float, *, created: bool = False) -> None:
        """To be called just before a record changes, is removed, or (with `created`) just before it is added."""
        if self.lag:
            before = None if created else record.snapshot()
            self._past.setdefault(record.id, []).append((now + self.lag, before))
        if self._views or self.lag:
            self._log.append((now + self.lag, record.id))
            if len(self._log) > _LOG:
                self._forget()

    def refresh(self) -> None:
        """Show everything as it is now."""
        self._views.clear()
        self._past.clear()
        self._dropped += len(self._log)
        self._log.clear()

    def seen(self, record_id: Any, now: float) -> Any | None:
        """The record as the index sees it; None where it does not exist for it."""
        past = self._past.get(record_id)
        if past is not None:
            while past and past[0][0] <= now:
                past.pop(0)
            if past:
                return past[0][1]
            del self._past[record_id]
        return self._records.get(record_id)

    def view(
        self, name: Any, filter_: Filter, get: Callable[[Record], Any], now: float, *, stable: bool = False
    ) -> View:
        """The up-to-date view of a query; `name` tells queries apart. `stable`: the sort value never changes."""
        found = self._views.get(name)
        if found is not None and found.position >= self._dropped:
            self._views.move_to_end(name)
            self._update(found, now)
            return found
        fresh = View(filter_, get, stable=stable)
        self._fill(fresh, now)
        if filter_.ids is None:
            self._views[name] = fresh
            if len(self._views) > _VIEWS:
                self._views.popitem(last=False)
        return fresh

    def _fill(self, view: View, now: float) -> None:
        if view.filter.ids is not None:
            records = [record for one in view.filter.ids if (record := self.seen(one, now)) is not None]
        elif self._past:
            records = [record for one in self._every_id() if (record := self.seen(one, now)) is not None]
        else:
            records = list(self._records.values())
        get = view.get
        view.keys = [(get(record), record.id) for record in view.filter.select(records)]
        view.keys.sort()
        view.position = self._dropped + self._visible(now)

    def _every_id(self) -> list[Any]:
        gone = [one for one in self._past if one not in self._records]
        return [*self._records, *gone]

    def _visible(self, now: float) -> int:
        return bisect_right(self._log, now, key=lambda entry: entry[0])

    def _update(self, view: View, now: float) -> None:
        until = self._visible(now)
        touched = {record_id for _, record_id in self._log[view.position - self._dropped : until]}
        view.position = self._dropped + until
        if not touched:
            return
        records = [record for one in touched if (record := self.seen(one, now)) is not None]
        if view.stable and len(records) == len(touched):
            view.discard([(view.get(record), record.id) for record in records])
        else:
            view.keys = [key for key in view.keys if key[1] not in touched]
        fresh = [(view.get(record), record.id) for record in records if view.filter.test(record)]
        if len(fresh) > _FEW:
            view.keys.extend(fresh)
            view.keys.sort()
            return
        for key in fresh:
            insort(view.keys, key)

    def _forget(self) -> None:
        half = len(self._log) // 2
        del self._log[:half]
        self._dropped += half
