"""The pipeline by the names of the runbook, the mirror, metrics, and the command that starts it all."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from intercom_bulk.pipeline.pipeline import Pipeline
from intercom_bulk.sandbox import Sandbox
from intercom_bulk.settings import Settings
from tests.pipeline.phases import Counting
from tests.service.live import TOKEN, Live, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Held(threading.Event):
    """Lets a phase through when it is set; `reached` says that one came."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def __call__(self, _: object) -> None:
        self.reached.set()
        assert self.wait(30)


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def working(tmp_path: Path, held: Held) -> Iterator[Live]:
    """A service whose pipeline stands still in its phase until it is let go on."""
    home = tmp_path / "home"
    with Sandbox(conversations=150, contacts=10, latency_ms=1) as sandbox:
        settings = Settings.build(env={**sandbox.environ(), "INTERCOM_BULK_HOME": str(home)})
        pipeline = Pipeline(settings=settings, phases=[Counting(before=held)])
        with serving(sandbox, home, pipeline=pipeline) as live:
            yield live
            held.set()


def over(live: Live, run_id: int) -> dict[str, Any]:
    for run in live.service.desk.pipeline.started:
        assert run.wait(30)
    told: dict[str, Any] = live.get(f"/api/pipeline/status/{run_id}")
    return told


def test_the_runbook_in_one_go(working: Live, held: Held) -> None:
    def refused(status: int, body: Any, word: str) -> None:
        answer = working.ask("POST", "/api/pipeline/run", body)
        assert (answer.status, word in answer.error) == (status, True), answer

    assert working.get("/api/pipeline/active") == {"active": False, "run_id": None, "run": None}
    assert working.get("/api/pipeline/history?limit=5") == []
    refused(400, {"days": 90, "resume": True}, "start another")
    refused(404, {"resume": True, "resume_run_id": 42}, "no run 42")
    refused(400, {"resume_run_id": 42}, "resume: true")
    refused(422, {"days": 0}, "days")
    assert working.ask("POST", "/api/pipeline/stop").status == 409
    assert working.ask("GET", "/api/pipeline/status/7").status == 404
    started = working.post(
        "/api/pipeline/run", {"days": 90, "auto_create_stories": True, "resume": False, "resume_run_id": None}
    )
    assert (started["run_id"], started["status"]) == (1, "started")
    assert held.reached.wait(30)
    active = working.get("/api/pipeline/active")
    assert (active["active"], active["run_id"], active["run"]["current_phase"]) == (True, 1, "classification")
    refused(409, {"days": 30}, "Run 1 ")
    refused(409, {"resume": True, "resume_run_id": 1}, "Run 1 ")
    assert working.post("/api/pipeline/stop")["run_id"] == 1
    assert working.get("/api/pipeline/status/1")["status"] == "stopping"
    held.set()
    stopped = over(working, 1)
    assert (stopped["status"], stopped["resumable"]) == ("stopped", True)
    assert stopped["conversations_fetched"] == stopped["conversations_stored"] == 150
    assert 0 < stopped["conversations_classified"] < 150
    assert stopped["checkpoint"] != {}
    refused(400, {"days": 30, "resume": True}, "start another")
    assert working.post("/api/pipeline/run", {"days": 90, "resume": True})["run_id"] == 1
    done = over(working, 1)
    assert (done["status"], done["conversations_classified"]) == ("completed", 150)
    assert (done["date_from"], done["date_to"]) == (stopped["date_from"], stopped["date_to"])
    refused(400, {"resume": True, "resume_run_id": 1}, "completed")
    assert [run["run_id"] for run in working.get("/api/pipeline/history?limit=5")] == [1]
    mirror = working.get("/api/mirror")
    assert mirror["status"]["total_conversations"] == sum(day["conversations"] for day in mirror["days"]) == 150
    assert {day["covered"] for day in mirror["days"][1:-1]} == {1.0}
    assert mirror["days"][-1]["covered"] > 0
    metrics = measured(working)
    assert metrics["intercom_bulk_pipeline_state", "completed"] == 1.0
    assert metrics["intercom_bulk_mirror_state", mirror["sync_info"]["state"]] == 1.0
    assert 0 <= metrics["intercom_bulk_mirror_stale_seconds", ""] < 60


def measured(live: Live) -> dict[tuple[str, str], float]:
    text = live.ask("GET", "/metrics").body.decode()
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_say_what_alerts_need(live: Live) -> None:
    live.ended(live.applied(live.plan(max_items=5)))
    told = measured(live)
    assert told["intercom_bulk_items_total", "done"] >= 5
    assert told["intercom_bulk_runs", "completed"] >= 1
    assert told["intercom_bulk_windows_total", ""] >= 1
    assert told["intercom_bulk_windows_rate_limited_total", ""] == 0
    assert told["intercom_bulk_budget_limit", ""] == 1667
    assert told["intercom_bulk_mirror_state", "none"] == 1.0
    assert told["intercom_bulk_parts_unmeasured", ""] == 0


# -- the command


@contextmanager
def started(env: dict[str, str], *words: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    command = [sys.executable, "-m", "intercom_bulk", "serve", "--port", "0", *words]
    with subprocess.Popen(
        command, env={"PATH": os.defpath, **env}, cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        yield child, child.stderr


def asked(port: int, token: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/api/runs", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_it_is_once_and_ends_when_it_is_told(
    workspace: Sandbox, home: Path, end: signal.Signals
) -> None:
    chosen = {"INTERCOM_BULK_SERVICE_TOKEN": TOKEN} if end is signal.SIGTERM else {}
    with started({**workspace.environ(), "INTERCOM_BULK_HOME": str(home), **chosen}) as (process, said):
        first = said.readline()
        second = said.readline() if chosen else next(line for line in said if "token=" in line)
        port = int(first.split(",")[0].rpartition(":")[2])
        token = TOKEN if chosen else second.rpartition("token=")[2].strip()
        assert TOKEN not in second
        assert asked(port, token) == 200
        assert asked(port, "another") == 401
        process.send_signal(end)
        rest = said.read()
        assert process.wait(30) == 0
    assert rest.count(token) == (0 if chosen else 1)
    assert "Stopped." in rest


def test_serve_beyond_this_machine_is_refused_without_a_token(workspace: Sandbox, home: Path) -> None:
    env = {**workspace.environ(), "INTERCOM_BULK_HOME": str(home)}
    with started(env, "--host", "0.0.0.0") as (process, said):
        told = said.read()
    assert (process.wait(30), "INTERCOM_BULK_SERVICE_TOKEN" in told) == (2, True)
