"""What goes while it is worked on: conversations that are deleted, vectors that no longer fit, processes that die."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from intercom_bulk.errors import LedgerError
from intercom_bulk.insights.phase import Document
from intercom_bulk.insights.themes import ThemeExtraction
from intercom_bulk.mirror.keeping.tombs import Deleted
from tests.pipeline.conftest import COUNT, DAYS
from tests.pipeline.phases import Counting, Wording
from tests.pipeline.test_running import results

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from intercom_bulk.insights.phase import Corpus, Result
    from intercom_bulk.pipeline.pipeline import Pipeline
    from intercom_bulk.sandbox import Sandbox
    from tests.pipeline.conftest import Made


def delete(pipeline: Pipeline, item_id: str) -> None:
    with pipeline.store() as store, store.writing() as writer:
        at = int(writer._on.row("SELECT max(updated_at) FROM conversation")[0]) + 10  # type: ignore[index]
        assert writer.mark_deleted([Deleted(item_id, at)], seen_at=at) == 1


def test_of_what_is_deleted_while_a_phase_has_it_nothing_is_stored(made: Made, place: str | None) -> None:
    other, gone = made(url=place), list[str]()

    def hook(batch: Sequence[Document]) -> None:
        if not gone:
            gone.append(batch[3].id)
            delete(other, batch[3].id)

    status = made(Counting(before=hook), url=place).start(DAYS).result()
    assert (status.status, status.error) == ("completed", None)
    said = results(other, "classification")
    assert (len(said), gone[0] in said) == (COUNT - 1, False)


class Quoting(Counting):
    """One item of all, which quotes what `fit` has read."""

    name = "story_creation"
    told = ""

    def fit(self, corpus: Corpus) -> bytes | None:
        super().fit(corpus)
        return next(corpus.documents()).id.encode()

    def load(self, state: bytes | None) -> None:
        self.told = (state or b"").decode()

    def items(self, corpus: Corpus) -> Iterator[Document]:
        yield Document(id="all", version=self.told)

    def answer(self, document: Document) -> Result | Exception:
        return {"title": "all", "quotes": [{"id": self.told, "text": "what they wrote"}]}


def test_a_story_of_what_was_deleted_goes_and_is_told_anew(made: Made, sandbox: Sandbox, place: str | None) -> None:
    other = made(Counting(), Quoting(), url=place)
    assert other.start(DAYS).result().stories == 1
    (first,) = results(other, "story_creation")["all"]["quotes"]
    delete(other, first["id"])
    assert results(other, "story_creation") == {}
    now = sandbox.app.clock.now()
    sandbox.workspace.remove(sandbox.workspace.conversations[int(first["id"])], now)
    sandbox.workspace.deleted.append((first["id"], int(now), True))
    assert made(Counting(), Quoting(), url=place).start(DAYS).result().status == "completed"
    assert results(other, "story_creation")["all"]["quotes"][0]["id"] != first["id"]


def test_a_story_that_quotes_what_is_deleted_meanwhile_is_not_stored(made: Made) -> None:
    other = made()
    quoting = Quoting(before=lambda _: delete(other, quoting.told))
    assert made(Counting(), quoting).start(DAYS).result().status == "completed"
    assert results(other, "story_creation") == {}


class Losing(Quoting):
    def process(self, batch: Sequence[Document]) -> Sequence[Result | Exception]:
        raise LedgerError("the disk has gone away")


def test_a_resumed_run_fits_again_where_its_state_went_with_what_was_deleted(made: Made) -> None:
    first = made(Counting(), Losing())
    assert first.start(DAYS).result().status == "failed"
    with first.store() as store:
        (told,) = store.sql("SELECT state FROM phase_state WHERE phase = 'story_creation'").rows[0]
    delete(first, bytes(told).decode())
    quoting = Quoting()
    assert made(Counting(), quoting).resume(1).result().stories == 1
    assert quoting.fits == 1
    assert quoting.told != bytes(told).decode()


class Wobbling(Wording):
    """Gives vectors of two widths."""

    name = "embedding_generation"

    def answer(self, document: Document) -> Result | Exception:
        return {"vector": np.ones(3 if document.id[-1] in "13579" else 4, "f4")}


def test_vectors_of_two_widths_end_no_run(made: Made, place: str | None) -> None:
    pipeline = made(Counting(), Wobbling(), ThemeExtraction(min_theme=2), url=place)
    status = pipeline.start(DAYS).result()
    assert (status.status, status.error) == ("completed", None)
    assert len(results(pipeline, "theme_extraction")) == COUNT


@pytest.mark.parametrize("wrong", [[], [{}] * 99, [{"x": float("nan")}] * 10, [{"vector": np.array([np.nan])}] * 10,
                                   [{"x": {1, 2}}] * 10, [None] * 10, "no", None])  # fmt: skip
def test_results_that_are_none_fail_their_items_and_nothing_else(made: Made, wrong: Any) -> None:
    class Wrong(Counting):
        name = "telling"

        def process(self, batch: Sequence[Document]) -> Any:
            return wrong

    status = made(Counting(), Wrong()).start(DAYS).result()
    assert status.status in {"completed", "failed"}
    assert status.phases["classification"]["done"] == COUNT
    assert status.phases["telling"]["failed"] == COUNT


def test_a_run_whose_clock_was_set_back_is_known_and_goes_on(made: Made, home: Path) -> None:
    first = made(Counting(), Losing())
    assert first.start(DAYS).result().status == "failed"
    with sqlite3.connect(home / "mirror" / "sandbox1.db") as on:  # it began tomorrow, by the clock of then
        on.execute("UPDATE pipeline_run SET started_at = started_at + 86400, resumed_at = resumed_at + 86400")
    assert made(Counting(), Quoting()).resume(1).result().status == "completed"
    assert made().start(DAYS).result().run_id == 2
