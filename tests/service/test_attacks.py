"""What somebody did to a live service, and what came of it."""

from __future__ import annotations

import http.client
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from intercom_bulk.sandbox import Sandbox
from intercom_bulk.service import security
from tests.service.live import TOKEN, Live, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def spoken(live: Live, said: bytes, seconds: float = 20) -> bytes:
    """What the service answers to these bytes until it closes the connection."""
    with socket.create_connection(("127.0.0.1", live.service.port), seconds) as line:
        line.sendall(said)
        heard = b""
        while more := line.recv(65_536):
            heard += more
        return heard


def head(live: Live, first: str, *more: str) -> bytes:
    lines = [f"{first} HTTP/1.1", f"Host: {live.host}", f"Authorization: Bearer {TOKEN}", *more, "", ""]
    return "\r\n".join(lines).encode()


def test_a_head_has_a_largest_size(live: Live) -> None:
    large = head(live, "GET /api/runs", *(f"X-{number}: {'x' * 60_000}" for number in range(40)), "Connection: close")
    with suppress(ConnectionResetError, BrokenPipeError):  # where it was refused before the whole of it was sent
        assert spoken(live, large).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431"))


def test_a_body_that_drips_is_waited_for_so_long_and_no_longer(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "SLOWEST_BODY", 0.2)
    heard = spoken(live, head(live, "POST /api/plans", "Content-Type: application/json", "Content-Length: 100") + b"{")
    assert heard.startswith(b"HTTP/1.1 408")
    assert b"send it again" in heard


def test_a_header_that_decides_is_taken_once(live: Live) -> None:
    for name, first, second in (
        ("Content-Type", "application/json", "text/plain"),
        ("Sec-Fetch-Site", "same-origin", "cross-site"),
    ):
        body = "Content-Length: 2" if name == "Content-Type" else "Content-Length: 0"
        lines = (f"{name}: {first}", f"{name}: {second}", body, "Connection: close")
        twice = head(live, "POST /api/pipeline/stop", *lines)
        heard = spoken(live, twice + (b"{}" if name == "Content-Type" else b""))
        assert heard.startswith(b"HTTP/1.1 400"), heard
        assert b"sent twice" in heard


def test_a_browser_that_has_no_token_is_told_the_way_in(live: Live) -> None:
    page = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
    for path in ("/", "/runs/none", "/login?token=wrong"):
        answer = live.raw("GET", path, {"Host": live.host, **page})
        assert answer.status == 401
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert b"/login?token=" in answer.body
        assert b"intercom-bulk serve" in answer.body
        assert TOKEN.encode() not in answer.body
        assert answer.headers["content-security-policy"] == security.HEADERS["content-security-policy"]
    assert live.raw("GET", "/", {"Host": live.host, "Accept": "*/*"}).json["error"].startswith("A token is needed")
    assert live.raw("GET", "/", {"Host": "<b>evil</b>", **page}).status == 421


def test_another_protocol_is_not_spoken(live: Live) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", live.service.port, timeout=20)
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Host": live.host}  # fmt: skip
    connection.request("GET", "/api/events?seconds=0", headers=upgrade)
    assert connection.getresponse().status == 401
    connection.close()


def test_a_run_is_taken_back_once_whoever_asks(live: Live) -> None:
    run_id = live.applied(live.plan("tag", max_items=20))
    assert live.ended(run_id)["undone_by"] is None
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: live.ask("POST", f"/api/runs/{run_id}/undo", {"confirm": run_id}), range(4)))
    begun = [answer.json["run_id"] for answer in answers if answer.status == 200]
    assert len(begun) == 1, answers
    assert [answer.status for answer in answers].count(409) == 3
    assert live.ended(begun[0])["state"] == "completed"
    again = live.ask("POST", f"/api/runs/{run_id}/undo", {"confirm": run_id})
    assert (again.status, begun[0] in again.error) == (409, True)
    assert live.get(f"/api/runs/{run_id}")["undone_by"] == begun[0]
    (listed,) = [one for one in live.get("/api/runs")["runs"] if one["run_id"] == run_id]
    assert listed["undone_by"] == begun[0]
    assert "Undo" not in live.ask("GET", f"/runs/{run_id}").body.decode()


def test_what_another_process_works_on_leaves_no_error_here(live: Live, workspace: Sandbox) -> None:
    workspace.set(latency_ms=200)
    try:
        run_id = live.applied(live.plan("untag", arguments={"tag": "vip"}, max_items=40))
        live.post(f"/api/runs/{run_id}/stop")
        live.ended(run_id)
        workspace.set(latency_ms=100)
        with serving(workspace, live.home) as other:
            other.post(f"/api/runs/{run_id}/resume")
            answer = live.ask("POST", f"/api/runs/{run_id}/resume")
            assert answer.status == 409, answer
            other.ended(run_id)
            told = live.get(f"/api/runs/{run_id}")
            assert (told["error"], told["live"]) == (None, False)
    finally:
        workspace.set(latency_ms=1)


def test_a_service_that_ends_waits_for_no_plan(tmp_path: Path) -> None:
    with (
        Sandbox(conversations=200, latency_ms=300, limit_per_minute=600) as sandbox,
        serving(sandbox, tmp_path / "home") as live,
        ThreadPoolExecutor(1) as pool,
    ):
        plans = live.service.desk.shelf
        asked = pool.submit(
            live.ask, "POST", "/api/plans",
            {"operation": "close", "arguments": {}, "ids": [str(one) for one in sandbox.workspace.conversations]},
        )  # fmt: skip
        while not plans._walks and not asked.done():
            threading.Event().wait(0.01)
        live.service.stop()
        assert asked.result(20).status in {502, 503}
