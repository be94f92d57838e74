"""An updater as the engine sees it: something that acts on items and can read them back."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import requests

from intercom_bulk.api.client import patience, segment
from intercom_bulk.errors import ApiError, IntercomBulkError, RateLimited
from intercom_bulk.runs.model import Effect, Item, Receipt
from intercom_bulk.updaters.calls import Call, current_call, failure_of_error, failure_of_value
from intercom_bulk.updaters.holdouts import leave_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


class UpdaterAction:
    """Calls `perform_action` for each item, or `perform_batch` for several, paced, and says what came of it."""

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
        self._keywords = accepted_keywords(updater.perform_action, keywords)
        self._timeout = timeout
        self._exclude = exclude
        self._attempts: Attempts = updater.workspace.outer_attempts
        self._is_ours = type(updater).perform_action.__module__.startswith("intercom_bulk.")
        self.idempotent = _is_idempotent(updater)  # requests of ours say it themselves while the process lives

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
            return self._together(batch)
        return [self._one(item) for item in batch]

    def _together(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        call = Call()
        token = current_call.set(call)
        try:
            with patience(self._timeout):
                results = self._updater.perform_batch([item.id for item in batch], **self._keywords)
        except IntercomBulkError as error:
            return [error] * len(batch)
        finally:
            current_call.reset(token)
        return [results[item.id] or Receipt(call.request_id) for item in batch]

    def _one(self, item: Item) -> Receipt | Exception:
        """Requests of ours have a retry loop already; those that somebody else sends get theirs here."""
        return self._once(item) if self._is_ours else self._attempts.call(lambda: self._once(item), resend=False)

    def _once(self, item: Item) -> Receipt | Exception:
        """One call of `perform_action`. Errors that the retry loop may look at are raised, final ones returned."""
        call = Call()
        token = current_call.set(call)
        try:
            with patience(self._timeout), self._updater.workspace.client.permit() as permit:
                return self._settled(call, permit, item)
        finally:
            current_call.reset(token)

    def _settled(self, call: Call, permit: Permit, item: Item) -> Receipt | Exception:
        base_url, access_token = self._updater.base_url, self._updater.access_token
        failure: ApiError | None
        try:
            value = self._updater.perform_action(item.id, **self._keywords)
        except IntercomBulkError as error:
            return error  # ours: it has been through the retry loop already
        except requests.RequestException as error:
            failure, reading = failure_of_error(error, base_url, access_token)
        else:
            if call.accepted:
                return Receipt(call.request_id)
            if call.error is not None and value is None:
                return call.error  # swallowed on its way, but seen
            failure, reading = failure_of_value(value, base_url, access_token)
        if not permit.is_used:
            self._updater.workspace.keep_pace_known()
        if failure is None:
            return Receipt()
        if isinstance(failure, RateLimited):
            permit.refused(reading, failure.retry_after)
        raise failure
