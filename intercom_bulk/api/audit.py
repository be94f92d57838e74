"""The audit trail: a JSON line for every call, in a file that nothing but appends to.

A trail with holes is worse than none: a line that cannot be written is kept, and no further call is made until it is.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import LedgerError

try:
    import fcntl
except ImportError:  # pragma: no cover  Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from intercom_bulk.clock import Clock

__all__ = ["AuditTrail", "Note"]


logger = logging.getLogger(__name__)


class AuditTrail:
    """Appends to `path` (made 0600). Any thread, and any number of processes that share the file: a line is one write.

    The file is opened for each line, so one that was moved away (a rotation) is made anew.
    """

    def __init__(self, path: Path, *, token: str, clock: Clock = SYSTEM) -> None:
        self._path = path
        self._clock = clock
        self._secrets = sorted({token, json.dumps(token)[1:-1], quote(token), quote_plus(token)}, key=len, reverse=True)
        self._lock = threading.Lock()
        self._owed: list[bytes] = []
        self._was_checked = False

    def begin(self, method: str, path: str, sent: Mapping[str, Any] | None) -> Note:
        """Right before a call; `sent` is the body of a write. Raises `LedgerError` where the call must not be made."""
        self.check()
        return Note(self, self._clock, {"method": method, "path": path}, sent)

    def check(self) -> None:
        """Raises `LedgerError` where the trail cannot be kept, or has a line that is still missing."""
        if self._was_checked and not self._owed:
            return
        with self._lock:
            try:
                self._append(b"".join(self._owed))
            except OSError as error:
                raise LedgerError(
                    f"The audit trail {self._path} cannot be written ({error.strerror}), so nothing more is sent: make"
                    " it writable, or make room, then resume."
                ) from error
            self._owed.clear()
            self._was_checked = True

    def write(self, entry: Mapping[str, Any]) -> None:
        """The call has been made, so its own end stands whether or not this can be written."""
        line = self._redacted(json.dumps(entry, default=str)).encode() + b"\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                self._owed.append(line)
                told = " ".join(str(entry[name]) for name in ("method", "path", "status", "request_id"))
                logger.error("not in the audit trail yet (%s): %s", error.strerror, self._redacted(told))

    def _append(self, data: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)  # so that a part of a line can be taken back
            if data and not self._is_at_line_start(descriptor):
                data = b"\n" + data
            written = os.write(descriptor, data) if data else 0
            if written < len(data):
                os.ftruncate(descriptor, os.fstat(descriptor).st_size - written)
                raise OSError(errno.ENOSPC, "no room for a whole line")
        finally:
            os.close(descriptor)

    def _is_at_line_start(self, descriptor: int) -> bool:
        """What stands there may end in the middle of a line (a crash, a file of somebody else): it must not take ours
        with it."""
        held = os.fstat(descriptor)
        if not stat.S_ISREG(held.st_mode) or held.st_size == 0:
            return True
        try:
            with self._path.open("rb") as file:
                file.seek(held.st_size - 1)
                return file.read(1) == b"\n"
        except OSError:  # a file that may be written and not read
            return True

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return text

    def __repr__(self) -> str:
        return f"AuditTrail({str(self._path)!r})"


class Note:
    """One call on its way into the trail."""

    def __init__(
        self, trail: AuditTrail, clock: Clock, what: Mapping[str, Any], sent: Mapping[str, Any] | None
    ) -> None:
        self._trail = trail
        self._clock = clock
        self._what = what
        self._sent = sent
        self._at, self._began = clock.time(), clock.monotonic()

    def end(
        self,
        *,
        status: int | None = None,
        error: str | None = None,
        request_id: str | None = None,
        size: int | None = None,
    ) -> None:
        """What came of it; `size` is the answer's, in bytes."""
        at = datetime.fromtimestamp(self._at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        told = {"status": status, "error": error, "seconds": round(self._clock.monotonic() - self._began, 4)}
        known = {"request_id": request_id, "bytes": size, "sent": self._sent}
        self._trail.write({"at": at, **self._what, **told, **known})
