"""What came of a sync, for people and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from intercom_bulk.mirror.keeping.schema import SyncState

if TYPE_CHECKING:
    from intercom_bulk.mirror.keeping.proofs import Proof
    from intercom_bulk.mirror.keeping.syncs import Sync

__all__ = ["SyncReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncReport:
    """One sync. `found` conversations were listed; of those `added`, `changed` and `unchanged` are counted by what the
    mirror had. `missed` are those that the syncs before had promised and not stored: it should be 0. `threads` were
    fetched, `unread` could not be. `deleted` are newly known to be gone; `deletions_unknown` says why that is not
    known. `contacts` were read.

    `in_step_to`: nothing is missing of what changed before that epoch second; None: it proved nothing. `seconds` is how
    long it took.
    """

    sync_id: str
    state: SyncState
    seconds: float = 0.0
    calls: int = 0
    rate_limited: int = 0
    found: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    missed: int = 0
    deleted: int = 0
    threads: int = 0
    parts: int = 0
    unread: int = 0
    contacts: int = 0
    deletions_unknown: str | None = None
    in_step_to: int | None = None
    error: str | None = None

    @classmethod
    def of(
        cls, sync: Sync, *, proof: Proof | None = None, deleted: int = 0, threads: int = 0, unread: int = 0,
        contacts: int = 0, deletions_unknown: str | None = None,
    ) -> SyncReport:  # fmt: skip
        counts = sync.counts
        return cls(
            sync_id=sync.id,
            state=sync.state,
            seconds=counts.seconds,
            calls=counts.calls,
            rate_limited=counts.rate_limited,
            found=counts.found,
            added=counts.added,
            changed=counts.changed,
            unchanged=counts.unchanged,
            missed=counts.missed,
            deleted=deleted,
            threads=threads,
            parts=counts.parts,
            unread=unread,
            contacts=contacts,
            deletions_unknown=deletions_unknown,
            in_step_to=proof.span.hi if proof is not None else None,
            error=sync.error,
        )

    @property
    def is_complete(self) -> bool:
        """Whether it read to the end, every thread included, and what was deleted, where that was asked for."""
        return self.state is SyncState.COMPLETED and not self.unread and self.deletions_unknown is None

    @property
    def is_uneventful(self) -> bool:
        """Whether there was nothing to fetch, and nothing went wrong."""
        return self.state is SyncState.COMPLETED and not self.unread and not self.threads

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"state": self.state.value}

    def __str__(self) -> str:
        """One line for people."""
        parts = [f"{self.found:,} listed", f"{self.added:,} new", f"{self.changed:,} changed"]
        parts += [f"{self.threads:,} threads fetched"] if self.threads else []
        parts += [f"{self.contacts:,} contacts read"] if self.contacts else []
        parts += [f"{self.deleted:,} deleted"] if self.deleted else []
        parts += ["what was deleted is not known"] if self.deletions_unknown is not None else []
        parts += [f"{self.missed:,} missed by an earlier sync"] if self.missed else []
        text = f"{', '.join(parts)} in {self.seconds:.1f} s ({self.calls:,} calls)"
        text = text if self.state is SyncState.COMPLETED else f"{text}; {self.state}"
        return f"{text}: {self.error}" if self.error else text
