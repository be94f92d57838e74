"""What any run begins with, or goes on with: in which versions, in which workspace, from which list."""

from __future__ import annotations

import platform
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    from intercom_bulk.runs.ledger import RunLedger
    from intercom_bulk.runs.record import RunRecord
    from intercom_bulk.runs.seams import Source

__all__ = ["check_workspace", "list_anew", "versions"]


def versions(**more: str) -> dict[str, str]:
    """What a run is begun with, for its record."""
    return {"intercom-bulk": version("intercom-bulk"), "python": platform.python_version(), **more}


def check_workspace(earlier: RunRecord | None, workspace: str | None) -> None:
    """Of the run that is gone on with, taken back or tried again. Raises `UsageError` for another one's."""
    if earlier is not None and earlier.workspace is not None and earlier.workspace != workspace:
        raise UsageError(
            f"Run {earlier.run_id} belongs to workspace {earlier.workspace}, and this token to {workspace}: use the"
            " token of that one."
        )


def list_anew(ledger: RunLedger | None, earlier: RunRecord | None, source: Source) -> None:
    """For a run whose progress is known elsewhere: a further life reads what the source opens now, not the slices of
    the ledger.
    """
    if earlier is None or ledger is None or not earlier.pass_number:
        return
    number = earlier.pass_number
    with ledger.atomic():
        for part in ledger.slices(number):
            ledger.save_slice(replace(part, done=True), number)
        for part in source.open():
            ledger.save_slice(part, number)
