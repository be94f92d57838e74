"""`pipeline`: run it, look at it, go on with it, and what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from intercom_bulk.cli.ending import Exit
from intercom_bulk.cli.following import follow
from intercom_bulk.cli.making import settings
from intercom_bulk.cli.screen import Screen, clip, table, when, wrapped
from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import UsageError
from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.runs.model import RunState
from intercom_bulk.runs.summary import Progress, Summary

if TYPE_CHECKING:
    import argparse

    from intercom_bulk.pipeline.pipeline import PipelineRun
    from intercom_bulk.pipeline.status import PipelineStatus

__all__ = ["history", "resume", "run", "status", "stop", "stories", "themes"]

LOOK = 0.5
"""Seconds between two looks at how it stands."""


def run(given: argparse.Namespace) -> int:
    """A new one, to its end."""
    made = Pipeline(settings=settings(given))
    return _followed(made.start(given.days, auto_create_stories=not given.no_stories), Screen(given))


def resume(given: argparse.Namespace) -> int:
    """One that was stopped, failed or interrupted, to its end."""
    made = Pipeline(settings=settings(given))
    return _followed(made.resume(given.run_id, days=given.days), Screen(given))


def status(given: argparse.Namespace) -> int:
    """One of them, phase by phase."""
    made, screen = Pipeline(settings=settings(given)), Screen(given)
    if given.run_id is None:
        known = made.history(1)
        if not known:
            raise UsageError("There was no run of the pipeline yet: intercom-bulk pipeline run")
        told = known[0]
    else:
        told = made.status(given.run_id)
    screen.show(*wrapped(str(told), rest="  "), *_phases(told))
    if told.checkpoint:
        screen.show(*wrapped(f"checkpoint {json.dumps(told.checkpoint)}", rest="  "))
    screen.give(told.as_dict())
    return Exit.DONE


def history(given: argparse.Namespace) -> int:
    """The newest first."""
    screen = Screen(given)
    known = Pipeline(settings=settings(given)).history(given.count)
    rows = [
        (
            str(one.run_id), one.status, f"{one.days:g}", when(one.started_at.timestamp()),
            f"{one.conversations_stored:,}", f"{one.themes:,}", f"{one.stories:,}",
            "" if one.status == "completed" else one.current_phase,
        )
        for one in known
    ]  # fmt: skip
    head = ("RUN", "STATUS", "DAYS", "STARTED", "STORED", "THEMES", "STORIES", "IN")
    screen.show(*(table(head, rows) if rows else ["There was no run of the pipeline yet."]))
    screen.give([one.as_dict() for one in known])
    return Exit.DONE


def stop(given: argparse.Namespace) -> int:
    """In whatever process it is."""
    screen = Screen(given)
    run_id = Pipeline(settings=settings(given)).stop(given.run_id)
    screen.show(f"Asked run {run_id} to end. To go on with it: intercom-bulk pipeline resume {run_id}")
    screen.give({"run_id": run_id, "asked": True})
    return Exit.DONE


def themes(given: argparse.Namespace) -> int:
    """As the last run left them."""
    screen = Screen(given)
    with Pipeline(settings=settings(given)).store() as store:
        found = list(store.sql("SELECT * FROM themes ORDER BY conversations DESC, theme_id LIMIT ?", (given.count,)))
    rows = [(str(one["theme_id"]), clip(str(one["name"]), 44), f"{one['conversations']:,}", when(one["last_at"]))
            for one in found]  # fmt: skip
    head = ("THEME", "NAME", "CONVERSATIONS", "LAST")
    screen.show(*(table(head, rows) if rows else ["There are no themes yet: intercom-bulk pipeline run"]))
    screen.give(found)
    return Exit.DONE


def stories(given: argparse.Namespace) -> int:
    """As the last run told them."""
    screen = Screen(given)
    sql = "SELECT theme_id, title, conversations, markdown, story FROM stories ORDER BY conversations DESC, 1 LIMIT ?"
    with Pipeline(settings=settings(given)).store() as store:
        found = list(store.sql(sql, (given.count,)))
    if not found:
        screen.show("There are no stories yet: intercom-bulk pipeline run")
    elif given.markdown:
        screen.show(*"\n\n".join(str(one["markdown"]) for one in found).splitlines())
    else:
        rows = [(str(one["theme_id"]), clip(str(one["title"]), 52), f"{one['conversations']:,}") for one in found]
        screen.show(*table(("THEME", "STORY", "CONVERSATIONS"), rows))
        screen.say("To read them, with quotes and the next command: intercom-bulk pipeline stories --markdown")
    screen.give([json.loads(str(one["story"])) for one in found])
    return Exit.DONE


def _followed(started: PipelineRun, screen: Screen) -> int:
    watched = _Watched(started)
    told = follow(watched, screen, lambda: f"run {started.run_id}, {watched.part}")
    screen.show(*wrapped(str(told), rest="  "), *_phases(told))
    if told.resumable:
        screen.say(f"To go on: intercom-bulk pipeline resume {told.run_id}")
    code = _code(told)
    screen.give({**told.as_dict(), "exit": int(code)})
    return code


def _code(told: PipelineStatus) -> Exit:
    if told.status == "completed":
        return Exit.DONE if told.warning is None else Exit.SOME_FAILED
    return Exit.INTERRUPTED if told.status == "stopped" else Exit.HALTED


def _phases(told: PipelineStatus) -> list[str]:
    rows = [
        (
            name, one["state"], f"{one['done']:,}", f"{one['unchanged']:,}", f"{one['failed']:,}",
            f"{one['seconds']:.1f} s",
        )
        for name, one in told.phases.items()
    ]  # fmt: skip
    return table(("PHASE", "STATE", "DONE", "OF THESE AS BEFORE", "FAILED", "TIME"), rows)


class _Watched:
    """The run, with the progress of what is under way: the fetch, or the phase."""

    def __init__(self, started: PipelineRun) -> None:
        self._started = started
        self._began = SYSTEM.monotonic()
        self._told: PipelineStatus | None = None
        self._next = 0.0
        self.wait, self.stop, self.abort, self.result = started.wait, started.stop, started.stop, started.result

    @property
    def part(self) -> str:
        """What it is at."""
        if self._told is None:
            return "beginning"
        return "fetch" if self._told.stage == "fetch" else self._told.current_phase.replace("_", " ")

    def summary(self) -> Summary:
        return Summary()

    def progress(self) -> Progress | None:
        now = SYSTEM.monotonic()
        if now >= self._next or self._started.wait(0):  # the last picture stays: it is of the end
            self._told, self._next = self._started.status(), now + LOOK
        told = self._told
        if told is None:
            return None
        phase = told.phases[told.current_phase]
        is_fetch = told.stage == "fetch"
        done = told.conversations_stored if is_fetch else phase["done"]
        took = now - self._began if is_fetch else phase["seconds"]
        return Progress(
            done=done,
            failed=0 if is_fetch else phase["failed"],
            skipped=0,
            unknown=0,
            total=None if is_fetch else phase["total"],
            in_flight=0,
            rate=done / max(took, 0.1),
            eta=told.eta,
            budget_used=None,
            limit=None,
            waiting=False,
            window_ends_in=None,
            elapsed=now - self._began,
            state=RunState.RUNNING,
        )
