"""Names of themes: the words that are frequent in one and rare in the others (class-based TF-IDF)."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from intercom_bulk.insights.features import terms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["TERMS", "name_of", "name_terms"]

TERMS = 10
_IN_NAME = 3
_HELD = 20_000
"""Terms of a theme that are counted; the rarest are forgotten beyond twice as many."""


def name_terms(texts: Iterable[tuple[int, str]]) -> dict[int, list[str]]:
    """Of each theme the terms that tell it from the rest, the best first. `texts`: pairs of theme and cleaned text.

    A term counts once a conversation, so that nobody's pasted log names a theme, and must be in three (or all) of them.
    """
    counts: dict[int, Counter[str]] = {}
    sizes: Counter[int] = Counter()
    for theme, text in texts:
        sizes[theme] += 1
        held = counts.setdefault(theme, Counter())
        held.update(dict.fromkeys(terms(text), 1))
        if len(held) > 2 * _HELD:
            counts[theme] = Counter(dict(sorted(held.items(), key=lambda item: (-item[1], item[0]))[:_HELD]))
    everywhere: Counter[str] = Counter()
    for held in counts.values():
        everywhere.update(held)
    mean = sum(sizes.values()) / max(len(sizes), 1)
    return {theme: _best(held, everywhere, sizes[theme], mean) for theme, held in sorted(counts.items())}


def _best(held: Mapping[str, int], everywhere: Mapping[str, int], size: int, mean: float) -> list[str]:
    least = min(3, size)
    scored = [
        (-count / size * math.log(1 + mean / everywhere[term]), term) for term, count in held.items() if count >= least
    ]
    chosen: list[str] = []
    used: set[str] = set()
    for _, term in sorted(scored):
        if len(term) < 2:  # a single sign of Chinese or Japanese, which says nothing without its neighbour
            continue
        if not used.intersection(words := term.split()):
            chosen.append(term)
            used.update(words)
        if len(chosen) == TERMS:
            break
    return chosen


def name_of(chosen: Iterable[str]) -> str:
    """The first few, as a person would list them."""
    return ", ".join(list(chosen)[:_IN_NAME]) or "(no words in common)"
