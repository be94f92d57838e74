"""What one process asks of the run that another works on: pause, go on, stop.

A wish is addressed to one life of the run, by a token that this life drew when it began: whatever is left lying around
says nothing to a later one.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from intercom_bulk.errors import LedgerError, UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: two who ask at the same moment may overwrite each other there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TRIES", "Wish", "drawn_life", "leave", "nobody_works", "take"]

TRIES = 3
"""How often a wish is addressed anew, where a run changes hands while it is being written."""


class Wish(StrEnum):
    """What a run can be asked for from outside."""

    PAUSE = "pause"
    UNPAUSE = "unpause"
    STOP = "stop"


def drawn_life() -> str:
    """A token that no other life has."""
    return secrets.token_hex(8)


def nobody_works(run_id: str, wish: Wish) -> UsageError:
    """There is nobody to hear it."""
    return UsageError(f"No process works on run {run_id}: there is nothing to {wish}; see how it stands, or resume it.")


def leave(path: Path, life: str, wish: Wish) -> None:
    """Write it down, whole or not at all. The last wish counts, but for one to stop, which nothing takes back."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        opened = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "w") as out:
            out.write(f"{life} {wish}")
        with _alone(path.parent):  # or the stop of somebody else could come between the look and the write
            if _read(path) != (life, Wish.STOP):
                part.replace(path)
    except OSError as error:
        raise LedgerError(
            f"The run cannot be asked ({error.strerror}): its folder must be writable for you."
        ) from error
    finally:
        part.unlink(missing_ok=True)


def take(path: Path, life: str) -> Wish | None:
    """What this life is asked for; told once."""
    mine = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.replace(mine)  # first: what is left from now on is another wish, which must not be deleted unheard
    except OSError:
        return None
    said = _read(mine)
    with suppress(OSError):
        mine.unlink()
    return said[1] if said is not None and said[0] == life else None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One at a time, among those who ask; where the file system has no locks, at their own risk."""
    descriptor = os.open(folder, os.O_RDONLY) if fcntl is not None else -1
    try:
        if fcntl is not None:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _read(path: Path) -> tuple[str, Wish] | None:
    try:
        life, _, word = path.read_text().partition(" ")
        return life, Wish(word)
    except (OSError, ValueError):
        return None
