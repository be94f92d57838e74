"""What becomes of each row of a list, whoever wrote it."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk import Ids, Outcome, RunRecord, Status, UsageError
from intercom_bulk.runs.ids import FED_BACK
from intercom_bulk.runs.inputs import Input, InputReader, Row, forget_inputs
from intercom_bulk.runs.report import write_csv, write_jsonl

if TYPE_CHECKING:
    from collections.abc import Collection

IDS = st.from_regex(r"\A(?:[A-Za-z0-9_-]{1,24}|[0-9]{1,30}|0*[0-9]+[eE][0-9]+|[0-9]{1,4}-[0-9]{1,4})\Z")
RECORD = RunRecord(run_id="r1", title="ConversationCloser")


def rows(ids: Ids) -> list[Row]:
    return list(ids.rows())


def good(ids: Ids) -> list[str]:
    return [row.text for row in ids.rows() if row.problem is None]


def csv(text: str, column: str | None = None) -> Ids:
    return Ids.from_csv(io.StringIO(text, newline=""), column)


def jsonl(text: str, key: str | None = None) -> Ids:
    return Ids.from_jsonl(io.StringIO(text, newline=""), key)


def problems(ids: Ids) -> dict[int, str]:
    return {row.number: row.problem[0] for row in ids.rows() if row.problem is not None}


# -- our own exports


@given(st.lists(st.tuples(IDS, st.sampled_from(Status))), st.none() | st.just({"done"}))
def test_ids_come_back_as_they_went_out(items: list[tuple[str, Status]], wanted: Collection[str] | None) -> None:
    outcomes = [Outcome(item_id, status, message="=1", code="a,\nb") for item_id, status in items]
    as_csv, as_jsonl = io.StringIO(newline=""), io.StringIO(newline="")
    write_csv(RECORD, outcomes, as_csv)
    write_jsonl(RECORD, outcomes, as_jsonl)
    expected = [item_id for item_id, status in items if wanted is None or status in wanted]
    for mark in ("", "\ufeff"):
        assert good(Ids.from_csv(io.StringIO(mark + as_csv.getvalue(), newline=""), statuses=wanted)) == expected
    assert good(Ids.from_jsonl(io.StringIO(as_jsonl.getvalue(), newline=""), statuses=wanted)) == expected


def test_of_an_export_what_failed_or_is_in_doubt_is_fed_back_in_and_the_rest_is_told() -> None:
    out = io.StringIO(newline="")
    write_csv(RECORD, [Outcome(status.value, status) for status in Status], out)
    ids = csv(out.getvalue())
    assert set(good(ids)) == FED_BACK == {Status.FAILED, Status.STARTED, Status.UNKNOWN, Status.NEEDS_REVIEW}
    again = csv(out.getvalue())
    assert sorted(problems(again).values()) == ["left_out"] * 3


# -- lists of others


@pytest.mark.parametrize(
    "text",
    [
        "id\n1\n02\n",
        "name,Conversation ID\nx,1\ny,02\n",
        "1\n02",
        "\n\n1\r\n'02\r\n",
        "state;item_id\nopen;1\nopen;02\n",
        "id\tstatus\n1\topen\n02\tclosed\n",
        'sep=;\nid;name\n1;a\n02;"b;c"\n',
        '"id"\n" 1 "\n"02"\n',
        'id\n"=""1"""\n="02"\n',
        'contact_id,email\n1,"a\nb"\n\u00a002\u200b,c\n',
        "Ticket\n1\n02\n",
        "1,\n02,\n",
    ],
)
def test_a_column_of_ids_is_found(text: str) -> None:
    assert good(csv(text)) == ["1", "02"]


