"""A run under way, as it is drawn."""

from __future__ import annotations

import argparse
import io
import sys
from typing import Any

import pytest

from intercom_bulk import Progress, RunState
from intercom_bulk.cli.progress import Frame, picture
from intercom_bulk.cli.screen import Screen

CODES = {"rejected": 2, "already_done": 9, "gone": 1}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def moment(**changes: Any) -> Progress:
    told: dict[str, Any] = {
        "done": 40, "failed": 2, "skipped": 10, "unknown": 0, "total": 100, "in_flight": 5, "rate": 20.0, "eta": 65.0,
        "budget_used": 0.5, "limit": 1667, "waiting": False, "window_ends_in": 4.2, "elapsed": 3.0,
        "state": RunState.RUNNING,
    }  # fmt: skip
    return Progress(**{**told, **changes})


def drawn(out: io.StringIO, monkeypatch: pytest.MonkeyPatch, *frames: Frame, verbose: int = 0) -> str:
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setenv("COLUMNS", "80")
    picture_ = picture(Screen(argparse.Namespace(json=False, verbose=verbose)), "close: everything")
    for frame in frames:
        picture_.draw(frame)
    picture_.close()
    return out.getvalue()


def test_where_nobody_watches_there_is_a_line_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = [Frame(moment(elapsed=at / 2), CODES) for at in range(24)]
    lines = drawn(io.StringIO(), monkeypatch, *frames).splitlines()
    assert len(lines) == 4, "one every five seconds, and the last word"
    assert lines[0] == "52/100  20/s  1:05 left  2 failed  window 50%  (rejected 2)"


def test_on_a_terminal_it_shows_bar_rate_time_budget_and_reasons(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm")
    told = drawn(Terminal(), monkeypatch, Frame(moment(), CODES))
    for part in (
        "close: everything",
        "52 of 100",
        "20/s",
        "1:05 left",
        "50% of 1,667 calls, next in 4 s",
        "(rejected 2)",
    ):
        assert part in told


def test_a_terminal_that_cannot_draw_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert drawn(Terminal(), monkeypatch, Frame(moment(), {})) == "52/100  20/s  1:05 left  2 failed  window 50%\n"


def test_beside_a_log_there_are_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in drawn(Terminal(), monkeypatch, Frame(moment(), {}), verbose=1)


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in drawn(Terminal(), monkeypatch, Frame(moment(), CODES))


def test_a_run_of_unknown_size_and_one_that_pauses_are_drawn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    unknown = moment(total=None, eta=None, budget_used=None, limit=None, window_ends_in=None, unknown=3)
    told = drawn(Terminal(), monkeypatch, Frame(unknown, {}), Frame(moment(state=RunState.PAUSED), {}))
    assert "3 in doubt" in told
