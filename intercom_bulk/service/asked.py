"""What may be asked of a list of items."""

from __future__ import annotations

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.model import Status

__all__ = ["asked_status", "refuse_unstorable"]


def asked_status(word: str | None) -> Status | None:
    if not word:
        return None
    try:
        return Status(word)
    except ValueError:
        raise UsageError(f"status must be one of {', '.join(Status)}, not {word[:40]!r}.") from None


def refuse_unstorable(**texts: str | None) -> None:
    """What no id and no message can hold; PostgreSQL would not even take the question."""
    for name, said in texts.items():
        if said is not None and ("\0" in said or any("\ud800" <= c <= "\udfff" for c in said)):
            raise UsageError(f"{name} holds a character that no text has (NUL, or half of a pair): leave it out.")
