"""Where runs are kept: a folder with a file for each, held by its process for as long as that lives.

The list of runs is read from the files themselves; a small index keeps it quick and caller-given keys unique. It can be
deleted at any time: it is rebuilt from the files. Pruning a run is deleting its file.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from intercom_bulk.errors import LedgerError, RunBusy, UnknownRun
from intercom_bulk.runs.database import Database, is_damage
from intercom_bulk.runs.holding import Held, Hold, is_held, life_of
from intercom_bulk.runs.ledger import Ledger
from intercom_bulk.runs.wishes import TRIES, Wish, leave, nobody_works, take

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.record import RunRecord

__all__ = ["FileStore", "RunStore"]

_INDEX = (
    """
    CREATE TABLE run (run_id TEXT PRIMARY KEY, run_key TEXT UNIQUE, created_at REAL NOT NULL, record TEXT NOT NULL)
    STRICT;
    """,
)


class RunStore(Protocol):
    """Runs by id. One process at a time works on a run; any may read it."""

    def create(self, record: RunRecord) -> RunLedger:
        """A new run, held by this process. Raises `RunBusy` when its `run_key` is taken: see `find_key`."""

    def open(self, run_id: str) -> RunLedger:
        """An existing run, held by this process. Raises `RunBusy` with who holds it, `UnknownRun`."""

    def read(self, run_id: str) -> RunLedger:
        """An existing run, to look at; its process may be writing."""

    def record(self, run_id: str) -> RunRecord:
        """How a run stands; `interrupted` when its process is dead."""

    def records(self, *, below: str | None = None) -> Iterator[RunRecord]:
        """All runs, newest first; those whose id comes before that one. Each is read when it is asked for."""

    def worked_on(self) -> Iterator[RunRecord]:
        """The runs that a process holds now, in whatever order; a look at each lock, whatever the number of runs."""

    def damaged(self) -> Iterator[str]:
        """The runs that are there and cannot be read, which `records` leaves out."""

    def find_key(self, run_key: str) -> str | None:
        """The id of the run that was started with this key."""

    def remember(self, record: RunRecord) -> None:
        """Note in the list how a run stands."""

    def delete(self, run_id: str) -> None:
        """Forget a run. Raises `RunBusy` while somebody works on it."""

    def ask(self, run_id: str, wish: Wish) -> None:
        """Ask the process that works on a run; its ledger's `wish()` hears it. Raises `UsageError` when none does."""


