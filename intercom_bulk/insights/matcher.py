"""Phrases found among words, many phrases at once: a look-up a word, however many rules there are.

    refund            this word                     refund*        what begins with it
    charged twice     these words, in order         stopped ... working   with up to three words between
    ?  !!             a question mark; two or more exclamation marks

A word of six letters and more is also found with one letter too many, one missing, or two swapped (pasword, refnud),
but not with another letter (changed is not charged).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from intercom_bulk.insights.text import tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["Phrases"]

GAP = 3
SHORTEST = 6
"""Letters of a word that may be misspelt: shorter ones are too near each other."""
_KNOWN = 50_000
_GAP_TEXT = "..."
_Parts: TypeAlias = tuple[str, ...]
_Found: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class Phrases:
    """Phrases under keys (a label, say). The same words give the same finds; the cache only saves time."""

    _first: dict[str, list[tuple[str, str, _Parts]]] = field(default_factory=dict)
    _vocabulary: set[str] = field(default_factory=set)
    _near: dict[str, str] = field(default_factory=dict)
    _lengths: tuple[int, ...] = ()
    _cache: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, phrases: Mapping[str, Iterable[str]]) -> Phrases:
        """From phrases by key. A phrase without a word in it is passed over."""
        made = cls()
        for key, several in phrases.items():
            for phrase in several:
                made._add(key, phrase)
        made._lengths = tuple(sorted({len(entry) - 1 for entry in made._vocabulary if entry.endswith("*")}))
        for entry in sorted(made._vocabulary):
            made._add_near(entry)
        return made

    def _add(self, key: str, phrase: str) -> None:
        parts = _parts(phrase)
        if parts:
            self._first.setdefault(parts[0], []).append((key, phrase, parts))
            self._vocabulary.update(part for part in parts if part != _GAP_TEXT)

    def _add_near(self, entry: str) -> None:
        word = entry.removesuffix("*")
        if len(word) >= SHORTEST and word.isalpha():
            for near in _misspelt(word):
                self._near.setdefault(near, word)

    def find(self, words: Sequence[str]) -> list[_Found]:
        """Key and phrase of each find, in the order of the text; a phrase that is found twice is there twice."""
        forms = [self._forms(word) for word in words]
        return [found for at in range(len(forms)) for found in self._from(forms, at)]

    def _from(self, forms: Sequence[tuple[str, ...]], at: int) -> Iterator[_Found]:
        for form in forms[at]:
            for key, phrase, parts in self._first.get(form, ()):
                if len(parts) == 1 or _follows(parts, 1, forms, at + 1):
                    yield key, phrase

    def _forms(self, word: str) -> tuple[str, ...]:
        """What a word counts as: itself, the beginnings of it that are asked for, or what it was meant to be."""
        known = self._cache.get(word)
        if known is None:
            if len(self._cache) >= _KNOWN:
                self._cache.clear()
            known = self._cache[word] = self._read(word)
        return known

    def _read(self, word: str) -> tuple[str, ...]:
        found = self._exact(word)
        if found or len(word) < SHORTEST - 1:
            return found
        meant = self._near.get(word)
        if meant is None:
            candidates = (
                self._near.get(form) or (form if form in self._vocabulary else None) for form in _shorter(word)
            )
            meant = next((one for one in candidates if one and one[0] == word[0] and _is_one_off(word, one)), None)
        return self._exact(meant) if meant else ()

    def _exact(self, word: str) -> tuple[str, ...]:
        found = [word] if word in self._vocabulary else []
        for length in self._lengths:
            if length > len(word):
                break
            if (start := word[:length] + "*") in self._vocabulary:
                found.append(start)
        return tuple(found)


def _parts(phrase: str) -> _Parts:
    parts: list[str] = []
    for piece in phrase.split():
        if piece == _GAP_TEXT:
            parts.append(piece)
            continue
        words = tokens(piece)
        if words and piece.endswith("*"):
            words[-1] += "*"
        parts += words
    while parts and parts[0] == _GAP_TEXT:
        del parts[0]
    while parts and parts[-1] == _GAP_TEXT:
        del parts[-1]
    return tuple(parts)


def _follows(parts: _Parts, part: int, forms: Sequence[tuple[str, ...]], at: int) -> bool:
    if part == len(parts):
        return True
    if parts[part] == _GAP_TEXT:
        return any(_follows(parts, part + 1, forms, at + more) for more in range(GAP + 1))
    return at < len(forms) and parts[part] in forms[at] and _follows(parts, part + 1, forms, at + 1)


# -- spelling: as few look-ups as there are letters


def _misspelt(word: str) -> Iterator[str]:
    """With a letter missing, or two swapped; the first letter is mostly right."""
    for at in range(1, len(word)):
        yield word[:at] + word[at + 1 :]
        if at + 1 < len(word):
            yield word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def _shorter(word: str) -> Iterator[str]:
    if word.isalpha():
        for at in range(1, len(word)):
            yield word[:at] + word[at + 1 :]


def _is_one_off(word: str, meant: str) -> bool:
    """One letter too many: another letter in its place would be two."""
    return len(word) == len(meant) + 1
