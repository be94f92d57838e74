"""The five phases that come with the package, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.insights.classification import Classification
from intercom_bulk.insights.embedding import Embedder, EmbeddingGeneration
from intercom_bulk.insights.facets import FacetExtraction
from intercom_bulk.insights.stories import StoryCreation
from intercom_bulk.insights.themes import ThemeExtraction

if TYPE_CHECKING:
    from intercom_bulk.insights.labels import Labels
    from intercom_bulk.insights.phase import Phase
    from intercom_bulk.insights.rules import Given

__all__ = ["builtin_phases"]


def builtin_phases(
    *,
    rules: Given = None,
    labels: Labels = None,
    embedder: Embedder | None = None,
    min_theme: int = 10,
    min_story: int | None = None,
    inbox: str = "https://app.intercom.com",
) -> tuple[Phase, ...]:
    """classification, embedding_generation, facet_extraction, theme_extraction, story_creation.

    `rules`: a YAML file in place of the built-in ones; `labels`: what a model may learn from; `embedder`: texts to
    vectors; `min_theme`, `min_story`: the least conversations of a theme, and of a theme with a story (as many, unless
    given); `inbox`: the host of links. Raises `UsageError`, also when the extra `insights` is not installed.
    """
    return (
        Classification(rules=rules, labels=labels),
        EmbeddingGeneration(embedder=embedder),
        FacetExtraction(rules=rules),
        ThemeExtraction(min_theme=min_theme),
        StoryCreation(min_story=min_theme if min_story is None else min_story, inbox=inbox),
    )
