"""Freshness is the truth: against sets of seconds, and against a world in which conversations change unseen."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from intercom_bulk.mirror.freshness import GRACE, Freshness, Gap, GapKind, State, judge
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Axis, Depth, Knowledge, Proof, proved_by_sync, proved_by_window

HISTORIES = 10_000
LAG, SHORT_GRACE, END = 2, 3, 60


@dataclass(frozen=True)
class Reading:
    """A window over creation, or a sync down to a floor; `done` where it came to its end."""

    axis: Axis
    depth: Depth
    lo: int
    hi: int
    began: int
    done: bool

    def proof(self) -> Proof | None:
        if not self.done:
            return None
        if self.axis is Axis.CREATED:
            return proved_by_window(self.lo, self.hi, began=self.began, depth=self.depth, lag=LAG)
        return proved_by_sync(self.lo, began=self.began, depth=self.depth, lag=LAG)


def history(draw: random.Random) -> list[Reading]:
    """In order of time. Windows may overlap, fail, lie in the future, be read again."""
    readings: list[Reading] = []
    for began in sorted(draw.randrange(5, END) for _ in range(draw.randrange(7))):
        lo = draw.randrange(END - 5)
        axis = draw.choice(list(Axis))
        if axis is Axis.UPDATED:
            lo = min(lo, began)
        readings.append(
            Reading(
                axis,
                draw.choice([Depth.ROW, Depth.THREAD]),
                lo,
                lo + draw.randrange(1, 40),
                began,
                draw.random() < 0.8,
            )
        )
    return readings


def known_seconds(readings: list[Reading], depth: Depth) -> list[set[int]]:
    """For each second of creation, the seconds of which everything is known: the definition, without any cleverness."""
    known: list[set[int]] = [set() for _ in range(2 * END)]
    for reading in readings:
        if not reading.done or (depth is Depth.THREAD and reading.depth is Depth.ROW):
            continue
        true_until = reading.began - LAG
        for created in range(true_until):
            if reading.axis is Axis.UPDATED:
                known[created].update(range(reading.lo, true_until))
            elif reading.lo <= created < reading.hi:
                known[created].update(range(created, true_until))
    return known


@dataclass
class World:
    """Conversations by the second they were created in, with the seconds in which they changed; and a mirror of them,
    which holds of each how many changes it has seen.
    """

    changes: dict[int, list[int]]
    seen: dict[int, int] = field(default_factory=dict)

    @classmethod
    def drawn(cls, draw: random.Random) -> World:
        born = {number: draw.randrange(END) for number in range(25)}
        return cls(
            {n: sorted({at, *(draw.randrange(at, END) for _ in range(draw.randrange(5)))}) for n, at in born.items()}
        )

    def read(self, reading: Reading, draw: random.Random) -> None:
        """What the index shows then: all up to the lag, and by chance some of what is newer. A reading that does not
        come to its end stores a part of it.
        """
        for number, changes in self.changes.items():
            shown = sum(at < reading.began - draw.randint(0, LAG) for at in changes)
            if not shown or (not reading.done and draw.random() < 0.5):
                continue
            asked = changes[0] if reading.axis is Axis.CREATED else changes[shown - 1]
            if asked >= reading.lo and (reading.axis is Axis.UPDATED or asked < reading.hi):
                self.seen[number] = max(self.seen.get(number, 0), shown)

    def missing(self, first: int, horizon: int) -> list[tuple[int, list[int]]]:
        """Creation, and the changes up to the horizon that the mirror has not seen."""
        found = [
            (changes[0], [at for at in changes[self.seen.get(number, 0) :] if at < horizon])
            for number, changes in self.changes.items()
            if first <= changes[0] < horizon
        ]
        return [(created, unseen) for created, unseen in found if unseen]


def ask(readings: list[Reading], depth: Depth, start: int, end: int, now: int) -> Freshness:
    known = Knowledge([proof for reading in readings if (proof := reading.proof())], depth)
    return judge(known, start, end, now=now, grace=SHORT_GRACE)


def in_gaps(told: Freshness, kind: GapKind, second: int) -> bool:
    return any(gap.kind is kind and gap.lo <= second < gap.hi for gap in told.gaps)


def test_freshness_is_what_sets_of_seconds_say() -> None:
    states = dict.fromkeys(State, 0)
    for seed in range(HISTORIES):
        draw = random.Random(seed)
        readings, depth = history(draw), draw.choice(list(Depth))
        now = max([reading.began for reading in readings], default=20) + draw.randrange(8)
        start = draw.randrange(END)
        end = start + draw.randrange(END)
        told = ask(readings, depth, start, end, now)
        horizon = min(end, now) - SHORT_GRACE
        asked = range(max(min(start, horizon - 1), 0), horizon)
        if not asked:
            continue
        known = known_seconds(readings, depth)
        there = [created for created in asked if created in known[created]]
        unseen = {at for created in there for at in range(created, horizon) if at not in known[created]}
        complete = len(there) == len(asked) and not unseen
        expected = State.FRESH if complete else State.PARTIAL if asked[0] in there else State.STALE
        states[expected] += 1
        assert told.state is expected, seed
        assert told.data_complete is complete, seed
        for second in range(asked[0], horizon):
            assert in_gaps(told, GapKind.CONVERSATIONS, second) == (second not in there), (seed, second)
            assert in_gaps(told, GapKind.CHANGES, second) == (second in unseen), (seed, second)
    assert min(states.values()) > HISTORIES / 50, states


def test_whatever_a_mirror_misses_is_in_a_gap_that_is_told() -> None:
    fresh = 0
    for seed in range(HISTORIES):
        draw = random.Random(seed)
        world, readings = World.drawn(draw), history(draw)
        rows = [Reading(r.axis, Depth.ROW, r.lo, r.hi, r.began, r.done) for r in readings]
        for reading in rows:
            world.read(reading, draw)
        now = max([reading.began for reading in rows], default=20) + draw.randrange(8)
        start = draw.randrange(max(now, 1))
        told = ask(rows, Depth.ROW, start, now, now)
        missing = world.missing(min(start, now - SHORT_GRACE - 1), now - SHORT_GRACE)
        fresh += told.data_complete
        assert not (told.data_complete and missing), seed
        for created, unseen in missing:
            lost = in_gaps(told, GapKind.CONVERSATIONS, created)
            assert lost or all(in_gaps(told, GapKind.CHANGES, at) for at in unseen), (seed, created, unseen)
    assert fresh > HISTORIES / 50


# -- what is said


DAY = 86_400
MIDNIGHT = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp())


def at(day: int, hour: int = 0, minute: int = 0) -> int:
    return MIDNIGHT + (day - 1) * DAY + hour * 3600 + minute * 60


def window(lo: int, hi: int, began: int) -> Proof:
    proof = proved_by_window(lo, hi, began=began, depth=Depth.THREAD, lag=0)
    assert proof is not None
    return proof


def sync(floor: int, began: int) -> Proof:
    proof = proved_by_sync(floor, began=began, depth=Depth.THREAD, lag=0)
    assert proof is not None
    return proof


def told(*proofs: Proof, start: int | None, end: int | None, now: int) -> Freshness:
    return judge(Knowledge(proofs), start, end, now=now)


@pytest.mark.parametrize(
    ("last_sync", "expected"),
    [(at(5), State.STALE), (at(7), State.PARTIAL), (at(9, 23, 54), State.PARTIAL), (at(9, 23, 55), State.FRESH)],
)
def test_the_rule_that_people_know_holds_where_there_are_no_holes(last_sync: int, expected: State) -> None:
    verdict = told(sync(at(1), last_sync), start=at(6), end=at(10), now=at(20))
    assert (verdict.state, verdict.data_complete) == (expected, expected is State.FRESH)


def test_a_mirror_that_stops_short_says_up_to_when() -> None:
    verdict = told(sync(at(1), at(20, 14, 30)), start=at(15), end=None, now=at(21))
    assert verdict.message == "Includes conversations up to 2026-11-20 14:30; may be missing newer ones."
    assert verdict.up_to == verdict.as_of == at(20, 14, 30)


def test_a_hole_is_named_and_the_mirror_is_not_fresh_over_it() -> None:
    verdict = told(window(at(1), at(3), at(9)), window(at(4), at(9), at(9)), start=at(2), end=at(9), now=at(9))
    assert verdict.state is State.PARTIAL
    assert verdict.message == (
        "Includes conversations up to 2026-11-09 00:00, except of 2026-11-03 00:00 to 2026-11-04 00:00."
    )
    assert verdict.gaps == (Gap(GapKind.CONVERSATIONS, at(3), at(4)),)
    assert verdict.up_to == at(3)


def test_a_backfill_alone_misses_what_changed_since() -> None:
    verdict = told(window(at(1), at(5), at(5)), sync(at(6), at(9)), start=at(1), end=at(9), now=at(9))
    assert verdict.gaps == (Gap(GapKind.CONVERSATIONS, at(5), at(6)), Gap(GapKind.CHANGES, at(5), at(6)))
    assert "changes made from 2026-11-05 00:00 to 2026-11-06 00:00 may be missing" in verdict.message


def test_older_conversations_that_changed_unseen_make_it_partial() -> None:
    verdict = told(window(at(1), at(3), at(5)), start=at(1), end=at(3), now=at(9))
    assert verdict.state is State.FRESH, "as they stood at the end of what was asked about"
    later = told(window(at(1), at(9), at(9)), window(at(1), at(3), at(5)), start=at(1), end=at(9), now=at(9))
    assert later.state is State.FRESH, "the same conversations were read again later"
    older = told(window(at(1), at(3), at(5)), window(at(3), at(9), at(9)), start=at(1), end=at(9), now=at(9))
    assert older.message == (
        "Includes conversations up to 2026-11-09 00:00; changes since 2026-11-05 00:00 may be missing."
    )


def test_changes_that_older_ones_miss_are_told_though_newer_ones_are_missing_too() -> None:
    verdict = told(window(at(1), at(3), at(5)), window(at(3), at(8), at(8)), start=at(1), end=at(9), now=at(9))
    assert verdict.message == (
        "Includes conversations up to 2026-11-08 00:00; may be missing newer ones; changes made from 2026-11-05 00:00"
        " to 2026-11-08 23:55 may be missing."
    )


def test_a_mirror_that_begins_too_late_is_stale_and_says_where_it_begins() -> None:
    verdict = told(window(at(3), at(9), at(9)), start=at(1), end=at(9), now=at(9))
    assert verdict.state is State.STALE
    assert verdict.message == "Does not reach back to 2026-11-01 00:00: begins at 2026-11-03 00:00."


def test_a_time_that_has_not_come_is_not_said_to_be_included() -> None:
    """Nothing of it is missing, because there is nothing of it; the message says which."""
    verdict = told(sync(at(1), at(9)), start=at(20), end=None, now=at(9))
    assert verdict.state is State.FRESH
    assert verdict.message == "The time asked about has not come yet: it begins at 2026-11-20 00:00."
    behind = told(sync(at(1), at(8)), start=at(20), end=None, now=at(9))
    assert behind.state is State.STALE


def test_an_empty_mirror_says_so() -> None:
    verdict = told(start=None, end=None, now=at(9))
    assert (verdict.state, verdict.up_to, verdict.as_of) == (State.STALE, None, None)
    assert verdict.message == "The mirror is empty: run a backfill first."


def test_without_a_start_the_question_begins_where_the_mirror_does() -> None:
    verdict = told(sync(at(2), at(9)), start=None, end=None, now=at(9))
    assert verdict.message == "Includes conversations up to 2026-11-09 00:00."


def test_rows_prove_nothing_about_threads_and_threads_prove_rows() -> None:
    row = proved_by_window(0, 100, began=100, depth=Depth.ROW, lag=0)
    assert row is not None
    assert not Knowledge([row], Depth.THREAD).members
    assert Knowledge([window(0, 100, 100)], Depth.ROW).members.covers(0, 100)


def test_the_index_lags_so_the_last_minute_is_not_proved() -> None:
    proof = proved_by_window(0, 1000, began=500.9, depth=Depth.ROW)
    assert proof == Proof(Axis.CREATED, Depth.ROW, Span(0, 440), 440)
    assert proved_by_sync(450, began=500, depth=Depth.ROW) is None


def test_the_next_sync_begins_where_the_first_change_could_be_missing() -> None:
    known = Knowledge([window(at(1), at(3), at(5)), window(at(3), at(5), at(6)), sync(at(7), at(8))])
    assert known.floor == at(5)
    assert Knowledge([*(window(at(1), at(5), at(6)),), sync(at(5), at(8))]).floor == at(8)
    assert Knowledge([]).floor is None


def test_the_grace_is_five_minutes() -> None:
    assert GRACE == 300
