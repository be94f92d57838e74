"""The page on the mirror, from top to end on one workspace: commands, programs, SQL, and the tables that it names."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.cli import main
from intercom_bulk.mirror.keeping.schema import SYNC_TABLES, TABLES
from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.sandbox import Sandbox
from tests.docs.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "mirror.md").read_text()
SEVERAL = 75
"""Conversations: as many as fill a week or two."""


@dataclass(frozen=True)
class Block:
    """What is between two fences, and the line it begins in."""

    line: int
    language: str
    text: str


def blocks() -> Iterator[Block]:
    for found in re.finditer(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        yield Block(PAGE.count("\n", 0, found.start()) + 2, found[1], found[2])


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """Whose token this process has. The page is about this process: to start one for each line would take a minute."""
    with Sandbox(conversations=SEVERAL, parts=4, share_tagged=0.3, limit_per_minute=300_000) as sandbox:
        for name in [name for name in os.environ if name.startswith("INTERCOM_") and name != "INTERCOM_BULK_HOME"]:
            monkeypatch.delenv(name)
        for name in ("INTERCOM_BASE_URL", "INTERCOM_ACCESS_TOKEN"):
            monkeypatch.setenv(name, sandbox.environ()[name])
        monkeypatch.chdir(tmp_path)
        yield sandbox


def test_the_page_does_what_it_says(sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks():
        before = sandbox.effects()
        if block.language == "bash":
            for line in block.text.splitlines():
                program, *words = shlex.split(line)
                assert program == "intercom-bulk"
                assert main(words) == 0, (block.line, line, capsys.readouterr())
        elif block.language == "sql":
            assert main(["mirror", "sql", block.text]) == 0, (block.line, capsys.readouterr())
        elif block.language == "python":
            exec(compile(block.text, f"mirror.md:{block.line}", "exec"), {})
        writes = "--yes" in block.text or "bulk_process" in block.text
        assert (sandbox.effects() != before) == writes, block.line
    rows = (tmp_path / "conversations.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == SEVERAL + 1


# -- what the page says of the tables


def test_the_page_names_every_table_and_no_other() -> None:
    made = set(re.findall(r"CREATE TABLE (\w+)", TABLES + SYNC_TABLES))
    listed = PAGE.partition("| table | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", listed)) - made <= set()
    assert made <= set(re.findall(r"`(\w+)`", listed))


@pytest.mark.parametrize("view", ["conversations_flat", "messages"])
def test_the_page_names_every_column_of_a_view_and_no_other(view: str, tmp_path: Path) -> None:
    with open_mirror(tmp_path, "abc") as store:
        columns = {name for name in store.sql(f"SELECT * FROM {view}").columns if not name.endswith("_iso")}
    table = PAGE.partition(f"| `{view}` | |\n")[2].partition("\n\n")[0]
    named = {name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert named == columns


def test_the_page_fits_into_80_columns() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 80 and not line.startswith("|")] == []
