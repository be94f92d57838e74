"""Questions to the mirror. None of them waits for a sync unless it is told to, and each answer says how far it can be
trusted. A mirror that has a way to Intercom brings itself in step behind an answer that may be missing something.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol, overload

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.freshness import judge
from intercom_bulk.mirror.keeping.proofs import Depth
from intercom_bulk.mirror.moments import Moment, second_of
from intercom_bulk.mirror.picking import by_query, by_sql

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from datetime import tzinfo

    from intercom_bulk.api.language.expression import Expression
    from intercom_bulk.clock import Clock
    from intercom_bulk.mirror.fetching.report import SyncReport
    from intercom_bulk.mirror.freshness import Freshness, Gap
    from intercom_bulk.mirror.keeping.coverage import Coverage
    from intercom_bulk.mirror.keeping.store import MirrorStore
    from intercom_bulk.mirror.picking import Picked

__all__ = ["Found", "Mirror", "Moment", "Waited", "sync_info"]


class Found(Sequence[dict[str, Any]]):
    """Conversations, newest first, and what is known about them: `found["sync_info"]`. Loop over it, or read it as the
    mapping {"conversations": [...], "sync_info": {...}}; `dict(found)` is that mapping.
    """

    def __init__(self, conversations: list[dict[str, Any]], info: dict[str, Any]) -> None:
        self._parts = {"conversations": conversations, "sync_info": info}

    @property
    def conversations(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._parts["conversations"]  # type: ignore[assignment]
        return found

    @property
    def sync_info(self) -> dict[str, Any]:
        info: dict[str, Any] = self._parts["sync_info"]  # type: ignore[assignment]
        return info

    @overload
    def __getitem__(self, place: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> list[dict[str, Any]]: ...
    @overload
    def __getitem__(self, place: str) -> Any: ...
    def __getitem__(self, place: int | slice | str) -> Any:
        return self._parts[place] if isinstance(place, str) else self.conversations[place]

    def __len__(self) -> int:
        return len(self.conversations)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.conversations)

    def __contains__(self, one: object) -> bool:
        return one in self._parts if isinstance(one, str) else one in self.conversations

    def keys(self) -> list[str]:
        return list(self._parts)

    def items(self) -> list[tuple[str, Any]]:
        return list(self._parts.items())

    def get(self, name: str, default: Any = None) -> Any:
        return self._parts.get(name, default)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Found):
            return self._parts == other._parts
        return self._parts == other if isinstance(other, dict) else self.conversations == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Found({len(self)} conversations, {self.sync_info['state']})"


class Waited(Protocol):
    """Something under way."""

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is over, at most `timeout` seconds; whether it is."""


class Started(Waited, Protocol):
    """A sync under way, or over; it can be awaited."""

    def result(self, timeout: float | None = None) -> SyncReport:
        """Wait for the end; what came of it. Raises what made it impossible, and `TimeoutError`."""

    def stop(self) -> None:
        """End it."""

    def __await__(self) -> Generator[Any, None, SyncReport]: ...


class Syncer(Protocol):
    """The way to Intercom. Neither call blocks: what is to be done is done in a thread."""

    def start(self) -> Started:
        """A sync; the one under way, if there is one."""

    def fill(self, gaps: Sequence[Gap], depth: Depth) -> Waited | None:
        """What is needed to close these gaps at this depth; None: it was tried a moment ago."""


