"""Conversations as points: near each other when they are about the same thing.

By default TF-IDF over words and pairs of words, turned into `dimensions` numbers by a truncated SVD (latent semantic
analysis): it knows which words go together in this workspace, and nothing of the world. Two texts without a common word
that means anything are near only if other conversations link their words; two languages lie apart. Any function from
texts to vectors can stand in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from intercom_bulk.errors import UsageError
from intercom_bulk.insights.extras import extra
from intercom_bulk.insights.features import Features
from intercom_bulk.insights.phase import Corpus, Document, Phase, Result
from intercom_bulk.insights.state import digest, pack, unpack
from intercom_bulk.insights.text import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Embedder", "EmbeddingGeneration", "single_threaded"]

Embedder: TypeAlias = "Callable[[list[str]], Any]"
"""From texts to as many vectors (anything numpy takes for a matrix). An attribute `version` says when they change."""

KIND = "tfidf-svd-1"
SAMPLE = 20_000
CHECKED = 1_000
GROWN, STRANGER = 2.0, 0.1


class EmbeddingGeneration(Phase):
    """Result: `vector`, float32 of length 1 (or all zeros: a text without a known word), and `known`, the share of the
    words that the fit knows.

    Vectors of two fits cannot be compared, so a fit is kept as long as it suits: until the range has twice as many
    conversations as it had then, or texts have a tenth more of words that it does not know (of a sample of 1,000). With
    an `embedder` nothing is fitted; a change of its attribute `version` (or its name) makes all vectors anew.
    """

    name: ClassVar[str] = "embedding_generation"
    batch_size = 500

    def __init__(self, *, embedder: Embedder | None = None, dimensions: int = 96, words: int = 12_000) -> None:
        """`words`: the most terms that are told apart. Raises `UsageError`."""
        if not 2 <= dimensions <= 2_000 or words < 100:
            raise UsageError("An embedding has 2 to 2,000 dimensions and tells at least 100 words apart.")
        self.embedder, self.dimensions, self.words = embedder, dimensions, words
        self._features: Features | None = None
        self._directions: Any = None
        self.version = "1"
        if embedder is not None:
            named = getattr(embedder, "__qualname__", type(embedder).__name__)
            self.version = f"1:{getattr(embedder, 'version', None) or named}"

    def fit(self, corpus: Corpus) -> bytes | None:
        if self.embedder is not None:
            return pack({"kind": "embedder", "version": self.version})
        earlier = corpus.state(self.name)
        if earlier is not None and self._suits(earlier, corpus):
            return earlier
        return self._learnt(corpus)

    def _suits(self, state: bytes, corpus: Corpus) -> bool:
        read = unpack(state, KIND)
        if read is None or read[0]["asked"] != [self.dimensions, self.words]:
            return False
        about, arrays = read
        if len(corpus) > GROWN * max(about["documents"], 1):
            return False
        known = _known(Features.of(about["words"], arrays["weights"]), corpus)
        return bool(known >= about["known"] - STRANGER)

    def _learnt(self, corpus: Corpus) -> bytes:
        np = extra("numpy")
        features = Features.learn(_texts(corpus, SAMPLE), most=self.words)
        rows, _ = features.matrix(list(_texts(corpus, SAMPLE)))
        rank = min(self.dimensions, rows.shape[0] - 1, rows.shape[1] - 1)
        directions = np.eye(rows.shape[1], max(rank, 1), dtype=np.float32)
        if rank >= 2:
            svd = extra("sklearn.decomposition").TruncatedSVD(rank, random_state=0)
            with single_threaded():
                directions = svd.fit(rows).components_.T.astype(np.float32)
        about = {
            "kind": KIND,
            "asked": [self.dimensions, self.words],
            "documents": len(corpus),
            "known": _known(features, corpus),
            "words": features.words,
        }
        return pack(about, {"weights": features.weights, "directions": np.ascontiguousarray(directions)})

    def load(self, state: bytes | None) -> None:
        if self.embedder is not None:
            return
        read = unpack(state, KIND)
        if read is None:
            self._features, self._directions, self.version = None, None, "1"
            return
        about, arrays = read
        self._features = Features.of(about["words"], arrays["weights"])
        self._directions = arrays["directions"]
        self.version = f"1:{digest(state)}"

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        texts = [text_of(document) for document in batch]
        if self.embedder is not None:
            return [{"vector": row, "known": None} for row in _given(self.embedder(texts), len(texts))]
        if self._features is None:
            raise UsageError("Embeddings come of a fit: call fit() and load() before process().")
        rows, known = self._features.matrix(texts)
        # Sparse by dense goes row by row, so that a vector does not depend on what else is in the batch.
        vectors = _normalised(rows @ self._directions)
        return [{"vector": vector, "known": round(share, 4)} for vector, share in zip(vectors, known, strict=True)]


def single_threaded() -> Any:
    """Sums of several threads end in the order in which these do: one thread gives the same numbers each time."""
    return extra("threadpoolctl").threadpool_limits(1)


def _texts(corpus: Corpus, sample: int) -> Iterator[str]:
    return (text_of(document) for document in corpus.documents(sample=sample, seed=0))


def _known(features: Features, corpus: Corpus) -> float:
    shares = features.matrix(list(_texts(corpus, CHECKED)))[1]
    return round(sum(shares) / len(shares), 4) if shares else 1.0


def _given(vectors: Any, count: int) -> Any:
    np = extra("numpy")
    matrix = np.asarray(vectors, dtype=np.float32)
    if matrix.ndim != 2 or len(matrix) != count or not np.isfinite(matrix).all():
        raise UsageError(f"The embedder must give a finite vector for each of {count} texts, not {matrix.shape}.")
    return _normalised(matrix)


def _normalised(matrix: Any) -> Any:
    np = extra("numpy")
    lengths = np.sqrt((matrix * matrix).sum(axis=1, keepdims=True))
    return np.ascontiguousarray(matrix / np.where(lengths > 1e-9, lengths, 1), dtype=np.float32)
