"""Words and pairs of words as weighted columns: TF-IDF whose learnt part is a list of words and an array.

scikit-learn counts; this keeps. A row does not depend on the rows beside it: each is weighted and normalised alone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from intercom_bulk.insights.extras import extra
from intercom_bulk.insights.language import STOP_WORDS
from intercom_bulk.insights.text import content_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Features", "terms"]

_AT_ONCE = 5_000
"""Texts whose rare terms are kept before the rarest are forgotten: what bounds memory, whatever people write."""
_KEPT = 200_000


def terms(text: str) -> list[str]:
    """Content words, and each two beside each other, of a cleaned text."""
    words = content_words(text, STOP_WORDS)
    return words + [f"{one} {other}" for one, other in pairwise(words)]


@dataclass(frozen=True, slots=True)
class Features:
    """`columns`: term to column. `weights`: float32, one a column (smoothed inverse document frequency)."""

    columns: dict[str, int]
    weights: Any

    @classmethod
    def learn(cls, texts: Iterable[str], *, most: int) -> Features:
        """The terms that at least two texts have, the `most` frequent; ties by the alphabet."""
        np = extra("numpy")
        held: Counter[str] = Counter()
        count = 0
        for count, text in enumerate(texts, 1):
            held.update(set(terms(text)))
            if count % _AT_ONCE == 0 and len(held) > _KEPT:
                held = Counter(dict(sorted(held.items(), key=_by_frequency)[: _KEPT // 2]))
        chosen = sorted(((term, of) for term, of in held.items() if of > 1), key=_by_frequency)[:most]
        chosen.sort()
        weights = np.log((1 + count) / (1 + np.array([of for _, of in chosen], dtype=np.float64))) + 1
        return cls({term: at for at, (term, _) in enumerate(chosen)}, weights.astype(np.float32))

    @classmethod
    def of(cls, words: Sequence[str], weights: Any) -> Features:
        return cls({term: at for at, term in enumerate(words)}, weights)

    @property
    def words(self) -> list[str]:
        return list(self.columns)

    def matrix(self, texts: Sequence[str]) -> tuple[Any, list[float]]:
        """A CSR matrix of float32 with normalised rows, and of each text the share of its words that is known."""
        np, sparse = extra("numpy"), extra("scipy.sparse")
        starts, columns, values, known = [0], [], [], []
        for text in texts:
            all_terms = terms(text)
            counted = Counter(at for term in all_terms if (at := self.columns.get(term)) is not None)
            single = [term for term in all_terms if " " not in term]
            known.append(sum(term in self.columns for term in single) / len(single) if single else 1.0)
            found = sorted(counted)
            row = np.array([1 + np.log(counted[at]) for at in found]) * self.weights[found] if found else np.zeros(0)
            length = float(np.sqrt((row * row).sum())) or 1.0
            columns += found
            values.append((row / length).astype(np.float32))
            starts.append(len(columns))
        data = np.concatenate(values) if values else np.zeros(0, dtype=np.float32)
        shape = (len(texts), len(self.columns))
        return sparse.csr_matrix((data, np.array(columns, dtype=np.int32), np.array(starts)), shape=shape), known


def _by_frequency(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
