"""The audit trail: every call of ours is in it, whole, and the token is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

from intercom_bulk import (
    ConversationCloser,
    ConversationUpdater,
    Gone,
    LedgerError,
    RunOptions,
    RunState,
    Settings,
    TagAssigner,
)
from intercom_bulk.api.audit import AuditTrail
from intercom_bulk.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = 'a-"secret"-t/ken+'


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(conversations=120, limit_per_minute=600_000, latency_ms=2, contacts=5, companies=2) as site:
        yield site


def settings(sandbox: Sandbox, trail: Path) -> Settings:
    return Settings.build(**sandbox.settings_kwargs(), audit_trail=trail)


def lines(trail: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in trail.read_text().splitlines()]


def test_every_call_of_a_run_is_there(sandbox: Sandbox, tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    sandbox.set(errors_5xx=0.05, resets=0.02)
    closer = ConversationCloser(settings=settings(sandbox, trail))
    summary = closer.bulk_process(team_id=sandbox.inbox_id, state="open", options=RunOptions(settle=0.2))
    assert summary.success == 120
    told = lines(trail)
    assert len(told) == sandbox.stats()["total"] == summary.requests
    assert Counter(str(one["status"]) for one in told if one["status"]) == Counter(
        {status: count for status, count in sandbox.stats()["statuses"].items() if status != "0"}
    )
    closes = [one for one in told if one["path"].endswith("/parts") and one["status"] == 200]
    first = closes[0]
    assert list(first) == ["at", "method", "path", "status", "error", "seconds", "request_id", "bytes", "sent"]
    assert first["sent"] == {"message_type": "close", "type": "admin", "admin_id": "780"}
    assert first["at"].endswith("Z")
    assert first["bytes"] > 100
    assert all(one["sent"] is None for one in told if one["path"] in {"/me", "/conversations/search"})
    assert all((one["error"] is None) == (one["status"] == 200) for one in told)
    assert trail.stat().st_mode & 0o777 == 0o600


def test_the_token_is_never_there_and_query_strings_are(tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    with Sandbox(conversations=2, token=TOKEN) as sandbox:
        closer = ConversationCloser(settings=settings(sandbox, trail))
        closer.request("GET", "conversations", params={"per_page": 1, "note": TOKEN})
        with pytest.raises(Gone):
            closer.request("POST", "conversations/1/reply", json={"body": f"it is {TOKEN}"})
    text = trail.read_text()
    assert "per_page=1" in text
    assert '"sent": {"body": "it is \\u2026"}' in text or '"sent": {"body": "it is …"}' in text
    for shape in (TOKEN, json.dumps(TOKEN)[1:-1], "secret"):
        assert shape not in text


def test_lines_of_many_threads_and_processes_stay_whole(tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    script = (
        "import sys; from pathlib import Path; from intercom_bulk.api.audit import AuditTrail\n"
        "trail = AuditTrail(Path(sys.argv[1]), token='a-token-of-nobody')\n"
        "for n in range(300): trail.begin('POST', f'/{sys.argv[2]}/{n}', {'body': 'x' * 5000}).end(status=200)\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", script, str(trail), str(n)]) for n in range(2)]
    mine = AuditTrail(trail, token="a-token-of-nobody")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: mine.begin("GET", f"/me/{n}", None).end(status=200), range(300)))
    assert [process.wait() for process in others] == [0, 0]
    paths = [one["path"] for one in lines(trail)]
    assert len(paths) == len(set(paths)) == 900


# -- a trail that cannot be kept


def test_without_a_trail_nothing_is_sent(sandbox: Sandbox, tmp_path: Path) -> None:
    closer = ConversationCloser(settings=settings(sandbox, tmp_path / "missing" / "trail.jsonl"))
    with pytest.raises(LedgerError, match=r"The audit trail .* cannot be written"):
        closer.bulk_process(team_id=sandbox.inbox_id, state="open")
    assert sandbox.stats()["total"] == 0


def halted_midway(updater: ConversationUpdater, sandbox: Sandbox, trail: Path) -> Any:
    """The trail's place is taken by a folder once twenty items are done."""
    with updater.stream(team_id=sandbox.inbox_id, state="open", parallel_workers=4) as stream:
        for number, _ in enumerate(stream, 1):
            if number == 20:
                trail.rename(trail.with_suffix(".kept"))
                trail.mkdir()
    return stream.summary()


def test_a_trail_that_breaks_halts_the_run_and_has_no_hole_afterwards(sandbox: Sandbox, tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    tagger = TagAssigner(tag=next(iter(sandbox.workspace.tags)), settings=settings(sandbox, trail))
    summary = halted_midway(tagger, sandbox, trail)
    assert summary.state is RunState.HALTED
    assert "audit trail" in str(summary.reason)
    assert (summary.failed, summary.unknown) == (0, 0)
    assert summary.success == len(sandbox.effects())
    assert summary.success + summary.unprocessed == 120
    trail.rmdir()
    again = tagger.resume(summary.run_id, options=RunOptions(settle=0.2)).result()
    assert (again.state, again.success) == (RunState.COMPLETED, 120)
    written = lines(trail.with_suffix(".kept")) + lines(trail)
    assert len(written) == sandbox.stats()["total"]


class PlainRequests(ConversationUpdater):
    """Sends by itself."""

    def perform_action(self, item_id: str) -> dict[str, Any]:
        part = {"message_type": "close", "type": "admin", "admin_id": self.admin_id}
        url = f"{self.base_url}/conversations/{item_id}/parts"
        answer = requests.post(url, headers=self.headers, json=part, timeout=10)
        answer.raise_for_status()
        return dict(answer.json())


def test_requests_of_others_halt_with_it_too(sandbox: Sandbox, tmp_path: Path) -> None:
    trail = tmp_path / "trail.jsonl"
    updater = PlainRequests(settings=settings(sandbox, trail))
    with updater.stream(team_id=sandbox.inbox_id, state="open", parallel_workers=2) as stream:
        for number, _ in enumerate(stream, 1):
            if number == 20:
                trail.unlink()
                trail.mkdir()
                updater.request("GET", "me")  # made, and owed
    summary = stream.summary()
    assert summary.state is RunState.HALTED
    assert summary.success == len(sandbox.effects()) < 120
    assert summary.failed == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is full")  # noqa: PTH110
def test_a_full_disk_is_told_in_a_sentence(sandbox: Sandbox, tmp_path: Path) -> None:
    closer = ConversationCloser(settings=replace(settings(sandbox, tmp_path), audit_trail=Path("/dev/full")))
    closer.request("GET", "me")  # made, and owed
    with pytest.raises(LedgerError, match="No space left on device"):
        closer.request("GET", "me")


def test_a_file_that_ends_in_mid_line_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "trail.jsonl"
    path.write_text('{"at": "2026-')
    trail = AuditTrail(path, token="x" * 10)
    for number in (1, 2):
        trail.write({"number": number})
    assert [json.loads(line)["number"] for line in path.read_text().splitlines()[1:]] == [1, 2]
