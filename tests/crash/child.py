"""The process that dies: starts a run by its key, or goes on with it. `python -m tests.crash.child '{...}'`.

Says "up" once it has read its orders, "held" with the reason when somebody else has the run, and the totals at the end.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Any

from intercom_bulk import RunOptions
from intercom_bulk.errors import LedgerError, RunBusy
from tests.crash.doom import Doom, DoomedLedger, NaiveLedger, doomed

if TYPE_CHECKING:
    from intercom_bulk.runs.handle import Run

__all__ = ["main", "start"]


def start(
    *, kind: str, key: str, team: str, settle: float, workers: int | None = None, naive: bool = False,
    point: str | None = None, nth: int = 1,
) -> Run:  # fmt: skip
    updater = doomed(kind, Doom(point, nth), NaiveLedger if naive else DoomedLedger)
    options = RunOptions(run_key=key, settle=settle)
    return updater.start(team_id=team, state="open", parallel_workers=workers, options=options)


def say(what: str, **more: Any) -> None:
    sys.stdout.write(json.dumps({"said": what, **more}) + "\n")
    sys.stdout.flush()


def main(orders: dict[str, Any]) -> int:
    polite, cap = orders.pop("polite", False), orders.pop("largest_file", None)
    if cap is not None:
        # As a disk that is full, or a quota: what goes beyond is an error of the write, not a signal.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (cap, cap))
    if orders.pop("nobody", False):
        os.setuid(65534)
    say("up")
    try:
        run = start(**orders)
        if polite:
            signal.signal(signal.SIGTERM, lambda *_: run.stop())
        summary = run.result()
    except RunBusy as error:
        say("busy", why=str(error))
        return 3
    except LedgerError as error:
        say("ledger", why=str(error))
        return 4
    say("over", **{**summary, "total_time": summary.total_time.total_seconds()})
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
