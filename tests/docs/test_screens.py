"""The screens of the page on the command line, made again and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.docs.conftest import ROOT
from tests.docs.screens import opened, shots, steady

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "command-line.md"


def test_the_command_shows_what_the_page_shows(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "work").mkdir()
    for shot, shown in opened(PAGE, tmp_path / "work", environment):
        assert steady(shown) == steady(shot.shown), shot.command


def test_the_page_shows_the_main_jobs() -> None:
    shown = " ".join(shot.command for shot in shots(PAGE.read_text()))
    for word in ("doctor", "query", "preview", "close", "delete", "steps", "runs list", "runs undo", "plan"):
        assert word in shown


def test_no_line_of_a_screen_is_wider_than_the_terminal() -> None:
    assert all(len(line) <= 80 for shot in shots(PAGE.read_text()) for line in shot.shown.splitlines())
