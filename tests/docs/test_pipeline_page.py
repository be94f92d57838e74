"""The page on the pipeline, from top to end on one workspace: commands, programs, SQL, and the views that it names."""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.cli import main
from intercom_bulk.mirror.keeping.phase_tables import PHASE_TABLES
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.sandbox import Sandbox
from tests.docs.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "pipeline.md").read_text()


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """Whose token this process has."""
    with Sandbox(conversations=40, days=20, parts=2, limit_per_minute=300_000) as sandbox:
        for name in [name for name in os.environ if name.startswith("INTERCOM_") and name != "INTERCOM_BULK_HOME"]:
            monkeypatch.delenv(name)
        for name in ("INTERCOM_BASE_URL", "INTERCOM_ACCESS_TOKEN"):
            monkeypatch.setenv(name, sandbox.environ()[name])
        monkeypatch.chdir(tmp_path)
        yield sandbox


def test_the_page_does_what_it_says(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    before = sandbox.effects()
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        if language == "bash":
            for line in text.splitlines():
                program, *words = shlex.split(line)
                assert program == "intercom-bulk"
                assert main(words) == 0, (line, capsys.readouterr())
        elif language == "sql":
            assert main(["mirror", "sql", text]) == 0, (text, capsys.readouterr())
        elif language == "python":
            exec(compile(text, "pipeline.md", "exec"), {})
    assert "letters" in capsys.readouterr().out  # the last program's results
    # what the page says of exit codes; a run that is completed, or is not there, is no run to go on with
    for words, said in (
        (["resume", "1"], "is completed"),
        (["resume"], "No run over 90 days"),
        (["stop"], "under way"),
    ):
        assert main(["pipeline", *words]) == 2
        assert said in capsys.readouterr().err
    assert main(["pipeline", "history", "--json"]) == 0
    assert sandbox.effects() == before


VIEWS = ["pipeline_runs", "classifications", "facets", "conversation_themes", "themes", "stories"]


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_names_every_column_of_a_view_and_no_other(view: str, tmp_path: Path) -> None:
    with open_mirror(tmp_path, "abc") as store:
        columns = set(store.sql(f"SELECT * FROM {view}").columns)
    (row,) = re.findall(rf"^\| `{view}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == columns


def test_the_page_names_every_table() -> None:
    listed = PAGE.partition("Tables:")[2].partition(".")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(re.findall(r"CREATE TABLE (\w+)", PHASE_TABLES))


def test_the_page_fits_into_80_columns() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 80 and not line.startswith("|")] == []
