"""When a run must not go on. Pure: outcomes in, a reason out."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING

from intercom_bulk.runs.model import Outcome, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Guard"]

CANARY_FAILURES = 3
SAME_CODE, AMONG = 20, 25
TARGET_IN_A_ROW = 3
GONE_IN_A_ROW = 10
WINDOW = 1000
"""S3 Batch Operations stops at half of the first 1,000; the smaller numbers catch small runs before it is too late."""


class Guard:
    """Watches the outcomes of attempted items in the order they come in.

    `canary` is how many items went first, alone; their outcomes are judged together.
    """

    def __init__(self, canary: int) -> None:
        self._canary = canary
        self._first: list[Outcome] = []
        self._recent: deque[str | None] = deque(maxlen=AMONG)
        self._failures: deque[bool] = deque(maxlen=WINDOW)
        self._gone = 0
        self._target = 0

    @property
    def canary_open(self) -> bool:
        """Whether the canary's outcomes are still awaited."""
        return len(self._first) < self._canary

    def observe(self, outcome: Outcome) -> str | None:
        """The sentence to halt with, or None. Single failures never stop a run."""
        failed = outcome.status is Status.FAILED
        self._recent.append(_cause(outcome) if failed else None)
        self._failures.append(failed)
        self._gone = self._gone + 1 if _is_gone(outcome) else 0
        self._target = self._target + 1 if failed and outcome.target else 0
        if self.canary_open:
            self._first.append(outcome)
            if not self.canary_open or sum(o.status is Status.FAILED for o in self._first) >= CANARY_FAILURES:
                return self.judge_canary()
        return self._judge_stream(outcome) if failed or self._gone else None

    def judge_canary(self) -> str | None:
        """Also asked when the items run out before the canary is full."""
        return _canary_verdict(self._first)

    def _judge_stream(self, last: Outcome) -> str | None:
        if self._target >= TARGET_IN_A_ROW:
            return f"{self._target} items in a row failed with {last.code}: {last.message}"
        if self._gone >= GONE_IN_A_ROW:
            return f"{self._gone} items in a row are gone: the search and the items do not agree, check the query."
        code, count = _most_common(self._recent)
        if count >= SAME_CODE:
            return f"{count} of the last {len(self._recent)} items failed with {code}: {last.message}"
        if len(self._failures) == WINDOW and sum(self._failures) * 2 >= WINDOW:
            return f"Half of the last {WINDOW:,} items failed, the last one with {last.code}: {last.message}"
        return None


def _canary_verdict(first: Sequence[Outcome]) -> str | None:
    failed = [outcome for outcome in first if outcome.status is Status.FAILED]
    if len(failed) >= CANARY_FAILURES:
        last = failed[-1]
        return f"{len(failed)} of the first {len(first)} items failed, the last one with {last.code}: {last.message}"
    if len(first) >= CANARY_FAILURES and all(_is_gone(outcome) for outcome in first):
        return f"All of the first {len(first)} items are gone: the search and the items do not agree, check the query."
    return None


def _cause(outcome: Outcome) -> str | None:
    """What failed it. More than one attempt means that answers were lost: 502, 503, a reset are then one cause."""
    return outcome.code if outcome.attempts <= 1 else "no usable answer"


def _is_gone(outcome: Outcome) -> bool:
    return outcome.status is Status.SKIPPED and outcome.code == "gone"


def _most_common(codes: deque[str | None]) -> tuple[str | None, int]:
    counted = Counter(code for code in codes if code is not None)
    return counted.most_common(1)[0] if counted else (None, 0)