class FileStore:
    """Runs as files `<run_id>.db` in one folder, 0700, files 0600. `make_ledger` opens one of them."""

    def __init__(self, folder: Path, make_ledger: Callable[..., Ledger] = Ledger) -> None:
        self._folder = folder
        self._make_ledger = make_ledger

    def create(self, record: RunRecord) -> Ledger:
        self._make_folder()
        hold = self._hold(record.run_id)
        try:
            self._reserve(record)
            ledger = self._made(record.run_id, hold)
            with ledger.atomic():
                ledger.save(record)
        except BaseException:
            hold.release()
            raise
        return ledger

    def open(self, run_id: str) -> Ledger:
        self._existing(run_id)  # first: an id that is none must not become the name of a lock
        hold = self._hold(run_id)
        try:
            return self._made(self._existing(run_id).stem, hold, check=True)
        except UnknownRun:
            self._lock_path(run_id).unlink(missing_ok=True)
            hold.release()
            raise
        except BaseException:
            hold.release()
            raise

    def _made(self, run_id: str, hold: Hold, *, check: bool = False) -> Ledger:
        """The ledger of a run that is held; it hears what is asked of this life."""
        wishes = self._folder / f"{run_id}.wish"
        wishes.unlink(missing_ok=True)

        def let_go() -> None:
            wishes.unlink(missing_ok=True)
            hold.release()

        return self._make_ledger(self._path(run_id), check=check, on_close=let_go, hear=lambda: take(wishes, hold.life))

    def ask(self, run_id: str, wish: Wish) -> None:
        self._existing(run_id)
        for _ in range(TRIES):
            life = life_of(self._lock_path(run_id))
            if life is not None:
                leave(self._folder / f"{run_id}.wish", life, wish)
            if life == life_of(self._lock_path(run_id)):
                break
        if life is None:
            raise nobody_works(run_id, wish)

    def read(self, run_id: str) -> Ledger:
        return Ledger(self._existing(run_id), read_only=True)

    def record(self, run_id: str) -> RunRecord:
        ledger = self.read(run_id)
        try:
            record = ledger.record()
        finally:
            ledger.close()
        if record is None:
            raise LedgerError(f"{run_id} has no record of its run: it ended before it began; prune it.")
        return record if is_held(self._lock_path(run_id)) else record.seen_dead()

    def records(self, *, below: str | None = None) -> Iterator[RunRecord]:
        for path in sorted(self._folder.glob("*.db"), reverse=True):
            if path.stem == "index" or (below is not None and path.stem >= below):
                continue
            try:
                yield self.record(path.stem)
            except LedgerError:
                continue  # damage stays local: one unreadable file does not hide the others

    def worked_on(self) -> Iterator[RunRecord]:
        for path in self._folder.glob("*.lock"):
            if path.stem != "index" and is_held(path):
                with suppress(LedgerError):  # it ended, or began, a moment ago
                    yield self.record(path.stem)

    def damaged(self) -> Iterator[str]:
        for path in sorted(self._folder.glob("*.db"), reverse=True):
            if path.stem == "index":
                continue
            try:
                self.record(path.stem)
            except LedgerError:
                yield path.stem

    def find_key(self, run_key: str) -> str | None:
        if not self._folder.is_dir():
            return None
        with self._index() as index:
            row = index.row("SELECT run_id FROM run WHERE run_key=?", (run_key,))
        return str(row[0]) if row is not None else None

    def remember(self, record: RunRecord) -> None:
        with self._index() as index, index.atomic():
            index.execute(
                "INSERT INTO run VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO UPDATE SET record=excluded.record",
                (record.run_id, record.run_key, record.created_at, record.to_json()),
            )

    def rebuild(self) -> int:
        """Make the index anew from the files; how many runs there are."""
        hold = self._hold("index")
        try:
            for leftover in self._folder.glob("index.db*"):
                leftover.unlink(missing_ok=True)
            return self._fill()
        finally:
            hold.release()

    def _index(self) -> _Index:
        """Made anew from the files where it is gone or damaged: a key must not be free again because of that."""
        if not (self._folder / "index.db").exists():
            self._fill()
        try:
            return _Index(self._folder)
        except LedgerError as error:
            if not is_damage(error):
                raise
        self.rebuild()
        return _Index(self._folder)

    def _fill(self) -> int:
        records = list(self.records())
        with _Index(self._folder) as index, index.atomic():
            for record in records:
                row = (record.run_id, record.run_key, record.created_at, record.to_json())
                index.execute("INSERT INTO run VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", row)
        return len(records)

    def delete(self, run_id: str) -> None:
        path = self._existing(run_id)
        hold = self._hold(run_id)
        try:
            with self._index() as index, index.atomic():
                index.execute("DELETE FROM run WHERE run_id=?", (run_id,))
            for suffix in ("-wal", "-shm", ""):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            path.with_suffix(".wish").unlink(missing_ok=True)
            self._lock_path(run_id).unlink(missing_ok=True)
        finally:
            hold.release()

    def _reserve(self, record: RunRecord) -> None:
        # Its own id: the process that took the key died before it had a file.
        if record.run_key is not None and (taken := self.find_key(record.run_key)) not in {None, record.run_id}:
            raise RunBusy(f"The key {record.run_key!r} belongs to run {taken} already.")
        try:
            self.remember(record)
        except LedgerError as error:
            taken = self.find_key(record.run_key) if record.run_key is not None else None
            if taken is None:
                raise
            raise RunBusy(f"The key {record.run_key!r} belongs to run {taken} already.") from error

    def _make_folder(self) -> None:
        try:
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise LedgerError(
                f"The folder for runs cannot be made ({error.strerror}): set INTERCOM_BULK_HOME."
            ) from error

    def _path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.db"

    def _lock_path(self, run_id: str) -> Path:
        return self._folder / f"{run_id}.lock"

    def _existing(self, run_id: str) -> Path:
        path = self._folder / f"{run_id}.db"
        if path.parent != self._folder or not path.is_file():
            raise UnknownRun(f"There is no run {run_id[:60]!r} in {self._folder}.")
        return path

    def _hold(self, run_id: str) -> Hold:
        try:
            return Hold.taken(self._lock_path(run_id))
        except Held as held:
            raise RunBusy(f"Run {run_id} is held by {held}: wait for it, or stop it.") from None
        except OSError as error:
            raise LedgerError(
                f"The folder for runs cannot be written ({error.strerror}): set INTERCOM_BULK_HOME."
            ) from error


class _Index(Database):
    """The list of runs; opened for one look at a time, because several processes share it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "index.db", _INDEX, durable=False, check=True)

    def __enter__(self) -> _Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
