"""Themes: groups of conversations about the same thing, with names, and ids that stay what they were from run to run.

As long as the vectors come of the same fit and the range has not doubled, the themes of the last run stay, centre and
name, and new ones are looked for among the conversations that fit none of them. Else all are looked for anew, and a new
theme takes over the id of the earlier one whose centre it has (vectors of the same fit) or most of whose conversations
it holds. An id is never given to another theme: one that vanished is retired, and comes back under its id if it does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar
from zlib import crc32

from intercom_bulk.errors import UsageError
from intercom_bulk.insights.clusters import Cluster, more_clusters, nearest
from intercom_bulk.insights.embedding import EmbeddingGeneration
from intercom_bulk.insights.extras import extra
from intercom_bulk.insights.matching import by_centre, by_members
from intercom_bulk.insights.naming import name_of, name_terms
from intercom_bulk.insights.phase import Corpus, Document, Phase, Result
from intercom_bulk.insights.state import digest, pack, unpack
from intercom_bulk.insights.text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["Theme", "ThemeExtraction", "read_themes"]

KIND = "themes-1"
MOST = 100_000
"""Vectors that are clustered at once (40 MB of 96 dimensions); of more, so many are chosen by their ids."""
NAMED_BY = 20_000
GROWN = 2.0
_VECTORS = EmbeddingGeneration.name


@dataclass(frozen=True, slots=True)
class Theme:
    """`id`: T1, T2, ...; `terms`: what tells it from the others; `retired`: it was not found when last looked for."""

    id: str
    name: str
    terms: tuple[str, ...]
    retired: bool = False


class ThemeExtraction(Phase):
    """Result: `theme`, its id or null (too far from every theme), `name`, and `score`, the cosine to its centre."""

    name: ClassVar[str] = "theme_extraction"
    uses = (_VECTORS,)
    batch_size = 1_000

    def __init__(self, *, min_theme: int = 10) -> None:
        """`min_theme`: fewer conversations are no theme. Raises `UsageError`."""
        if min_theme < 2:
            raise UsageError("A theme has at least two conversations: min_theme is 2 or more.")
        self.min_theme = min_theme
        self.themes: tuple[Theme, ...] = ()
        self._active: tuple[Theme, ...] = ()
        self._centres: Any = None
        self.version = "1"

    def fit(self, corpus: Corpus) -> bytes | None:
        earlier = _Kept.read(corpus.state(self.name))
        fit = digest(corpus.state(_VECTORS))
        ids, vectors = _gathered(corpus)
        comparable = earlier is not None and earlier.fit == fit and earlier.width == vectors.shape[1]
        if earlier is not None and comparable and len(corpus) <= GROWN * earlier.documents:
            return self._grown(corpus, earlier, vectors)
        found = more_clusters(vectors, [], least=self.min_theme)
        return self._renewed(corpus, earlier, found, ids, fit, comparable=comparable).packed()

    def _grown(self, corpus: Corpus, earlier: _Kept, vectors: Any) -> bytes:
        active = [at for at, theme in enumerate(earlier.themes) if not theme.retired]
        new = more_clusters(vectors, list(earlier.centres[active]), least=self.min_theme)
        if not new:
            return earlier.packed()
        taken = by_centre(new, earlier, [at for at in range(len(earlier.themes)) if at not in active])
        return self._named(corpus, earlier, _with(earlier, new, taken)).packed()

    def _renewed(
        self, corpus: Corpus, earlier: _Kept | None, found: list[Cluster], ids: list[str], fit: str, *, comparable: bool
    ) -> _Kept:
        np = extra("numpy")
        width = len(found[0].centre) if found else 0
        start = _Kept(fit, len(corpus), 1, (), np.zeros((0, width), dtype=np.float32))
        if earlier is None:
            return self._named(corpus, start, _with(start, found, {}))
        everyone = list(range(len(earlier.themes)))
        if comparable:
            taken = by_centre(found, earlier, everyone)
        else:
            taken = by_members(found, ids, [theme.id for theme in earlier.themes], corpus.results(self.name))
        old = earlier.centres if comparable else np.zeros((len(everyone), width), dtype=np.float32)
        retired = tuple(replace(theme, retired=True) for theme in earlier.themes)
        base = _Kept(fit, len(corpus), earlier.next_id, retired, old)
        return self._named(corpus, base, _with(base, found, taken))

    def _named(self, corpus: Corpus, before: _Kept, after: _Kept) -> _Kept:
        """With names for the themes that are new or back; those that went on keep theirs."""
        kept = {theme.id for theme in before.themes if not theme.retired}
        active = [at for at, theme in enumerate(after.themes) if not theme.retired]
        chosen = name_terms(_owned(corpus, after.centres[active]))
        themes = list(after.themes)
        for number, at in enumerate(active):
            if themes[at].id not in kept:
                words = tuple(chosen.get(number, ()))
                themes[at] = replace(themes[at], name=name_of(words), terms=words)
        return replace(after, themes=tuple(themes))

    def load(self, state: bytes | None) -> None:
        kept = _Kept.read(state)
        self.version = f"1:{digest(state)}"
        self.themes = () if kept is None else kept.themes
        active = [at for at, theme in enumerate(self.themes) if not theme.retired]
        self._active = tuple(self.themes[at] for at in active)
        self._centres = None if kept is None else kept.centres[active]

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        return [self._placed(document) for document in batch]

    def _placed(self, document: Document) -> Result | Exception:
        vector = document.results.get(_VECTORS, {}).get("vector")
        if vector is None:
            return UsageError(f"{document.id} has no vector: run {_VECTORS} before {self.name}.")
        if not self._active or vector.shape != self._centres.shape[1:]:
            return {"theme": None, "name": None, "score": 0.0}
        at, score = nearest(vector, self._centres)
        if at < 0:
            return {"theme": None, "name": None, "score": round(score, 4)}
        return {"theme": self._active[at].id, "name": self._active[at].name, "score": round(score, 4)}


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is known from run to run. `fit`: of the vectors; `documents`: in the range when all were looked for."""

    fit: str
    documents: int
    next_id: int
    themes: tuple[Theme, ...]
    centres: Any

    @property
    def width(self) -> int:
        return int(self.centres.shape[1])

    @classmethod
    def read(cls, state: bytes | None) -> _Kept | None:
        read = unpack(state, KIND)
        if read is None:
            return None
        about, arrays = read
        themes = tuple(Theme(**{**theme, "terms": tuple(theme["terms"])}) for theme in about["themes"])
        return cls(about["fit"], about["documents"], about["next_id"], themes, arrays["centres"])

    def packed(self) -> bytes:
        about: Mapping[str, Any] = {
            "kind": KIND,
            "fit": self.fit,
            "documents": self.documents,
            "next_id": self.next_id,
            "themes": [asdict(theme) for theme in self.themes],
        }
        return pack(about, {"centres": self.centres})


