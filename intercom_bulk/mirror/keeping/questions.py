"""What may be asked in SQL. Pure.

The database refuses to write, but what is no question can do harm all the same: `ATTACH` and `VACUUM INTO` make files,
`BEGIN` would leave a connection that is lent again at the moment at which it was said, and `PRAGMA` changes how the
next question is answered.
"""

from __future__ import annotations

import re

from intercom_bulk.errors import UsageError

__all__ = ["checked_question"]

_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*(?:\n|$)|/\*.*?\*/)*([^\W\d_]*)", re.DOTALL)
_ASKS = frozenset({"SELECT", "WITH", "VALUES", "EXPLAIN"})


def checked_question(text: str) -> str:
    """The same text. Raises `UsageError` for what does not ask."""
    found = _FIRST_WORD.match(text)
    word = found[1] if found is not None else ""
    if word.upper() not in _ASKS:
        said = f"not with {word[:20]}" if word else "and there is none"
        raise UsageError(f"This SQL cannot be answered: a question begins with SELECT, WITH or VALUES, {said}.")
    return text
