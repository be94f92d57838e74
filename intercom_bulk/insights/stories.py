"""Stories: for each theme above a size what it is, how much, since when, in customers' words, and what to do next."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote as url_quote

from intercom_bulk.errors import UsageError
from intercom_bulk.insights.classification import Classification
from intercom_bulk.insights.facets import FacetExtraction
from intercom_bulk.insights.phase import Corpus, Document, Phase, Result
from intercom_bulk.insights.rules import digest_of
from intercom_bulk.insights.state import pack, unpack
from intercom_bulk.insights.suggestion import MOST_IDS, Seen, suggest
from intercom_bulk.insights.telling import as_markdown
from intercom_bulk.insights.text import clean, quote, tokens
from intercom_bulk.insights.themes import ThemeExtraction, read_themes
from intercom_bulk.insights.trend import DAY, trend

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.insights.themes import Theme

__all__ = ["StoryCreation"]

KIND = "stories-1"
_HELD, _QUOTES, _TITLE = 24, 3, 80
_FACETS = ("contact_reason", "product_area", "sentiment", "urgency", "language")
_THEMES = ThemeExtraction.name


class StoryCreation(Phase):
    """An item for each theme. Result: `theme`, `title`, `terms`, `size`, `first_at`, `last_at`, `trend`, `counts` (by
    label and facet), `quotes` (text, id, url, created_at), `suggestion`, and all of it as `markdown`.

    Quotes are those nearest to the theme's centre, without e-mail addresses and long numbers. Names of people are not
    recognised: a story is for the company's own people, as the conversations are.
    """

    name: ClassVar[str] = "story_creation"
    uses = (Classification.name, FacetExtraction.name, _THEMES)
    batch_size = 20

    def __init__(self, *, min_story: int = 10, inbox: str = "https://app.intercom.com") -> None:
        """`min_story`: smaller themes have none; `inbox`: where links lead to (the regions have their own hosts)."""
        if min_story < 1:
            raise UsageError("min_story is the least size of a theme with a story: 1 or more.")
        self.min_story, self.inbox = min_story, inbox.rstrip("/")
        self._stories: dict[str, dict[str, Any]] = {}

    def items(self, corpus: Corpus) -> Iterable[Document]:  # noqa: ARG002  # what there is to tell is in the state
        return (Document(id=theme, version=digest_of(story)) for theme, story in self._stories.items())

    def fit(self, corpus: Corpus) -> bytes | None:
        themes = {theme.id: theme for theme in read_themes(corpus.state(_THEMES))}
        seen = Seen(term for theme in themes.values() for term in theme.terms)
        gathered = _Gathered()
        for document in corpus.documents():
            gathered.add(document, seen)
        stories = [
            self._story(themes[theme], tally, gathered, seen, corpus.workspace)
            for theme, tally in sorted(gathered.tallies.items())
            if tally.size >= self.min_story and theme in themes
        ]
        return pack({"kind": KIND, "stories": stories})

    def load(self, state: bytes | None) -> None:
        read = unpack(state, KIND)
        self._stories = {} if read is None else {story["theme"]: story for story in read[0]["stories"]}

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        return [self._told(document) for document in batch]

    def _told(self, document: Document) -> Result | Exception:
        story = self._stories.get(document.id)
        if story is None:
            return UsageError(f"There is no theme {document.id} to tell of: fit() has found {len(self._stories)}.")
        return {**story, "markdown": as_markdown(story)}

    def _story(
        self, theme: Theme, tally: _Tally, gathered: _Gathered, seen: Seen, workspace: str | None
    ) -> dict[str, Any]:
        title = quote(theme.name, _TITLE)
        ids = [item for _, item in sorted(tally.newest, reverse=True)]
        suggestion = suggest(theme.id, title, size=tally.size, ids=ids, first=tally.first, seen=seen)
        return {
            "theme": theme.id,
            "title": title[:1].upper() + title[1:],
            "terms": [quote(term, _TITLE) for term in theme.terms],
            "size": tally.size,
            "first_at": tally.first,
            "last_at": tally.last,
            "trend": trend(tally.by_day, gathered.first // DAY, gathered.last // DAY),
            "counts": {key: dict(sorted(counts.items())) for key, counts in sorted(tally.counts.items())},
            "quotes": [{**one, "url": self._link(workspace, one["id"])} for one in tally.quotes()],
            "suggestion": suggestion.as_dict(),
        }

    def _link(self, workspace: str | None, item: str) -> str | None:
        if workspace is None:
            return None
        app, one = url_quote(workspace, safe=""), url_quote(item, safe="")
        return f"{self.inbox}/a/inbox/{app}/inbox/conversation/{one}"


@dataclass(slots=True)
class _Tally:
    """What is kept of a theme while its conversations pass: counts, the newest ids, the texts nearest to its centre."""

    size: int = 0
    first: int = 0
    last: int = 0
    by_day: Counter[int] = field(default_factory=Counter)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    newest: list[tuple[int, str]] = field(default_factory=list)
    nearest: list[tuple[float, str, int, str]] = field(default_factory=list)

    def add(self, document: Document, score: float) -> None:
        at = document.created_at
        self.first = at if self.size == 0 else min(self.first, at)
        self.last = max(self.last, at)
        self.size += 1
        self.by_day[at // DAY] += 1
        for key, value in _said(document):
            self.counts.setdefault(key, Counter())[value] += 1
        _hold(self.newest, (at, document.id), MOST_IDS)
        if len(self.nearest) < _HELD or (score, document.id) > self.nearest[0][:2]:
            text = quote(clean(document.body or document.subject) or document.customer_text)
            _hold(self.nearest, (score, document.id, at, text), _HELD)

    def quotes(self) -> list[dict[str, Any]]:
        """The nearest, each text once."""
        chosen: dict[str, dict[str, Any]] = {}
        for _, item, at, text in sorted(self.nearest, key=lambda one: (-one[0], one[1])):
            if text and text.casefold() not in chosen and len(chosen) < _QUOTES:
                chosen[text.casefold()] = {"text": text, "id": item, "created_at": at}
        return list(chosen.values())


class _Gathered:
    """All themes, from one pass over the range. Days are those on which there was any conversation."""

    def __init__(self) -> None:
        self.tallies: dict[str, _Tally] = {}
        self.first = self.last = 0
        self._any = False

    def add(self, document: Document, seen: Seen) -> None:
        at = document.created_at
        self.first = min(self.first, at) if self._any else at
        self.last, self._any = max(self.last, at), True
        placed = document.results.get(_THEMES, {})
        theme = placed.get("theme")
        seen.add(theme, tokens(clean(document.body)), document.tags)
        if theme is not None:
            self.tallies.setdefault(theme, _Tally()).add(document, float(placed.get("score") or 0.0))


def _hold(heap: list[Any], one: Any, most: int) -> None:
    if len(heap) < most:
        heapq.heappush(heap, one)
    else:
        heapq.heappushpop(heap, one)


def _said(document: Document) -> Iterator[tuple[str, str]]:
    label = document.results.get(Classification.name, {}).get("label")
    if label is not None:
        yield "label", str(label)
    facets = document.results.get(FacetExtraction.name, {})
    for key in _FACETS:
        if facets.get(key) is not None:
            yield key, str(facets[key])
