"""The file itself: private, whole or not there, and nothing in it can change unseen."""

from __future__ import annotations

import hashlib
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intercom_bulk import ConversationCloser, UsageError
from intercom_bulk.runs.plan import PlanEntry, PlanFile, PlanHeader, PlanReader, PlanWriter
from tests.plan.desk import Noter

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

HEADER = PlanHeader(
    updater="m:C", made_with={"tag": "ä\u2028"}, keywords={}, workspace="w", created_at=1.5, count=3, title="C"
)
ENTRIES = [
    PlanEntry("1", 10, {"state": "open"}, {"state": "closed"}, 9),
    PlanEntry("2", None, None, None, None),
    PlanEntry("3", 12, {"title": "\u2028\n\ud800"}, {"title": None}, None),
]


def written(path: Path, entries: list[PlanEntry] = ENTRIES, header: PlanHeader = HEADER) -> PlanFile:
    with PlanWriter(path) as writer:
        for entry in entries:
            writer.add(entry)
        return writer.finish(header)


def resealed(path: Path, content: bytes) -> PlanReader:
    """Somebody changed the file and took the digest anew."""
    path.write_bytes(content)
    return PlanReader(path, hashlib.sha256(content).hexdigest())


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    plan = written(tmp_path / "plan.jsonl")
    reader = PlanReader(plan.path, plan.digest)
    assert reader.header == HEADER
    assert list(reader.entries()) == list(plan.entries()) == ENTRIES
    assert reader.read(2, 5) == ENTRIES[2:]
    assert reader.read(1, 1) == ENTRIES[1:2]
    assert reader.find({"3", "9"}) == {"3": ENTRIES[2]}
    assert plan.digest == hashlib.sha256(plan.path.read_bytes()).hexdigest()
    assert plan.path.read_bytes().isascii()
    assert PlanReader(plan.path, f" SHA256:{plan.digest}\n".lower()).header == HEADER


def test_it_is_private_and_nothing_else_is_left_beside_it(tmp_path: Path) -> None:
    plan = written(tmp_path / "plan.jsonl")
    assert stat.S_IMODE(plan.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [plan.path]


def test_a_plan_that_fails_half_way_leaves_the_old_one(tmp_path: Path) -> None:
    old = written(tmp_path / "plan.jsonl")

    def fail() -> None:
        with PlanWriter(old.path) as writer:
            writer.add(ENTRIES[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == [old.path]
    assert list(old.entries()) == ENTRIES


@pytest.mark.parametrize("where", ["no/folder/plan.jsonl", "."])
def test_a_place_that_cannot_be_written_is_refused_at_once(tmp_path: Path, where: str) -> None:
    with pytest.raises(UsageError, match="path="):
        written(tmp_path / where)
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_digest_changes_when_any_byte_changes(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = written(Path(folder) / "plan.jsonl")
        content = bytearray(plan.path.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
        plan.path.write_bytes(content)
        with pytest.raises(UsageError, match="not the plan of this digest"):
            PlanReader(plan.path, plan.digest)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_cut_plan_is_refused_even_with_a_digest_of_its_own(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = written(Path(folder) / "plan.jsonl")
        content = plan.path.read_bytes()
        end = data.draw(st.integers(0, len(content) - 1))
        with pytest.raises(UsageError, match=r"cut|damaged|not a plan"):
            resealed(plan.path, content[:end])


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b'"format":1', b'"format":2', "format 2"),
        (b'"kind":"', b'"kind":"x', "not a plan"),
        (b'"count":3', b'"count":4', "3 of its 4"),
        (b'"count":3', b'"counts":3', "header"),
        (b'"id":"2"', b'"id":2', "Line 3"),
        (b'"after":null', b'"after":[]', "Line 3"),
        (b'"customer_wrote_at":9', b'"more":9', "Line 2"),
        (b'{"id":"3"', b'["id":"3"', "Line 4"),
    ],
)
def test_damage_is_named(tmp_path: Path, old: bytes, new: bytes, match: str) -> None:
    plan = written(tmp_path / "plan.jsonl")
    content = plan.path.read_bytes()
    assert old in content
    with pytest.raises(UsageError, match=match):
        resealed(plan.path, content.replace(old, new, 1))


def test_no_token_goes_into_a_plan_and_a_keyword_that_json_cannot_hold_is_refused(start: Start) -> None:
    sandbox = start(conversations=5)
    plan = ConversationCloser(**sandbox.settings_kwargs()).plan(team_id=sandbox.inbox_id)
    assert sandbox.token not in plan.path.read_text()
    noter = Noter(**sandbox.settings_kwargs())
    body: Any = object()
    with pytest.raises(UsageError, match="body="):
        noter.plan("note.jsonl", team_id=sandbox.inbox_id, body=body)
    assert not Path("note.jsonl").exists()


def test_a_plan_of_bare_ids_or_of_items_that_cannot_be_judged_is_refused(start: Start) -> None:
    sandbox = start(conversations=5)

    class Blind(ConversationCloser):
        def search_items(self, per_page: int = 150, **search_kwargs: Any) -> Any:
            yield from super().search_items(per_page, **search_kwargs)

    class Broken(ConversationCloser):
        def should_process(self, item: dict[str, Any]) -> bool:
            raise KeyError("vip")

    for updater in (Blind(**sandbox.settings_kwargs()), Broken(**sandbox.settings_kwargs())):
        with pytest.raises(UsageError, match=r"ids|judged"):
            updater.plan(team_id=sandbox.inbox_id)
    assert not Path("plan.jsonl").exists()
