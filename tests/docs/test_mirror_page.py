"""The page on the mirror, from top to end on one workspace: commands, programs, SQL, and the tables that it names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.mirror.schema import SYNC_TABLES, TABLES
from intercom_bulk.mirror.store import open_mirror
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


def test_the_page_does_what_it_says(environment: dict[str, str], tmp_path: Path, home: Path) -> None:
    with Sandbox(conversations=SEVERAL, parts=4, share_tagged=0.3, limit_per_minute=300_000) as sandbox:
        where = {**environment, **sandbox.environ(), "PATH": f"{program(tmp_path)}:{os.environ['PATH']}"}
        for block in blocks():
            ran = {"bash": shell, "python": python, "sql": asked}.get(block.language)
            before = sandbox.effects()
            if ran is not None:
                ended = ran(block.text, tmp_path, where)
                assert ended.returncode == 0, (block.line, ended.stdout, ended.stderr)
            writes = "--yes" in block.text or "bulk_process" in block.text
            assert (sandbox.effects() != before) == writes, block.line
    rows = (tmp_path / "conversations.csv").read_text("utf-8-sig").splitlines()
    assert len(rows) == SEVERAL + 1


def program(folder: Path) -> Path:
    """A folder with the command in it."""
    (folder / "bin").mkdir()
    command = folder / "bin" / "intercom-bulk"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m intercom_bulk "$@"\n')
    command.chmod(0o755)
    return command.parent


def shell(text: str, folder: Path, where: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return ran(["bash", "-ec", text], folder, where)


def python(text: str, folder: Path, where: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return ran([sys.executable, "-c", text], folder, where)


def asked(text: str, folder: Path, where: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return ran(["intercom-bulk", "mirror", "sql", text], folder, where)


def ran(command: list[str], folder: Path, where: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=where, capture_output=True, text=True, timeout=60, check=False)


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
