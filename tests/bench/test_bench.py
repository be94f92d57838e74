"""The bench runs, on sizes that say nothing about speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_a_quick_bench_measures_every_client_and_writes_what_it_found(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    command = [sys.executable, "-m", "bench", "sandbox", "contest-plain", "--quick", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(out.read_text())
    clients = found["benches"]["contest-plain"]
    assert {"intercom_bulk", "original", "session"} <= clients.keys()
    for name in ("intercom_bulk", "original", "session"):
        assert clients[name]["missed"] == clients[name]["twice"] == 0
        assert clients[name]["measured"]["cpu"] > 0
    assert all(figure["text"] for figure in found["figures"])


def test_a_name_that_is_no_bench_is_refused() -> None:
    command = [sys.executable, "-m", "bench", "contset"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "contset" in done.stderr
