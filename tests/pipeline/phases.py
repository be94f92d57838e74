"""Phases of a test's own: small, quick, and telling what they were given."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any, ClassVar

from intercom_bulk.insights.phase import Document, Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from intercom_bulk.insights.phase import Corpus, Result

__all__ = ["Counting", "Grouping", "Telling", "Wording", "noted"]


class Counting(Phase):
    """How many messages there are; under the name that the service counts by."""

    name: ClassVar[str] = "classification"
    batch_size = 10

    def __init__(self, log: Path | None = None, before: Callable[[Sequence[Document]], None] | None = None) -> None:
        self._log = log
        self._before = before
        self.seen: list[str] = []
        self.fits = 0

    def fit(self, corpus: Corpus) -> bytes | None:
        self.fits += 1
        return None

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        _note(self._log, self.name, batch)  # first: who dies in the midst of it has begun it
        if self._before is not None:
            self._before(batch)
        self.seen += [one.id for one in batch]
        return [self.answer(one) for one in batch]

    def answer(self, document: Document) -> Result | Exception:
        return {"label": "long" if len(document.messages) > 2 else "short", "messages": len(document.messages)}


class Wording(Counting):
    """Learns the longest message of the whole, and puts each beside it; with a vector."""

    name = "facet_extraction"
    uses = ("classification",)
    longest = 0

    def fit(self, corpus: Corpus) -> bytes | None:
        super().fit(corpus)
        return str(max((len(one.customer_text) for one in corpus.documents()), default=0)).encode()

    def load(self, state: bytes | None) -> None:
        self.longest = int(state or b"0")
        self.version = f"1.{self.longest}"

    def answer(self, document: Document) -> Result | Exception:
        import numpy as np

        said = len(document.customer_text)
        of = dict(document.results["classification"])
        return {"share": round(said / max(1, self.longest), 6), "of": of, "vector": np.array([said, 1.0], "f4")}


class Grouping(Counting):
    """One item for each label: not of conversations."""

    name = "story_creation"
    uses = ("classification",)

    def items(self, corpus: Corpus) -> Iterator[Document]:
        members: dict[str, list[str]] = {}
        for item_id, result in corpus.results("classification"):
            members.setdefault(result["label"], []).append(item_id)
        for label, ids in sorted(members.items()):
            yield Document(id=f"group {label}", version=f"{len(ids)}", subject=label, attributes={"ids": ids})

    def answer(self, document: Document) -> Result | Exception:
        return {"title": document.subject, "count": len(document.attributes["ids"])}


class Telling(Counting):
    """An expensive one: paced."""

    name = "telling"
    batch_size = 1
    requests_per_minute = 1200

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._lock = threading.Lock()
        self.flying = self.most = 0


def noted(phase: Phase, log: Path, before: Callable[[Sequence[Document]], None]) -> Phase:
    """The same phase, which also writes down what it is given."""
    process = phase.process

    def processed(batch: Sequence[Document]) -> Sequence[Result | Exception]:
        _note(log, phase.name, batch)
        before(batch)
        return process(batch)

    phase.process = processed  # type: ignore[method-assign]
    return phase


def _note(log: Path | None, phase: str, batch: Sequence[Document]) -> None:
    """Whole lines, whoever dies meanwhile."""
    if log is None:
        return
    said = "".join(json.dumps([phase, one.id]) + "\n" for one in batch).encode()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, said)
    finally:
        os.close(descriptor)