class Mirror:
    """What analysts, dashboards and assistants ask. `zone` is that of messages, and of times that have none. `syncer`
    is its way to Intercom; without one it answers by what it has. See `connect_mirror`.
    """

    def __init__(
        self, store: MirrorStore, *, zone: tzinfo = UTC, clock: Clock = SYSTEM, syncer: Syncer | None = None
    ) -> None:
        self.store = store
        self._zone = zone
        self._clock = clock
        self._syncer = syncer

    def sync(self) -> Started:
        """Bring the mirror in step with its workspace: `mirror.sync().result()`, or `await mirror.sync()`.

        It goes on in a thread of its own, whether or not anybody waits. One at a time: where one is under way, it is
        that one. Raises `UsageError` for a mirror without a way to Intercom.
        """
        if self._syncer is None:
            raise UsageError("This mirror has no way to Intercom: open it with connect_mirror().")
        return self._syncer.start()

    trigger_background_sync = sync

    def search_conversations(
        self, query: str | None = None, limit: int = 50, start: Moment | None = None, end: Moment | None = None, *,
        wait: float | bool = False, now: float | None = None,
    ) -> Found:  # fmt: skip
        """The newest conversations created from `start` to `end` that have all the words of `query`, by their
        beginnings, in subject, body or parts; `"so"` is a phrase, `-so` is unwanted; none: all. With what the mirror
        knows of the time asked about.

        Where that is not all, and there is a way to Intercom, just what is missing is fetched in the background.
        `wait`: answer when it is there, or after that many seconds (True: however long it takes), with what there is.
        """
        if limit < 1:
            raise UsageError(f"limit must be at least 1, not {limit}.")
        lo, hi = self._range(start, end)
        # First what is known: rows that come after that are more than was promised, never less.
        depth = Depth.ROW if query is None or not query.strip() else Depth.THREAD
        verdict = self._judge(lo, hi, depth, now)
        if verdict.fillable and self._syncer is not None:
            under_way = self._syncer.fill(verdict.fillable, depth)
            if under_way is not None and wait is not False:
                under_way.wait(None if wait is True else float(wait))
                verdict = self._judge(lo, hi, depth, now)
        info = sync_info(verdict, self._last_sync(), self._zone)
        ids = self.store.find(query, start=lo, end=hi, limit=limit)
        return Found(self.store.conversations(ids), info)

    def sql(
        self, text: str, parameters: Sequence[object] = (), *, column: str | None = None, even_if_changed: bool = False
    ) -> Picked:
        """Any question in SQL: loop over its rows, or hand it to a bulk run as `RunOptions(source=...)`; see `by_sql`.

        Items that have changed since the mirror saw them are then skipped (`moved`), unless `even_if_changed`.
        """
        return by_sql(self.store, text, parameters, column=column, even_if_changed=even_if_changed)

    def query(self, query: Expression | str, *, even_if_changed: bool = False) -> Picked:
        """Conversations by the query language (`state:open team:Support updated<30d`), answered here: to loop over, or
        as the items of a bulk run, as with `sql`.
        """
        return by_query(self.store, query, zone=self._zone, now=self._clock.time(), even_if_changed=even_if_changed)

    def check_sync_state(
        self,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        depth: Depth = Depth.ROW,
        now: float | None = None,
    ) -> dict[str, Any]:
        """The `sync_info` of a question from `start` to `end`; at `depth` THREAD, of one about what was written."""
        verdict = self._judge(*self._range(start, end), depth, now)
        return sync_info(verdict, self._last_sync(), self._zone)

    def get_sync_status(self) -> dict[str, Any]:
        """`last_sync`, `total_conversations`, `sync_in_progress`, `sync_coverage` from its first day to its last, with
        `intervals`: the spans that are covered without a hole, for rows and for threads.
        """
        rows, threads = (self.store.knowledge(depth) for depth in Depth)
        return {
            "last_sync": self._last_sync(),
            "total_conversations": self.store.total(),
            "sync_in_progress": self.store.is_syncing,
            "sync_coverage": {
                "start_date": self._iso(rows.members.start),
                "end_date": self._iso(rows.members.end),
                "intervals": {
                    "created": self._intervals(rows.members),
                    "updated": self._intervals(rows.changes),
                    "threads_created": self._intervals(threads.members),
                    "threads_updated": self._intervals(threads.changes),
                },
            },
        }

    def _judge(self, lo: float | None, hi: float | None, depth: Depth, now: float | None) -> Freshness:
        known = self.store.knowledge(depth)
        moment = self._clock.time() if now is None else now
        return judge(known, lo, hi, now=moment, zone=self._zone, deletions=self.store.deletions())

    def _last_sync(self) -> str | None:
        """When the last one began: it knows nothing of later."""
        last = self.store.last_completed_sync()
        return self._iso(last.started_at) if last is not None else None

    def _intervals(self, covered: Coverage) -> list[dict[str, str | None]]:
        return [{"start": self._iso(span.lo), "end": self._iso(span.hi)} for span in covered]

    def _iso(self, second: float | None) -> str | None:
        return None if second is None else _iso(second, self._zone)

    def _range(self, start: Moment | None, end: Moment | None) -> tuple[float | None, float | None]:
        lo, hi = self._second(start), self._second(end)
        if lo is not None and hi is not None and hi < lo:
            # Nothing is found of such a time, and "fresh" would say that there is nothing.
            raise UsageError("The time that is asked about ends before it begins: check its start and its end.")
        return lo, hi

    def _second(self, moment: Moment | None) -> float | None:
        return None if moment is None else second_of(moment, self._zone)

    def __repr__(self) -> str:
        return f"Mirror({self.store!r})"


def sync_info(verdict: Freshness, last_sync: str | None, zone: tzinfo = UTC) -> dict[str, Any]:
    """A verdict as JSON: `state`, `last_sync`, `message`, `data_complete`, `gaps` (what, start, end)."""
    return {
        "state": verdict.state.value,
        "last_sync": last_sync,
        "message": verdict.message,
        "data_complete": verdict.data_complete,
        "gaps": [
            {"what": gap.kind.value, "start": _iso(gap.lo, zone), "end": _iso(gap.hi, zone)} for gap in verdict.gaps
        ],
    }


def _iso(second: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(second, zone).isoformat(timespec="seconds")
