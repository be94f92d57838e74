"""Customers' text as words to count, and as quotes to show. Takes any text: HTML leftovers, emoji, a megabyte."""

from __future__ import annotations

import html
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from intercom_bulk.insights.phase import Document

__all__ = ["LONGEST", "clean", "content_words", "escape_markdown", "folded", "quote", "redact", "text_of", "tokens"]

LONGEST = 6_000
"""Characters of a conversation that are read: what it is about is said before that, and a log file may follow."""
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,300}>|<!--.{0,300}?-->", re.DOTALL)
_QUOTED = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
_ADDRESS = re.compile(r"\b(?:https?://|www\.)\S+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", re.ASCII)
_APOSTROPHE = re.compile(r"(?<=\w)'(?=(?:t|s|m|re|ve|ll|d)\b)")
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W_]+|\?|!!+")
_WORD = re.compile(r"[^\W\d_]")
_COMBINING = dict.fromkeys(range(768, 880))
_TYPOGRAPHIC = str.maketrans({"\u2019": "'", "\u2018": "'", "\u00b4": "'", "`": "'", "\u00bf": None})


def text_of(document: Document) -> str:
    """What customers wrote, the longest part of it that is read."""
    return clean(document.customer_text)


def clean(text: str) -> str:
    """Without tags, entities, quoted lines, addresses and control characters; cut at `LONGEST`."""
    text = text[: 2 * LONGEST]
    if "<" in text:
        text = _TAG.sub(" ", text)
    if "&" in text:
        text = html.unescape(text)
    if ">" in text:
        text = _QUOTED.sub("", text)
    return _ADDRESS.sub(" ", text)[:LONGEST]


def folded(text: str) -> str:
    """Lower case, without accents, and contractions in one word: `can't` and `cant` are the same."""
    text = text.casefold().translate(_TYPOGRAPHIC)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", text).translate(_COMBINING))
    return _APOSTROPHE.sub("", text)


def tokens(text: str) -> list[str]:
    """Words of a cleaned text, folded; `?` and `!!` are words too, and each Chinese or Japanese sign is one."""
    return ["!!" if word[0] == "!" else word[:40] for word in _TOKEN.findall(folded(text))]


def content_words(text: str, stop: frozenset[str]) -> list[str]:
    """Words that may say what a text is about: no numbers, no stop words, no single letters."""
    return [
        word
        for word in tokens(text)
        if word not in stop and _WORD.match(word) and (len(word) > 1 or word > "\u3000") and not _has_digit(word)
    ]


def _has_digit(word: str) -> bool:
    return not word.isalpha() and any(char.isdigit() for char in word)


# -- for people's eyes

_EMAIL = re.compile(r"[^\s@<>()\[\]\"',;:]{1,64}@[^\s@<>()\[\]\"',;]{1,255}")
_PHONE = re.compile(r"(?<![\w.])\+?\(?\d[\d\s().\-/]{5,22}\d(?!\w)")
_NUMBER = re.compile(r"(?<!\w)\d{7,}(?!\w)")
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&^$:@])")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+")
_BLANKS = re.compile(r"\s+")


def redact(text: str) -> str:
    """E-mail addresses, and numbers that may be telephones, cards or accounts (seven digits and more), are left out."""
    text = _EMAIL.sub("[e-mail]", text)
    return _NUMBER.sub("[number]", _PHONE.sub(_redacted_number, text))


def _redacted_number(found: re.Match[str]) -> str:
    return "[number]" if sum(char.isdigit() for char in found[0]) >= 7 else found[0]


def quote(text: str, longest: int = 240) -> str:
    """One line, redacted, cut at a blank: what may be shown to others."""
    text = html.unescape(_TAG.sub(" ", text[: 8 * longest]))
    line = redact(_BLANKS.sub(" ", _UNSEEN.sub(" ", text))).strip()
    if len(line) <= longest:
        return line
    cut = line[: longest - 1]
    head, blank, _ = cut.rpartition(" ")
    return (head if blank and len(head) > longest // 2 else cut).rstrip() + "\u2026"


def escape_markdown(text: str) -> str:
    """Customers' words as words: no link, no heading, no HTML comes of them."""
    return _MARKS.sub(r"\\\1", text).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
