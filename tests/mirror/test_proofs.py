"""The book of syncs says what all of its proofs say, however few rows it keeps of them; a writer may be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intercom_bulk.mirror.freshness import judge
from intercom_bulk.mirror.keeping.coverage import Span
from intercom_bulk.mirror.keeping.proofs import Axis, Depth, Knowledge, Proof
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.mirror.keeping.syncs import SyncBook
from tests.mirror.made import T, conversation, kept

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore


@st.composite
def proofs(draw: st.DrawFn) -> Proof:
    lo = draw(st.integers(0, 40))
    hi = lo + draw(st.integers(1, 20))
    axis = draw(st.sampled_from(Axis))
    as_of = hi if axis is Axis.UPDATED else hi + draw(st.integers(0, 15))
    return Proof(axis, draw(st.sampled_from(Depth)), Span(lo, hi), as_of)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(proofs(), max_size=12), st.sampled_from(Depth), st.integers(0, 70), st.integers(1, 30))
def test_proofs_that_were_joined_or_replaced_say_the_same(
    store: MirrorStore, made: list[Proof], depth: Depth, start: int, length: int
) -> None:
    with store.writing() as writer:
        book = SyncBook(writer._on)
        with writer._atomic():
            writer._on.execute("DELETE FROM proof")
            for proof in made:
                book.prove(proof, "s")
    kept, all_of_them = store.knowledge(depth), Knowledge(made, depth)
    assert kept.members == all_of_them.members
    assert kept.changes == all_of_them.changes
    for second in range(65):
        assert kept.current_until(second, second + 1) == all_of_them.current_until(second, second + 1)
    end = start + length
    one, other = (judge(known, start, end, now=end + 5, grace=2) for known in (kept, all_of_them))
    assert one == other


def test_a_wider_window_that_was_read_earlier_takes_nothing_away(store: MirrorStore) -> None:
    with store.writing() as writer:
        book = SyncBook(writer._on)
        with writer._atomic():
            for span, as_of in ((Span(0, 10), 100), (Span(0, 20), 50), (Span(12, 14), 40)):
                book.prove(Proof(Axis.CREATED, Depth.ROW, span, as_of), "s")
    known = store.knowledge()
    assert [known.current_until(second, second + 1) for second in (5, 13, 19)] == [100, 50, 50]


def test_a_writer_that_is_killed_leaves_whole_pages_and_the_door_open(tmp_path: Path) -> None:
    script = """
import sys
from pathlib import Path
from intercom_bulk.mirror.keeping.store import open_mirror
from tests.mirror.made import conversation, kept
writer = open_mirror(Path(sys.argv[1]), "ws").writing()
number = 0
while True:
    kept(writer, [conversation(number * 50 + n + 1) for n in range(50)], seen_at=1)
    number += 1
    print(number, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        for _ in range(5):
            process.stdout.readline()
        with open_mirror(tmp_path, "ws") as store:
            assert store.is_syncing
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        process.stdout.read()
    with open_mirror(tmp_path, "ws") as store:
        assert not store.is_syncing
        known = store.total()
        assert known >= 250
        assert known % 50 == 0, "a page is whole or not there"
        with store.writing() as writer:
            kept(writer, [conversation("1000000")], seen_at=T)
        assert store.total() == known + 1
        assert len(store.find("hi", start=None, end=None, limit=10_000)) == known + 1, "and so is the index"
