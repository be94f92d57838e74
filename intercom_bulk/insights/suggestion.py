"""The next bulk action for a theme: a query in the language of `plan --where`, and how well it finds the theme.

Tags and words are tried, and counted over the range; what none of them finds well enough is asked for by its ids.
"""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["MOST_IDS", "Seen", "Suggestion", "suggest"]

MOST_IDS = 100
"""More ids are no command that anybody reads; Intercom takes them."""
_PRECISE, _COMPLETE = 0.8, 0.5
"""Of what a query of words or tags finds, so much must be of the theme; and of the theme, so much be found."""
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`where` selects `found` conversations of the range, `of_theme` of them among the `size` of the theme."""

    operation: str
    arguments: tuple[str, ...]
    where: str
    command: str
    by: str
    found: int
    of_theme: int
    size: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"arguments": list(self.arguments)}


class Seen:
    """How often the words and tags of themes are there: in all, and within each theme."""

    def __init__(self, wanted: Iterable[str]) -> None:
        """`wanted`: words, and pairs of words (with a blank between), worth counting; tags are all counted."""
        self._wanted: dict[str, list[frozenset[str]]] = {}
        for words in sorted({frozenset(part) for term in wanted for part in _parts(term)}, key=sorted):
            self._wanted.setdefault(min(words), []).append(words)
        self._all: Counter[str] = Counter()
        self._within: dict[str, Counter[str]] = {}

    def add(self, theme: str | None, words: Iterable[str], tags: Iterable[str]) -> None:
        said = frozenset(words)
        hits = (asked for word in said if word in self._wanted for asked in self._wanted[word] if asked <= said)
        marks = {" ".join(f"body~{_quoted(word)}" for word in sorted(asked)) for asked in hits}
        marks.update(f"tag:{_quoted(tag)}" for tag in tags if tag.strip())
        self._all.update(marks)
        if theme is not None:
            self._within.setdefault(theme, Counter()).update(marks)

    def best(self, theme: str, size: int) -> tuple[str, int, int] | None:
        """The filter that finds the theme best (by F1), how many it finds, and how many of these are of the theme."""
        ranked = [
            (2 * within / (self._all[mark] + size), within / self._all[mark], within / size, mark)
            for mark, within in self._within.get(theme, Counter()).items()
        ]
        good = [row for row in ranked if row[1] >= _PRECISE and row[2] >= _COMPLETE]
        if not good:
            return None
        mark = min(good, key=lambda row: (-row[0], row[3]))[3]
        return mark, self._all[mark], self._within[theme][mark]


def _parts(term: str) -> list[list[str]]:
    """A pair asks for both words, and for each."""
    words = term.split()
    return [words] if len(words) == 1 else [words, *([word] for word in words)]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def suggest(theme: str, name: str, *, size: int, ids: Sequence[str], first: int, seen: Seen) -> Suggestion:
    """`ids`: of the theme, the newest first, `MOST_IDS` of them at most; `first`: its oldest `created_at`."""
    best = None if size <= MOST_IDS else seen.best(theme, size)
    if best is None:
        chosen = list(ids[:MOST_IDS])
        where, by, found, of_theme = (
            f"id:{','.join(one if one.isdecimal() else _quoted(one) for one in chosen)}",
            "ids",
            len(chosen),
            len(chosen),
        )
    else:
        mark, found, of_theme = best
        # A day early: days are those of the workspace's time zone, which is not known here.
        since = datetime.fromtimestamp(max(first - _DAY, 0), UTC).date()
        where, by = f"{mark} created>={since.isoformat()}", "tag" if mark.startswith("tag") else "words"
    command = shlex.join(["intercom-bulk", "plan", "tag", name, "--where", where])
    return Suggestion("tag", (name,), where, command, by, found, of_theme, size)
