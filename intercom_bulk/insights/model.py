"""A linear model of labels over words, learnt from conversations that have one, and only used if it is worth it."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zlib import crc32

from intercom_bulk.insights.embedding import single_threaded
from intercom_bulk.insights.extras import extra
from intercom_bulk.insights.features import Features
from intercom_bulk.insights.state import pack, unpack
from intercom_bulk.insights.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from intercom_bulk.insights.labels import Label
    from intercom_bulk.insights.phase import Document

__all__ = ["LEAST", "Model", "learn"]

KIND = "labels-1"
MOST = 20_000
LEAST = 40
"""Labelled conversations, and five of each label: fewer teach nothing."""
_OF_EACH = 5
_WORDS = 20_000
_HELD_OUT = 5
"""Every fifth is held out, to see whether the model is better than always saying the commonest label."""


@dataclass(frozen=True, slots=True)
class Model:
    """`accuracy` and `majority`: the share of those held out that it has right, and that have the commonest label."""

    features: Features
    labels: tuple[str, ...]
    weights: Any
    bias: Any
    accuracy: float
    majority: float

    @property
    def is_useful(self) -> bool:
        return self.accuracy > self.majority

    def predict(self, texts: Sequence[str]) -> list[tuple[str | None, float]]:
        """The likeliest label and its probability, text by text; none for a text without a word that it knows."""
        np = extra("numpy")
        rows, _ = self.features.matrix(texts)
        said: list[tuple[str | None, float]] = []
        for at, scores in enumerate(rows @ self.weights + self.bias):
            if rows.indptr[at] == rows.indptr[at + 1]:
                said.append((None, 0.0))
                continue
            likely = np.exp(scores - scores.max())
            best = int(likely.argmax())
            said.append((self.labels[best], float(likely[best] / likely.sum())))
        return said

    def packed(self) -> bytes:
        about = {
            "kind": KIND,
            "labels": list(self.labels),
            "words": self.features.words,
            "accuracy": self.accuracy,
            "majority": self.majority,
        }
        return pack(about, {"idf": self.features.weights, "weights": self.weights, "bias": self.bias})

    @classmethod
    def read(cls, state: bytes | None) -> Model | None:
        read = unpack(state, KIND)
        if read is None:
            return None
        about, arrays = read
        features = Features.of(about["words"], arrays["idf"])
        labels = tuple(about["labels"])
        return cls(features, labels, arrays["weights"], arrays["bias"], about["accuracy"], about["majority"])


def learn(documents: Iterable[Document], label: Label) -> Model | None:
    """From those that have a label (20,000 of them at most, chosen by id). None: too few, or of one kind only."""
    labelled = _labelled(documents, label)
    counts = Counter(one for _, one, _ in labelled)
    labelled = [row for row in labelled if counts[row[1]] >= _OF_EACH]
    labels = tuple(sorted({one for _, one, _ in labelled}))
    if len(labelled) < LEAST or len(labels) < 2:
        return None
    kept = [row for row in labelled if crc32(row[0].encode()) % _HELD_OUT]
    held = [row for row in labelled if crc32(row[0].encode()) % _HELD_OUT == 0]
    judged = (0.0, 0.0) if not held or len({one for _, one, _ in kept}) < 2 else _judged(kept, held)
    features, weights, bias = _fitted(labelled, labels)
    return Model(features, labels, weights, bias, *judged)


def _labelled(documents: Iterable[Document], label: Label) -> list[tuple[str, str, str]]:
    found = (
        (crc32(document.id.encode()), document.id, one, text_of(document))
        for document in documents
        if (one := label(document)) is not None
    )
    return sorted((item, one, text) for _, item, one, text in heapq.nsmallest(MOST, found))


def _judged(kept: Sequence[tuple[str, str, str]], held: Sequence[tuple[str, str, str]]) -> tuple[float, float]:
    labels = tuple(sorted({one for _, one, _ in kept}))
    features, weights, bias = _fitted(kept, labels)
    model = Model(features, labels, weights, bias, 0.0, 0.0)
    said = model.predict([text for _, _, text in held])
    commonest = Counter(one for _, one, _ in kept).most_common(1)[0][0]
    right = sum(guess == one for (guess, _), (_, one, _) in zip(said, held, strict=True))
    return round(right / len(held), 4), round(sum(one == commonest for _, one, _ in held) / len(held), 4)


def _fitted(rows: Sequence[tuple[str, str, str]], labels: tuple[str, ...]) -> tuple[Features, Any, Any]:
    """Columns, a weight for each of them and each label, and where each label starts from."""
    np = extra("numpy")
    features = Features.learn((text for _, _, text in rows), most=_WORDS)
    matrix, _ = features.matrix([text for _, _, text in rows])
    wanted = np.array([labels.index(one) for _, one, _ in rows])
    regression = extra("sklearn.linear_model").LogisticRegression(C=10.0, max_iter=300, class_weight="balanced")
    with single_threaded():
        regression.fit(matrix, wanted)
    weights, bias = regression.coef_.T, regression.intercept_
    if len(labels) == 2:  # scikit-learn keeps one column for two labels
        weights, bias = np.hstack([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    return features, np.ascontiguousarray(weights, dtype=np.float32), bias.astype(np.float32)
