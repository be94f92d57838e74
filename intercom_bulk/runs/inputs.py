"""A list of ids, kept in a private file for as long as a run may need it.

Wherever the rows came from (a CSV, a pipe, a generator), they are written down in order, once, before the run begins: a
run can then be gone on with in any process, and only by what it began with. A line is a JSON list: the row's number and
its text, and where the row is not to be acted on, why: a code and a sentence; or the moment at which its item was last
known to have changed. A file is named by the SHA-256 of its bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from intercom_bulk.errors import LedgerError, UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["Input", "InputReader", "Row", "forget_inputs", "keep_input"]

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list. `number` counts as people see it (the line of a file, from 1). `problem`: (code, sentence).

    `as_of`: the item's `updated_at` as whoever chose it knew it; one that has changed since is left alone.
    """

    number: int
    text: str
    problem: tuple[str, str] | None = None
    as_of: int | None = None

    @property
    def label(self) -> str:
        """What stands for the row where it has no id of its own."""
        return f"row {self.number}"


@dataclass(frozen=True, slots=True)
class Input:
    """A list that is kept: its digest, how many rows, and what it was called. A run's record has it.

    `dated`: some rows say as of when they were chosen, and have to be looked at.
    """

    digest: str
    count: int
    name: str
    dated: bool = False

    def to_record(self) -> dict[str, Any]:
        return {"digest": self.digest, "count": self.count, "name": self.name, "dated": self.dated}

    @classmethod
    def from_record(cls, said: Mapping[str, Any] | None) -> Input | None:
        if said is None:
            return None
        return cls(str(said["digest"]), int(said["count"]), str(said["name"]), bool(said.get("dated")))


def keep_input(folder: Path, rows: Iterable[Row], name: str) -> Input:
    """Write the rows down in `folder` (0700, the file 0600), as they come; on the disk when this returns.

    Raises `LedgerError` where that cannot be done.
    """
    part = folder / f".{secrets.token_hex(6)}.part"
    digest, count, dated = hashlib.sha256(), 0, False
    with _spoken(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        out = os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    try:
        for count, row in enumerate(rows, 1):  # noqa: B007  outside: what goes wrong in there is the list's own
            line = _line(row)
            dated = dated or row.as_of is not None
            digest.update(line)
            with _spoken(folder):
                out.write(line)
        with _spoken(folder):
            out.flush()
            os.fsync(out.fileno())
            out.close()
            _settle(part, folder / f"{digest.hexdigest()}.jsonl", digest.hexdigest())
    finally:
        out.close()
        part.unlink(missing_ok=True)
    return Input(digest.hexdigest(), count, name, dated)


def forget_inputs(folder: Path, needed: Collection[str], before: float) -> None:
    """Delete the lists whose digest nobody needs any more, and that are older than `before` (epoch seconds)."""
    for path in folder.glob("*.jsonl"):
        if path.stem not in needed and path.stat().st_mtime < before:
            path.unlink(missing_ok=True)


class InputReader:
    """Reads a list that is kept. Opening it reads the whole file once: nothing is believed before that.

    Raises `UsageError`, in one sentence, where the file is gone or is not as it was written.
    """

    def __init__(self, folder: Path, known: Input) -> None:
        self._path = folder / f"{known.digest}.jsonl"
        self._name = known.name
        self.count = known.count
        with self._opened() as file:
            self._seen = _identity(file)
            if _digest(file) != known.digest:
                raise UsageError(f"{self._shown()} was changed since the run began: nothing more is sent.")
        self.size = self._seen[-1]

    def read(self, offset: int, count: int) -> tuple[list[Row], int]:
        """At most `count` rows from byte `offset` on, and where the next one begins."""
        with self._opened() as file:
            if _identity(file) != self._seen:
                raise UsageError(f"{self._shown()} was changed while the run went on: nothing more is sent.")
            file.seek(offset)
            lines = list(islice(file, count))
        return [_row(line) for line in lines], offset + sum(map(len, lines))

    def _opened(self) -> IO[bytes]:
        try:
            return self._path.open("rb")
        except OSError as error:
            raise UsageError(
                f"{self._shown()} cannot be read ({error.strerror}): start a new run with the same list; what is done"
                " is skipped."
            ) from error

    def _shown(self) -> str:
        return f"The run's own copy of {self._name} (inputs/{self._path.name[:12]}…)"


def _settle(part: Path, final: Path, digest: str) -> None:
    """Under its name, unless it is there already: somebody may be reading that one."""
    try:
        with final.open("rb") as there:
            is_there = _digest(there) == digest
    except FileNotFoundError:
        is_there = False
    if not is_there:
        part.replace(final)


@contextmanager
def _spoken(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LedgerError(
            f"The list of ids cannot be kept in {folder} ({error.strerror}): make room, or set INTERCOM_BULK_HOME."
        ) from error


def _line(row: Row) -> bytes:
    more = row.problem or (() if row.as_of is None else (row.as_of,))
    return json.dumps([row.number, row.text, *more], separators=(",", ":")).encode("ascii") + b"\n"


def _row(line: bytes) -> Row:
    number, text, *more = json.loads(line)
    if len(more) == 1:
        return Row(number, text, as_of=more[0])
    return Row(number, text, (more[0], more[1]) if more else None)


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def _identity(file: IO[bytes]) -> tuple[int, ...]:
    now = os.fstat(file.fileno())
    return now.st_dev, now.st_ino, now.st_mtime_ns, now.st_size
