"""A plan file: the exact list of what is to be changed, frozen, with a digest over its bytes.

JSON lines in ASCII. The first is the header (what made the plan, for which workspace, how many items), each other one
an item in the order it was found. The digest is SHA-256 of the whole file: `sha256sum plan.jsonl` says the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from types import NoneType
from typing import IO, TYPE_CHECKING, Any

from intercom_bulk.errors import UsageError
from intercom_bulk.runs.model import Effect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

__all__ = ["FORMAT", "PlanEntry", "PlanFile", "PlanHeader", "PlanReader", "PlanWriter", "plain", "recorded_parts"]

FORMAT = 1
_KIND = "intercom-bulk plan"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanHeader:
    """What made a plan. `updater` is "module:Class"; `made_with` what it was constructed with, without the token;
    `workspace` the workspace's id; `created_at` epoch seconds; `count` the items that follow."""

    updater: str
    made_with: Mapping[str, Any]
    keywords: Mapping[str, Any]
    workspace: str | None
    created_at: float
    count: int
    title: str = ""
    exclude: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One item as it was seen: `before` and `after` are the fields that would be written, None where the updater
    cannot tell; `customer_wrote_at` is the customer's last reply (epoch seconds), where the item tells; `parts`, of a
    composite, are (before, after) of each step."""

    id: str
    updated_at: int | None = None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    customer_wrote_at: int | None = None
    parts: Sequence[Sequence[Mapping[str, Any]] | None] | None = None

    @property
    def effect(self) -> Effect | None:
        """What is planned for the item, where that is known."""
        parts = tuple(None if part is None else Effect(part[0], part[1]) for part in self.parts or ())
        if self.before is None or self.after is None:
            return Effect({}, {}, parts) if parts else None
        return Effect(self.before, self.after, parts)


def recorded_parts(parts: Sequence[Effect | None]) -> Sequence[Sequence[Mapping[str, Any]] | None] | None:
    """The steps' effects as an entry holds them; None where there are no steps."""
    return [None if part is None else (part.before, part.after) for part in parts] or None


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan on disk: where, how many items, and the digest that `apply()` wants to hear."""

    path: Path
    digest: str
    header: PlanHeader = field(repr=False)

    @property
    def count(self) -> int:
        """The items that it would change."""
        return self.header.count

    def entries(self) -> Iterator[PlanEntry]:
        """Its items, in order. Raises `UsageError` where the file no longer is the one of the digest."""
        yield from PlanReader(self.path, self.digest).entries()

    def __str__(self) -> str:
        return f"{self.path}: {self.count:,} items to change, sha256 {self.digest}"


def plain(value: Any) -> Any:
    """A value as JSON brings it back: what is compared with a plan has made the same journey."""
    return json.loads(json.dumps(value, default=str))


class PlanWriter:
    """Writes beside `path` and takes its place only when the plan is whole; readable by nobody else (0600)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._temporary = [path.with_name(f".{path.name[:60]}.{secrets.token_hex(4)}.{kind}") for kind in ("a", "b")]
        self._items: IO[bytes] = self._made(self._temporary[0])
        self.count = 0

    def add(self, entry: PlanEntry) -> None:
        """The next item."""
        said = asdict(entry)
        self._items.write(_line(said if entry.parts is not None else {k: v for k, v in said.items() if k != "parts"}))
        self.count += 1

    def finish(self, header: PlanHeader) -> PlanFile:
        """The file itself, in one step, on the disk when this returns."""
        digest = hashlib.sha256()
        try:
            with self._made(self._temporary[1]) as out:
                self._items.seek(0)
                chunk = _line({"kind": _KIND, "format": FORMAT, **asdict(header)})
                while chunk:
                    digest.update(chunk)
                    out.write(chunk)
                    chunk = self._items.read(_CHUNK)
                out.flush()
                os.fsync(out.fileno())
            self._temporary[1].replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            raise self._refused(error) from error
        return PlanFile(self._path, digest.hexdigest(), header)

    def _made(self, path: Path) -> IO[bytes]:
        try:
            return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> UsageError:
        return UsageError(f"The plan cannot be written to {self._path} ({error.strerror}): give another path=.")

    def __enter__(self) -> PlanWriter:
        if self._path.is_dir():
            self.__exit__(None, None, None)
            raise UsageError(f"{self._path} is a folder: path= is the file that the plan goes into.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._items.close()
        for leftover in self._temporary:
            leftover.unlink(missing_ok=True)


class PlanReader:
    """Reads a plan whose digest is known. Opening it reads the whole file once: nothing is believed before that.

    Raises `UsageError`, in one sentence, for another digest, another format, damage, or an end that is missing.
    """

    def __init__(self, path: Path, digest: str) -> None:
        self.path = path
        self.digest = _checked_digest(digest)
        with self._opened() as file:
            self._seen = _identity(file)
            self._check_digest(file)
            self.header = self._read_header(file)
            self._first = file.tell()
            self._check_entries(file)
        self._next, self._offset = 0, self._first

    def entries(self) -> Iterator[PlanEntry]:
        """All of them, a few at a time."""
        start = 0
        while part := self.read(start, 1000):
            start += len(part)
            yield from part

    def read(self, start: int, count: int) -> list[PlanEntry]:
        """`count` entries from number `start` (0 is the first) on. Raises `UsageError` if the file was changed."""
        if start < self._next:
            self._next, self._offset = 0, self._first
        with self._opened() as file:
            if _identity(file) != self._seen:
                raise UsageError(f"The plan {self.path} was changed while it was being applied: nothing more is sent.")
            file.seek(self._offset)
            self._offset += sum(len(line) for line in islice(file, start - self._next))
            lines = list(islice(file, count))
        self._offset += sum(map(len, lines))
        self._next = start + len(lines)
        return [self._entry(line, number) for number, line in enumerate(lines, start)]

    def find(self, ids: Collection[str]) -> dict[str, PlanEntry]:
        """The entries of these items, in one walk over the file."""
        return {entry.id: entry for entry in self.entries() if entry.id in ids} if ids else {}

    def _opened(self) -> IO[bytes]:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UsageError(
                f"The plan {self.path} cannot be read ({error.strerror}): give the file that it is in."
            ) from error

    def _check_digest(self, file: IO[bytes]) -> None:
        digest = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        if digest.hexdigest() != self.digest:
            raise UsageError(
                f"{self.path} is not the plan of this digest: its own is {digest.hexdigest()[:12]}…; it was changed"
                " or cut since, or is another one: look at it again, or make a new plan."
            )

    def _read_header(self, file: IO[bytes]) -> PlanHeader:
        file.seek(0)
        said = _object(file.readline(_CHUNK))
        if said is None or said.get("kind") != _KIND:
            raise UsageError(f"{self.path} is not a plan of intercom-bulk.")
        if said.get("format") != FORMAT:
            raise UsageError(
                f"The plan {self.path} has format {said.get('format')!r}, this version reads {FORMAT}: make it anew."
            )
        known = {f.name for f in fields(PlanHeader)}
        try:
            return PlanHeader(**{name: value for name, value in said.items() if name in known})
        except TypeError as error:
            raise UsageError(f"The header of the plan {self.path} is damaged: make a new plan.") from error

    def _check_entries(self, file: IO[bytes]) -> None:
        count, line = 0, b"\n"
        for count, line in enumerate(file, 1):
            self._entry(line, count - 1)
        if count != self.header.count or not line.endswith(b"\n"):
            raise UsageError(
                f"The plan {self.path} is cut: it has {count:,} of its {self.header.count:,} items; make a new plan."
            )

    def _entry(self, line: bytes, number: int) -> PlanEntry:
        said = _object(line)
        if said is None or not said.keys() <= _ENTRY_TYPES.keys() or not _is_typed({"id": None, **said}):
            raise UsageError(f"Line {number + 2:,} of the plan {self.path} is damaged: make a new plan.")
        return PlanEntry(**said)


_ENTRY_TYPES: Mapping[str, tuple[type, ...]] = {
    "id": (str,),
    "updated_at": (int, NoneType),
    "before": (dict, NoneType),
    "after": (dict, NoneType),
    "customer_wrote_at": (int, NoneType),
    "parts": (list, NoneType),
}


def _is_typed(said: Mapping[str, Any]) -> bool:
    parts = said.get("parts") or ()
    return all(isinstance(value, _ENTRY_TYPES[name]) for name, value in said.items()) and all(
        part is None or (isinstance(part, list) and [type(side) for side in part] == [dict, dict]) for part in parts
    )


def _identity(file: IO[bytes]) -> tuple[int, ...]:
    now = os.fstat(file.fileno())
    return now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=str, separators=(",", ":")).encode("ascii") + b"\n"


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _checked_digest(digest: str) -> str:
    said = str(digest).strip().lower().removeprefix("sha256:")
    if not _DIGEST.fullmatch(said):
        raise UsageError("digest= must be the SHA-256 of the plan that was looked at: 64 hexadecimal digits.")
    return said


def _sync_folder(folder: Path) -> None:
    """So that the rename is on the disk too; where folders cannot be opened (Windows) there is no such thing."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
