"""`IntercomBulkUpdater`: subclass it, say what to search and what to do to one item, and call `bulk_process()`."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from intercom_bulk.api.client import segment
from intercom_bulk.errors import UsageError
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.settings import Settings
from intercom_bulk.updaters.collections import collection_of
from intercom_bulk.updaters.running import again, applying, planning
from intercom_bulk.updaters.running.arguments import Arguments, constructor_arguments
from intercom_bulk.updaters.running.calls import current_call
from intercom_bulk.updaters.running.connecting import Headers, answered, connected
from intercom_bulk.updaters.running.holdouts import of_recent_words
from intercom_bulk.updaters.running.launch import launched
from intercom_bulk.updaters.running.searching import found_ids

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from os import PathLike

    from intercom_bulk.api.language.expression import Expression
    from intercom_bulk.api.pages import Endpoint
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.model import Effect
    from intercom_bulk.runs.plan import PlanFile
    from intercom_bulk.runs.preview import Preview
    from intercom_bulk.runs.stream import OutcomeStream
    from intercom_bulk.runs.summary import Summary
    from intercom_bulk.workspace import Workspace

__all__ = ["IntercomBulkUpdater"]

logger = logging.getLogger(__name__)


class IntercomBulkUpdater(ABC):
    """One action on every item that a search finds.

    A subclass supplies `get_search_endpoint`, `get_search_query` and `perform_action`; `effect`, where it can tell
    from an item what the action would change, gives it skipping, read-back after a lost answer, and `before` values.
    Without arguments the token comes from the environment or `.env`. No network here: `admin_id` None is looked up
    (GET /me) when first needed.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep what it is made with, so that a run can be resumed by somebody who has only its id."""
        made = super().__new__(cls)
        made.made_with = constructor_arguments(cls, args, kwargs)
        return made

    made_with: dict[str, Any]
    idempotent = False
    """Whether `perform_action` may be done twice to an item without harm: then an item that was in flight when the
    process died, and does not show the action, is sent again instead of left for review. It speaks of the
    `perform_action` beside it: a subclass that overrides that has to say it anew."""
    irreversible: str | None = None
    """What of the action cannot be undone, and why, in a sentence; None: all of it can, by `restore()`. A run that
    writes is refused unless the updater was made with `irreversible=True`."""
    accepts_irreversible = False
    appends = False
    """Whether the action adds something that a search result does not show (a note, a reply): an item of a plan must
    then not have changed at all when the plan is applied, or the same words would be written twice."""
    max_batch: int = 1
    """Items that `perform_batch()` takes in one call."""
    not_restored: str | None = None
    """Why `restore()` can bring nothing back here, though there is one; a sentence."""
    step_updaters: Sequence[IntercomBulkUpdater] = ()
    """Of a composite: who does its steps, in their order."""
    step_name: str | None = None
    """What a composite calls it, of which it is a step."""
    _owner: IntercomBulkUpdater | None = None
    writes_apart = False
    """Whether `restore()` writes fields in several requests, of which the last may be missing after a lost answer."""

    def __init__(
        self,
        access_token: str | None = None,
        admin_id: str | int | None = None,
        *,
        settings: Settings | None = None,
        region: str | None = None,
        base_url: str | None = None,
        irreversible: bool = False,
    ) -> None:
        built = settings or Settings.build(
            access_token=access_token, admin_id=admin_id, region=region, base_url=base_url
        )
        self.accepts_irreversible = irreversible
        self._settings = built
        self._workspace: Workspace | None = None
        self._admin_id = built.admin_id
        self.access_token: str = built.access_token
        self.base_url: str = built.base_url
        self.inbox_id: str | None = built.inbox_id
        self.headers: dict[str, str] = Headers.of(built)

    @property
    def admin_id(self) -> str:
        """The admin to act as."""
        if self._owner is not None:
            return self._owner.admin_id
        if self._admin_id is None:
            self._admin_id = self.workspace.directory.admin_id()
        return self._admin_id

    @admin_id.setter
    def admin_id(self, value: str | int | None) -> None:
        self._admin_id = None if value is None else str(value)

    def belong_to(self, owner: IntercomBulkUpdater, name: str | None = None) -> None:
        """Be a step of another updater, by this name: use its connection and its admin."""
        self._owner, self.step_name = owner, name
        self.access_token, self.base_url, self.inbox_id = owner.access_token, owner.base_url, owner.inbox_id

    @classmethod
    def remade(cls, made_with: Mapping[str, Any]) -> Self:
        """An updater as it was, from what a run's record says of it; `settings` may be among the arguments."""
        return cls(**made_with)

    # -- what a subclass says

    @abstractmethod
    def get_search_endpoint(self) -> str | Endpoint:
        """Where to search: "conversations/search", "contacts/search", "companies/list", any paginated endpoint."""

    @abstractmethod
    def get_search_query(self, *args: Any, **kwargs: Any) -> dict[str, Any] | Expression | str:
        """An expression (`Q`) or its text; or Intercom's query JSON for a search, the query string for a list.

        What Intercom cannot be asked of an expression is filtered here: see `compile_query`.
        """

    @abstractmethod
    def perform_action(self, item_id: str, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        """Act on one item, best through `self.request`. Raise, or return None without a request, to say "failed"."""

    def perform_batch(self, item_ids: Sequence[str], *args: Any, **kwargs: Any) -> Mapping[str, Exception | None]:
        """Act on up to `max_batch` items in one call of `self.request`.

        Says of each id None (done) or what went wrong with it, such as `Gone`. What it raises is every item's error.
        """
        del item_ids, args, kwargs
        raise UsageError(f"{type(self).__name__} takes its items one by one: it has no perform_batch().")

    def get_item_id(self, item: dict[str, Any]) -> str:
        """The id in a search result."""
        return str(item["id"])

    def effect(self, item: dict[str, Any]) -> Effect | None:
        """What the action would change on this item; None where that cannot be told from the search result.

        Where `before` already equals `after` the item is skipped without a request.
        """
        del item
        return None

    def with_fields(self, item: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
        """A search result as it would be with these fields, which are named as `effect` names them."""
        return {**item, **fields}

    def as_left(self, item: dict[str, Any]) -> dict[str, Any]:
        """A search result as the action leaves it: what the next one of several steps finds."""
        effect = self.effect(item)
        return item if effect is None else self.with_fields(item, effect.after)

    def should_process(self, item: dict[str, Any]) -> bool:
        """Whether to act on this search result: for what the search language cannot say. Asks nobody, costs nothing."""
        del item
        return True

    def side_effects(self, item: dict[str, Any]) -> Iterable[str]:
        """What else the action would cause on this item, a sentence each; a preview counts them. Keep the base's."""
        return of_recent_words(item, self.workspace.now())

    def prepare(self) -> None:  # noqa: B027  a hook: most updaters have nothing to check
        """Check with reads what every item needs. Runs once a run, before the first write; raise to refuse."""

    def already_done(self, item_id: str) -> bool | None:
        """Read an item back after a lost answer: whether the action shows on it. None: cannot tell."""
        if type(self).effect is IntercomBulkUpdater.effect:
            return None
        effect = self.effect(self.read_item(item_id))
        return None if effect is None else effect.is_done

    def read_item(self, item_id: str) -> dict[str, Any]:
        """An item as it is now, in one request, with all that `effect` looks at."""
        collection = collection_of(self)
        return self.request("GET", f"{collection}/{segment(item_id)}")

    def restore(self, item_id: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
        """Undo: write the fields `before` (as `effect` names them) where they now are `after`, through `self.request`.

        Called only while the item still is as the run left it. Return a sentence where the field could not be brought
        back exactly; raise `ChangedSince` to leave the item alone.
        """
        del item_id, before, after
        raise UsageError(f"{type(self).__name__} cannot be undone: it has no restore().")

    # -- what it gets

    @property
    def restores(self) -> bool:
        """Whether `restore()` brings anything back: an undo without that is refused."""
        return self.not_restored is None and type(self).restore is not IntercomBulkUpdater.restore

    @property
    def run_began(self) -> int | None:
        """What the run wrote lies after this second (epoch, by the server's clock), whichever process resumed it.

        Known while an item is read back, and while one is undone: then it is of the run that is taken back.
        """
        call = current_call.get()
        return None if call is None else call.since

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        empty_ok: bool = False,
    ) -> dict[str, Any]:
        """One paced request; the JSON object it answered.

        Waits out 429s and repeats what surely did not arrive; reads are repeated whatever happened. Raises `ApiError`.
        `empty_ok`: an empty body is a fine answer here ({} is returned).
        """
        return answered(self.workspace, method, path, json=json, params=params, empty_ok=empty_ok)

    @property
    def workspace(self) -> Workspace:
        """The connection, made on first use from the attributes as they are then."""
        if self._workspace is None:
            self._workspace = self._connect() if self._owner is None else self._owner.workspace
        return self._workspace

    def _connect(self) -> Workspace:
        """The seam for a workspace of another make, such as one whose ledger dies when it is told to."""
        return connected(self._settings, access_token=self.access_token, base_url=self.base_url)

    def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Iterator[str]:
        """The ids that match, one page after another, without acting on them."""
        yield from found_ids(self, per_page, search_kwargs)

    def stream(
        self,
        *,
        parallel_workers: int | None = None,
        batch_size: int = 50,
        max_items: int | None = None,
        timeout: float = 30,
        dry_run: bool = False,
        options: RunOptions | None = None,
        **search_kwargs: Any,
    ) -> OutcomeStream:
        """Process the items as they are found; an iterator of one `Outcome` an item, in the order they settle.

        `parallel_workers` None: as many requests in flight as the rate needs. `batch_size`: items committed to the
        ledger together, at most. `max_items`: exactly so many are attempted at most. `timeout`: seconds of silence that
        one request may have. `dry_run`: read, never write. Closing the iterator stops the run: nothing is sent after
        the requests in flight. Raises `UsageError` for arguments that cannot be meant.
        """
        return launched(
            self,
            Arguments(
                workers=parallel_workers,
                batch_size=batch_size,
                max_items=max_items,
                timeout=timeout,
                dry_run=dry_run,
                options=options or RunOptions(),
                keywords=search_kwargs,
            ),
        ).stream()

    def start(
        self,
        *,
        parallel_workers: int | None = None,
        batch_size: int = 50,
        max_items: int | None = None,
        timeout: float = 30,
        dry_run: bool = False,
        options: RunOptions | None = None,
        **search_kwargs: Any,
    ) -> Run:
        """Start the same run as `stream()` would, in the background: a handle to watch, pause, stop and wait for it."""
        return launched(
            self,
            Arguments(
                workers=parallel_workers,
                batch_size=batch_size,
                max_items=max_items,
                timeout=timeout,
                dry_run=dry_run,
                options=options or RunOptions(),
                keywords=search_kwargs,
            ),
        ).start()

    def preview(
        self,
        *,
        sample: int = 10,
        max_items: int | None = None,
        timeout: float = 30,
        options: RunOptions | None = None,
        **search_kwargs: Any,
    ) -> Preview:
        """What a run with these arguments would do: how many items, `sample` of them, how long, what it causes.

        Reads what the run would read, never writes. `str(preview)` is for people.
        """
        arguments = _looking(max_items, timeout, options, search_kwargs)
        return planning.preview(self, arguments, sample)

    def plan(
        self,
        path: str | PathLike[str] = "plan.jsonl",
        *,
        max_items: int | None = None,
        timeout: float = 30,
        options: RunOptions | None = None,
        **search_kwargs: Any,
    ) -> PlanFile:
        """Freeze the list of what a run with these arguments would change in a file (0600), which it replaces.

        Reads, never writes to Intercom. The digest of the result is what `apply()` wants to hear.
        """
        return planning.plan(self, _looking(max_items, timeout, options, search_kwargs), Path(path))

    def apply(
        self,
        path: str | PathLike[str],
        *,
        digest: str,
        strict: bool = False,
        parallel_workers: int | None = None,
        batch_size: int = 50,
        max_items: int | None = None,
        timeout: float = 30,
        options: RunOptions | None = None,
    ) -> Run:
        """Start a run over exactly the items of a plan; `.result()` waits for it.

        What changed since is skipped and listed as "moved", what already is as intended as "already_done", what no
        longer exists as "gone". Items are read again 150 at a time by search, whose index lags some seconds behind:
        a change as young as that is not seen. `strict` reads each item itself, right before it is written to: two calls
        an item. Raises `UsageError` for another digest, workspace, updater, or a damaged file: nothing was sent.
        """
        arguments = Arguments(
            workers=parallel_workers,
            batch_size=batch_size,
            max_items=max_items,
            timeout=float(timeout),
            options=options or RunOptions(),
        )
        return applying.apply(self, arguments, Path(path), digest=digest, strict=strict)

    def resume(self, run_id: str, *, options: RunOptions | None = None) -> Run:
        """Go on with a run of this updater that was paused, stopped, halted or interrupted, under its own id.

        What was done stays done; what was in flight when it ended is read back before anything is sent again. Raises
        `RunBusy` while another process works on it, `UnknownRun`, and `UsageError` on another workspace.
        """
        return again.resume(self, run_id, options or RunOptions())

    def undo(self, run_id: str, *, options: RunOptions | None = None) -> Run:
        """Take back what a run of this updater did, newest first, only where the item still is as the run left it.

        Itself a run: two requests an item; what was changed since is skipped and listed (`changed_since`). An undo of
        that run that was cut short is gone on with. Raises `UsageError`, with nothing sent, where there is no way back.
        """
        return again.undo(self, run_id, options or RunOptions())

    def bulk_process(
        self,
        parallel_workers: int | None = None,
        batch_size: int = 50,
        max_items: int | None = None,
        timeout: float = 30,
        *,
        dry_run: bool = False,
        options: RunOptions | None = None,
        **search_kwargs: Any,
    ) -> Summary:
        """`stream()` to its end; the totals. A run that was halted says so in `summary.state` and `.reason`."""
        with self.stream(
            parallel_workers=parallel_workers,
            batch_size=batch_size,
            max_items=max_items,
            timeout=timeout,
            dry_run=dry_run,
            options=options,
            **search_kwargs,
        ) as outcomes:
            for outcome in outcomes:
                logger.debug("%s %s %s", outcome.item_id, outcome.status, outcome.code or "")
        summary = outcomes.summary()
        logger.info("%s: %s", type(self).__name__, summary)
        return summary

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_url}, admin {self._admin_id or 'of the token'})"


def _looking(
    max_items: int | None, timeout: float, options: RunOptions | None, keywords: Mapping[str, Any]
) -> Arguments:
    chosen = options or RunOptions()
    return Arguments(max_items=max_items, timeout=float(timeout), dry_run=True, options=chosen, keywords=keywords)
