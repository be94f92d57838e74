"""What a conversation is: by rules, and by a model where people have labelled some."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from intercom_bulk.errors import UsageError
from intercom_bulk.insights.labels import Labels, labeller
from intercom_bulk.insights.model import Model, learn
from intercom_bulk.insights.phase import Corpus, Document, Phase, Result
from intercom_bulk.insights.rules import Given, read_rules
from intercom_bulk.insights.state import digest
from intercom_bulk.insights.text import text_of, tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Classification"]

SURE = 0.5
"""Probability from which the model is believed rather than the rules."""


class Classification(Phase):
    """Result: `label` (or null), `confidence` (0 to 1), `by` (model, rule or none), and `matched`, the phrases of the
    rule.

    Where labels exist (`labels`: forty and more, five of a kind), a model learns them at the start of each run; it has
    the first word where it gives a label half of the probability or more, the rules have the second. A model that is
    not better than always saying the commonest label, of a fifth that it did not see, is not used. Without labels there
    are the rules. A confidence of rules is a share of points, no probability.
    """

    name: ClassVar[str] = "classification"
    batch_size = 500

    def __init__(self, *, rules: Given = None, labels: Labels = None) -> None:
        """`rules`: a YAML file, or what would be in one; `labels`: see `insights.labels`. Raises `UsageError`."""
        read = read_rules(rules)
        section = read.sections.get("classification")
        if section is None:
            raise UsageError("The rules have no section `classification`.")
        self._section, self._label = section, labeller(labels)
        self._rules_digest = read.digest
        self.model: Model | None = None
        self.version = f"1:{self._rules_digest}"

    def fit(self, corpus: Corpus) -> bytes | None:
        if self._label is None:
            return None
        model = learn(corpus.documents(), self._label)
        return model.packed() if model is not None and model.is_useful else None

    def load(self, state: bytes | None) -> None:
        self.model = Model.read(state)
        self.version = f"1:{self._rules_digest}" + (f":{digest(state)}" if self.model else "")

    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        texts = [text_of(document) for document in batch]
        guesses = self.model.predict(texts) if self.model else [(None, 0.0)] * len(texts)
        return [self._classified(text, *guess) for text, guess in zip(texts, guesses, strict=True)]

    def _classified(self, text: str, guess: str | None, likely: float) -> Result:
        if guess is not None and likely >= SURE:
            return {"label": guess, "confidence": round(likely, 4), "by": "model", "matched": []}
        said = self._section.judge(tokens(text))
        by = "rule" if said.matched else "none"
        return {"label": said.label, "confidence": said.confidence, "by": by, "matched": list(said.matched)}
