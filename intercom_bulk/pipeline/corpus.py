"""The conversations of a run's range as phases read them: documents, results, vectors, streamed out of the mirror."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from intercom_bulk.insights.phase import Document, Message
from intercom_bulk.mirror.keeping.backend import chunks, marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.insights.phase import Matrix, Result
    from intercom_bulk.mirror.keeping.backend import Connection
    from intercom_bulk.mirror.keeping.store import MirrorStore

__all__ = ["Listed", "MirrorCorpus"]

_CHUNK = 1000
_IN_RANGE = "c.deleted_at IS NULL AND c.created_at >= ? AND c.created_at < ?"


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation of the range; and of which input, phase and run the stored result is, None where there is none."""

    id: str
    version: str
    input_version: str | None
    phase_version: str | None
    run_id: int | None


class MirrorCorpus:
    """What one phase sees of the mirror: the conversations created from `span[0]` and before `span[1]`, not deleted,
    with the results of the phases that it `uses`.
    """

    def __init__(self, store: MirrorStore, span: tuple[int, int], uses: Sequence[str] = ()) -> None:
        self._store = store
        self._uses = tuple(uses)
        self.span = span

    @property
    def workspace(self) -> str | None:
        return self._store.workspace

    def __len__(self) -> int:
        return self._store.count_created(*self.span)

    # -- documents

    def documents(self, *, sample: int | None = None, seed: int = 0) -> Iterator[Document]:
        """Ordered by id; or a sample of so many, the same for the same seed."""
        ids = self._ids()
        if sample is not None:
            known = list(ids)
            ids = iter(sorted(random.Random(seed).sample(known, min(sample, len(known)))))
        while batch := list(islice(ids, _CHUNK)):
            yield from self.read(batch)

    def read(self, ids: Sequence[str]) -> list[Document]:
        """These, in this order; what is deleted, or not in the range, is left out."""
        found: dict[str, Document] = {}
        with self._store.reading() as on:
            for batch in chunks(ids):
                found.update((one.id, one) for one in self._read(on, batch))
        return [found[item_id] for item_id in ids if item_id in found]

    def listed(self, phase: str, after: str, limit: int) -> list[Listed]:
        """Conversations behind this id, and what is stored of them."""
        sql = f"""
            SELECT c.id, {_VERSION}, r.input_version, r.phase_version, r.run_id{self._digests()} FROM conversation AS c
            LEFT JOIN phase_result AS r ON r.phase = ? AND r.item_id = c.id {self._joins()}
            WHERE c.id > ? AND {_IN_RANGE} ORDER BY c.id LIMIT ?
        """  # noqa: S608  constants
        with self._store.reading() as on:
            rows = on.rows(sql, (phase, *self._uses, after, *self.span, limit))
            return [Listed(one, _version(own, used), of, by, run) for one, own, of, by, run, *used in rows]

    def stored_versions(self, phase: str, ids: Sequence[str]) -> dict[str, tuple[str, str, int]]:
        """Of which input, phase and run the stored results of these items are."""
        found: dict[str, tuple[str, str, int]] = {}
        with self._store.reading() as on:
            for batch in chunks(ids):
                sql = f"""
                    SELECT item_id, input_version, phase_version, run_id FROM phase_result
                    WHERE phase = ? AND item_id IN ({marks(len(batch))})
                """  # noqa: S608  marks alone
                found.update((one, (of, by, run)) for one, of, by, run in on.rows(sql, (phase, *batch)))
        return found

    def _ids(self) -> Iterator[str]:
        after, sql = "", f"SELECT c.id FROM conversation AS c WHERE c.id > ? AND {_IN_RANGE} ORDER BY c.id LIMIT ?"  # noqa: S608
        while True:
            with self._store.reading() as on:
                ids = [item_id for (item_id,) in on.rows(sql, (after, *self.span, _CHUNK))]
            yield from ids
            if len(ids) < _CHUNK:
                return
            after = ids[-1]

    def _digests(self) -> str:
        return "".join(f", u{number}.digest" for number in range(len(self._uses)))

    def _joins(self) -> str:
        return " ".join(
            f"LEFT JOIN phase_result AS u{number} ON u{number}.phase = ? AND u{number}.item_id = c.id"
            for number in range(len(self._uses))
        )

    def _read(self, on: Connection, ids: Sequence[str]) -> Iterator[Document]:
        wanted = marks(len(ids))
        messages: dict[str, list[Message]] = defaultdict(list)
        sql = f"""
            SELECT conversation_id, author_type, created_at, body FROM part
            WHERE conversation_id IN ({wanted}) AND body <> '' ORDER BY conversation_id, created_at, position
        """  # noqa: S608  marks alone
        for item_id, author, at, body in on.rows(sql, ids):
            messages[item_id].append(Message(author or "", at, body))
        tags: dict[str, list[str]] = defaultdict(list)
        sql = f"""
            SELECT t.conversation_id, coalesce(tag.name, t.tag_id) FROM conversation_tag AS t
            LEFT JOIN tag ON tag.id = t.tag_id WHERE t.conversation_id IN ({wanted}) ORDER BY 1, 2
        """  # noqa: S608  marks alone
        for item_id, name in on.rows(sql, ids):
            tags[item_id].append(name)
        results, digests = self._used(on, ids)
        sql = f"""
            SELECT c.id, {_VERSION}, c.created_at, c.updated_at, c.subject, c.body, c.state, c.custom_attributes
            FROM conversation AS c WHERE c.id IN ({wanted}) AND {_IN_RANGE}
        """  # noqa: S608  marks alone
        for item_id, own, created, updated, subject, body, state, attributes in on.rows(sql, (*ids, *self.span)):
            yield Document(
                id=item_id,
                version=_version(own, [digests.get((item_id, name)) for name in self._uses]),
                created_at=created,
                updated_at=updated,
                subject=subject,
                body=body,
                messages=tuple(messages.get(item_id, ())),
                tags=tuple(tags.get(item_id, ())),
                state=state,
                attributes=json.loads(attributes),
                results=results.get(item_id, {}),
            )

    def _used(
        self, on: Connection, ids: Sequence[str]
    ) -> tuple[dict[str, dict[str, Result]], dict[tuple[str, str], str]]:
        results: dict[str, dict[str, Result]] = defaultdict(dict)
        digests: dict[tuple[str, str], str] = {}
        if not self._uses:
            return results, digests
        sql = f"""
            SELECT phase, item_id, digest, result, vector FROM phase_result
            WHERE phase IN ({marks(len(self._uses))}) AND item_id IN ({marks(len(ids))})
        """  # noqa: S608  marks alone
        for phase, item_id, digest, result, vector in on.rows(sql, (*self._uses, *ids)):
            said: dict[str, Any] = json.loads(result)
            if vector is not None:
                said["vector"] = _row(vector)
            results[item_id][phase] = said
            digests[item_id, phase] = digest
        return results, digests

    # -- results

    def results(self, phase: str) -> Iterator[tuple[str, Result]]:
        """What a phase said, item by item, ordered by id; without vectors."""
        for item_id, result in self._stored(phase, "result"):
            yield item_id, json.loads(result)

    def vectors(self, phase: str) -> Iterator[tuple[list[str], Matrix]]:
        """The vectors of a phase in chunks of equal length: ids, and a float32 matrix with a row for each. Where an
        item has one of another width (of an earlier embedder, say), that is in a chunk of its own kind.
        """
        import numpy as np

        rows = self._stored(phase, "vector")
        while batch := list(islice(rows, _CHUNK)):
            by_width: dict[int, list[tuple[str, Any]]] = {}
            for row in batch:
                by_width.setdefault(len(row[1]), []).append(row)
            for same in by_width.values():
                joined = b"".join(bytes(vector) for _, vector in same)
                yield [item_id for item_id, _ in same], np.frombuffer(joined, dtype="<f4").reshape(len(same), -1)

    def has_state(self, phase: str) -> bool:
        """Whether what `fit()` returned last is still here: with what was deleted, what quotes it goes."""
        with self._store.reading() as on:
            return on.row("SELECT 1 FROM phase_state WHERE phase = ?", (phase,)) is not None

    def state(self, phase: str) -> bytes | None:
        """What `fit()` of this phase returned last, in whatever run."""
        with self._store.reading() as on:
            row = on.row("SELECT state FROM phase_state WHERE phase = ?", (phase,))
        return None if row is None or row[0] is None else bytes(row[0])

    def _stored(self, phase: str, column: str) -> Iterator[tuple[str, Any]]:
        # What is no conversation (one item a theme) is in every range.
        sql = f"""
            SELECT r.item_id, r.{column} FROM phase_result AS r LEFT JOIN conversation AS c ON c.id = r.item_id
            WHERE r.phase = ? AND r.item_id > ? AND r.{column} IS NOT NULL AND (c.id IS NULL OR ({_IN_RANGE}))
            ORDER BY r.item_id LIMIT ?
        """  # noqa: S608  constants
        after = ""
        while True:
            with self._store.reading() as on:
                rows = list(on.rows(sql, (phase, after, *self.span, _CHUNK)))
            yield from rows
            if len(rows) < _CHUNK:
                return
            after = rows[-1][0]

    def stray(self, phase: str, kept: Iterable[str]) -> list[str]:
        """The items of this range of which a phase has results, though they are no items of it any more."""
        known = set(kept)
        return [item_id for item_id, _ in self._stored(phase, "item_id") if item_id not in known]


_VERSION = (
    "CAST(c.updated_at AS text) || '.' || CAST(coalesce(c.thread_updated_at, 0) AS text) || '.'"
    " || CAST(c.parts_stored AS text)"
)
"""What is known of a conversation: its own `updated_at`, its thread's, and how many parts are here."""


def _version(own: str, used: Iterable[str | None]) -> str:
    """Of the conversation, and of the results that are used."""
    return "/".join((own, *(digest or "-" for digest in used)))


def _row(vector: bytes) -> Any:
    import numpy as np

    return np.frombuffer(bytes(vector), dtype="<f4")
