"""What leaves the mirror is what is in it, and does nothing to whoever opens it."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.errors import UsageError
from intercom_bulk.mirror.export import MESSAGES, write_csv, write_jsonl, write_parquet
from tests.mirror.made import T, conversation, kept, thread

if TYPE_CHECKING:
    from pathlib import Path

    from intercom_bulk.mirror.keeping.store import MirrorStore


@pytest.fixture
def filled(store: MirrorStore) -> MirrorStore:
    documents = [
        thread(
            "215472856448646", "=1+1", title="=HYPERLINK()", tags=["-x"], created=T, custom_attributes={"plan": "pro"}
        ),
        conversation("2", title="a\u2028b", created=T + 1, open=False, state="closed"),
    ]
    with store.writing() as writer:
        kept(writer, documents, seen_at=T)
    return store


def test_no_cell_of_a_csv_is_a_formula(filled: MirrorStore) -> None:
    out = io.StringIO()
    assert write_csv(filled, out) == 2
    first, second = csv.DictReader(io.StringIO(out.getvalue()))
    assert (first["id"], first["title"], first["tags"]) == ("215472856448646", "'=HYPERLINK()", "'-x")
    assert (second["open"], second["created_at"], second["snoozed_until"]) == ("0", str(T + 1), "")


def test_a_number_below_zero_stays_one_and_the_name_of_a_column_is_no_formula(store: MirrorStore) -> None:
    out = io.StringIO()
    write_csv(store, out, sql="SELECT -5 AS n, '-5' AS t, -1.5 AS x, 12345678901234567 AS tag_id, 3 AS \"=cmd()\"")
    assert out.getvalue() == "n,t,x,tag_id,'=cmd()\r\n-5,'-5,-1.5,'12345678901234567,3\r\n"


def test_two_columns_of_one_name_are_refused_where_one_would_be_lost(store: MirrorStore) -> None:
    twice = "SELECT 1 AS id, 2 AS id"
    with pytest.raises(UsageError, match="name them apart"):
        write_jsonl(store, io.StringIO(), sql=twice)
    out = io.StringIO()
    assert write_csv(store, out, sql=twice) == 1
    assert out.getvalue() == "id,id\r\n1,2\r\n"


def test_an_export_may_be_any_question(filled: MirrorStore) -> None:
    out = io.StringIO()
    assert write_csv(filled, out, sql="SELECT id, state FROM conversation WHERE state = ?", parameters=("closed",)) == 1
    assert out.getvalue() == "id,state\r\n2,closed\r\n"
    with pytest.raises(UsageError):
        write_csv(filled, out, sql="SELEC")
    nothing = io.StringIO()
    assert write_csv(filled, nothing, sql="SELECT id, state FROM conversation WHERE state = 'gone'") == 0
    assert nothing.getvalue() == "id,state\r\n"


def test_jsonl_is_one_object_a_line_as_it_is(filled: MirrorStore) -> None:
    out = io.StringIO()
    assert write_jsonl(filled, out) == 2
    first, second = map(json.loads, out.getvalue().splitlines())
    assert (first["title"], first["open"], first["custom_attributes"]) == ("=HYPERLINK()", True, {"plan": "pro"})
    assert (second["title"], second["open"]) == ("a\u2028b", False)
    messages = io.StringIO()
    assert write_jsonl(filled, messages, sql=MESSAGES) == 3


def test_a_line_of_json_is_json_where_a_number_is_none(store: MirrorStore) -> None:
    """Both databases have an infinity; JSON does not, and Python would write one all the same."""
    out = io.StringIO(newline="")
    write_jsonl(store, out, sql="SELECT CAST(? AS double precision) AS a, ? AS b", parameters=(math.inf, 1.5))
    assert json.loads(out.getvalue(), parse_constant=pytest.fail) == {"a": None, "b": 1.5}


def test_parquet_has_the_types_of_the_columns(filled: MirrorStore, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    path = tmp_path / "it's.parquet"
    assert write_parquet(filled, path) == 2
    assert path.stat().st_mode & 0o777 == 0o600
    rows = duckdb.sql(
        f"SELECT id, open, created_at, snoozed_until FROM '{str(path).replace(chr(39), chr(39) * 2)}'"
    ).fetchall()
    assert rows == [("215472856448646", True, T, None), ("2", False, T + 1, None)]
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_parquet_of_nothing_is_refused(store: MirrorStore, tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    with pytest.raises(UsageError, match="nothing to export"):
        write_parquet(store, tmp_path / "x.parquet")
    with pytest.raises(UsageError, match="no folder"):
        write_parquet(store, tmp_path / "none" / "x.parquet")
