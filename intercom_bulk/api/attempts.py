"""The only retry loop. A 429 is free: the gate does the waiting, and the item keeps its tries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import tenacity
from tenacity.wait import wait_random_exponential

from intercom_bulk.errors import RateLimited, Transient

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.clock import Clock

__all__ = ["Attempts"]

T = TypeVar("T")

HOPELESS = frozenset({"certificate", "proxy", "invalid"})
"""Failures of the way to Intercom that waiting does not mend."""

_jitter = wait_random_exponential(multiplier=0.5, max=20)
"""Full jitter: U(0, min(20, 0.5 * 2^n)) seconds (reliability: AWS "Exponential backoff and jitter")."""


@dataclass(slots=True)
class _Account:
    """What one call has cost so far. `refused_since`: when the present row of 429s began (monotonic seconds)."""

    charged: int = 0
    refused_since: float | None = None


class Attempts:
    """Repeats a call as long as repeating is both safe and of use. Thread-safe.

    `tries` counts failures that may be the item's; a 429 never counts, unless the gate has let nothing through for
    `patience` seconds (then the last `RateLimited` is raised, and the run halts, resumable).
    """

    def __init__(self, clock: Clock, *, tries: int = 4, patience: float = 900.0) -> None:
        self._clock = clock
        self._tries = tries
        self._patience = patience
        self._resending = self._retrying(resend=True)
        self._careful = self._retrying(resend=False)

    @property
    def clock(self) -> Clock:
        """What it waits with."""
        return self._clock

    def call(self, once: Callable[[], T], *, resend: bool) -> T:
        """`once()` until it succeeds. `resend`: repeat it even if an earlier one may have been processed (reads)."""
        retrying = self._resending if resend else self._careful
        result: T = retrying(_run, _Account(), once)
        return result

    def _retrying(self, *, resend: bool) -> tenacity.Retrying:
        """Made once: building one costs more than running it. What a call spent travels in its arguments."""

        def retry(state: tenacity.RetryCallState) -> bool:
            return self._goes_on(_error_of(state), state.args[0], resend=resend)

        def wait(state: tenacity.RetryCallState) -> float:
            return 0.0 if isinstance(_error_of(state), RateLimited) else _jitter(state)

        return tenacity.Retrying(retry=retry, wait=wait, sleep=self._clock.sleep, reraise=True)

    def _goes_on(self, error: BaseException | None, account: _Account, *, resend: bool) -> bool:
        if isinstance(error, RateLimited):
            now = self._clock.monotonic()
            account.refused_since = now if account.refused_since is None else account.refused_since
            return now - account.refused_since < self._patience
        if isinstance(error, Transient) and error.code in HOPELESS:
            return False
        if isinstance(error, Transient) and (resend or not error.sent):
            account.charged += 1
            account.refused_since = None
            return account.charged < self._tries
        return False


def _run(_: _Account, once: Callable[[], T]) -> T:
    return once()


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
