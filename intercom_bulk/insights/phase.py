"""A phase: what is worked out of each conversation, and kept beside it.

People subclass `Phase`: a `name` and `process()` are enough. A phase does not know who runs it (the pipeline): it sees
`Document`s, and a `Corpus` before the first of them.

    corpus --fit()--> state --load()--> [documents of a batch] --process()--> one result each

The promises that make a killed and resumed run equal to an undisturbed one:

- `process()` gives a document the same result whatever else is in its batch, and as often as it is asked;
- what it learnt from the whole is in the state that `fit()` returned, and nowhere else;
- `version` changes when results are no longer what they would be (other rules, another fit). It is read after `load()`,
  so that it may say which fit it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Matrix: TypeAlias = NDArray[np.float32]

__all__ = ["CUSTOMERS", "Corpus", "Document", "Message", "Phase", "Result"]

CUSTOMERS = frozenset({"contact", "lead", "user"})
"""The types of author that are not the company's own people or machines."""

Result: TypeAlias = "Mapping[str, Any]"
"""What a phase says of one item: JSON, but that the key `vector` may be a 1-D float32 array, which is stored apart."""


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wrote after the first message. `created_at` is in seconds since 1970, `body` plain text."""

    author_type: str
    created_at: int
    body: str


@dataclass(frozen=True, slots=True)
class Document:
    """What a phase gets of one item: a conversation, or what its `items()` made up.

    `version` is that of the input: it changes when the conversation, or a result that the phase uses, does. Times are
    seconds since 1970. `subject` and `body` are of the first message, plain text. `results` are those of the phases
    named in `Phase.uses`, by phase; a phase that has said nothing of this item is missing there. A `vector` is among
    them as it was given: a 1-D float32 array.
    """

    id: str
    version: str
    created_at: int = 0
    updated_at: int = 0
    subject: str = ""
    body: str = ""
    messages: tuple[Message, ...] = ()
    tags: tuple[str, ...] = ()
    state: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Result] = field(default_factory=dict)

    @property
    def customer_text(self) -> str:
        """The subject, the first message, and what customers wrote after it, one on a line."""
        theirs = (message.body for message in self.messages if message.author_type in CUSTOMERS)
        return "\n".join(text for text in (self.subject, self.body, *theirs) if text)


@runtime_checkable
class Corpus(Protocol):
    """Read access to the items of the run's range, for `fit()` and `items()`: streams, never the whole in memory."""

    @property
    def workspace(self) -> str | None:
        """The workspace's id (as in links to its inbox), if it is known."""

    @property
    def span(self) -> tuple[int, int]:
        """The run's range of `created_at`, in seconds since 1970: from, and before. A resumed run keeps it."""

    def __len__(self) -> int:
        """How many conversations there are in the range."""

    def documents(self, *, sample: int | None = None, seed: int = 0) -> Iterator[Document]:
        """Ordered by id, with the results that the phase `uses`; or a sample of so many, the same for the same seed."""

    def results(self, phase: str) -> Iterator[tuple[str, Result]]:
        """What a phase said, item by item, ordered by id; without vectors."""

    def vectors(self, phase: str) -> Iterator[tuple[list[str], Matrix]]:
        """The vectors of a phase in chunks: ids, and a float32 matrix with a row for each; ordered by id."""

    def state(self, phase: str) -> bytes | None:
        """What `fit()` of this phase returned last, in whatever run: so that ids, and fits, can stay what they were."""


class Phase(ABC):
    """One step of the pipeline. Subclasses need a `name` and `process()`.

    `uses`: the phases whose results a document carries; a changed result there makes it a changed input here.
    `requests_per_minute`: for phases that call something with a limit (an LLM): each call of `process()` takes one
    permit of a governor of that limit, and several may run at once, in threads. Without it, calls come one at a time.
    """

    name: ClassVar[str]
    version: str = "1"
    uses: tuple[str, ...] = ()
    batch_size: int = 500
    requests_per_minute: int | None = None

    def items(self, corpus: Corpus) -> Iterable[Document]:
        """What is to be worked on: the conversations of the range, unless a phase has others (one item a theme)."""
        return corpus.documents()

    def fit(self, corpus: Corpus) -> bytes | None:  # noqa: ARG002  # for subclasses
        """Learn from the whole, once a run, before the first batch. What it returns is stored, then given to `load()`.

        A resumed run is given the stored bytes by `load()`, and does not fit again.
        """
        return None

    def load(self, state: bytes | None) -> None:  # noqa: B027  # for subclasses; most have no state
        """Take up what `fit()` returned, in this life or an earlier one."""

    @abstractmethod
    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        """A result for each document, in their order; an exception for one that failed leaves the others alone."""
