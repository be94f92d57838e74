"""Where the server's ten-second window ends, told from its answers on our own monotonic clock.

The local wall clock plays no part: an answer names its window (`X-RateLimit-Reset`), and the window's place in time
follows from when the call was sent. Fixed windows of ten seconds: Intercom's rate limiting page, and every recorded
`Reset`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["WIDTH", "Book", "Edge"]

WIDTH = 10.0
FIRST_SLACK = 0.6  # the Date header has whole seconds: half a second either way, and a little for the journey
MOST_SLACK = 1.5
STRAY_RESETS = 3  # so many resets in a row that fit no window: the server's windows have moved


@dataclass(slots=True)
class Book:
    """What is known of one window. `left`: least Remaining seen; `left_at`: when the call that saw it was sent."""

    left: float
    left_at: float = field(default=float("-inf"))
    seen: int = 0  # our accepted calls whose answer named this window
    blind: float = 0.0  # the cost of our calls that may have been counted, though no answer said so
    changed: bool = False  # the limit changed meanwhile: the sums do not add up
    ceiling: float = float("inf")  # calls left when the window began

    def fold(self, left: float, sent: float) -> None:
        """Keep the least: answers overtake each other, and within a window Remaining only falls."""
        if left < self.left or (left == self.left and sent > self.left_at):
            self.left = left
            self.left_at = sent


@dataclass(slots=True)
class Edge:
    """The end of the current window as a time of *sending*: calls sent after it are counted in the next one.

    `reset` is the server's name for the window (epoch seconds), `end` monotonic seconds, `slack` the half-width of
    the band round `end` in which a call may land on either side.
    """

    reset: int
    end: float
    slack: float = FIRST_SLACK
    last_old: float = float("-inf")  # latest sending, relative to the start, that still landed in the window before
    first_new: float = float("inf")  # earliest sending, relative to the start, that landed in this window
    strays: int = 0

    @classmethod
    def first(cls, reset: int, date: int | None, sent: float, now: float) -> Edge:
        """From one answer: only a *difference* of server times is used. Without a Date the end is a guess."""
        if date is None:
            return cls(reset, (sent + now) / 2 + WIDTH / 2, MOST_SLACK)
        ahead = min(max(reset - date - 0.5, 0.0), 3600.0)
        return cls(reset, (sent + now) / 2 + ahead)

    @property
    def start(self) -> float:
        return self.end - WIDTH

    def roll(self, now: float) -> int:
        """Step over the windows that have ended; how many they were."""
        if now < self.end:
            return 0
        passed = int((now - self.end) // WIDTH) + 1
        self._step(passed)
        return passed

    def place(self, reset: int, sent: float, now: float, rtt: float) -> int | None:
        """0: the call was counted in the current window, -1: in the one before, None: in none we still keep.

        1: in the next one, which has therefore begun (`advance` has been done). A call on the wrong side of our edge
        moves the edge.
        """
        steps = round((reset - self.reset) / WIDTH)
        if abs(reset - self.reset - steps * WIDTH) > 2 or steps > 1 or (steps < -1 and sent > self.start):
            self.strays += 1
            return None
        self.strays = 0
        if steps == 1:
            self._step(1)
            self._landed_new(sent, now)
        elif steps == 0:
            self._landed_new(sent, now)
        elif steps == -1:
            self._landed_old(sent, rtt)
        return steps if steps >= -1 else None

    @property
    def lost(self) -> bool:
        """Whether the answers contradict our windows altogether, so that the edge must be found anew."""
        return self.strays >= STRAY_RESETS

    def settle(self, rtt: float) -> None:
        """Once a window, when all answers from round its start are in: narrow the band to what they showed."""
        low, high = max(self.last_old, -self.slack), min(self.first_new, self.slack)
        needed = 0.6 * abs(high - low) + max(0.02, 0.15 * rtt)
        self._shift((low + high) / 2)
        if low > high:
            self.slack = min(MOST_SLACK, max(needed, 0.9 * self.slack))
        else:
            self.slack = min(self.slack, max(needed, 0.3 * self.slack))

    def _step(self, windows: int) -> None:
        self.reset += int(windows * WIDTH)
        self.end += windows * WIDTH
        self.last_old, self.first_new = float("-inf"), float("inf")

    def _landed_old(self, sent: float, rtt: float) -> None:
        late = sent - self.start
        self.last_old = max(self.last_old, late)
        if late > self.slack:  # certain: the window cannot have ended before this call left, but for the journey
            self._widen(late)
            self._shift(max(late / 2, late - rtt))

    def _landed_new(self, sent: float, now: float) -> None:
        early = sent - self.start
        self.first_new = min(self.first_new, early)
        if now < self.start:  # certain: the window has begun, for here is its answer
            self._widen(min(-early, MOST_SLACK))
            self._shift(now - self.start)
        elif early < -self.slack:  # a slow journey looks the same, so go by small steps
            self._shift(-self.slack / 4)
            self._widen(0.0)

    def _widen(self, error: float) -> None:
        self.slack = min(MOST_SLACK, max(1.15 * self.slack, error))

    def _shift(self, by: float) -> None:
        self.end += by
        self.last_old -= by
        self.first_new -= by
