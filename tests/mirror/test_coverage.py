"""Interval sets are sets: everything they say, a plain set of seconds says too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk.mirror.keeping.coverage import EMPTY, Coverage, Span

SPANS = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 9)).map(lambda drawn: Span(drawn[0], sum(drawn))), max_size=12
)


def seconds(spans: list[Span] | Coverage) -> set[int]:
    return {second for span in spans for second in range(span.lo, span.hi)}


def is_normal(coverage: Coverage) -> bool:
    pairs = zip(coverage.spans, coverage.spans[1:], strict=False)
    return all(left.hi < right.lo for left, right in pairs)


@given(SPANS, SPANS)
def test_union_intersection_and_difference_are_those_of_sets(left: list[Span], right: list[Span]) -> None:
    a, b = Coverage.of(left), Coverage.of(right)
    for made, expected in (
        (a, seconds(left)),
        (a | b, seconds(left) | seconds(right)),
        (a & b, seconds(left) & seconds(right)),
        (a - b, seconds(left) - seconds(right)),
    ):
        assert seconds(made) == expected
        assert len(made) == len(expected)
        assert is_normal(made)


@given(SPANS, st.integers(-2, 55), st.integers(-2, 55))
def test_gaps_and_membership_are_those_of_sets(spans: list[Span], lo: int, hi: int) -> None:
    covered, known = Coverage.of(spans), seconds(spans)
    asked = set(range(lo, hi))
    assert seconds(covered.gaps(lo, hi)) == asked - known
    assert covered.covers(lo, hi) == (asked <= known)
    assert all((second in covered) == (second in known) for second in range(-2, 55))
    assert (covered.start, covered.end) == ((min(known), max(known) + 1) if known else (None, None))


@given(SPANS)
def test_equal_sets_are_equal_objects_in_whatever_order_they_came(spans: list[Span]) -> None:
    assert Coverage.of(spans) == Coverage.of(reversed(spans)) == Coverage.of(spans * 2)
    assert Coverage.of(spans) - Coverage.of(spans) == EMPTY


def test_windows_that_touch_are_one() -> None:
    assert Coverage.of([Span(5, 7), Span(0, 5)]).spans == (Span(0, 7),)


def test_a_span_without_a_second_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a second"):
        Span(3, 3)
