"""The page on the run service: its commands in one shell, as somebody would type them, on a live service."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

from intercom_bulk.runs.report import COLUMNS
from intercom_bulk.sandbox import Sandbox
from tests.docs.conftest import ROOT
from tests.service.live import TOKEN, serving

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "service.md").read_text()


def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    script = "\n".join(re.findall(r"^```bash\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    with Sandbox(conversations=40, contacts=10, latency_ms=1) as sandbox, serving(sandbox, tmp_path / "home") as live:
        here = script.replace("localhost:8000", f"localhost:{live.service.port}")
        path = os.pathsep.join((os.path.dirname(sys.executable), os.defpath))  # noqa: PTH120
        env = {"PATH": path, "INTERCOM_BULK_SERVICE_TOKEN": TOKEN}
        shell = ["bash", "-euo", "pipefail", "-c", here]
        told = subprocess.run(shell, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == 0, (told.stdout[-2000:], told.stderr[-2000:])
        runs = live.get("/api/runs")["runs"]
        assert [run["kind"] for run in runs] == ["undo", "apply"]
        assert live.ended(runs[0]["run_id"])["counts"]["done"] == runs[1]["counts"]["done"] == 20
    rows = (tmp_path / "report.csv").read_text("utf-8-sig").splitlines()
    assert (len(rows), rows[0]) == (21, ",".join(COLUMNS))
    assert "event: runs" in told.stdout
    assert "event: run\n" in told.stdout


def test_every_metric_and_status_of_the_page_exists(tmp_path: Path) -> None:
    with Sandbox(conversations=4) as sandbox, serving(sandbox, tmp_path / "home") as live:
        live.ended(live.applied(live.plan()))
        metrics = live.ask("GET", "/metrics").body.decode()
        known = {
            status
            for told in live.get("/openapi.json")["paths"].values()
            for one in told.values()
            for status in one["responses"]
        }
    named = set(re.findall(r"intercom_bulk_[a-z_]+", PAGE)) - {
        "intercom_bulk_mirror_stale_seconds"
    }  # there is no mirror
    assert named
    assert {name for name in named if f"\n{name}" not in metrics} == set()
    table = PAGE.partition("| status | |")[2].partition("\n\n")[0]
    assert set(re.findall(r"\b[45]\d\d\b", table)) == {status for status in known if status >= "4"}
