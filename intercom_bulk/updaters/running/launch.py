"""From an updater and the arguments of a call to a run: its record, its ledger, its plan."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from intercom_bulk.api.client import patience
from intercom_bulk.errors import LedgerError, RunBusy, UnknownRun, UsageError
from intercom_bulk.runs.beginning import check_workspace, versions
from intercom_bulk.runs.handle import Run
from intercom_bulk.runs.ids import Ids
from intercom_bulk.runs.inputs import InputReader
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.seams import Plan
from intercom_bulk.runs.stream import OutcomeStream
from intercom_bulk.updaters.collections import collection_of
from intercom_bulk.updaters.running.action import UpdaterAction, accepted_keywords
from intercom_bulk.updaters.running.calls import refuse_netrc
from intercom_bulk.updaters.running.door import lasting, lasting_name
from intercom_bulk.updaters.running.holdouts import check_sight, overrides
from intercom_bulk.updaters.running.listed import ListedItems
from intercom_bulk.updaters.running.lookup import Lookup
from intercom_bulk.updaters.running.searching import source_of
from intercom_bulk.updaters.running.stepping import SteppedAction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.seams import Action, Source
    from intercom_bulk.updaters.base import IntercomBulkUpdater
    from intercom_bulk.updaters.running.arguments import Arguments

__all__ = ["Launch", "launched"]

SETTLE_SET, SETTLE_APPEND = 5.0, 60.0
"""Seconds before an item whose answer was lost is looked at: see `RunOptions.settle`."""

_WAY = frozenset({"admin_id", "base_url", "irreversible", "region"})


class Launch:
    """One run about to begin, or to go on: `run_id` None is a new one.

    `make_source` and `make_action` replace the updater's own search and action (an undo, a retry, a plan); `recorded`
    are further parameters for the record, from which a resume makes them again.
    """

    def __init__(
        self,
        updater: IntercomBulkUpdater,
        arguments: Arguments,
        *,
        run_id: str | None = None,
        kind: str = "update",
        parent: str | None = None,
        make_source: Callable[[int], Source] | None = None,
        make_action: Callable[[Action], Action] | None = None,
        recorded: Mapping[str, Any] | None = None,
    ) -> None:
        arguments = _with_list(updater, arguments, is_new=kind == "update" and run_id is None)
        if kind == "update":
            check_sight(updater, arguments.options.exclude, sees=arguments.listed is not None)
        if not (arguments.dry_run or run_id is not None or (recorded or {}).get("undoes")):
            _refuse_irreversible(updater)
        for one in updater.step_updaters or [updater]:
            refuse_netrc(one.perform_action, updater.base_url)
        self._updater = updater
        self._arguments = arguments
        self._workspace = updater.workspace
        self._store = updater.workspace.store
        self._resumed = run_id is not None
        self.run_id = run_id or f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        self._kind = kind
        self._parent = parent
        self._make_source = make_source
        self._make_action = make_action
        self._recorded = recorded or {}
        self._earlier: RunRecord | None = None
        self._workspace.governor.adjust(reserve=arguments.options.reserve, share=arguments.options.share)

    def stream(self) -> OutcomeStream:
        """Begin when the first outcome is asked for."""
        return OutcomeStream(
            self.open_ledger,
            self.make_plan,
            self._workspace.clock,
            ahead=max(self._arguments.batch_size, 50),
            discard=self.discard,
        )

    def start(self) -> Run:
        """Begin now, in a thread. The id is that of the run which has the key already, if there is one."""
        key = self._arguments.options.run_key
        if key is not None and not self._resumed and not self._arguments.dry_run:
            self.run_id = self._store.find_key(key) or self.run_id
        return Run(
            self.run_id,
            self.open_ledger,
            self.make_plan,
            self._workspace.clock,
            discard=self.discard,
            undo=lambda: self._updater.undo(self.run_id),
        )

    def open_ledger(self) -> RunLedger:
        """A dry run leaves no record. A key that is known goes on with its run. Raises `RunBusy`, `LedgerError`."""
        if self._arguments.dry_run:
            return Ledger()
        key = self._arguments.options.run_key
        known = self._store.find_key(key) if key is not None and not self._resumed else None
        if known is not None:
            return self._open_by_key(known)
        if self._resumed:
            return self._open()
        try:
            return self._store.create(self._new_record())
        except RunBusy:
            known = self._store.find_key(key) if key is not None else None
            if known is None:
                raise
            return self._open_by_key(known)  # somebody was quicker with the same key: say who

    def _open(self) -> RunLedger:
        ledger = self._store.open(self.run_id)
        try:
            self._earlier = ledger.record()
            self._check_maker(self._earlier)
        except BaseException:
            ledger.close()
            raise
        return ledger

    def _check_maker(self, earlier: RunRecord | None) -> None:
        """A run goes on with what it was made with, and with nothing else: its items were chosen for that."""
        if earlier is None:
            return
        mine, theirs = _meaning(self._new_record().parameters), _meaning(earlier.parameters)
        names = ["updater", "made_with"] if self._resumed else ["updater", "made_with", "keywords", "listed"]
        other = next((name for name in names if mine.get(name) != theirs.get(name)), None)
        if other is not None:
            raise UsageError(
                f"Run {self.run_id} was made by {earlier.title} with {other} {theirs.get(other)!r}, and this is"
                f" {type(self._updater).__name__} with {mine.get(other)!r}: use another run_key, or the same updater."
            )

    def _open_by_key(self, run_id: str) -> RunLedger:
        """Go on with the run that has the key; make it, where its process died before it had a file or a record."""
        self.run_id = run_id
        try:
            ledger = self._open()
        except UnknownRun:
            return self._store.create(self._new_record())
        if self._earlier is None:
            with ledger.atomic():
                ledger.save(self._new_record())
        self._resumed = self._earlier is not None
        return ledger

    def discard(self) -> None:
        """It never began: no trace of a new run stays."""
        if self._resumed or self._arguments.dry_run:
            return
        try:
            self._store.delete(self.run_id)
        except (LedgerError, RunBusy):
            return

    def make_plan(self) -> Plan:
        """The first requests: is the token good, whose is it, what time is it there? Then source and action."""
        arguments, governor, clock = self._arguments, self._workspace.governor, self._workspace.clock
        began, counted = clock.monotonic(), (governor.requests, governor.rate_limited)
        with patience(arguments.timeout):
            now = self._workspace.begin()
        me = self._workspace.directory.me()
        workspace = str((me.get("app") or {}).get("id_code") or "") or None
        self._check_workspace(workspace)
        earlier = self._earlier
        cutoff = now if arguments.options.cutoff is None else min(now, arguments.options.cutoff)
        if earlier is not None and earlier.cutoff is not None:
            cutoff = earlier.cutoff
        action = self._action(cutoff)
        options = arguments.options
        return Plan(
            run_id=self.run_id,
            title=type(self._updater).__name__,
            kind=self._kind,
            source=self._source(cutoff),
            action=self._make_action(action) if self._make_action is not None else action,
            gate=governor,
            options=options,
            workers=arguments.workers,
            batch_size=arguments.batch_size,
            max_items=arguments.max_items,
            settle_set=SETTLE_SET if options.settle is None else options.settle,
            settle_append=max(arguments.timeout, SETTLE_APPEND) if options.settle is None else options.settle,
            dry_run=arguments.dry_run,
            facts={"workspace": workspace, "by": _name_of(me), "cutoff": cutoff},
            began=began,
            counted=counted,
            abort=self._workspace.abort,
            redact=self._workspace.settings.redact,
        )

    def own_source(self, cutoff: int) -> Source:
        """The list of ids, where one was given; else the updater's search."""
        listed, timeout = self._arguments.listed, self._arguments.timeout
        if listed is None:
            return source_of(self._updater, self._arguments.keywords, cutoff, timeout)
        lookup = Lookup(self._updater, timeout=timeout, workers=self._arguments.workers) if self._must_look() else None
        reader = InputReader(self._workspace.inputs, listed)
        return ListedItems(reader, lookup, first=self._arguments.options.canary)

    def _must_look(self) -> bool:
        """Somebody else's action on bare ids may be on other things than those its endpoint lists."""
        updater = self._updater
        hooks = any(overrides(updater, name) for name in ("effect", "should_process", "side_effects"))
        dated = self._arguments.listed is not None and self._arguments.listed.dated
        return hooks or dated or self._arguments.dry_run or self._arguments.options.exclude is not None

    def _action(self, cutoff: int) -> Action:
        arguments, exclude = self._arguments, self._arguments.options.exclude
        if self._updater.step_updaters:
            return SteppedAction(self._updater, timeout=arguments.timeout, exclude=exclude, since=cutoff)
        return UpdaterAction(
            self._updater, arguments.keywords, timeout=arguments.timeout, exclude=exclude, since=cutoff
        )

    def _source(self, cutoff: int) -> Source:
        return self.own_source(cutoff) if self._make_source is None else self._make_source(cutoff)

    def _check_workspace(self, workspace: str | None) -> None:
        earlier = self._earlier
        if earlier is None and self._parent is not None:
            earlier = self._store.record(self._parent)
        check_workspace(earlier, workspace)

    def _new_record(self) -> RunRecord:
        now = self._workspace.clock.time()
        updater = self._updater
        return RunRecord(
            run_id=self.run_id,
            title=type(updater).__name__,
            kind=self._kind,
            run_key=self._arguments.options.run_key,
            parent=self._parent,
            reason=self._arguments.options.reason,
            base_url=updater.base_url,
            parameters={
                "updater": lasting_name(type(updater)),
                "made_with": updater.made_with,
                "collection": collection_of(updater),
                **_plain(self._arguments.to_record()),
                **self._recorded,
            },
            versions=versions(api=self._workspace.settings.api_version),
            created_at=now,
            updated_at=now,
            max_items=self._arguments.max_items,
        )