def test_a_column_is_named_as_people_see_it() -> None:
    text = "Intercom ID,Other id\n1,2\n"
    assert good(csv(text, "Other id")) == good(csv(text, "other_id")) == ["2"]


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("id,conversation_id\n1,2\n", None, "Both id and conversation_id hold ids: say with column="),
        ("ticket,status\n1,open\n", None, "Which column has the ids. There are ticket, status"),
        ("id,name\n1,x\n", "e-mail", "There is no column 'e-mail': there are id, name"),
        ('id,name\n1,"open\n2,b\n3,c\n', None, "cannot be read from line 2 on"),
        ("id,note\n1," + "x" * 200_000, None, "field limit"),
    ],
)
def test_what_cannot_be_read_as_a_list_is_refused(text: str, column: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rows(csv(text, column))


def test_a_row_is_counted_as_the_line_that_it_begins_in() -> None:
    ids = csv('id,note\n1,"two\nlines"\n\n2,"three\n\nlines"\n,x\n2.15E+14,\n')
    assert [(row.number, row.text, row.problem and row.problem[0]) for row in ids.rows()] == [
        (2, "1", None),
        (4, "", "blank"),
        (5, "2", None),
        (8, "", "blank"),
        (9, "2.15E+14", "bad_id"),
    ]


def test_ids_are_never_numbers() -> None:
    assert good(csv("id\n1E5\n00012345678901234567890\n")) == ["1E5", "00012345678901234567890"]
    assert good(jsonl('{"id": 12345678901234567890123}\n123\n"04"')) == ["12345678901234567890123", "123", "04"]
    assert good(Ids([1, "02", 10**20])) == ["1", "02", str(10**20)]


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff\r\n", "id\n", ",,\n", "conversation\n"])
def test_an_empty_list_has_no_ids(text: str) -> None:
    assert good(csv(text)) == []


def test_one_bad_row_is_one_reported_row() -> None:
    ids = Ids([" 7 ", None, "", "2,15E+14", "215.0", 1.5, True, ["9"], float("nan")])
    assert good(ids) == ["7"]
    assert list(problems(ids).values()) == ["blank", "blank", *["bad_id"] * 6]
    ids = jsonl('{"id": "1"}\n\n{"name": "x"}\n[1]\n{"id": \n{"id": true}\n{"id": 2.15E+14}\n{"id": ' + "[" * 100_000)
    assert problems(ids) == {2: "blank", 3: "blank", **dict.fromkeys(range(4, 9), "bad_id")}


def test_what_a_spreadsheet_spoiled_is_said_so() -> None:
    (row,) = rows(Ids(["2.15E+14"]))
    assert row.problem is not None
    assert "rounded" in row.problem[1]
    (row,) = rows(Ids(["215473.0"]))
    assert row.problem is not None
    assert "as text" in row.problem[1]


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ('{"id": 1, "conversation_id": 2}', None, "Both id and conversation_id hold ids: say with key="),
        ('{"name": 1}', None, "Which key has the ids. There are name"),
        ('{"name": 1}', "uid", "There is no key 'uid': there are name"),
    ],
)
def test_a_key_is_never_guessed(text: str, key: str | None, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        rows(jsonl(text, key))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_file_is_read_in_the_encoding_that_it_has(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "ids.csv"
    path.write_bytes("id;Name\r\n1;Zoë\r\n02;Jürgen\r\n".encode(encoding))
    assert good(Ids.from_csv(path)) == ["1", "02"]


def test_lines_come_from_a_file_or_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("\ufeff1\n\n'02\n")
    assert good(Ids.from_lines(path)) == good(Ids.from_lines(io.StringIO("1\n\n02\n"))) == ["1", "02"]
    assert problems(Ids.from_lines(path)) == {2: "blank"}


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for read in (Ids.from_csv, Ids.from_jsonl, Ids.from_lines):
        with pytest.raises(UsageError, match=r"gone\.csv cannot be read \(No such file"):
            rows(read(tmp_path / "gone.csv"))


def test_a_text_is_no_list() -> None:
    with pytest.raises(UsageError, match="a list of ids"):
        Ids("215473")


@given(st.text() | st.text('{}"id:,;=\n\r\t1[]\\ '))
def test_reading_any_text_ends_in_rows_or_in_a_usage_error(text: str) -> None:
    for read in (csv, jsonl):
        with contextlib.suppress(UsageError):
            assert all(row.text for row in read(text).rows() if row.problem is None)


# -- the copy that a run keeps


def test_a_list_is_read_once_and_kept(tmp_path: Path) -> None:
    ids = Ids(str(n) for n in range(3))
    known = ids.keep(tmp_path)
    assert ids.keep(tmp_path) == known == Input(known.digest, 3, "a list")
    assert Ids(["0", "1", "2"]).keep(tmp_path).digest == known.digest
    (path,) = tmp_path.iterdir()
    assert (path.stem, path.stat().st_mode & 0o777) == (known.digest, 0o600)


def test_a_list_that_can_be_read_once_is_never_read_as_empty(tmp_path: Path) -> None:
    ids = Ids(str(n) for n in range(3))
    known = ids.keep(tmp_path / "a")
    (tmp_path / "a" / f"{known.digest}.jsonl").unlink()
    for folder in ("a", "b"):
        with pytest.raises(UsageError, match="is not what it was when it was read first"):
            ids.keep(tmp_path / folder)


@given(st.lists(st.text(max_size=5)), st.integers(1, 5))
def test_rows_come_back_from_any_place(texts: list[str], step: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ids = Ids(texts)
        reader = InputReader(Path(folder), ids.keep(Path(folder)))
        found, offset = list[Row](), 0
        while offset < reader.size:
            part, offset = reader.read(offset, step)
            found += part
        assert found == rows(ids)


def test_a_kept_list_that_is_gone_or_altered_is_refused(tmp_path: Path) -> None:
    known = Ids(["1", "2"]).keep(tmp_path)
    path = tmp_path / f"{known.digest}.jsonl"
    reader = InputReader(tmp_path, known)
    path.write_text(path.read_text().replace("2", "3"))
    with pytest.raises(UsageError, match="changed while the run went on"):
        reader.read(0, 1)
    with pytest.raises(UsageError, match="changed since the run began"):
        InputReader(tmp_path, known)
    assert Ids(["1", "2"]).keep(tmp_path) == known  # written anew
    InputReader(tmp_path, known)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        InputReader(tmp_path, known)


def test_only_lists_that_nobody_needs_are_forgotten(tmp_path: Path) -> None:
    needed, other = Ids(["1"]).keep(tmp_path), Ids(["2"]).keep(tmp_path)
    forget_inputs(tmp_path, {needed.digest}, before=0.0)
    assert len(list(tmp_path.iterdir())) == 2
    forget_inputs(tmp_path, {needed.digest}, before=4e9)
    assert [path.stem for path in tmp_path.iterdir()] == [needed.digest] != [other.digest]


def test_a_list_is_never_held_in_memory(tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        ids = Ids.from_csv(f"{number},{'x' * 50}\n" if number else "id,note\n" for number in range(30_000))
        assert ids.keep(tmp_path).count == 29_999
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


def test_a_line_is_plain_json(tmp_path: Path) -> None:
    known = Ids(["1", ""]).keep(tmp_path)
    lines = (tmp_path / f"{known.digest}.jsonl").read_text().splitlines()
    assert [json.loads(line)[:2] for line in lines] == [[1, "1"], [2, ""]]
