"""How often rules and models are right about labelled messages, beside what is right for nothing.

Baselines: always the commonest label; and one keyword a label, the best single word of the tuned messages. Accuracy
counts every message, macro-F1 every label alike. The phrases were written before the held-out messages and not changed
after; one default was: a text that no phrase tells is taken for a problem, not for something else (`contact_reason`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.corpus import labelled
from intercom_bulk.insights.classification import Classification
from intercom_bulk.insights.facets import FacetExtraction
from intercom_bulk.insights.labels import by_attribute
from intercom_bulk.insights.model import learn
from intercom_bulk.insights.phase import Document
from intercom_bulk.insights.text import clean, text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["QUESTIONS", "Quality", "measured"]

QUESTIONS = ("classification", "contact_reason", "urgency", "sentiment", "language")


@dataclass(frozen=True, slots=True)
class Quality:
    """Shares from 0 to 1. `model`: learnt from the tuned messages, for the classification only."""

    question: str
    accuracy: float
    f1: float
    majority: float
    majority_f1: float
    keyword: float
    keyword_f1: float
    model: float | None = None
    answered: float = 1.0
    right_of_answered: float = 1.0


def measured(half: str = "held_out") -> list[Quality]:
    """One for each question, of `held_out` or `tuned` messages."""
    rows = labelled(half)
    said = _said(rows)
    return [_quality(question, rows, said[question]) for question in QUESTIONS]


def _said(rows: Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    documents = [_document(row) for row in rows]
    facets = [_checked(one) for one in FacetExtraction().process(documents)]
    kinds = [_checked(one)["label"] or "other" for one in Classification().process(documents)]
    return {"classification": kinds, **{name: [str(one[name]) for one in facets] for name in QUESTIONS[1:]}}


def _checked(result: object) -> Mapping[str, str]:
    assert isinstance(result, dict), result
    return result


def _document(row: Mapping[str, str]) -> Document:
    return Document(row["id"], "1", body=row["text"], attributes={"gold": row["classification"]})


def _quality(question: str, rows: Sequence[Mapping[str, str]], said: Sequence[str]) -> Quality:
    gold = [row[question] for row in rows]
    tuned = labelled("tuned")
    common = Counter(row[question] for row in tuned).most_common(1)[0][0]
    guess = _keywords(question, tuned, common)
    by_keyword = [guess(row["text"]) for row in rows]
    return Quality(
        question,
        _accuracy(gold, said),
        _macro_f1(gold, said),
        _accuracy(gold, [common] * len(gold)),
        _macro_f1(gold, [common] * len(gold)),
        _accuracy(gold, by_keyword),
        _macro_f1(gold, by_keyword),
        _by_model(tuned, rows) if question == "classification" else None,
        *_answered(gold, said),
    )


def _answered(gold: Sequence[str], said: Sequence[str]) -> tuple[float, float]:
    """The share of messages of which something is said, and how often that is right."""
    answers = [(one, other) for one, other in zip(gold, said, strict=True) if other not in ("other", "unknown")]
    return len(answers) / len(gold), sum(one == other for one, other in answers) / max(len(answers), 1)


def _keywords(question: str, tuned: Sequence[Mapping[str, str]], common: str) -> Callable[[str], str]:
    """The word of each label that tells it best from the others (F1); where none is there, the commonest label."""
    sizes = Counter(row[question] for row in tuned)
    within: dict[str, Counter[str]] = {label: Counter() for label in sizes}
    for row in tuned:
        within[row[question]].update(set(tokens(clean(row["text"]))))
    all_of = sum(within.values(), Counter[str]())
    best: dict[str, tuple[float, str]] = {}
    for label, counts in within.items():
        scored = [(2 * count / (all_of[word] + sizes[label]), word) for word, count in counts.items()]
        best[label] = max(scored)
    ranked = sorted(((score, label, word) for label, (score, word) in best.items()), reverse=True)

    def guess(text: str) -> str:
        words = set(tokens(clean(text)))
        return next((label for _, label, word in ranked if word in words and label != common), common)

    return guess


def _by_model(tuned: Sequence[Mapping[str, str]], rows: Sequence[Mapping[str, str]]) -> float | None:
    model = learn([_document(row) for row in tuned], by_attribute("gold"))
    if model is None:
        return None
    said = [guess or "other" for guess, _ in model.predict([text_of(_document(row)) for row in rows])]
    return _accuracy([row["classification"] for row in rows], said)


def _accuracy(gold: Sequence[str], said: Sequence[str]) -> float:
    return sum(one == other for one, other in zip(gold, said, strict=True)) / len(gold)


def _macro_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    right = Counter(one for one, other in zip(gold, said, strict=True) if one == other)
    both = Counter(gold) + Counter(said)
    labels = sorted(set(gold))
    return sum(2 * right[label] / both[label] for label in labels) / len(labels)