def launched(
    updater: IntercomBulkUpdater, arguments: Arguments, *, run_id: str | None = None, **replacing: Any
) -> Launch:
    """A launch with keywords as somebody typed them. Raises `UsageError` for one that nobody takes."""
    said = arguments.keywords
    known = accepted_keywords(updater.get_search_query, said) | accepted_keywords(updater.perform_action, said)
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise UsageError(
            f"Unknown keyword {unknown[0]!r}: neither get_search_query() nor perform_action() of"
            f" {type(updater).__name__} takes it."
        )
    return Launch(updater, arguments, run_id=run_id, **replacing)


def _refuse_irreversible(updater: IntercomBulkUpdater) -> None:
    if updater.irreversible is None or updater.accepts_irreversible:
        return
    name = type(updater).__name__
    raise UsageError(
        f"{name} cannot be undone: {updater.irreversible} Pass irreversible=True to {name} if that is meant."
    )


def _meaning(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is about; not by which way Intercom is reached, nor as whom."""
    made_with = dict(parameters.get("made_with") or {})
    name = lasting(str(parameters.get("updater") or ""))
    kept = {k: v for k, v in made_with.items() if k not in _WAY}
    listed = (parameters.get("listed") or {}).get("digest")
    return {**parameters, "updater": name, "made_with": kept, "listed": listed}


def _with_list(updater: IntercomBulkUpdater, arguments: Arguments, *, is_new: bool) -> Arguments:
    """The list of ids, where one is given, written down: from here on it is what the run is about."""
    source = arguments.options.source
    if source is None:
        return arguments
    if not is_new:
        raise UsageError("source= is for a new run: this one goes on with the items that it has.")
    searching = accepted_keywords(updater.get_search_query, arguments.keywords)
    wrong = sorted(set(searching) - set(accepted_keywords(updater.perform_action, arguments.keywords)))
    if wrong:
        raise UsageError(f"{wrong[0]}= is for a search, and source= takes its place: leave one of them out.")
    ids = source if isinstance(source, Ids) else Ids(source)
    return replace(arguments, listed=ids.keep(updater.workspace.inputs))


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return plain


def _name_of(me: Mapping[str, Any]) -> str:
    return f"{me.get('name') or me.get('email') or 'admin'} ({me.get('id')})"
