"""Calls for several items: one answer, an outcome for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.errors import Rejected, Transient
from intercom_bulk.runs.model import Receipt, RunState, Status
from intercom_bulk.runs.options import RunOptions
from tests.runs.machine import Counting, Numbers, OpenGate, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from intercom_bulk.runs.model import Item


class Batching(Counting):
    """Remembers how large its calls were; may lose one of them."""

    def __init__(self, *, lose: int | None = None, **more: object) -> None:
        super().__init__(**more)  # type: ignore[arg-type]
        self.sizes: list[int] = []
        self.lose = lose

    def perform(self, batch: Sequence[Item]) -> Sequence[Receipt | Exception]:
        with self.lock:
            self.sizes.append(len(batch))
            number = len(self.sizes)
        if number == self.lose:
            return [Transient("lost", sent=True, code="reset")] * len(batch)
        return super().perform(batch)


def test_the_canary_is_one_call_of_ten() -> None:
    action = Batching(max_batch=50)
    _, summary = run(Numbers(600), action, gate=OpenGate(width=4))
    assert action.sizes[0] == 10
    assert max(action.sizes) == 50
    assert (summary.success, sum(action.sizes)) == (600, 600)


def test_max_items_is_exact_with_batches() -> None:
    action = Batching(max_batch=50)
    _, summary = run(Numbers(600), action, max_items=77)
    assert (summary.success, sum(action.sizes)) == (77, 77)


def test_a_lost_call_is_one_lost_answer_and_each_item_is_looked_at() -> None:
    """Fifty items without an answer are no outage: the others go on without a pause."""
    looked: list[str] = []

    def seen(item_id: str) -> bool:
        looked.append(item_id)
        return int(item_id) % 2 == 0

    action = Batching(max_batch=50, lose=3, seen=seen, idempotent=True)
    outcomes, summary = run(Numbers(600), action, options=RunOptions(patience=5.0))
    assert (summary.state, summary.success) == (RunState.COMPLETED, 600)
    assert len(looked) == action.sizes[2] > 25
    assert set(action.done.values()) == {1}
    repeated = {o.item_id for o in outcomes if o.attempts == 2}
    assert repeated == {item_id for item_id in looked if int(item_id) % 2}
    assert summary.total_time.total_seconds() < 1.0, "the breaker took one lost call for an outage"


def test_a_refused_call_is_each_items_failure() -> None:
    refused = Rejected("no such tag", code="tag_not_found", status=404, target=True)
    action = Batching(max_batch=50, script=lambda _i, _n: refused)
    outcomes, summary = run(Numbers(600), action)
    assert summary.state is RunState.HALTED
    assert [o.status for o in outcomes] == [Status.FAILED] * 10
