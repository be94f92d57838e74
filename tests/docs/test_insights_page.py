"""The page on insights: its programs run, and its figures are those that are measured."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bench.quality import measured
from intercom_bulk.insights.classification import SURE
from intercom_bulk.insights.clusters import NEAR, TIGHT
from intercom_bulk.insights.model import LEAST
from intercom_bulk.insights.suggestion import MOST_IDS
from tests.docs.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PAGE = (ROOT / "docs" / "insights.md").read_text()
NAMES = {"contact reason": "contact_reason"}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_programs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (rules,) = blocks("yaml")
    (tmp_path / "my-rules.yaml").write_text(rules)
    programs = blocks("python")
    assert len(programs) == 4
    for program in programs:
        exec(compile(program, "insights.md", "exec"), {"__name__": "page"})
    said = capsys.readouterr().out
    assert "outage rule ['is down']" in said
    assert "refund rule ['refund*']" in said


def test_the_figures_of_quality_are_those_that_are_measured() -> None:
    rows = re.findall(
        r"^\| ([a-z ]+) \(\d+.*?\) \| ([\d.]+) \| ([\d.]+) \| ([\d., ]+) \| ([\d., ]+) \|$", PAGE, re.MULTILINE
    )
    assert len(rows) == 5
    found = {one.question: one for one in measured("held_out")}
    for name, right, f1, majority, keyword in rows:
        one = found[NAMES.get(name, name)]
        assert (right, f1) == (f"{one.accuracy:.2f}", f"{one.f1:.2f}")
        assert majority == f"{one.majority:.2f}, {one.majority_f1:.2f}"
        assert keyword == f"{one.keyword:.2f}, {one.keyword_f1:.2f}"
    one = found["classification"]
    assert f"{1 - one.answered:.0%}".replace("%", " %") + " are null" in PAGE
    assert f"{one.right_of_answered:.0%}".replace("%", " %") + " of the others" in PAGE


def test_the_limits_on_the_page_are_those_of_the_code() -> None:
    assert f"below {NEAR:g}" in PAGE
    assert f"({TIGHT:g} on" in PAGE
    assert f"up to {MOST_IDS} " in PAGE
    assert (LEAST, SURE) == (40, 0.5)


def test_the_page_fits_into_80_columns() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 80 and not line.startswith("|")] == []
