"""Rates found by trial: for answers without rate-limit headers, and for limits that the headers do not describe."""

from __future__ import annotations

__all__ = ["Aimd", "Backoff"]

LEAST = 0.2  # calls a second: two a window, to notice when the limit opens


class Aimd:
    """Additive increase, multiplicative decrease: from 5 calls/s, +1/s for each clean second, x0.7 on a refusal.

    Near the rate that was refused last the increase is a tenth, else every few seconds would end in refusals.
    """

    def __init__(self, rate: float = 5.0) -> None:
        self.rate = rate
        self._ceiling = float("inf")
        self._clean_since: float | None = None
        self._cut_at = float("-inf")
        self._in_a_row = 0

    def accepted(self, now: float, cap: float) -> None:
        """An answer that was no refusal; `cap` is the most that any window seen so far would bear, in calls/s."""
        self._in_a_row = 0
        if self._clean_since is None:
            self._clean_since = now
        elapsed = now - self._clean_since
        if elapsed >= 1.0:
            near = self.rate >= 0.9 * self._ceiling
            self.rate = min(self.rate + (0.05 if near else 1.0), cap)
            self._clean_since = now

    def refused(self, sent: float, now: float) -> float:
        """Seconds to hold the gate. One cut a burst: calls that left before the cut tell nothing new."""
        if sent <= self._cut_at:
            return 0.0
        if self._in_a_row == 0:
            self._ceiling = self.rate
            self.rate = max(LEAST, 0.7 * self.rate)
        self._in_a_row += 1
        self._cut_at = now
        self._clean_since = None
        return min(60.0, 2.0 ** (self._in_a_row - 1))


class Backoff:
    """A cap on the rate while some other limit refuses calls that the window would have borne. None: no cap.

    x0.7 on a refusal, once a burst, then +5 % a window. While not one call gets through the cap falls faster, and
    afterwards doubles each clean second up to where it was first cut: the other limit may have been a short outage.
    """

    def __init__(self) -> None:
        self.rate: float | None = None
        self._cut_at = self._grown_at = float("-inf")
        self._regain = 0.0
        self._succeeded = False

    def accepted(self, sent: float, now: float) -> None:
        """An answer that was no refusal."""
        if self.rate is None or sent <= self._cut_at:
            return
        self._succeeded = True
        if self.rate < self._regain and now >= self._grown_at + 1.0:
            self.rate = min(2.0 * self.rate, self._regain)
            self._grown_at = now

    def refused(self, sent: float, now: float, rate: float, floor: float = LEAST) -> None:
        """`rate`: calls/s that were aimed at. Calls that left before the last cut tell nothing new.

        While some calls get through the cap stays above `floor`: a refusal here and there is no limit to crawl under.
        """
        if sent <= self._cut_at:
            return
        before = rate if self.rate is None else min(rate, self.rate)
        if self.rate is not None and not self._succeeded:
            self.rate = max(LEAST, 0.35 * before)
        else:
            self.rate = self._regain = max(LEAST, floor, 0.7 * before)
        self._cut_at = self._grown_at = now
        self._succeeded = False

    def window_passed(self, windows: int, most: float) -> None:
        """Grow, until the cap no longer binds."""
        if self.rate is not None and self._succeeded and self.rate >= self._regain:
            self.rate *= 1.05 ** min(windows, 100)
            if self.rate >= most:
                self.rate = None
