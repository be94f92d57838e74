"""A corpus in memory, and phases run over it in batches: what the pipeline does, without its database.

Also conversations made by chance from the words of labelled messages: as many as a bench wants.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intercom_bulk.insights.phase import Document, Message, Phase, Result

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = ["LABELLED", "Memory", "generated", "labelled"]

LABELLED = Path(__file__).parents[1] / "tests" / "insights" / "labelled"
_CHUNK = 1_000
_START = 1_760_000_000
_DAY = 86_400


@dataclass
class Memory:
    """All that phases read and say. It is a `Corpus` for the phase that `asking` names."""

    given: list[Document]
    workspace: str | None = "abc123"
    span: tuple[int, int] = (0, 2**31)
    said: dict[str, dict[str, Result]] = field(default_factory=dict)
    states: dict[str, bytes | None] = field(default_factory=dict)
    uses: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.given)

    def documents(self, *, sample: int | None = None, seed: int = 0) -> Iterator[Document]:
        chosen: Sequence[int] = range(len(self.given))
        if sample is not None and sample < len(self.given):
            chosen = sorted(random.Random(seed).sample(chosen, sample))
        return (self._with_results(self.given[at]) for at in chosen)

    def _with_results(self, document: Document) -> Document:
        if not self.uses:
            return document
        held = {name: self.said[name][document.id] for name in self.uses if document.id in self.said.get(name, {})}
        return replace(document, results=held)

    def results(self, phase: str) -> Iterator[tuple[str, Result]]:
        return iter(sorted(self.said.get(phase, {}).items()))

    def vectors(self, phase: str) -> Iterator[tuple[list[str], Any]]:
        import numpy as np

        held = [(item, result["vector"]) for item, result in self.results(phase)]
        for start in range(0, len(held), _CHUNK):
            rows = held[start : start + _CHUNK]
            for width in sorted({len(vector) for _, vector in rows}):
                same = [(item, vector) for item, vector in rows if len(vector) == width]
                yield [item for item, _ in same], np.array([vector for _, vector in same])

    def state(self, phase: str) -> bytes | None:
        return self.states.get(phase)

    def fit(self, phase: Phase) -> None:
        """The first half of a phase."""
        self.uses = phase.uses
        state = phase.fit(self)
        phase.load(state)
        self.states[phase.name] = state

    def work(self, phase: Phase, *, batch: int | None = None) -> None:
        """The second half: what the phase says, item by item. Raises a result that is an exception."""
        self.uses = phase.uses
        said: dict[str, Result] = {}
        waiting: list[Document] = []
        for document in phase.items(self):
            waiting.append(document)
            if len(waiting) == (batch or phase.batch_size):
                said.update(_processed(phase, waiting))
                waiting = []
        said.update(_processed(phase, waiting))
        self.said[phase.name] = said

    def run(self, phases: Iterable[Phase], *, batch: int | None = None) -> Mapping[str, Mapping[str, Result]]:
        """All of them in order; what they said, by phase and item."""
        for phase in phases:
            self.fit(phase)
            self.work(phase, batch=batch)
        return self.said


def _processed(phase: Phase, batch: Sequence[Document]) -> Iterator[tuple[str, Result]]:
    if batch:
        for document, result in zip(batch, phase.process(batch), strict=True):
            if isinstance(result, Exception):
                raise result
            yield document.id, result


def labelled(half: str) -> list[dict[str, str]]:
    """The messages of `tuned` or `held_out`, with their labels."""
    with (LABELLED / f"{half}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def generated(count: int, *, seed: int = 0) -> list[Document]:
    """Conversations of 90 days: a labelled message first, then others of its kind, with words swapped.

    What they are about is drawn with falling shares, as in a real inbox, and one in eight is a mix of everything.
    """
    chance = random.Random(seed)
    kinds: dict[tuple[str, str], list[str]] = {}
    for row in labelled("tuned"):
        kinds.setdefault((row["classification"], row["language"]), []).append(row["text"])
    groups = sorted(kinds.items())
    chance.shuffle(groups)
    weights = [len(texts) / (place + 10) for place, (_, texts) in enumerate(groups)]
    everything = sorted({word for _, texts in groups for text in texts for word in text.split()})
    return [_generated(at, chance, groups, weights, everything) for at in range(count)]


def _generated(
    at: int, chance: random.Random, groups: Any, weights: Sequence[float], everything: Sequence[str]
) -> Document:
    messages: tuple[Message, ...]
    (kind, language), texts = chance.choices(groups, weights)[0]
    created = _START + int(chance.random() * 90 * _DAY)
    messages: tuple[Message, ...] = ()
    if chance.random() < 1 / 8:
        language, body = "mixed", " ".join(chance.choices(everything, k=chance.randint(3, 60)))
    else:
        body = _swapped(chance, chance.choice(texts), everything)
        replies = [_swapped(chance, chance.choice(texts), everything) for _ in range(chance.randint(0, 4))]
        authors = ("admin", "user")
        messages = tuple(Message(authors[n % 2], created + 600 * n, text) for n, text in enumerate(replies, 1))
    tags = (kind,) if chance.random() < 0.3 else ()
    about = {"about": f"{kind} {language}"}
    return Document(f"{215_000_000 + at}", "1", created, created + 9_000, "", body, messages, tags, "open", about)


def _swapped(chance: random.Random, text: str, everything: Sequence[str]) -> str:
    words = [chance.choice(everything) if chance.random() < 0.12 else word for word in text.split()]
    return " ".join(words)
