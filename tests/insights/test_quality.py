"""Rules beat what is right for nothing, on messages that were held out until the rules were done."""

from __future__ import annotations

import pytest

from bench.corpus import labelled
from bench.quality import QUESTIONS, Quality, measured

MARGIN = 1.3


@pytest.fixture(scope="module")
def held_out() -> dict[str, Quality]:
    return {one.question: one for one in measured("held_out")}


@pytest.mark.parametrize("question", QUESTIONS)
def test_rules_beat_both_baselines_label_for_label(held_out: dict[str, Quality], question: str) -> None:
    one = held_out[question]
    assert one.f1 > MARGIN * max(one.majority_f1, one.keyword_f1)
    assert one.accuracy >= max(one.majority, one.keyword)


def test_what_is_said_is_right_more_often_than_not(held_out: dict[str, Quality]) -> None:
    assert all(one.right_of_answered > 0.5 for one in held_out.values())
    assert held_out["language"].right_of_answered > 0.95


def test_no_held_out_message_is_among_the_tuned_ones() -> None:
    tuned = {row["text"].casefold() for row in labelled("tuned")}
    held = [row["text"].casefold() for row in labelled("held_out")]
    assert len(held) > 100
    assert tuned.isdisjoint(held)
