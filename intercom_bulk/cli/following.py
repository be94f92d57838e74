"""From a run that was started to its last word: progress, Ctrl-C, totals, reports, exit code."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from intercom_bulk.cli.ending import code_of
from intercom_bulk.cli.progress import Frame, picture
from intercom_bulk.cli.screen import wrapped
from intercom_bulk.errors import IntercomBulkError, UsageError
from intercom_bulk.runs.model import LEFT_ALONE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from intercom_bulk.cli.screen import Screen
    from intercom_bulk.runs.handle import Run
    from intercom_bulk.runs.summary import Progress, Summary
    from intercom_bulk.updaters.history import Runs

__all__ = ["UnderWay", "check_reports", "finish", "follow", "report_format"]

Ended_co = TypeVar("Ended_co", covariant=True)


class UnderWay(Protocol[Ended_co]):
    """What can be watched and stopped: a run, a sync, a backfill."""

    def wait(self, timeout: float | None = None) -> bool: ...
    def progress(self) -> Progress | None: ...
    def summary(self) -> Summary: ...
    def stop(self) -> None: ...
    def abort(self) -> None: ...
    def result(self) -> Ended_co: ...


TICK = 0.25
"""Seconds between two pictures."""
FORMATS = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".md": "markdown", ".markdown": "markdown"}


def check_reports(given: argparse.Namespace) -> None:
    """Raises `UsageError` before the run for a report that could not be written after it."""
    for path in given.report:
        report_format(path)
        if not path.absolute().parent.is_dir():
            raise UsageError(f"There is no folder for --report {path}: make it, or choose another place.")
        listed = Path((getattr(given, "ids", None) or ("",))[0])
        if path.exists() and listed.is_file() and path.samefile(listed):
            raise UsageError(f"--report {path} would replace the list of --ids: choose another place.")


def report_format(path: Path) -> str:
    """What a report is, by the end of its name."""
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise UsageError(f"What is {path.name}? End the name of a report with .csv, .jsonl or .md.")
    return form


def follow(run: UnderWay[Ended_co], screen: Screen, title: str | Callable[[], str]) -> Ended_co:
    """Draw it until it is over; what came of it.

    `title`: a function where what it does has several parts, and each is to be named.

    Ctrl-C ends it: what is in flight is waited for and recorded. A second one cuts that off too; those items are in
    doubt, and read back when the run is resumed. Raises what made the run impossible.
    """
    with _asked_to_end() as asked, _ended_with(run):
        drawn, over = picture(screen, title), False
        while not over and not asked:
            over = run.wait(TICK)
            _draw(run, drawn)
        drawn.close()
        if asked:
            run.stop()
            screen.say("", "Stopping: waiting for the requests in flight. Ctrl-C again cuts them off.")
        while not run.wait(TICK):
            if len(asked) > 1:
                run.abort()
    return run.result()


def _draw(run: UnderWay[Any], drawn: Any) -> None:
    now = run.progress()
    if now is not None:
        drawn.draw(Frame(now, run.summary().codes))


@contextmanager
def _ended_with(run: UnderWay[Any]) -> Iterator[None]:
    """Whatever goes wrong with the watching: a run that nobody watches any more is not left to itself."""
    try:
        yield
    except BaseException:
        run.stop()
        raise


@contextmanager
def _asked_to_end() -> Iterator[list[int]]:
    """The signals so far: what asks a process to end (a closed terminal, a scheduler) stops the run like Ctrl-C.

    Noted, not raised: none can land in the middle of the answer to another. One that is ignored (`nohup`) stays so.
    """
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    known = [one for one in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)) if one is not None]
    heard = [one for one in known if signal.getsignal(one) is not signal.SIG_IGN]
    before = {one: signal.signal(one, lambda number, _: asked.append(number)) for one in heard}
    try:
        yield asked
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def finish(
    run: Run, screen: Screen, runs: Runs, reports: Sequence[Path], summary: Summary, *, is_undo: bool = False
) -> int:
    """The totals, the reports, what can be done next; the exit code."""
    screen.show(*wrapped(str(summary), rest="  "))
    for reason, count in sorted(summary.codes.items(), key=lambda each: -each[1]):
        screen.show(f"{count:>9,}  {reason}")
    screen.show(*_for_one(runs, run.run_id, summary))
    for path in reports:
        runs.export(run.run_id, path, report_format(path))
        screen.show(f"Written: {path}")
    code = code_of(summary)
    has_way_back = bool(summary.success) and not is_undo and _has_way_back(runs, run.run_id)
    screen.say(*_next(run.run_id, summary, code, has_way_back=has_way_back))
    screen.give({**summary, "total_time": summary.total_time.total_seconds(), "exit": int(code)})
    return code


def _for_one(runs: Runs, run_id: str, summary: Summary) -> list[str]:
    """The sentence of the most common failure: its code alone says little."""
    failed = {code: count for code, count in summary.codes.items() if code not in LEFT_ALONE}
    if not summary.failed or not failed:
        return []
    most = max(failed, key=lambda code: failed[code])
    found = next((one for one in runs.outcomes(run_id, "failed") if one.code == most and one.message), None)
    said = f"{most}, for one of them: {found.message}" if found is not None else ""
    return wrapped(said, first=" " * 11, rest=" " * 11)


def _has_way_back(runs: Runs, run_id: str) -> bool:
    """What an undo would say to it."""
    try:
        runs.check_undo(run_id)
    except IntercomBulkError:
        return False
    return True


def _next(run_id: str, summary: Summary, code: int, *, has_way_back: bool) -> Iterator[str]:
    yield f"Run {run_id}"
    if code in {3, 130}:
        yield f"  to go on:      intercom-bulk runs resume {run_id}"
    if summary.failed and code == 1:
        yield f"  to try again:  intercom-bulk runs retry {run_id}"
    if summary.unknown and code == 1:
        yield f"  to look at what is in doubt:  intercom-bulk runs show {run_id} --items needs_review"
    if has_way_back:
        yield f"  to take back:  intercom-bulk runs undo {run_id}"
