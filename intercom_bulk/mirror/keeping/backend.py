"""What a mirror is kept in: what a database has to offer, so that one store serves both kinds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from intercom_bulk.mirror.keeping.words import Wanted

__all__ = ["Backend", "Connection", "Folded", "Row", "TextIndex", "chunks", "marks"]

Row = tuple[Any, ...]


def marks(count: int) -> str:
    """So many parameters of a list."""
    return ",".join("?" * count)


class Connection(Protocol):
    """For one thread at a time. Parameters are written `?`. Raises `LedgerError` for what the database says."""

    def atomic(self) -> AbstractContextManager[None]:
        """All of the block or none of it."""

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[Row]: ...

    def row(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        """The first row, or None."""

    def named(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], Iterator[Row]]:
        """The names of the columns, and the rows: our own question, and not a long answer."""

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> int:
        """Run one statement; the number of rows it changed."""

    def execute_many(self, sql: str, rows: Sequence[Sequence[object]]) -> int: ...

    def ask(self, sql: str, parameters: Sequence[object] = ()) -> tuple[tuple[str, ...], Iterator[Row]]:
        """A person's question: the names of its columns, and its rows. Raises `UsageError` for what is no question."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Folded:
    """The words of a conversation, as they are indexed."""

    subject: str
    body: str
    parts: str


class TextIndex(Protocol):
    """Full text by the key of a conversation. Written in the transaction that writes the conversation."""

    def put(self, connection: Connection, texts: Sequence[tuple[int, Folded]]) -> None:
        """Index these keys, anew where they were indexed."""

    def remove(self, connection: Connection, keys: Sequence[int]) -> None: ...

    def texts(self, connection: Connection, keys: Sequence[int]) -> dict[int, Folded]:
        """What was indexed, of those that are."""

    def compact(self, connection: Connection) -> None:
        """Drop what was removed from the pages of the index, too. It takes as long as writing the index did."""

    def find(self, connection: Connection, wanted: Wanted, lo: int, hi: int, limit: int) -> list[int]:
        """Keys from `lo` to before `hi`, the highest first."""


class Backend(Protocol):
    """One workspace's mirror in one database."""

    @property
    def index(self) -> TextIndex: ...

    @property
    def place(self) -> str:
        """Where it is, and nothing else is: to tell mirrors apart, not to be shown (it may hold a password)."""

    @property
    def workspace(self) -> str:
        """The id of the workspace."""

    def read(self) -> Connection:
        """A connection that cannot write. Where there is no mirror yet, an empty one is made."""

    def write(self) -> Connection:
        """A connection that alone may write, until it is closed or its process ends. Raises `RunBusy`."""

    def is_held(self) -> bool:
        """Whether a sync is writing, in whatever process."""

    def beside(self, *, alone: bool) -> Connection:
        """A connection that writes the tables of the pipeline, while a sync may be writing the others. `alone`: as the
        one pipeline of this workspace, until it is closed or its process ends. Raises `RunBusy`.
        """

    def has_pipeline(self) -> bool:
        """Whether a pipeline is at work, in whatever process."""


def chunks(ids: Iterable[Any], size: int = 400) -> Iterator[list[Any]]:
    """Lists that fit into one statement."""
    chunk: list[Any] = []
    for one in ids:
        chunk.append(one)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
