"""HTML bodies as the text that a reader sees: for searching and for tables, not for showing."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

__all__ = ["plain_text"]

_BLOCKS = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "br",
        "dd",
        "div",
        "dl",
        "dt",
        "figure",
        "footer",
        "form",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "li",
        "main",
        "nav",
        "ol",
        "p",
        "pre",
        "section",
        "table",
        "td",
        "th",
        "tr",
        "ul",
    ]
)
_UNSEEN = frozenset({"script", "style", "head", "title", "template", "noscript"})
_BLANKS = re.compile(r"[ \t\r\f\v\xa0\u200b\ufeff]+")
_LINES = re.compile(r" ?\n[ \n]*")
_SIMPLE = re.compile(r"</?(?:p|br|b|i|em|strong|u|div|ul|ol|li|h[1-6]|blockquote|pre|code|span)(?: ?/)?>")
"""Tags without attributes, of which most bodies are made; no comment, no script among them."""
_BREAKS = re.compile(r"</?(?:p|br|div|ul|ol|li|h[1-6]|blockquote|pre)(?: ?/)?>")


def plain_text(body: str | None) -> str:
    """Blocks and breaks become line ends, other blanks one space; entities are resolved, scripts and styles dropped.

    Never raises: what is no HTML is text.
    """
    if not body:
        return ""
    if "<" not in body:
        return _tidy(html.unescape(body))
    rest = _SIMPLE.sub("", body)
    if "<" not in rest:
        return _tidy(html.unescape(_SIMPLE.sub("", _BREAKS.sub("\n", body))))
    reader = _Reader()
    reader.feed(body)
    reader.close()
    return _tidy("".join(reader.pieces))


def _tidy(text: str) -> str:
    return _LINES.sub("\n", _BLANKS.sub(" ", text.replace("\0", "\ufffd"))).strip()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._unseen = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen:
            return
        if tag in _UNSEEN:
            self._unseen = tag
        elif tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag == "img":
            self.pieces.append(f" {dict(attrs).get('alt') or ''} ")

    def handle_endtag(self, tag: str) -> None:
        if self._unseen == tag:
            self._unseen = ""
        elif not self._unseen and tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data)
