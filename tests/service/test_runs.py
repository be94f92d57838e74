"""Runs over HTTP, on a sandbox: planned, applied, watched, steered, taken back. The server is asked what was done."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from intercom_bulk import Runs, StateChanger, Status
from intercom_bulk.sandbox import Sandbox
from intercom_bulk.service import plans
from tests.service.live import Live, events, serving

pytestmark = pytest.mark.slow


def tagged(sandbox: Sandbox) -> int:
    return len(sandbox.effects())


def test_a_plan_is_looked_at_applied_once_and_taken_back(live: Live, workspace: Sandbox) -> None:
    plan = live.plan(where="state:open", max_items=30, reason="a test")
    before = tagged(workspace)
    assert (plan["count"], plan["state"], len(plan["sample"]), plan["irreversible"]) == (30, "ready", 20, None)
    assert plan["side_effects"] is not None
    run_id = live.applied(plan)
    run = live.ended(run_id)
    assert (run["state"], run["counts"]["done"], run["reason"], run["operation"]) == ("completed", 30, "a test", "tag")
    assert tagged(workspace) == before + 30
    again = live.ask("POST", f"/api/plans/{plan['digest']}/apply", {})
    assert (again.status, run_id in again.error) == (409, True)
    assert live.get(f"/api/plans/{plan['digest']}")["state"] == "applied"
    assert live.ask("POST", f"/api/runs/{run_id}/undo", {"confirm": "29"}).status == 400
    back = live.post(f"/api/runs/{run_id}/undo", {"confirm": "30"})
    assert (back["kind"], back["parent"]) == ("undo", run_id)
    assert live.ended(back["run_id"])["counts"]["done"] == 30
    assert live.plan(where="state:open")["already"] == 0


def test_a_plan_that_was_changed_has_expired_or_is_gone_is_refused(
    live: Live, workspace: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = tagged(workspace)
    changed, expired, gone = (live.plan(where="state:open", max_items=n) for n in (3, 4, 5))
    folder = live.home / "plans"
    path = folder / f"{changed['digest']}.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    view = folder / f"{expired['digest']}.json"
    view.write_text(json.dumps(json.loads(view.read_text()) | {"expires_at": 1.0}))
    (folder / f"{gone['digest']}.jsonl").unlink()
    for plan, word in ((changed, "not the plan of this digest"), (expired, "older than a day"), (gone, "is gone")):
        answer = live.ask("POST", f"/api/plans/{plan['digest']}/apply", {})
        assert (answer.status, word in answer.error) == (409, True), answer
    assert tagged(workspace) == before
    assert live.ask("POST", f"/api/plans/{'0' * 64}/apply", {}).status == 404


def test_what_cannot_be_undone_is_confirmed(live: Live, workspace: Sandbox) -> None:
    plan = live.plan("reply", arguments={"body": "Swept."}, where="state:open", max_items=2)
    assert plan["irreversible"]
    before = tagged(workspace)
    answer = live.ask("POST", f"/api/plans/{plan['digest']}/apply", {})
    assert (answer.status, "irreversible: true" in answer.error) == (400, True)
    assert tagged(workspace) == before
    assert live.ended(live.applied(plan, irreversible=True))["counts"]["done"] == 2


def test_two_who_apply_a_plan_at_once_start_one_run(live: Live) -> None:
    plan, answers = live.plan("title", arguments={"title": "Once"}, where="state:open", max_items=10), list[Any]()
    both = [threading.Thread(target=lambda: answers.append(live.ask("POST", f"/api/plans/{plan['digest']}/apply", {})))
            for _ in range(2)]  # fmt: skip
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert sorted(answer.status for answer in answers) == [200, 409]
    live.ended(next(answer for answer in answers if answer.status == 200).json["run_id"])


def test_each_way_to_name_the_items(live: Live) -> None:
    ids = [one["id"] for one in live.plan(where="state:open", max_items=3)["sample"]]
    query = {"field": "state", "operator": "=", "value": "open"}
    asked: list[dict[str, Any]] = [{"ids": ids}, {"query": query}, {"where": "state:open"}, {"all": True}]
    counts = [live.post("/api/plans", {"operation": "read", **one})["matched"] for one in asked]
    assert counts[0] == 3
    assert counts[3] >= counts[1] == counts[2] > 3
    for wrong in ({}, {"ids": ids, "all": True}, {"where": " "}, {"where": "colour:red"}, {"where": "state:open)"}):
        answer = live.ask("POST", "/api/plans", {"operation": "read", **wrong})
        assert answer.status == 400, (wrong, answer)


@pytest.mark.parametrize(
    ("operation", "arguments", "word"),
    [
        ("tag", {}, "needs tag"),
        ("tag", {"tag": "no such tag"}, "no such tag"),
        ("tag", {"tag": "vip", "colour": "red"}, "no argument 'colour'"),
        ("tag", {"tag": ["vip"]}, "must be a text"),
        ("snooze", {"until": "tomorrow"}, "ISO 8601"),
        ("snooze", {"until": "2026-12-24T08:00"}, "its zone"),
        ("assign", {}, "to what"),
        ("set", {"attributes": {"plan": ["a"]}}, "object of names"),
        ("read", {"unread": "yes"}, "true or false"),
        ("steps", {"steps": []}, "steps must be a list"),
        ("steps", {"steps": [{"fly": True}]}, "steps must be a list"),
        ("redact", {"author": "anybody"}, "one of contact, admin, anyone"),
    ],
)
def test_arguments_that_cannot_be_meant_are_told_so(live: Live, operation: str, arguments: Any, word: str) -> None:
    answer = live.ask("POST", "/api/plans", {"operation": operation, "arguments": arguments, "where": "state:open"})
    assert (answer.status, word in answer.error) == (400, True), answer


def test_steps_are_planned_in_their_order(live: Live) -> None:
    steps = [{"note": "Fixed."}, {"tag": "stale"}, {"assign_team": "Support"}, {"snooze": "3d"}]
    plan = live.plan("steps", arguments={"steps": steps}, where="state:open", max_items=2)
    assert plan["count"] == 2
    assert plan["writes"] >= 4
    run = live.ended(live.applied(plan, irreversible=True))
    assert run["counts"]["done"] == 2


def test_items_are_found_by_status_and_text_page_by_page(live: Live) -> None:
    run_id = live.ended(
        live.applied(live.plan("title", arguments={"title": "Paged"}, where="state:open", max_items=23))
    )["run_id"]
    everything = live.get(f"/api/runs/{run_id}/items?limit=500")
    assert len(everything["items"]) == 23
    assert everything["next"] is None
    seen, after = [], ""
    while after is not None:
        page = live.get(f"/api/runs/{run_id}/items?limit=5&status=done&after={after}")
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
    assert seen == sorted(item["id"] for item in everything["items"])
    one = everything["items"][7]
    assert one["after"] == {"title": "Paged"}
    assert one["link"].endswith(f"/inbox/conversation/{one['id']}")
    assert [item["id"] for item in live.get(f"/api/runs/{run_id}/items?text={one['id']}")["items"]] == [one["id"]]
    assert live.get(f"/api/runs/{run_id}/items?status=failed")["items"] == []
    assert live.ask("GET", f"/api/runs/{run_id}/items?status=lost").status == 422
    assert live.ask("GET", f"/api/runs/{run_id}/items?text=%00").status == 400


def test_a_report_is_what_the_library_would_write(live: Live, tmp_path: Path) -> None:
    run_id = live.ended(
        live.applied(live.plan("title", arguments={"title": "=1+1"}, where="state:open", max_items=600))
    )["run_id"]
    runs = Runs(home=live.home)
    for form, kind in (("csv", "text/csv"), ("jsonl", "application/x-ndjson"), ("markdown", "text/markdown")):
        answer = live.ask("GET", f"/api/runs/{run_id}/report?format={form}")
        assert answer.headers["content-type"].startswith(kind)
        assert f'filename="{run_id}.' in answer.headers["content-disposition"]
        own = runs.export(run_id, tmp_path / f"report.{form}", form).read_bytes()
        assert sorted(answer.body.splitlines()) == sorted(own.splitlines())
    rows = list(
        csv.DictReader(io.StringIO(live.ask("GET", f"/api/runs/{run_id}/report").body.decode("utf-8-sig"), newline=""))
    )
    assert len(rows) == len({row["item_id"] for row in rows}) == live.get(f"/api/runs/{run_id}")["counts"]["done"]


def test_runs_are_listed_newest_first_page_by_page(live: Live) -> None:
    for number in range(3):
        live.ended(
            live.applied(live.plan("title", arguments={"title": f"Listed {number}"}, where="state:open", max_items=1))
        )
    everything = live.get("/api/runs?limit=500")["runs"]
    ids = [run["run_id"] for run in everything]
    assert ids == sorted(ids, reverse=True)
    first = live.get("/api/runs?limit=2")
    second = live.get(f"/api/runs?limit=2&after={first['next']}")
    assert [run["run_id"] for run in first["runs"] + second["runs"]] == ids[:4]


# -- a run under way


@pytest.fixture
def slow(tmp_path: Path) -> Any:
    """A service on a workspace that answers slowly: there is time to steer."""
    with (
        Sandbox(conversations=600, latency_ms=250, search_latency_ms=20, limit_per_minute=20_000) as sandbox,
        serving(sandbox, tmp_path / "home") as live,
    ):
        yield live


def until(live: Live, path: str, holds: Any) -> dict[str, Any]:
    """Of a stream of events, the first of which this is true."""
    with live.stream(path) as answer:
        for _, told in events(answer):
            if holds(told):
                found: dict[str, Any] = told
                return found
    raise AssertionError("the stream ended first")


def test_a_run_is_watched_paused_let_go_on_stopped_and_resumed(slow: Live) -> None:
    plan = slow.plan("title", arguments={"title": "Slow"}, where="state:open")
    slow.sandbox.set(limit_per_minute=4_000)  # some ten seconds of work, however late a busy machine asks to pause
    run_id = slow.applied(plan)
    path = f"/api/runs/{run_id}/events"
    moving = until(slow, path, lambda told: told["run"]["progress"] and told["run"]["progress"]["settled"] > 20)["run"]
    assert (moving["state"], moving["live"], moving["here"]) == ("running", True, True)
    assert sum(moving["counts"].values()) == 600
    assert [run["run_id"] for run in slow.get("/api/live")["runs"]] == [run_id]
    assert slow.ask("POST", f"/api/runs/{run_id}/resume").status == 409
    assert slow.ask("POST", f"/api/runs/{run_id}/undo", {"confirm": run_id}).status == 409
    assert slow.post(f"/api/runs/{run_id}/pause") == {"run_id": run_id, "asked": "pause"}
    until(slow, path, lambda told: told["run"]["state"] == "paused")
    assert "unpause" in slow.ask("POST", f"/api/runs/{run_id}/resume").error
    slow.sandbox.set(latency_ms=800)  # there is time to see it go on, and to stop it
    slow.post(f"/api/runs/{run_id}/unpause")
    all_runs = until(slow, "/api/events", lambda told: told["runs"] and told["runs"][0]["state"] == "running")
    assert all_runs["rate"] is None or all_runs["rate"]["used"] <= all_runs["rate"]["limit"]
    slow.post(f"/api/runs/{run_id}/stop")
    stopped = slow.ended(run_id)
    slow.sandbox.set(latency_ms=1, limit_per_minute=20_000)
    assert (stopped["state"], stopped["resumable"], stopped["live"]) == ("stopped", True, False)
    assert slow.ask("POST", f"/api/runs/{run_id}/pause").status == 409
    assert 0 < stopped["counts"]["done"] < 600
    assert slow.post(f"/api/runs/{run_id}/resume")["run_id"] == run_id
    over = slow.ended(run_id)
    assert (over["state"], over["counts"]["done"], over["lives"]) == ("completed", 600, 2)
    assert len(slow.sandbox.effects()) == 600
    assert slow.ask("POST", f"/api/runs/{run_id}/resume").status == 409
    slow.service.desk.table.tend()  # its connections are closed, and all that it spent is told
    windows = slow.get("/api/rate")["windows"]
    assert sum(window["ours"] for window in windows) >= 600
    metrics = slow.ask("GET", "/metrics").body.decode()
    assert 'intercom_bulk_items_total{outcome="done"} 600.0' in metrics
    assert 'intercom_bulk_runs{state="completed"} 1.0' in metrics
    assert run_id not in metrics


def test_a_run_of_another_process_is_seen_and_steered(slow: Live, tmp_path: Path) -> None:
    env = {**slow.sandbox.environ(), "INTERCOM_BULK_HOME": str(slow.home), "PATH": "/usr/bin:/bin"}
    words = ["title", "Elsewhere", "--where", "state:open", "--yes", "--workers", "8"]
    process = subprocess.Popen([sys.executable, "-m", "intercom_bulk", *words], env=env, cwd=Path(__file__).parents[2],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        told = until(slow, "/api/events", lambda told: told["runs"] and told["runs"][0]["counts"]["done"] > 10)
        run = told["runs"][0]
        assert (run["here"], run["live"], run["state"]) == (False, True, "running")
        slow.post(f"/api/runs/{run['run_id']}/stop")
        until(slow, "/api/events", lambda told: not told["runs"])
    finally:
        process.wait(30)
    told = slow.get(f"/api/runs/{run['run_id']}")
    assert (told["state"], told["resumable"]) == ("stopped", True)


def test_the_end_of_the_service_stops_its_runs_and_streams(tmp_path: Path) -> None:
    with Sandbox(conversations=600, latency_ms=250, search_latency_ms=20, limit_per_minute=20_000) as sandbox:
        with serving(sandbox, tmp_path / "home") as live:
            run_id = live.applied(live.plan("title", arguments={"title": "Cut"}, where="state:open"))
            until(live, f"/api/runs/{run_id}/events", lambda told: told["run"]["counts"]["done"] > 20)
            with live.stream("/api/events") as stream:
                live.service.stop()
                names = [name for name, _ in events(stream)]
        assert names[-1] == "bye"
        record = Runs(home=tmp_path / "home").get(run_id)
        assert (record.record.state, record.record.is_resumable) == ("stopped", True)
        assert record.counts[Status.DONE] == len(sandbox.effects())


def test_a_token_that_is_refused_is_told_where_the_run_is_started(
    live: Live, workspace: Sandbox, tmp_path: Path
) -> None:
    class Wrong:
        def environ(self) -> dict[str, str]:
            return {**workspace.environ(), "INTERCOM_ACCESS_TOKEN": "not-the-token-of-anybody"}

    with serving(Wrong(), tmp_path / "home") as refused:  # type: ignore[arg-type]
        answer = refused.ask(
            "POST", "/api/plans", {"operation": "tag", "arguments": {"tag": "vip"}, "where": "state:open"}
        )
        assert answer.status == 502
        assert "not-the-token" not in answer.error
        assert refused.get("/api/runs") == {"runs": [], "next": None}


def test_a_stream_too_many_is_refused(live: Live) -> None:
    from intercom_bulk.service.events import MOST

    with ExitStack() as stack:
        streams = [stack.enter_context(live.stream("/api/events")) for _ in range(MOST)]
        assert all(stream.status == 200 for stream in streams)
        assert live.ask("GET", "/api/events").status == 503


def test_plans_are_of_a_day(live: Live) -> None:
    plan = live.plan("open", where="state:closed")
    assert plan["expires_at"] - plan["created_at"] == pytest.approx(plans.LIFE, abs=1)
    assert StateChanger.__name__ == plan["title"]
