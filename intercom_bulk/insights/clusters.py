"""Vectors of length 1 as groups around directions: how many, where, and which vectors are too far from all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.insights.embedding import single_threaded
from intercom_bulk.insights.extras import extra

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NEAR", "SAME", "Cluster", "more_clusters", "nearest"]

NEAR = 0.55
"""Cosine to its centre from which a vector belongs to a theme; two that share nothing have about 0."""
TIGHT = 0.65
"""Mean cosine of a theme's members to its centre: looser ones are what is left over, not about one thing."""
SAME = 0.8
"""Cosine of two centres from which they are one theme, cut in two by chance."""
JUDGED = 2_000
TRAINED = 10_000
_CANDIDATES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_ROWS = 4_096
_ROUNDS = 20
_BETTER = 0.01
"""More clusters must part the vectors so much better; less is the chance of a sample."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A direction (float32, length 1) and the rows of the matrix that belong to it."""

    centre: Any
    members: Any


def more_clusters(vectors: Any, centres: Sequence[Any], *, least: int) -> list[Cluster]:
    """Groups of at least so many rows among those that are too far from all `centres`, and from one another's.

    Looked for until there are none: who asks again with what was found among the centres finds nothing new. Memory is
    the matrix, a copy of it at most, and a few MB. The same matrix gives the same clusters.
    """
    np = extra("numpy")
    known = list(centres)
    for _ in range(_ROUNDS):
        strangers = vectors[_owners(vectors, known)[0] < 0]
        fresh = [one for one in _found(strangers, least) if nearest(one, np.array(known))[1] < SAME]
        if not fresh:
            break
        known += fresh
    owners = _owners(vectors, known)[0]
    return [Cluster(known[at], np.flatnonzero(owners == at)) for at in range(len(centres), len(known))]


def _found(vectors: Any, least: int) -> list[Any]:
    """Centres of groups of at least so many rows, the largest first. Rows of length 0 belong to none."""
    np = extra("numpy")
    filled = np.flatnonzero((vectors * vectors).sum(axis=1) > 0.5)
    if len(filled) < least:
        return []
    with single_threaded():
        centres = _centres(vectors[filled], least)
    centres = _joined(centres)
    for _ in range(2):  # centres move when what is too far no longer pulls at them
        owners = _owners(vectors, centres)[0]
        centres = np.array([_mean(vectors[owners == at], centre) for at, centre in enumerate(centres)])
    owners, cosines = _owners(vectors, centres)
    placed = owners >= 0
    sizes = np.bincount(owners[placed], minlength=len(centres))
    tightness = np.bincount(owners[placed], cosines[placed], minlength=len(centres)) / np.maximum(sizes, 1)
    largest_first = np.argsort(-sizes, kind="stable")
    return [centres[at] for at in largest_first if sizes[at] >= least and tightness[at] >= TIGHT]


def nearest(vector: Any, centres: Any) -> tuple[int, float]:
    """The nearest centre and the cosine to it; -1 when all are too far. Whatever else is asked at the same time."""
    if not len(centres) or not vector.any():
        return -1, 0.0
    # A product of matrices may round a row in another way when there are more rows; a sum of one row does not.
    cosines = (centres * vector).sum(axis=1)
    best = int(cosines.argmax())
    return (best if cosines[best] >= NEAR else -1), float(cosines[best])


def _owners(vectors: Any, centres: Any) -> tuple[Any, Any]:
    """Nearest centres (-1: too far) and the cosines, for a matrix, some thousand rows at a time: faster, for fits."""
    np = extra("numpy")
    centres = np.array(centres, dtype=np.float32)
    owners, cosines = np.full(len(vectors), -1), np.zeros(len(vectors), dtype=np.float32)
    if len(centres):
        for start in range(0, len(vectors), _ROWS):
            rows = slice(start, start + _ROWS)
            product = vectors[rows] @ centres.T
            owners[rows] = product.argmax(axis=1)
            cosines[rows] = product.max(axis=1)
    owners[cosines < NEAR] = -1
    return owners, cosines


# -- how many, and where


def _centres(vectors: Any, least: int) -> Any:
    """Of the number of clusters that parts a sample best (simplified silhouette), fewer if it makes no difference."""
    np = extra("numpy")
    trained = vectors[_spread(len(vectors), TRAINED)]
    judged = vectors[_spread(len(vectors), JUDGED)]
    best, best_score = None, -1.0
    for count in _CANDIDATES:
        if best is not None and count * least > len(vectors):
            break
        centres = _trained(trained, min(count, len(trained)))
        score = _parted(judged, centres)
        if score > best_score + _BETTER:
            best, best_score = centres, score
    assert best is not None  # noqa: S101  # two clusters are always tried
    refined = _trained(vectors, len(best), start=best) if len(vectors) > len(trained) else best
    return np.asarray(refined, dtype=np.float32)


def _trained(vectors: Any, count: int, start: Any = None) -> Any:
    cluster = extra("sklearn.cluster")
    means = cluster.MiniBatchKMeans(
        count,
        init="k-means++" if start is None else start,
        n_init=2 if start is None else 1,
        batch_size=2_048,
        max_iter=30,
        random_state=0,
        reassignment_ratio=0.0,
    )
    return _unit(means.fit(vectors).cluster_centers_)


def _parted(vectors: Any, centres: Any) -> float:
    """Mean over vectors of (b - a) / b, a and b the distances to the nearest and to the second centre: from 0 to 1."""
    np = extra("numpy")
    distances = np.sort(1 - np.clip(vectors @ centres.T, -1, 1), axis=1)
    near, second = distances[:, 0], np.maximum(distances[:, 1], 1e-6)
    return float(((second - near) / second).mean())


def _joined(centres: Any) -> Any:
    """Without those that another one nearly is: first come, first kept."""
    np = extra("numpy")
    kept: list[Any] = []
    for centre in centres:
        if centre.any() and all(float((centre * other).sum()) < SAME for other in kept):
            kept.append(centre)
    return np.array(kept, dtype=np.float32).reshape(len(kept), centres.shape[1])


def _mean(vectors: Any, otherwise: Any) -> Any:
    return _unit(vectors.mean(axis=0, keepdims=True))[0] if len(vectors) else otherwise


def _unit(matrix: Any) -> Any:
    np = extra("numpy")
    lengths = np.sqrt((matrix * matrix).sum(axis=1, keepdims=True))
    return (matrix / np.where(lengths > 1e-9, lengths, 1)).astype(np.float32)


def _spread(count: int, most: int) -> Sequence[int]:
    """So many row numbers, chosen once for each count."""
    np = extra("numpy")
    if count <= most:
        return range(count)
    chosen: Sequence[int] = np.sort(np.random.default_rng(0).choice(count, most, replace=False))
    return chosen
