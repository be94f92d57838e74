"""Which new cluster goes on under which earlier theme: each at most one, the surest pairs first."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from intercom_bulk.insights.clusters import SAME, Cluster

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from intercom_bulk.insights.phase import Result

__all__ = ["by_centre", "by_members"]

SHARED = 0.3
"""Of all conversations of both, this part is in both: less, and it is another theme."""


class _Centred(Protocol):
    @property
    def centres(self) -> Any: ...


def by_centre(found: Sequence[Cluster], earlier: _Centred, themes: Sequence[int]) -> dict[int, int]:
    """Cluster to theme, by the cosine of their centres. `themes`: which of the earlier ones may be taken over."""
    pairs = [
        (float((cluster.centre * earlier.centres[theme]).sum()), number, theme)
        for number, cluster in enumerate(found)
        for theme in themes
    ]
    return _chosen(pair for pair in pairs if pair[0] >= SAME)


def by_members(
    found: Sequence[Cluster], ids: Sequence[str], themes: Sequence[str], results: Iterable[tuple[str, Result]]
) -> dict[int, int]:
    """Cluster to theme, by the conversations that both hold (Jaccard), as the last run left them."""
    owner = {ids[row]: number for number, cluster in enumerate(found) for row in cluster.members}
    place = {theme: at for at, theme in enumerate(themes)}
    sizes: Counter[int] = Counter()
    both: Counter[tuple[int, int]] = Counter()
    for item, result in results:
        theme = place.get(result.get("theme") or "")
        if theme is None:
            continue
        sizes[theme] += 1
        if item in owner:
            both[owner[item], theme] += 1
    pairs = (
        (count / (len(found[number].members) + sizes[theme] - count), number, theme)
        for (number, theme), count in both.items()
    )
    return _chosen(pair for pair in pairs if pair[0] >= SHARED)


def _chosen(pairs: Iterable[tuple[float, int, int]]) -> dict[int, int]:
    taken: dict[int, int] = {}
    gone: set[int] = set()
    for _, number, theme in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if number not in taken and theme not in gone:
            taken[number] = theme
            gone.add(theme)
    return taken
