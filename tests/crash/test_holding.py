"""Two processes want the same run: one works, the other is told who does."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from tests.crash.trial import Life, account, sandbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def test_of_two_that_start_at_once_one_works_and_the_other_says_who(home: Path) -> None:
    with sandbox(120) as site:
        pair = [Life(site, home, kind="close", key="one") for _ in range(2)]
        first, second = pair
        for life in pair:
            life.hear("up")
        try:
            told = second.hear("busy", patience=3.0)
        except AssertionError:
            first, second = second, first
            told = second.hear("busy", patience=3.0)
        assert f"process {first.process.pid} " in told["why"]
        assert second.end() == 3
        first.kill()
        heir = Life(site, home, kind="close", key="one")
        heir.hear("up")
        heir.hear("over")
        heir.end()
        assert account(site, home, "close", 1).faults == []


def test_a_frozen_process_keeps_its_run_and_ends_it_when_it_wakes(home: Path) -> None:
    """SIGSTOP for two seconds here; a frozen process is no dead one, and nobody may work beside it."""
    with sandbox(200) as site:
        life = Life(site, home, kind="note", key="frozen")
        life.hear("up")
        while not site.effects():
            os.sched_yield()
        life.process.send_signal(signal.SIGSTOP)
        other = Life(site, home, kind="note", key="frozen")
        other.hear("up")
        assert f"process {life.process.pid} " in other.hear("busy")["why"]
        other.end()
        life.live_for(1.5)
        life.process.send_signal(signal.SIGCONT)
        assert life.hear("over")["success"] == 200
        life.end()
        assert account(site, home, "note", 0).faults == []


def test_sigterm_is_a_kill_that_the_next_life_copes_with(home: Path) -> None:
    """A library installs no handler: who wants an orderly end calls `run.stop()` in one of his own."""
    with sandbox(200) as site:
        life = Life(site, home, kind="note", key="term")
        life.hear("up")
        while not site.effects():
            os.sched_yield()
        life.process.terminate()
        assert life.end() == -signal.SIGTERM
        heir = Life(site, home, kind="note", key="term")
        heir.hear("up")
        heir.hear("over")
        heir.end()
        assert account(site, home, "note", 1).faults == []


def test_a_handler_that_stops_the_run_ends_it_in_order(home: Path) -> None:
    """What was in flight is recorded, nothing is sent after it, and the rest is left for later."""
    with sandbox(300) as site:
        life = Life(site, home, kind="note", key="polite", polite=True)
        life.hear("up")
        while not site.effects():
            os.sched_yield()
        life.process.terminate()
        told = life.hear("over")
        life.end()
        sent = site.stats()["total"]
        assert told["success"] == len(site.effects()) < 300
        assert (told["unknown"], told["failed"]) == (0, 0)
        heir = Life(site, home, kind="note", key="polite")
        heir.hear("up")
        assert heir.hear("over")["success"] == 300
        heir.end()
        assert sent <= told["success"] + 12
        assert account(site, home, "note", 0).faults == []
