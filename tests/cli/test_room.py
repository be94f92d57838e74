"""Tables of SQL's answers: whole for whoever reads a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.cli import screen

if TYPE_CHECKING:
    import pytest


def test_a_pipe_has_no_width_and_a_table_for_it_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert screen.room() is None
    row = "x" * 300
    assert screen.table(["a"], [[row]], width=None)[1] == row
    assert screen.cells(screen.table(["a"], [[row]])[1]) == screen.WIDTH
