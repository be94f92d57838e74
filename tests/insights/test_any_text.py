"""Whatever people write, and however it is cut into batches: an answer, and the same one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intercom_bulk.insights.builtin import builtin_phases
from intercom_bulk.insights.phase import Document, Message, Phase
from intercom_bulk.insights.text import clean, escape_markdown, quote, tokens

if TYPE_CHECKING:
    from bench.corpus import Memory

ODD = [
    "",
    " \n\t\x00\u200b",
    "<p>Hi<br/><b>the</b> &amp;nbsp; &#x41; <img src=x onerror=alert(1)> <unclosed",
    "\ud800 half a surrogate",
    "a" * 300_000,
    "refund " * 60_000,
    "<" * 50_000,
    ">" * 20_000 + "\n" * 20_000,
    "!" * 5_000 + "?" * 5_000,
    "http://" + "x." * 9_000,
    "@" * 9_000,
    "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627 \U0001f44d\U0001f3fd",
    "\u0130\u1e9e\ufb01\u00df \u0301\u0301\u0301",
]
NAMES = ("classification", "embedding_generation", "facet_extraction")
anything = st.text(st.characters(), max_size=300)


@pytest.fixture(scope="module")
def phases(worked: Memory) -> list[Phase]:
    made = [phase for phase in builtin_phases(min_theme=5) if phase.name != "story_creation"]
    for phase in made:
        phase.load(worked.states[phase.name])
    return made


def answers(phase: Phase, documents: list[Document]) -> list[dict[str, Any]]:
    said = []
    for one in phase.process(documents):
        assert not isinstance(one, Exception)
        said.append({**one, "vector": one["vector"].tobytes()} if "vector" in one else dict(one))
    return said


def plain(said: dict[str, Any]) -> str:
    return json.dumps({key: value for key, value in said.items() if key != "vector"}, allow_nan=False)


@pytest.mark.parametrize("text", ODD)
def test_odd_texts_have_an_answer(phases: list[Phase], text: str) -> None:
    document = Document("1", "1", subject=text[:50], body=text, messages=(Message("user", 5, text),))
    for phase in phases:
        if phase.name in NAMES:
            assert plain(answers(phase, [document])[0])
    assert "\n" not in quote(text)
    assert len(quote(text)) <= 240


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anything)
def test_any_text_has_an_answer(phases: list[Phase], text: str) -> None:
    document = Document("1", "1", subject=text, body=text[::-1])
    for phase in phases:
        if phase.name in NAMES:
            assert plain(answers(phase, [document])[0])
    assert len(tokens(clean(text))) <= 6_000
    assert "<" not in escape_markdown(text)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(anything, min_size=2, max_size=6), st.integers(0, 290), st.integers(1, 5))
def test_an_answer_does_not_depend_on_the_batch(
    worked: Memory, phases: list[Phase], texts: list[str], start: int, size: int
) -> None:
    documents = worked.given[start : start + 8] + [Document(f"x{n}", "1", body=text) for n, text in enumerate(texts)]
    for phase in phases:
        if phase.uses:
            vectors = embedded(phases, documents)
            batch = [replace(one, results=held) for one, held in zip(documents, vectors, strict=True)]
        else:
            batch = documents
        whole = answers(phase, batch)
        parts = [one for at in range(0, len(batch), size) for one in answers(phase, batch[at : at + size])]
        assert parts == whole


def embedded(phases: list[Phase], documents: list[Document]) -> list[dict[str, Any]]:
    said = phases[1].process(documents)
    return [{"embedding_generation": one} for one in said]


def test_vectors_have_length_one_or_none(worked: Memory) -> None:
    _, rows = next(worked.vectors("embedding_generation"))
    lengths = np.sqrt((rows * rows).sum(axis=1))
    assert rows.dtype == np.float32
    assert set(np.round(lengths, 5)) <= {0.0, 1.0}
