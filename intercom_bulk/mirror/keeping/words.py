"""Text as the words that are searched, and a person's search as the conditions that a full-text index takes.

Words are cut here, alike for both databases: letters and digits, in lower case and without accents; each character of
scripts without blanks between words (Chinese, Japanese, Thai) is a word of its own. So what finds a conversation in the
one finds it in the other, and nothing that a person types is an operator to either.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["LONGEST_WORD", "Wanted", "folded", "read_search"]

LONGEST_WORD = 100
"""Characters; what is longer is no word but a token or a blob, and is found by its beginning."""
_WORD = re.compile(r"[^\W_]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])"
)
_PIECE = re.compile(r"""(?P<no>(?<!\S)-)?(?:"(?P<phrase>[^"]*)"?|(?P<bare>[^\s"]+))""")


def _words(text: str) -> list[str]:
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    taken_apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(char for char in taken_apart if not unicodedata.combining(char))
    return _WORD.findall(_UNSPACED.sub(r" \1 ", unicodedata.normalize("NFKC", bare)))


def folded(text: str) -> str:
    """The words of a text, in order, a blank between them."""
    return " ".join(word[:LONGEST_WORD] for word in _words(text))


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of `words` (each a run of words, the last one by its beginning), all of `phrases` as they stand, and none of
    `unwanted`.
    """

    words: tuple[tuple[str, ...], ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    unwanted: tuple[tuple[str, ...], ...] = ()

    def __bool__(self) -> bool:
        """Whether there is anything to look for: what is only unwanted finds nothing."""
        return bool(self.words or self.phrases)


def read_search(text: str) -> Wanted:
    """`refund login`: both words, by their beginnings; `"not paid"`: exactly so; `-spam`: without. Never raises.

    What is glued together by signs (an address, an order number `A-12/7`) is looked for as a run of words.
    """
    words: list[tuple[str, ...]] = []
    phrases: list[tuple[str, ...]] = []
    unwanted: list[tuple[str, ...]] = []
    for piece in _PIECE.finditer(text):
        quoted = piece["phrase"] is not None
        run = tuple(folded(piece["phrase"] if quoted else piece["bare"]).split())
        if run:
            (unwanted if piece["no"] else phrases if quoted else words).append(run)
    return Wanted(tuple(dict.fromkeys(words)), tuple(dict.fromkeys(phrases)), tuple(dict.fromkeys(unwanted)))
