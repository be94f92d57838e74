"""What is learnt: rules of one's own, a model of labels, fits of vectors, and states that any process can take up."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from bench.corpus import Memory, generated
from intercom_bulk import UsageError
from intercom_bulk.insights.classification import Classification
from intercom_bulk.insights.embedding import EmbeddingGeneration
from intercom_bulk.insights.facets import FacetExtraction
from intercom_bulk.insights.labels import by_attribute, by_tag
from intercom_bulk.insights.matcher import Phrases
from intercom_bulk.insights.phase import Corpus, Document
from intercom_bulk.insights.rules import read_rules
from intercom_bulk.insights.text import tokens

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from intercom_bulk.insights.phase import Phase

OWN = {"classification": {"labels": [{"label": "tea", "words": ["tea*"], "unless": ["teapot"]}]}}


def said(phase: Phase, *texts: str) -> list[Any]:
    return list(phase.process([Document(f"{at}", "1", body=text) for at, text in enumerate(texts)]))


# -- rules


def test_rules_of_ones_own_take_the_place_of_the_section(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(json.dumps(OWN))
    for rules in (OWN, str(path), path):
        answers = said(Classification(rules=rules), "Teabags, please", "a teapot and tea", "refund me")
        assert [one["label"] for one in answers] == ["tea", None, None]
        assert [one["by"] for one in answers] == ["rule", "none", "none"]
    assert Classification(rules=OWN).version != Classification().version
    assert FacetExtraction(rules=OWN).rules.sections["urgency"] is not None


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({"clasification": {}}, "no section clasification"),
        ({}, "no section at all"),
        ({"classification": []}, "labels"),
        ({"classification": {"labels": [{"words": ["x"]}]}}, "each of labels has"),
        ({"classification": {"labels": [{"label": "a", "words": "x"}]}}, "a list of phrases"),
        ({"classification": {"labels": [{"label": "a"}, {"label": "a"}]}}, "there twice"),
        ({"classification": {"labels": [], "least": 0}}, "whole number"),
        ({"sentiment": {"en": ["good"]}}, "positive"),
    ],
)
def test_rules_that_are_none_are_refused_with_what_is_wrong(rules: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_rules(rules)


@pytest.mark.parametrize("text", ["a: [", "- 1", "\t{", "!!python/object:os.system x"])
def test_a_file_that_is_no_rules_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_rules(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_rules(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("phrase", "text", "found"),
    [
        ("refund*", "no refunds here", True),
        ("refund", "refnud", True),
        ("password", "pasword", True),
        ("charged", "changed", False),
        ("charged ... twice", "charged me again twice", True),
        ("charged ... twice", "charged one two three four twice", False),
        ("can't log in", "i cant log in", True),
        ("kündigen", "KUNDIGEN", True),
        ("?", "really?", True),
        ("log in", "in log", False),
    ],
)
def test_phrases_are_found_where_the_words_say_so(phrase: str, text: str, found: bool) -> None:
    assert bool(Phrases.of({"x": [phrase]}).find(tokens(text))) == found


# -- a model of labels


def corpus() -> Memory:
    documents = [one for one in generated(400) if not one.attributes["about"].endswith("mixed")]
    return Memory(documents)


def test_a_model_learns_labels_and_says_that_it_was_the_model(tmp_path: Path) -> None:
    memory = corpus()
    truth = {one.id: one.attributes["about"].split()[0] for one in memory.given}
    path = tmp_path / "labels.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("id", "label"), *list(truth.items())[::2]])
    phase = Classification(labels=path)
    memory.run([phase])
    assert phase.model is not None
    assert phase.model.accuracy > phase.model.majority
    unseen = list(truth)[1::2]
    answers = memory.said["classification"]
    assert {"model", "rule"} <= {answers[item]["by"] for item in unseen}
    right = sum(answers[item]["label"] == truth[item] for item in unseen) / len(unseen)
    assert right > 0.8
    again = Classification(labels=path)
    again.load(memory.states["classification"])
    assert again.process(memory.given[:20]) == phase.process(memory.given[:20])
    assert again.version == phase.version != Classification().version


def test_labels_that_teach_nothing_leave_the_rules_alone() -> None:
    memory = corpus()
    few = {one.id: "x" for one in memory.given[:10]}
    chance = {one.id: "ab"[int(one.id) // 7 % 2] for one in memory.given}
    for labels in (few, chance, by_attribute("no such")):
        phase = Classification(labels=labels)
        memory.run([phase])
        assert {one["by"] for one in memory.said["classification"].values()} <= {"rule", "none"}
        assert phase.version == Classification().version


def test_labels_come_of_tags_and_attributes() -> None:
    document = Document("1", "1", tags=("b", "a"), attributes={"Topic": "tea", "Empty": ""})
    assert by_tag({"a": "first", "b": "second"})(document) == "first"
    assert by_tag({"c": "third"})(document) is None
    assert by_attribute("Topic")(document) == "tea"
    assert by_attribute("Empty")(document) is None


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="columns id and label"):
        Classification(labels=path)


# -- fits of vectors


def test_a_fit_is_kept_while_it_suits() -> None:
    memory = Memory(generated(200))
    phase = EmbeddingGeneration()
    memory.fit(phase)
    first = memory.states[phase.name]
    memory.given = generated(390)
    memory.fit(phase)
    assert memory.states[phase.name] == first
    memory.given = generated(410)
    memory.fit(phase)
    assert memory.states[phase.name] != first


def test_a_fit_that_does_not_know_the_words_is_made_anew() -> None:
    memory = Memory(generated(200))
    phase = EmbeddingGeneration()
    memory.fit(phase)
    first = memory.states[phase.name]
    strange = [Document(f"{at}", "1", body=f"zubi krel vanto {at % 5}") for at in range(200)]
    memory.given = strange
    memory.fit(phase)
    assert memory.states[phase.name] != first


def test_other_settings_and_damage_make_a_fit_anew() -> None:
    memory = Memory(generated(100))
    memory.fit(EmbeddingGeneration())
    first = memory.states["embedding_generation"]
    memory.fit(EmbeddingGeneration(dimensions=8))
    assert memory.states["embedding_generation"] != first
    memory.states["embedding_generation"] = b"damaged"
    memory.fit(EmbeddingGeneration())
    assert memory.states["embedding_generation"] == first


def test_any_callable_embeds() -> None:
    class Lengths:
        version = "7"

        def __call__(self, texts: list[str]) -> Any:
            return [[len(text), 1.0] for text in texts]

    phase = EmbeddingGeneration(embedder=Lengths())
    Memory([]).fit(phase)
    (one,) = said(phase, "abc")
    assert np.allclose(one["vector"], np.array([3, 1]) / np.sqrt(10))
    assert phase.version == "1:7"
    wrong: list[Callable[[list[str]], Any]] = [lambda _: [[1.0]], lambda texts: [[np.nan]] * len(texts)]
    for embedder in wrong:
        with pytest.raises(UsageError, match="finite vector"):
            said(EmbeddingGeneration(embedder=embedder), "a", "b")


def test_states_hold_no_pickle_and_are_the_same_in_another_process(worked: Memory) -> None:
    state = worked.states["embedding_generation"]
    assert state is not None
    with zipfile.ZipFile(BytesIO(state)) as bag:
        for name in bag.namelist():
            if name.endswith(".npy"):
                np.load(BytesIO(bag.read(name)), allow_pickle=False)
            else:
                json.loads(bag.read(name))
    assert isinstance(worked, Corpus)
    twin = Memory(worked.given)
    twin.fit(EmbeddingGeneration())
    assert twin.states["embedding_generation"] == state


# -- without the extra


@pytest.mark.parametrize("missing", ["numpy", "sklearn", "yaml", "vaderSentiment"])
def test_what_is_missing_is_named_with_what_to_install(missing: str) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
from intercom_bulk import UsageError
from intercom_bulk.insights.builtin import builtin_phases
from intercom_bulk.insights.phase import Document
from intercom_bulk.insights.text import tokens
try:
    classification, embedding, facets, *_ = builtin_phases()
    facets.process([Document("1", "1", body="the dog and the cat are here")])
    from bench.corpus import Memory
    Memory([Document(str(n), "1", body="refund invoice parcel") for n in range(9)]).fit(embedding)
except UsageError as error:
    assert {missing!r} in str(error) and "intercom-bulk[insights]" in str(error), error
else:
    raise SystemExit("nothing was missed")
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_importing_insights_loads_nothing_heavy() -> None:
    program = (
        "import sys, intercom_bulk.insights.builtin; sys.exit(bool({'numpy', 'sklearn', 'yaml'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
