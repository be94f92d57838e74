"""The table of all operations against the library, the command line, and the proofs that it names."""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

import pytest

import intercom_bulk
from intercom_bulk import IntercomBulkUpdater
from intercom_bulk.operations import OPERATIONS
from tests.docs.conftest import ROOT
from tests.updaters.promises import CASES

PAGE = (ROOT / "docs" / "operations.md").read_text()
PROOFS = {case.name: case for case in CASES}
BASES = {"IntercomBulkUpdater", "ConversationUpdater", "ContactUpdater", "CompanyUpdater", "TicketUpdater"}


class Row(NamedTuple):
    what: str
    python: str
    command: str
    again: str
    undo: str
    proof: str

    @property
    def updater(self) -> str:
        return self.python.strip("`").partition("(")[0]


def rows() -> list[Row]:
    lines = (line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| "))
    cells = ([cell.strip() for cell in line] for line in lines)
    return [Row(*line) for line in cells if len(line) == len(Row._fields) and line[1].startswith("`")]


ROWS = rows()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.command} {row.what}")
class TestRow:
    def test_it_has_a_proof_that_says_the_same(self, row: Row) -> None:
        case = PROOFS[row.proof]  # a row without a proof is no row
        made = case.make(access_token="none-at-all", irreversible=True)
        assert type(made).__name__ == row.updater
        assert ("for good" in row.undo) == (made.irreversible is not None)
        assert (row.undo in {"for good"} or row.undo.startswith("not:")) == (not case.undoes)
        assert (row.again in {"harmless", "as each step"}) or case.appends or not made.idempotent

    def test_python_takes_what_it_shows(self, row: Row) -> None:
        takes = inspect.signature(getattr(intercom_bulk, row.updater)).parameters
        for name in re.findall(r"(\w+)=", row.python):
            assert name in takes

    def test_the_command_is_there(self, row: Row) -> None:
        words = row.command.strip("`").split()
        known = {operation.title: operation for operation in OPERATIONS}
        verb = " ".join(word for word in words[:2] if not word.startswith("-")).removesuffix(" none")
        operation = known[verb]
        assert operation.updater == row.updater
        assert {word for word in words if word.startswith("--")} <= {one.name for one in operation.arguments}


def test_every_public_updater_has_a_row() -> None:
    public = {name for name in intercom_bulk.__all__ if is_updater(name)} - BASES
    assert public - {row.updater for row in ROWS} == set()


def test_every_command_has_a_row() -> None:
    shown = {" ".join(word for word in row.command.strip("`").split()[:2] if not word.startswith("-")) for row in ROWS}
    assert {operation.title for operation in OPERATIONS} - shown == set()


def is_updater(name: str) -> bool:
    found = getattr(intercom_bulk, name)
    return isinstance(found, type) and issubclass(found, IntercomBulkUpdater)
