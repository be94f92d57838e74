"""What is told of a run afterwards, and what is read back from it."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intercom_bulk.runs.ids import Ids
from intercom_bulk.runs.model import Outcome, RunState, Status
from intercom_bulk.runs.record import RunRecord
from intercom_bulk.runs.report import COLUMNS, write_csv, write_jsonl, write_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = RunRecord(
    run_id="r1",
    title="close conversations",
    state=RunState.COMPLETED_WITH_ERRORS,
    reason="the merger",
    by="814860",
    workspace="ws1",
    base_url="https://api.intercom.io",
    parameters={"team_id": "7"},
    created_at=1_700_000_000.0,
    updated_at=1_700_003_725.0,
)
COUNTS = {Status.DONE: 1200, Status.SKIPPED: 3, Status.FAILED: 2, Status.NEEDS_REVIEW: 1}
FORMULA = tuple("=+-@＝＋－＠\t\r\n\0")
NASTY = st.text() | st.builds(str.__add__, st.text("'=+-@＝＋－＠\t\r\n\0 ,;\"|`<1E5", max_size=6), st.text())
IDS = st.from_regex(r"\A(?:[A-Za-z0-9_-]{1,24}|[0-9]{1,30}|0*[0-9]+[eE][0-9]+|[0-9]{1,4}-[0-9]{1,4})\Z")
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | NASTY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY, inner, max_size=3),
    max_leaves=4,
)
OUTCOMES = st.builds(
    Outcome,
    IDS,
    st.sampled_from(Status),
    code=st.none() | NASTY,
    message=st.none() | NASTY,
    attempts=st.integers(0, 9),
    before=st.none() | st.dictionaries(NASTY, JSON, max_size=2),
    after=st.none() | st.dictionaries(NASTY, JSON, max_size=2),
    request_id=st.none() | NASTY,
    at=st.floats(0, 4e9),
)


def csv_of(*outcomes: Outcome, record: RunRecord = RECORD, collection: str = "conversations") -> str:
    out = io.StringIO(newline="")
    write_csv(record, outcomes, out, collection=collection)
    return out.getvalue()


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def jsonl_of(*outcomes: Outcome) -> str:
    out = io.StringIO()
    write_jsonl(RECORD, outcomes, out)
    return out.getvalue()


def markdown_of(*samples: Outcome, record: RunRecord = RECORD, codes: dict[str, int] | None = None) -> str:
    out = io.StringIO()
    write_markdown(record, COUNTS, codes or {}, samples, out)
    return out.getvalue()


def ids(text: str) -> list[str]:
    return [row.text for row in Ids.from_csv(io.StringIO(text, newline=""), statuses=None).rows()]


def without_guard(cell: str) -> str:
    return cell[1:] if re.match(r"'['\s]*[=+\-@＝＋－＠\t\r\n\0]", cell) else cell


def unguarded_id(cell: str) -> str:
    return cell.removeprefix("'")


# -- CSV


def test_a_row_says_everything_about_an_item() -> None:
    outcome = Outcome(
        "215473", Status.FAILED, "bad", "No.", 2, {"state": "open"}, {"state": "closed"}, "req1", 1_700_000_000.25
    )
    text = csv_of(outcome)
    assert text.splitlines()[0].split(",") == list(COLUMNS)
    assert rows_of(text) == [
        {
            "item_id": "215473",
            "status": "failed",
            "attempts": "2",
            "at": "2023-11-14T22:13:20.250Z",
            "code": "bad",
            "message": "No.",
            "request_id": "req1",
            "before": '{"state": "open"}',
            "after": '{"state": "closed"}',
            "link": "https://app.intercom.com/a/apps/ws1/inbox/conversation/215473",
            "step": "",
        }
    ]


def test_what_is_not_known_is_left_empty() -> None:
    row = rows_of(csv_of(Outcome("1", Status.STAGED), collection="contacts"))[0]
    assert {name for name, cell in row.items() if cell} == {"item_id", "status", "attempts"}


@pytest.mark.parametrize(
    ("base_url", "host"),
    [
        (None, "app.intercom.com"),
        ("https://api.intercom.io", "app.intercom.com"),
        ("https://api.eu.intercom.io", "app.eu.intercom.com"),
        ("https://api.au.intercom.io/", "app.au.intercom.com"),
    ],
)
def test_the_link_goes_to_the_region_of_the_workspace(base_url: str | None, host: str) -> None:
    record = RunRecord(run_id="r", title="t", workspace="w/s", base_url=base_url)
    assert rows_of(csv_of(Outcome("a/b", Status.DONE), record=record))[0]["link"] == (
        f"https://{host}/a/apps/w%2Fs/inbox/conversation/a%2Fb"
    )


def test_without_a_workspace_there_is_no_link() -> None:
    assert rows_of(csv_of(Outcome("1", Status.DONE), record=RunRecord(run_id="r", title="t")))[0]["link"] == ""


@given(st.lists(OUTCOMES, max_size=2))
def test_any_text_survives_the_csv(outcomes: list[Outcome]) -> None:
    for outcome, row in zip(outcomes, rows_of(csv_of(*outcomes)), strict=True):
        assert without_guard(row["code"]) == (outcome.code or "")
        assert without_guard(row["message"]) == (outcome.message or "")
        assert unguarded_id(row["request_id"]) == (outcome.request_id or "")
        assert (json.loads(row["before"]) if row["before"] else None) == outcome.before
        assert (json.loads(row["after"]) if row["after"] else None) == outcome.after


@given(OUTCOMES, NASTY)
def test_no_cell_of_the_csv_starts_like_a_formula(outcome: Outcome, item_id: str) -> None:
    text = csv_of(outcome, Outcome(item_id, Status.DONE))
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not [cell for cell in cells if cell.lstrip(" ").startswith(FORMULA)]


@pytest.mark.parametrize("mark", FORMULA)
def test_every_formula_mark_gets_an_apostrophe(mark: str) -> None:
    row = rows_of(csv_of(Outcome("1", Status.FAILED, message=f"{mark}HYPERLINK(1)")))[0]
    assert row["message"] == f"'{mark}HYPERLINK(1)"


@pytest.mark.parametrize("message", ["'=1", "''+1", " =1", "\u3000＝1"])
def test_a_formula_behind_blanks_or_apostrophes_gets_one_more(message: str) -> None:
    assert rows_of(csv_of(Outcome("1", Status.FAILED, message=message)))[0]["message"] == f"'{message}"


def test_other_text_is_left_alone() -> None:
    row = rows_of(csv_of(Outcome("1", Status.FAILED, message="'tag' = none, see -1")))[0]
    assert row["message"] == "'tag' = none, see -1"


@pytest.mark.parametrize("item_id", ["1E5", "007", "1234567890123456", "3-4", "12e34"])
def test_ids_that_a_spreadsheet_would_change_are_marked_as_text(item_id: str) -> None:
    text = csv_of(Outcome(item_id, Status.FAILED))
    assert rows_of(text)[0]["item_id"] == f"'{item_id}"
    assert ids(text) == [item_id]


def test_ordinary_ids_are_left_alone() -> None:
    assert rows_of(csv_of(Outcome("215473912345678", Status.DONE)))[0]["item_id"] == "215473912345678"


def test_half_an_emoji_does_not_end_the_export() -> None:
    broken = Outcome("1", Status.FAILED, "c", "a\ud83d", before={"t": "b\ud83d"})
    assert rows_of(csv_of(broken).encode().decode())[0]["message"] == "a\\ud83d"
    assert json.loads(rows_of(csv_of(broken))[0]["before"]) == {"t": "b\ud83d"}
    assert json.loads(jsonl_of(broken).encode().splitlines()[1])["message"] == "a\ud83d"


def test_an_export_does_not_keep_its_items() -> None:
    class Sink(io.StringIO):
        def write(self, text: str) -> int:
            return len(text)

    def many() -> Iterator[Outcome]:
        for number in range(20_000):
            yield Outcome(str(number), Status.FAILED, "c", "m" * 100, before={"n": "x" * 100})

    tracemalloc.start()
    try:
        write_csv(RECORD, many(), Sink())
        write_jsonl(RECORD, many(), Sink())
        write_markdown(RECORD, COUNTS, {"c": 2}, many(), Sink())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 500_000


# -- JSONL


@given(st.lists(OUTCOMES, max_size=2))
def test_jsonl_is_the_record_and_then_each_outcome_raw(outcomes: list[Outcome]) -> None:
    lines = jsonl_of(*outcomes).splitlines()
    assert RunRecord.from_json(lines[0]) == RECORD
    assert [Outcome(**json.loads(line)) for line in lines[1:]] == outcomes


# -- Markdown


def test_the_summary_says_what_who_why_when_and_how_it_ended() -> None:
    text = markdown_of(
        Outcome("8", Status.DONE),
        Outcome("9", Status.FAILED, "tag_not_found", "No such tag.", request_id="req9"),
        Outcome("10", Status.FAILED, "tag_not_found", "Later.", request_id="req10"),
        codes={"already_done": 3, "tag_not_found": 2_000},
    )
    assert text == SUMMARY


SUMMARY = """\
# close conversations: completed with errors

