"""An updater as the engine sees it: something that acts on items and can read them back."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import requests

from intercom_bulk.api.client import patience, segment
from intercom_bulk.errors import ApiError, IntercomBulkError, RateLimited, UsageError
from intercom_bulk.runs.model import Effect, Item, Receipt
from intercom_bulk.updaters.running.calls import Call, current_call, failure_of_error, failure_of_value
from intercom_bulk.updaters.running.holdouts import leave_alone, overrides

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from intercom_bulk.api.attempts import Attempts
    from intercom_bulk.api.client import Permit
    from intercom_bulk.runs.exclude import Exclude
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["UpdaterAction", "accepted_keywords"]


def accepted_keywords(function: Callable[..., Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `keywords` that the function's signature accepts."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(keywords)
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {name: value for name, value in keywords.items() if name in parameters and parameters[name].kind in kinds}


def _is_idempotent(updater: IntercomBulkUpdater) -> bool:
    """What is said of `perform_action` by the class that has it, or by one made from that.

    What an updater was made with may take it back (a close with a message), never add it.
    """
    if not vars(updater).get("idempotent", True):
        return False
    for base in type(updater).__mro__:
        if "idempotent" in vars(base):
            return bool(vars(base)["idempotent"])
        if "perform_action" in vars(base):
            return False
    return False


def _batch_of(updater: IntercomBulkUpdater) -> int:
    """Items of one call. A class that changes `perform_action` alone gets its items one by one."""
    if not overrides(updater, "perform_batch"):
        return 1
    says = next(kind for kind in type(updater).__mro__ if {"perform_action", "perform_batch"} & vars(kind).keys())
    return max(1, updater.max_batch) if "perform_batch" in vars(says) else 1


class UpdaterAction:
    """Calls `perform_action` for each item, or `perform_batch` for several, paced, and says what came of it."""

    steps: Sequence[str] = ()

    def __init__(
        self,
        updater: IntercomBulkUpdater,
        keywords: Mapping[str, Any],
        *,
        timeout: float,
        exclude: Exclude | None = None,
        since: int | None = None,
    ) -> None:
        self._updater = updater
        self.max_batch = updater.max_batch
        self._since = since
        self.max_batch = _batch_of(updater)
        function = updater.perform_batch if self.max_batch > 1 else updater.perform_action
        self._keywords = accepted_keywords(function, keywords)
        self._timeout = timeout
        self._exclude = exclude
        self._attempts: Attempts = updater.workspace.outer_attempts
        self._is_ours = function.__module__.startswith("intercom_bulk.")
        self.idempotent = _is_idempotent(updater)  # requests of ours say it themselves while the process lives

    def is_idempotent(self, item: Item) -> bool:
        del item
        return self.idempotent

    def prepare(self) -> None:
        with patience(self._timeout):
            self._updater.prepare()

    def effect(self, item: Item) -> Effect | None:
        segment(item.id)  # an id that could change its path fails here, before anything is sent
        if not item.data:
            return None
        self.sift(item.data)
        return self._updater.effect(dict(item.data))

    def sift(self, data: Mapping[str, Any]) -> None:
        """Raises `LeftAlone` where `should_process()` or a hold-out says so."""
        leave_alone(self._updater, self._exclude, dict(data))

    def already_done(self, item: Item) -> bool | None:
        token = current_call.set(Call(looking=True, since=self._since))
        try:
            with patience(self._timeout):
                return self._updater.already_done(item.id)
        finally:
            current_call.reset(token)

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        if self.max_batch > 1:
            return self._call(batch)
        return [result for item in batch for result in self._call([item])]

    def _call(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        """Requests of ours have a retry loop already; those that somebody else sends get theirs here."""
        return self._once(batch) if self._is_ours else self._attempts.call(lambda: self._once(batch), resend=False)

    def _once(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        """One call of the updater. Errors that the retry loop may look at are raised, final ones returned."""
        call = Call()
        token = current_call.set(call)
        try:
            with patience(self._timeout), self._updater.workspace.client.permit() as permit:
                return self._settled(call, permit, batch)
        finally:
            current_call.reset(token)

    def _settled(self, call: Call, permit: Permit, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        base_url, access_token = self._updater.base_url, self._updater.access_token
        failure: ApiError | None
        try:
            value = self._performed(batch)
        except IntercomBulkError as error:
            return [error] * len(batch)  # ours: it has been through the retry loop already
        except requests.RequestException as error:
            failure, reading = failure_of_error(error, base_url, access_token)
        else:
            if self.max_batch > 1:
                return [self._told(value, item, call) for item in batch]
            if call.accepted:
                return [Receipt(call.request_id)]
            if call.error is not None and value is None:
                return [call.error]  # swallowed on its way, but seen
            failure, reading = failure_of_value(value, base_url, access_token)
        if not permit.is_used:
            self._updater.workspace.keep_pace_known()
        if failure is None:
            return [Receipt()]
        if isinstance(failure, RateLimited):
            permit.refused(reading, failure.retry_after)
        raise failure

    def _performed(self, batch: Sequence[Item]) -> Any:
        if self.max_batch > 1:
            return self._updater.perform_batch([item.id for item in batch], **self._keywords)
        return self._updater.perform_action(batch[0].id, **self._keywords)

    def _told(self, value: object, item: Item, call: Call) -> Receipt | Exception:
        """What `perform_batch` said of one item. Silence is no success."""
        if not isinstance(value, Mapping) or item.id not in value:
            name = type(self._updater).__name__
            return UsageError(f"perform_batch() of {name} must say of each id what became of it: None, or the error.")
        error = value[item.id]
        return Receipt(call.request_id) if error is None else error
