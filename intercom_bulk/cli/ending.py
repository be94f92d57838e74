"""How a command ends: the exit code, and one sentence with a hint where something is wrong."""

from __future__ import annotations

import logging
import os
import sys
from enum import IntEnum
from io import TextIOWrapper
from typing import TYPE_CHECKING

from intercom_bulk.cli.screen import Screen, printable
from intercom_bulk.errors import (
    ApiError,
    IntercomBulkError,
    NoResumableRun,
    PipelineBusy,
    QueryError,
    RunBusy,
    SettingsError,
    Unauthorized,
    UnknownNameError,
    UnknownRun,
    UsageError,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from intercom_bulk.runs.summary import Summary

__all__ = ["Declined", "Exit", "code_of", "ended"]


class Exit(IntEnum):
    """What the shell is told."""

    DONE = 0
    SOME_FAILED = 1
    USAGE = 2
    HALTED = 3
    INTERRUPTED = 130


class Declined(Exception):
    """Somebody said no: nothing was written."""


_HINTS: tuple[tuple[type[Exception], str, str], ...] = (
    (SettingsError, "access token", "To look around without a token: intercom-bulk demo"),
    (QueryError, "", "To try a search: intercom-bulk query explain TEXT"),
    (UnknownRun, "of the pipeline", "To see which runs there are: intercom-bulk pipeline history"),
    (UnknownRun, "", "To see which runs there are: intercom-bulk runs list"),
    (PipelineBusy, "", "To see how it stands: intercom-bulk pipeline status"),
    (NoResumableRun, "", "To see which runs there are: intercom-bulk pipeline history"),
    (RunBusy, "", "To follow or end it from here: intercom-bulk runs watch RUN, or stop RUN"),
    (Unauthorized, "", "To see what the token may do: intercom-bulk doctor"),
)
"""Of which errors, with which words in them; the first that fits is said."""
_USAGE = (UsageError, UnknownNameError, UnknownRun, RunBusy)


def ended(command: Callable[[], int], given: argparse.Namespace) -> int:
    """Do it; its exit code, or that of what went wrong."""
    _log(given.verbose)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a result is not lost for a letter
    screen = Screen(given)
    try:
        return command()
    except Declined as said:
        screen.say(str(said))
        screen.give({"error": str(said), "exit": int(Exit.INTERRUPTED)})
        return Exit.INTERRUPTED
    except KeyboardInterrupt:
        screen.say("", "Stopped. What was done, if anything, is on record: intercom-bulk runs list")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115  whoever read has left; the exit must not complain
        return Exit.DONE
    except IntercomBulkError as error:
        if given.debug:
            raise
        return _wrong(error, screen)
    except Exception as error:
        if given.debug:
            raise
        return _unexpected(error, screen)


def _wrong(error: IntercomBulkError, screen: Screen) -> int:
    code = Exit.USAGE if isinstance(error, _USAGE) else Exit.HALTED
    hint = next((hint for kind, words, hint in _HINTS if isinstance(error, kind) and words in str(error)), None)
    screen.say(*screen.folded(f"intercom-bulk: {error}"), *([hint] if hint else []))
    detail = {"code": error.code, "request_id": error.request_id} if isinstance(error, ApiError) else {}
    screen.give({"error": str(error), "hint": hint, "exit": int(code), **detail})
    return code


def _unexpected(error: Exception, screen: Screen) -> int:
    """A mistake of ours, or of the machine (a full disk, a file that cannot be read)."""
    if isinstance(error, OSError) and error.strerror:
        told = f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    else:
        told = f"{type(error).__name__}: {error}. This should not happen; --debug shows where it did."
    screen.say(f"intercom-bulk: {told}")
    screen.give({"error": told, "exit": int(Exit.HALTED)})
    return Exit.HALTED


def code_of(summary: Summary) -> Exit:
    """By how the run ended."""
    from intercom_bulk.runs.model import RunState

    if summary.state is RunState.HALTED:
        return Exit.HALTED
    if summary.state not in {RunState.COMPLETED, RunState.COMPLETED_WITH_ERRORS}:
        return Exit.INTERRUPTED
    return Exit.SOME_FAILED if summary.failed or summary.unknown else Exit.DONE


class _Printable(logging.Formatter):
    """What Intercom answered may stand in a line."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _log(verbose: int) -> None:
    """Warnings always; what happens, and every request, on demand."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = logging.StreamHandler()
    form = "%(asctime)s %(levelname)-7s %(name)s: %(message)s" if verbose else "%(levelname)s: %(message)s"
    handler.setFormatter(_Printable(form))
    logger = logging.getLogger("intercom_bulk")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
