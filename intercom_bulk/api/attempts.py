"""The only retry loop. A 429 is free: the gate does the waiting, and the item keeps its tries."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import tenacity
from tenacity.wait import wait_random_exponential

from intercom_bulk.errors import RateLimited, Transient

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.clock import Clock

__all__ = ["Attempts"]

T = TypeVar("T")

_jitter = wait_random_exponential(multiplier=0.5, max=20)
"""Full jitter: U(0, min(20, 0.5 * 2^n)) seconds (reliability: AWS "Exponential backoff and jitter")."""


class Attempts:
    """Repeats a call as long as repeating is both safe and of use.

    `tries` counts failures that may be the item's; a 429 never counts, unless the gate has let nothing through for
    `patience` seconds (then the last `RateLimited` is raised, and the run halts, resumable).
    """

    def __init__(self, clock: Clock, *, tries: int = 4, patience: float = 900.0) -> None:
        self._clock = clock
        self._tries = tries
        self._patience = patience

    def call(self, once: Callable[[], T], *, resend: bool) -> T:
        """`once()` until it succeeds. `resend`: repeat it even if an earlier one may have been processed (reads)."""
        charged = 0
        refused_since: float | None = None

        def retry(state: tenacity.RetryCallState) -> bool:
            nonlocal charged, refused_since
            error = state.outcome.exception() if state.outcome is not None else None
            if isinstance(error, RateLimited):
                now = self._clock.monotonic()
                refused_since = now if refused_since is None else refused_since
                return now - refused_since < self._patience
            if isinstance(error, Transient) and (resend or not error.sent):
                charged += 1
                refused_since = None
                return charged < self._tries
            return False

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            return 0.0 if isinstance(error, RateLimited) else _jitter(state)

        return tenacity.Retrying(retry=retry, wait=wait, sleep=self._clock.sleep, reraise=True)(once)
