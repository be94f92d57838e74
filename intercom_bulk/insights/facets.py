"""Facets of a conversation: product area, sentiment, urgency, contact reason, language. Rules and lexicons only."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from intercom_bulk.insights.extras import extra
from intercom_bulk.insights.language import language_of
from intercom_bulk.insights.phase import Document, Phase, Result
from intercom_bulk.insights.rules import Given, Ruled, RuleSet, read_rules
from intercom_bulk.insights.text import text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FacetExtraction"]

_READ_BY_VADER = 1_500
"""Characters: it takes a quarter of a millisecond for each three hundred."""
_EVERYDAY = [
    "please",
    "help",
    "problem",
    "problems",
    "error",
    "errors",
    "issue",
    "issues",
    "support",
    "care",
    "like",
    "free",
    "share",
    "wrong",
    "pay",
    "number",
    "question",
    "easy",
    "ok",
    "trial",
    "hello",
    "hi",
    "charge",
    "charged",
    "fail",
    "failed",
    "lost",
    "cancel",
    "stop",
    "stopped",
    "cut",
    "missing",
    "wondering",
    "interest",
    "interested",
    "want",
    "lose",
    "warning",
    "block",
    "blocked",
    "demo",
    "top",
    "yes",
    "no",
    "alert",
    "debt",
    "undo",
    "damage",
    "damaged",
    "leave",
    "great",
    "thanks",
    "nice",
    "possible",
    "possibility",
    "sorry",
    "legal",
    "security",
    "secure",
    "shared",
    "shares",
    "sharing",
    "benefit",
    "critical",
    "useful",
    "helpful",
]
"""Words that VADER takes for feelings, and that support is full of without any."""
_PLEASED, _DISPLEASED = 0.5, -0.3
"""From where VADER's compound score is a feeling; its authors say 0.05 from 0, which most politeness passes."""
_WORTH = {"positive": 0.5, "negative": -0.35}
"""What a phrase of the lexicon adds: two negative ones outweigh a mild opposite."""


class FacetExtraction(Phase):
    """Result: `product_area`, `sentiment`, `sentiment_score` (-1 to 1), `sentiment_by`, `urgency`, `contact_reason`,
    `language`, and `matched`, the phrases that decided.

    `sentiment` is negative, neutral, positive, or unknown in a language without a lexicon (`sentiment_by` is then
    none).
    """

    name: ClassVar[str] = "facet_extraction"
    batch_size = 500

    def __init__(self, *, rules: Given = None) -> None:
        """`rules`: a YAML file, or what would be in one. Raises `UsageError`."""
        self.rules = read_rules(rules)
        self.version = f"1:{self.rules.digest}"

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        return [self._facets(document) for document in batch]

    def _facets(self, document: Document) -> Result:
        text = text_of(document)
        words = tokens(text)
        language = language_of(text)
        judged = {name: self._judge(name, words) for name in ("product_area", "urgency", "contact_reason")}
        score, by = _feeling(self.rules, language, text, words)
        return {
            **{name: one.label for name, one in judged.items()},
            "language": language,
            "sentiment": "unknown" if by == "none" else _name_of(score),
            "sentiment_score": None if by == "none" else score,
            "sentiment_by": by,
            "matched": {name: list(one.matched) for name, one in judged.items() if one.matched},
        }

    def _judge(self, name: str, words: Sequence[str]) -> Ruled:
        section = self.rules.sections.get(name)
        return Ruled(None, 0.0, ()) if section is None else section.judge(words)


def _name_of(score: float) -> str:
    return "positive" if score >= _PLEASED else "negative" if score <= _DISPLEASED else "neutral"


def _feeling(rules: RuleSet, language: str, text: str, words: Sequence[str]) -> tuple[float, str]:
    """From -1 to 1, and what said so: vader, lexicon or none."""
    lexicon = rules.sentiment.get(language)
    found = set() if lexicon is None else set(lexicon.find(words))
    score = sum(_WORTH[key] for key, _ in sorted(found))
    if language == "en":
        score += _vader().polarity_scores(text[:_READ_BY_VADER])["compound"]
    elif lexicon is None:
        return 0.0, "none"
    return round(max(-1.0, min(1.0, score)), 4), "vader" if language == "en" else "lexicon"


@cache
def _vader() -> Any:
    analyser = extra("vaderSentiment.vaderSentiment").SentimentIntensityAnalyzer()
    for word in _EVERYDAY:
        analyser.lexicon.pop(word, None)
    return analyser
