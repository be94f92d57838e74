"""Of a conversation that was deleted nothing stays that anybody wrote: in no table, and in no page of the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.mirror.keeping.store import MirrorStore, open_mirror
from intercom_bulk.mirror.keeping.tombs import Deleted
from intercom_bulk.mirror.keeping.wanted import threads_wanted
from tests.mirror.made import T, conversation, kept, thread

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Open = Callable[[], MirrorStore]

TABLES = (
    "conversation", "conversation_raw", "part", "conversation_tag", "conversation_contact", "contact", "search_text",
)  # fmt: skip
SECRET = "Xylophonequartz"
PERSON = {"id": "c9", "email": f"{SECRET}@example.com", "name": SECRET, "updated_at": T}


def secret(item_id: str = "1", **fields: Any) -> dict[str, Any]:
    """A conversation of which every field that people fill says it."""
    author = {"type": "user", "id": "c9", "name": SECRET, "email": f"{SECRET}@example.com"}
    return thread(
        item_id, f"<p>part {SECRET}</p>", subject=f"subject {SECRET}", body=f"<p>body {SECRET}</p>",
        title=f"title {SECRET}", tags=["urgent"], custom_attributes={"note": SECRET}, author=author,
        contacts={"contacts": [{"id": "c9", "external_id": SECRET}]}, **fields,
    )  # fmt: skip


def rows_of(store: MirrorStore, *tables: str) -> list[int]:
    return [store.sql(f"SELECT count(*) FROM {table}").rows[0][0] for table in tables]


def test_what_was_written_goes_with_the_mark_and_that_it_was_there_stays(store: MirrorStore) -> None:
    with store.writing() as writer:
        writer.save_contacts([PERSON], seen_at=T)
        kept(writer, [secret(statistics={"count_conversation_parts": 1, "first_close_at": T + 5})], seen_at=T)
        assert writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 60) == 1
    assert rows_of(store, *TABLES[1:]) == [0] * 6
    (row,) = store.sql("SELECT * FROM conversation")
    assert SECRET not in str(row)
    assert (row["id"], row["created_at"], row["deleted_at"], row["first_close_at"]) == ("1", T, T + 50, T + 5)
    assert (row["parts_expected"], row["parts_total"], row["parts_stored"]) == (1, 1, 0)
    assert store.document("1") is None
    assert store.find(SECRET, start=None, end=None, limit=9) == []


def test_who_is_in_another_conversation_stays(store: MirrorStore) -> None:
    with store.writing() as writer:
        writer.save_contacts([PERSON], seen_at=T)
        kept(writer, [secret("1"), secret("2")], seen_at=T)
        writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 60)
        assert rows_of(store, "contact", "conversation_contact", "conversation_tag") == [1, 1, 1]
        writer.mark_deleted([Deleted("2", T + 50)], seen_at=T + 60)
    assert rows_of(store, "contact", "conversation_contact", "conversation_tag") == [0, 0, 0]


@pytest.mark.parametrize("document", [secret(), conversation("1", body=SECRET, title=SECRET)], ids=["thread", "row"])
@pytest.mark.parametrize("known", [True, False])
def test_a_search_that_lags_brings_nothing_of_it_back(store: MirrorStore, known: bool, document: Any) -> None:
    with store.writing() as writer:
        if known:
            kept(writer, [secret()], seen_at=T)
        writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 60)
        kept(writer, [document | {"updated_at": T + 9}], seen_at=T + 55)
    assert rows_of(store, *TABLES) == [1, 0, 0, 0, 0, 0, 0]
    assert SECRET not in str(store.sql("SELECT * FROM conversation").rows)
    assert store.total() == 0


@pytest.mark.parametrize("updated", [T - 9, T, T + 9])
def test_one_that_answers_again_is_whole_again(store: MirrorStore, updated: int) -> None:
    """Whatever its version: a mark was wrong, and what it cost is fetched."""
    with store.writing() as writer:
        kept(writer, [secret(updated=T)], seen_at=T)
        writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 60)
        row = {name: value for name, value in secret().items() if name != "conversation_parts"}
        assert threads_wanted(store, [row]) == ["1"], "a search that still shows it has it looked at"
        again = secret(updated=updated)
        kept(writer, [again], seen_at=T + 70)
    assert store.document("1") == again
    assert store.find(SECRET, start=None, end=None, limit=9) == ["1"]
    assert len(store.messages("1")) == 2
    assert threads_wanted(store, [again]) == []
    assert rows_of(store, *TABLES) == [1, 1, 1, 1, 1, 0, 1]


def test_what_an_earlier_version_kept_goes_when_the_mirror_is_written_next(place: Open) -> None:
    with place() as store, store.writing() as writer:
        kept(writer, [secret("1"), secret("2")], seen_at=T)
        with writer._atomic():
            writer._on.execute("UPDATE conversation SET deleted_at = ? WHERE id = '1'", (T + 50,))
            writer._on.execute("INSERT INTO tombstone VALUES ('1', ?, NULL, ?)", (T + 50, T + 60))
    with place() as store:
        assert rows_of(store, "conversation_raw", "part") == [2, 2]
        store.writing().close()
        assert rows_of(store, "conversation_raw", "part") == [1, 1]
        assert store.document("1") is None
        assert store.document("2") is not None


def found_in(folder: Path, words: bytes) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_file() and words in path.read_bytes()]


def test_the_file_has_nothing_of_it_even_while_others_read(tmp_path: Path) -> None:
    """Neither in free pages, nor in the log, nor of what it said before it was changed."""
    many = [secret(str(n), updated=T) for n in range(1, 40)]
    with open_mirror(tmp_path, "ws") as store:
        with store.reading():
            with store.writing() as writer:
                kept(writer, [thread("99", "Something else")], seen_at=T)
                kept(writer, [*many, secret("40") | {"title": "Marmalade" * 9, "updated_at": T}], seen_at=T)
                writer.save_contacts([PERSON], seen_at=T)
            assert found_in(tmp_path / "mirror", b"Xylophonequartz"), "it would be found"
            assert found_in(tmp_path / "mirror", b"Marmalade" * 9)
            with store.writing() as writer:
                kept(writer, [secret("40", updated=T + 1)], seen_at=T + 1)
                gone = [Deleted(one["id"], T + 50) for one in (*many, secret("40"))]
                assert writer.mark_deleted(gone, seen_at=T + 60) == 40
                writer.compact()
        assert found_in(tmp_path / "mirror", b"Xylophonequartz") == []
        assert found_in(tmp_path / "mirror", b"xylophonequartz") == [], "the index was written anew"
        assert found_in(tmp_path / "mirror", b"Marmalade" * 9) == []
        assert store.find("something", start=None, end=None, limit=9) == ["99"]


def story(*quoted: str) -> str:
    quotes = [{"text": f"{SECRET} {one}", "id": one, "created_at": T, "url": None} for one in quoted]
    return json.dumps({"theme": "T1", "title": "x", "quotes": quotes, "markdown": f"> {SECRET}"})


def test_what_quotes_it_goes_with_it_and_what_quotes_others_stays(store: MirrorStore) -> None:
    with store.writing() as writer:
        kept(writer, [secret("1"), secret("2")], seen_at=T)
        insert = "INSERT INTO phase_result VALUES (?, ?, '1', '1', 'd', ?, NULL, 1, 0)"
        for item, result in (("T1", story("1")), ("T2", story("2")), ("T3", story("2", "1")), ("2", '{"id": "1"}')):
            writer._on.execute(insert, ("story_creation", item, result))
        writer._on.execute("INSERT INTO phase_state VALUES ('story_creation', '1', ?, 1, 0)", (SECRET.encode(),))
        writer._on.execute("INSERT INTO phase_state VALUES ('theme_extraction', '1', ?, 1, 0)", (b"words",))
        writer.mark_deleted([Deleted("1", T + 50)], seen_at=T + 60)
    assert store.sql("SELECT item_id FROM phase_result ORDER BY 1").rows == [("2",), ("T2",)]
    assert store.sql("SELECT phase FROM phase_state").rows == [("theme_extraction",)]
