"""What phases read: documents, results, vectors, out of either database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from intercom_bulk.insights.phase import CUSTOMERS, Corpus, Document, Message
from intercom_bulk.mirror.keeping.schema import SyncKind
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.pipeline.book import PipelineBook, Told, packed
from intercom_bulk.pipeline.corpus import MirrorCorpus
from tests.mirror.made import T, part, thread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore

IDS = [str(number) for number in range(10, 22)]


@pytest.fixture
def store(place: str | None, home: Path) -> Iterator[MirrorStore]:
    with open_mirror(home, "sandbox1", url=place) as store:
        with store.writing() as writer:
            known = [thread(one, f"<p>said of {one}</p>", created=T + int(one), tags=("b", "a")) for one in IDS]
            known[0]["conversation_parts"]["conversation_parts"][0]["author"]["type"] = "user"
            known[0]["conversation_parts"]["conversation_parts"].append(part("p2", None, at=T + 90, kind="close"))
            writer.begin_sync("made", SyncKind.BACKFILL, {}, at=T)
            more = [thread("9", created=T - 5), thread("99", created=T + 500)]
            writer.save_rows("made", [*known, *more], seen_at=T)
            writer.mark_deleted([Deleted("13", T + 100)], seen_at=T + 100)
        yield store


def corpus(store: MirrorStore, *uses: str) -> MirrorCorpus:
    return MirrorCorpus(store, (T, T + 500), uses)


LEFT = [one for one in IDS if one != "13"]


def test_documents_are_those_of_the_range_that_are_not_deleted_ordered_by_id(store: MirrorStore) -> None:
    read: Corpus = corpus(store)
    known = list(read.documents())
    assert [one.id for one in known] == LEFT
    assert (len(read), read.span, read.workspace) == (len(LEFT), (T, T + 500), "sandbox1")
    first = known[0]
    assert (first.body, first.tags, first.state, first.created_at) == ("Hi", ("a", "b"), "open", T + 10)
    assert first.messages == (Message("user", T + 11, "said of 10"),)
    assert first.messages[0].author_type in CUSTOMERS
    assert first.customer_text == "Hi\nsaid of 10"


def test_a_sample_is_the_same_for_the_same_seed(store: MirrorStore) -> None:
    read = corpus(store)
    samples = [[one.id for one in read.documents(sample=5, seed=seed)] for seed in (1, 1, 2)]
    assert samples[0] == samples[1] == sorted(samples[0])
    assert samples[0] != samples[2]
    assert len(list(read.documents(sample=50))) == len(LEFT)


def test_results_come_with_what_uses_them_and_change_its_version_only_where_they_change(store: MirrorStore) -> None:
    book = PipelineBook(store.writing_beside(alone=True))
    told = book.begin(
        Told(
            id=0, status="running", date_from=T, date_to=T + 500, days=1, auto_create_stories=True, phases=("a",),
            current_phase="a",
        )
    )  # fmt: skip

    def said(phase_version: str, value: int) -> None:
        vector = np.array([value, 0.5], "f4")
        rows = [packed(one, "1", phase_version, {"n": value, "vector": vector}) for one in [*IDS, "99", "theme 1"]]
        book.save_results(told, "a", rows, at=1.0)

    def version() -> set[str]:
        return {one.version for one in corpus(store, "a").documents()}

    bare = version()
    said("1", 7)
    used = version()
    said("2", 7)
    assert version() == used != bare
    said("2", 8)
    assert version().isdisjoint(used)
    read = corpus(store, "a")
    (document, *_) = read.documents()
    assert document.results["a"]["n"] == 8
    assert document.results["a"]["vector"].tolist() == [8.0, 0.5]
    # what is no conversation is of every range; 99 is not of this one, 13 is deleted
    assert [item_id for item_id, _ in read.results("a")] == [*LEFT, "theme 1"]
    ((ids, matrix),) = read.vectors("a")
    assert ids == [*LEFT, "theme 1"]
    assert matrix.shape == (len(ids), 2)
    assert matrix.dtype == np.float32
    book.close()


@pytest.mark.parametrize("wrong", [{"a": float("inf")}, {"a": object()}, ["a"], {"vector": np.zeros((2, 2))}])
def test_a_result_that_is_none_is_refused(wrong: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        packed("1", "1", "1", wrong)  # type: ignore[arg-type]


def test_a_document_says_what_customers_wrote() -> None:
    theirs, ours = Message("lead", 1, "help"), Message("admin", 2, "sure")
    assert Document("1", "1", subject="S", body="B", messages=(theirs, ours)).customer_text == "S\nB\nhelp"
