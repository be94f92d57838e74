"""A run over a large list of ids with its usual flaws: `python -m tests.crash.listed 50000`.

One row in a hundred repeats an id, one in two hundred is blank, one in two hundred names nothing that exists. Every row
has to be accounted for, and memory must not grow with their number.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from intercom_bulk import ConversationCloser, Ids, RunOptions
from intercom_bulk.sandbox import SandboxProcess
from tests.crash.memory import own_peak

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Listed", "listed"]

ROOT = Path(__file__).parents[2]


class Listed(dict[str, float]):
    """How a run over a list ended: rows by status and code, `peak` in bytes, `seconds`."""

    @property
    def is_accounted(self) -> bool:
        """Whether every flaw was met, and every other row is an item that was done (or would be)."""
        rows = self["rows"]
        flaws = {"duplicate": rows // 100, "blank": rows // 200, "gone": rows // 200}
        told = {name: self.get(name, 0) for name in flaws}
        return told == flaws and self["done"] == rows - sum(flaws.values())


def flawed(ids: Sequence[str]) -> Iterator[str]:
    """One row an id; of two hundred rows, two repeat one, one is blank and one unknown."""
    for number, item_id in enumerate(ids):
        match number % 200:
            case 50 | 150:
                yield ids[number - 40]
            case 100:
                yield ""
            case 199:
                yield f"9{number:012d}"
            case _:
                yield item_id


def listed(count: int, *, dry_run: bool = False) -> Listed:
    """Run over `count` rows (a multiple of 200) in a process of its own."""
    with SandboxProcess(conversations=count, limit_per_minute=900_000, contacts=5) as sandbox:
        ids = sorted(item["id"] for item in sandbox.items())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "ids.csv"
            path.write_text("id,note\n" + "".join(f"{row},x\n" for row in flawed(ids)))
            env = {**os.environ, **sandbox.environ(), "PYTHONPATH": str(ROOT), "INTERCOM_BULK_HOME": folder}
            command = [sys.executable, "-m", "tests.crash.listed", str(path), "dry" if dry_run else "real"]
            said = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True, text=True)
        found = Listed(json.loads(said.stdout))
        if not dry_run and len(sandbox.effects()) != found["done"]:
            found["done"] = -1
    return found


def main(path: Path, *, dry_run: bool) -> Listed:
    options = RunOptions(source=Ids.from_csv(path), settle=0.5)
    codes: Counter[str] = Counter()
    with ConversationCloser().stream(options=options, dry_run=dry_run) as outcomes:
        for outcome in outcomes:
            codes["done" if outcome.code in {None, "dry_run"} else str(outcome.code)] += 1
    took = outcomes.summary().total_time.total_seconds()
    return Listed(rows=codes.total(), peak=own_peak(), seconds=took, **codes)


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        few, many = listed(5_000), listed(int(sys.argv[1]))
        for one in (few, many):
            sys.stdout.write(f"{json.dumps(one)} {'accounted' if one.is_accounted else 'NOT ACCOUNTED'}\n")
    else:
        sys.stdout.write(json.dumps(main(Path(sys.argv[1]), dry_run=sys.argv[2] == "dry")))
