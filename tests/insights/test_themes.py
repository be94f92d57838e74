"""Themes keep their ids, from run to run and over a change of vectors; what fits none has none."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bench.corpus import Memory
from intercom_bulk.insights.phase import Document, Result
from intercom_bulk.insights.themes import ThemeExtraction, read_themes

VECTORS = "embedding_generation"
WIDTH = 24
WORDS = ("refund", "parcel", "password", "invoice", "crash", "export", "webhook", "invite")


def corpus_of(sizes: dict[int, int], *, noise: int = 0, seed: int = 0, turn: int = 0, start: int = 0) -> Memory:
    """Groups of points around axes, named by a word each. `turn`: other vectors for the same, as another fit gives."""
    chance = np.random.default_rng(seed)
    documents: list[Document] = []
    said: dict[str, Result] = {}
    rows = [group for group, size in sorted(sizes.items()) for _ in range(size)] + [-1] * noise
    random.Random(seed).shuffle(rows)
    for at, group in enumerate(rows, start):
        vector = chance.normal(0, 0.05 if group >= 0 else 1, WIDTH)
        if group >= 0:
            vector[(group + turn) % WIDTH] += 1
        name = f"{at:06}"
        documents.append(Document(name, "1", body=f"{WORDS[group]} please" if group >= 0 else "hm"))
        said[name] = {"vector": (vector / np.linalg.norm(vector)).astype(np.float32), "group": group}
    return Memory(documents, said={VECTORS: said}, states={VECTORS: b"fit %d" % turn})


def themed(corpus: Memory, earlier: Memory | None = None, *, least: int = 5) -> dict[int, str]:
    """Theme of each group (the commonest), after a run that knows the earlier one."""
    if earlier is not None:
        for name, state in earlier.states.items():
            corpus.states.setdefault(name, state)
        corpus.said.setdefault("theme_extraction", earlier.said["theme_extraction"])
    corpus.run([ThemeExtraction(min_theme=least)])
    counts: dict[int, Counter[str]] = {}
    for item, result in corpus.said["theme_extraction"].items():
        counts.setdefault(corpus.said[VECTORS][item]["group"], Counter())[result["theme"] or ""] += 1
    return {group: found.most_common(1)[0][0] for group, found in counts.items()}


def test_groups_are_found_named_and_noise_is_left_out() -> None:
    corpus = corpus_of({0: 40, 1: 30, 2: 20}, noise=15)
    found = themed(corpus)
    assert [found[group] for group in (0, 1, 2)] == ["T1", "T2", "T3"]
    assert found[-1] == ""
    assert [theme.name for theme in read_themes(corpus.states["theme_extraction"])] == ["refund", "parcel", "password"]


def test_the_same_corpus_again_changes_nothing() -> None:
    corpus = corpus_of({0: 40, 1: 30}, noise=10)
    themed(corpus)
    state = corpus.states["theme_extraction"]
    themed(corpus)
    assert corpus.states["theme_extraction"] == state


@settings(deadline=None, max_examples=8, phases=(Phase.explicit, Phase.generate))
@given(
    st.dictionaries(st.integers(0, 7), st.integers(8, 30), min_size=2),
    st.dictionaries(st.integers(0, 7), st.integers(8, 30), min_size=2),
    st.booleans(),
)
def test_a_group_keeps_its_id_and_no_other_gets_it(
    first: dict[int, int], second: dict[int, int], same_fit: bool
) -> None:
    """With the same vectors as before, or with those of another fit (where the conversations are the same)."""
    one = corpus_of(first)
    before = themed(one)
    if same_fit:
        other = corpus_of(second, seed=1)
    else:
        other = corpus_of(first, turn=3)
        second = first
    after = themed(other, one)
    for group in second:
        if group in before:
            assert after[group] == before[group]
    assert len({after[group] for group in second}) == len(second)
    retired = set(before.values()) - {after.get(group) for group in before}
    assert retired.isdisjoint(after[group] for group in second if group not in before)


def test_a_theme_that_vanished_keeps_its_id_and_comes_back_under_it() -> None:
    first = corpus_of({0: 20, 1: 20})
    before = themed(first)
    second = corpus_of({0: 50, 2: 50}, seed=2)  # more than twice as many: all are looked for anew
    themed(second, first)
    themes = {theme.id: theme for theme in read_themes(second.states["theme_extraction"])}
    assert themes[before[1]].retired
    third = corpus_of({0: 20, 1: 40, 2: 20}, seed=3)
    after = themed(third, second)
    assert after[1] == before[1]
    assert len(set(after.values())) == 3


def test_a_damaged_state_is_learnt_anew() -> None:
    corpus = corpus_of({0: 20, 1: 20})
    corpus.states["theme_extraction"] = b"PK\x03\x04 not a state"
    assert set(themed(corpus).values()) == {"T1", "T2"}


@pytest.mark.parametrize("sizes", [{}, {0: 1}, {0: 4}])
def test_too_few_make_no_theme(sizes: dict[int, int]) -> None:
    assert set(themed(corpus_of(sizes)).values()) <= {""}


def test_the_process_that_fits_is_like_one_that_loads(worked: Memory) -> None:
    fitted, loaded = ThemeExtraction(min_theme=6), ThemeExtraction(min_theme=6)
    loaded.load(worked.states["theme_extraction"])
    fitted.load(worked.states["theme_extraction"])
    assert fitted.version == loaded.version != ThemeExtraction().version


def test_vectors_of_another_width_are_of_no_theme_and_stop_nobody() -> None:
    corpus = corpus_of({0: 20, 1: 20})
    said = corpus.said[VECTORS]
    for name in sorted(said)[::9]:
        said[name] = {**said[name], "vector": np.ones(WIDTH // 2, dtype=np.float32)}
    phase = ThemeExtraction(min_theme=5)
    corpus.fit(phase)
    assert len(phase.themes) == 2
    placed = dict(zip(sorted(said), phase.process(list(corpus.documents())), strict=True))
    for name, one in placed.items():
        assert isinstance(one, dict)
        assert (one["theme"] is None) == (len(said[name]["vector"]) != WIDTH)