def read_themes(state: bytes | None) -> tuple[Theme, ...]:
    """All themes that a state tells of, retired ones too."""
    kept = _Kept.read(state)
    return () if kept is None else kept.themes


def _with(kept: _Kept, found: Sequence[Cluster], taken: Mapping[int, int]) -> _Kept:
    """With the clusters as themes: under the id of an earlier one (`taken`: cluster to theme), or a new one."""
    np = extra("numpy")
    themes, centres, following = list(kept.themes), list(kept.centres), kept.next_id
    for number, cluster in enumerate(found):
        if number in taken:
            at = taken[number]
            themes[at] = replace(themes[at], retired=False)
            centres[at] = cluster.centre
        else:
            themes.append(Theme(f"T{following}", "", ()))
            centres.append(cluster.centre)
            following += 1
    stacked = np.array(centres, dtype=np.float32) if centres else kept.centres
    return replace(kept, next_id=following, themes=tuple(themes), centres=stacked)


def _gathered(corpus: Corpus) -> tuple[list[str], Any]:
    np = extra("numpy")
    """Ids and vectors; of several widths the one that most have: others come of another embedder, and say nothing."""
    found: dict[int, tuple[list[str], list[Any]]] = {}
    count = len(corpus)
    share = 1.0 if count <= MOST else MOST / count
    for names, rows in corpus.vectors(_VECTORS):
        # By the id, not by chance or place: the same conversations are chosen whatever is beside them.
        chosen = [at for at, name in enumerate(names) if share == 1.0 or crc32(name.encode()) < share * 2**32]
        ids, chunks = found.setdefault(rows.shape[1], ([], []))
        ids += [names[at] for at in chosen]
        chunks.append(np.asarray(rows, dtype=np.float32)[chosen])
    ids, chunks = max(found.values(), key=lambda one: len(one[0]), default=([], []))
    return ids, np.concatenate(chunks) if chunks else np.zeros((0, 0), dtype=np.float32)


def _owned(corpus: Corpus, centres: Any) -> Iterator[tuple[int, str]]:
    for document in corpus.documents(sample=NAMED_BY, seed=0):
        vector = document.results.get(_VECTORS, {}).get("vector")
        is_alike = vector is not None and len(centres) > 0 and vector.shape == centres.shape[1:]
        if is_alike and (at := nearest(vector, centres)[0]) >= 0:
            yield at, text_of(document)
