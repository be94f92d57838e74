"""Who works on a run: a lock on a file that ends with the process, however that ends (flock; kill -9 frees it at once).

The file says who holds it, for people, and by which life of the run, for whoever has a wish.
"""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from intercom_bulk.clock import SYSTEM
from intercom_bulk.runs.wishes import drawn_life

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows: one process at a time is the caller's business there
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Held", "Hold", "is_held", "life_of"]

GLANCES, GLANCE = 10, 0.01
"""How often, and how many seconds apart, a lock is tried: `is_held` takes it, shared, to see whether it is free."""


class Held(Exception):
    """Somebody has the lock; the text says who."""


@dataclass(slots=True)
class Hold:
    """A lock that is held. `life`: what the holder is called by its wishes."""

    descriptor: int
    life: str

    @classmethod
    def taken(cls, path: Path) -> Hold:
        """Raises `Held`, and `OSError` where there can be no lock."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if fcntl is not None:
            try:
                _lock(descriptor)
            except OSError:
                holder, _, _ = os.read(descriptor, 200).decode(errors="replace").partition("\n")
                os.close(descriptor)
                raise Held(holder or "another process") from None
        hold = cls(descriptor, drawn_life())
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n{hold.life}".encode(), 0)
        except OSError:
            hold.release()
            raise
        return hold

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def is_held(path: Path) -> bool:
    """Whether a process that lives has the lock."""
    if fcntl is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def life_of(path: Path) -> str | None:
    """The life that holds the lock; None: nobody does."""
    if not is_held(path):
        return None
    try:
        return path.read_text(errors="replace").partition("\n")[2]
    except OSError:
        return None


def _lock(descriptor: int) -> None:
    """Take it alone. Raises `OSError` when it is held; one who only looks whether it is has it for a moment."""
    for _ in range(GLANCES):
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        SYSTEM.sleep(GLANCE)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
