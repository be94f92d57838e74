"""`python -m tests.service.fuzz --examples 500`: schemathesis with all its checks against a live service.

The service works on a sandbox and has a run, a plan and a run of the pipeline, so that there is something to find.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.sandbox import Sandbox
from intercom_bulk.settings import Settings
from tests.pipeline.phases import Counting
from tests.service.live import TOKEN, Live, serving

__all__ = ["command", "main", "prepare"]


def prepare(live: Live) -> None:
    """Something to be found: a run that is over, a plan that is not applied."""
    live.ended(live.applied(live.plan()))
    live.plan("open", where="state:closed")
    started = live.post("/api/pipeline/run", {"days": 30})
    assert started["run_id"] == 1


CONFIG = """
[checks.positive_data_acceptance]
# 422 is for what the document rules out; 400 for what it cannot: a search that is none, a name that does not exist.
expected-statuses = ["2xx", "3xx", "400", "401", "403", "404", "409", "502", "503"]
"""


def command(live: Live, folder: Path, examples: int, *more: str) -> list[str]:
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    return [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config),
        "run", f"http://{live.host}/openapi.json",
        "--header", f"Authorization: Bearer {TOKEN}", "--max-examples", str(examples), "--checks", "all",
        "--continue-on-failure", "--no-color", *(more or ("--phases", "coverage,fuzzing")),
    ]  # fmt: skip


def pipeline(sandbox: Sandbox, home: Path) -> Pipeline:
    settings = Settings.build(env={**sandbox.environ(), "INTERCOM_BULK_HOME": str(home)})
    return Pipeline(settings=settings, phases=[Counting()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=500, help="of each operation")
    given, more = parser.parse_known_args()
    with TemporaryDirectory() as folder, Sandbox(conversations=60, contacts=20) as sandbox:
        home = Path(folder) / "home"
        with serving(sandbox, home, pipeline=pipeline(sandbox, home), longest_stream=0.0) as live:
            prepare(live)
            words = command(live, Path(folder), given.examples, *more)
            return subprocess.run(words, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