|  |  |
| --- | --- |
| What | close conversations (update) |
| Run | r1 |
| With | {"team_id": "7"} |
| Who | admin 814860, workspace ws1 |
| Why | the merger |
| When | 2023-11-14T22:13:20Z to 2023-11-14T23:15:25Z |
| How long | 1:02:05 (h:mm:ss) |
| State | completed with errors |

## Totals

|  | items |
| --- | --- |
| done | 1,200 |
| skipped | 3 |
| failed | 2 |
| unknown | 0 |
| needs review | 1 |
| unprocessed | 0 |
| items known | 1,206 |

## What was not done, and why

| code | items | example | message | request id |
| --- | --- | --- | --- | --- |
| tag_not_found | 2,000 | 9 | No such tag. | req9 |
| already_done | 3 |  |  |  |

## What to do next

- **Look** by hand at the items to review (1): whether they were changed could not be proved, and doing them twice \
would show.
- **Retry** the failed items of run r1 (2) once the causes above are mended.
- **Undo** run r1 if it was a mistake: of the items done (1,200), what can be taken back is, but not where somebody \
changed them since.
"""


def test_a_stopped_run_can_be_resumed_and_says_why_it_stands() -> None:
    record = RunRecord(run_id="r2", title="t", state=RunState.HALTED, ended="401: no", parent="r1", total=90, lives=3)
    out = io.StringIO()
    write_markdown(record, {Status.STAGED: 70, Status.STARTED: 1, Status.UNKNOWN: 2}, {}, [], out, known=73)
    text = out.getvalue()
    assert "go on where it stood. Unprocessed so far: 70; in doubt, to be read back first: 3." in text
    assert "halted: 401: no" in text
    assert "of run r1" in text
    assert "started 3 times" in text
    assert "| counted by the search at the start | 90 |" in text
    assert "no reason was given" in text
    assert "Undo" not in text


def test_a_run_under_way_is_waited_for() -> None:
    out = io.StringIO()
    write_markdown(RunRecord(run_id="r", title="t"), {Status.DONE: 1, Status.STARTED: 1}, {}, [], out)
    assert out.getvalue().endswith(
        "## What to do next\n\n- Wait: the run is under way, these are its numbers so far.\n"
    )


def test_a_clean_undo_asks_for_nothing() -> None:
    record = RunRecord(run_id="r", title="t", kind="undo", state=RunState.COMPLETED)
    out = io.StringIO()
    write_markdown(record, {Status.DONE: 1}, {}, [], out)
    assert out.getvalue().endswith("next\n\n- Nothing else: every item known is done or was skipped.\n")


@given(st.dictionaries(st.sampled_from(Status), st.integers(0, 10**6)))
def test_every_status_is_in_exactly_one_total(counts: dict[Status, int]) -> None:
    out = io.StringIO()
    write_markdown(RECORD, counts, {}, [], out, known=sum(counts.values()))
    section = out.getvalue().split("## Totals")[1].split("##")[0]
    *parts, known = (int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+) \|", section))
    assert sum(parts) == known == sum(counts.values())


@pytest.mark.parametrize(("counts", "known"), [({Status.DONE: 3}, 4), ({Status.DONE: -1, Status.FAILED: 2}, 1)])
def test_totals_that_do_not_add_up_are_not_written(counts: dict[Status, int], known: int) -> None:
    out = io.StringIO()
    with pytest.raises(ValueError, match="do not add up"):
        write_markdown(RECORD, counts, {}, [], out, known=known)
    assert out.getvalue() == ""


@given(NASTY, NASTY)
def test_text_from_outside_stays_in_its_cell(message: str, reason: str) -> None:
    record = RunRecord(run_id="r", title=message, reason=reason, state=RunState.COMPLETED)
    sample = Outcome("1", Status.FAILED, "c|`d", message, request_id=reason)
    text = markdown_of(sample, record=record, codes={"c|`d": 1})
    lines = text.split("\n")
    assert len(lines) == len(markdown_of(codes={"c": 1}).split("\n")) - 1  # no parameters
    row = next(line for line in lines if line.startswith("| c"))
    cells = [cell.strip() for cell in re.split(r"(?<!\\)(?:\\\\)*\|", row)[1:-1]]
    assert len(cells) == 5
    assert not [cell for cell in cells if cell.startswith(FORMULA)]
    assert not re.search(r"<|>", row)


@given(st.text("|\\`*_[]<>&#~$ab c", max_size=30))
def test_markup_is_shown_as_it_is_written(message: str) -> None:
    text = markdown_of(Outcome("1", Status.FAILED, "c", message), codes={"c": 1})
    row = next(line for line in text.split("\n") if line.startswith("| c "))
    cell = re.fullmatch(r"\| c \| 1 \| 1 \| (.*) \|  \|", row)
    assert cell is not None
    assert html.unescape(re.sub(r"\\(.)", r"\1", cell[1])) == " ".join(message.split())


def test_a_very_long_message_is_cut() -> None:
    text = markdown_of(Outcome("1", Status.FAILED, "c", "x" * 10_000), codes={"c": 1})
    assert len(text) < 3_000
