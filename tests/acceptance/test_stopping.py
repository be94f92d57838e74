"""Whoever stops a run stops it: nothing is sent after the requests in flight, and those are recorded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk import ConversationCloser, IntercomBulkUpdater, RunState, Status
from intercom_bulk.sandbox import SandboxProcess
from tests.acceptance.old_style import CustomUpdater
from tests.acceptance.runs import QUICK, sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk import Outcome
    from intercom_bulk.sandbox import Sandbox

    Start = Callable[..., Sandbox]

WORKERS = 10
SLOW = {"conversations": 400, "latency_ms": 40}


def stream(sandbox: Sandbox, updater: type[IntercomBulkUpdater] = ConversationCloser, **arguments: Any) -> Any:
    state: dict[str, Any] = {"state": "open"} if issubclass(updater, ConversationCloser) else {}
    made = updater(**sandbox.settings_kwargs())
    return made.stream(team_id=sandbox.inbox_id, parallel_workers=WORKERS, options=QUICK, **state, **arguments)


def of_the_library() -> list[threading.Thread]:
    """Threads of runs that are still alive."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("intercom-bulk")]


def assert_stopped(sandbox: Sandbox, sent_before: int) -> None:
    """No thread is left that could send, and what was sent since was in flight (or a page being read)."""
    assert of_the_library() == []
    assert sandbox.stats()["active"] == 0
    assert sent(sandbox) - sent_before <= WORKERS


@pytest.mark.parametrize("updater", [ConversationCloser, CustomUpdater])
def test_closing_the_iterator_stops_the_run(start: Start, updater: type[IntercomBulkUpdater]) -> None:
    """Without the stop the rest of the 400 would be closed: elasticsearch-py sends them all."""
    sandbox = start(**SLOW)
    outcomes = stream(sandbox, updater)
    first = [next(outcomes) for _ in range(20)]
    before = sent(sandbox)
    outcomes.close()
    assert_stopped(sandbox, before)
    summary = outcomes.summary()
    assert summary.state is RunState.STOPPED
    assert summary.success == len(sandbox.effects()) >= len(first)
    assert summary.unprocessed > 0
    assert list(outcomes) == []


def test_leaving_the_loop_early_stops_the_run(start: Start) -> None:
    sandbox = start(**SLOW)
    with stream(sandbox) as outcomes:
        for number, _ in enumerate(outcomes):
            if number == 10:
                break
        before = sent(sandbox)
    assert_stopped(sandbox, before)


def test_an_error_in_the_callers_loop_stops_the_run_and_is_raised(start: Start) -> None:
    sandbox = start(**SLOW)
    before = 0
    with pytest.raises(ZeroDivisionError), stream(sandbox) as outcomes:  # noqa: PT012
        for _ in outcomes:
            before = sent(sandbox)
            raise ZeroDivisionError
    assert_stopped(sandbox, before)
    assert outcomes.summary().success == len(sandbox.effects())


def test_a_stream_that_is_dropped_stops_too(start: Start) -> None:
    sandbox = start(**SLOW)
    outcomes = stream(sandbox)
    for _ in range(15):
        next(outcomes)
    before = sent(sandbox)
    threads = of_the_library()
    del outcomes
    for thread in threads:
        thread.join(10)
    assert_stopped(sandbox, before)


def test_stop_lets_the_caller_see_what_was_in_flight(start: Start) -> None:
    sandbox = start(**SLOW)
    outcomes = stream(sandbox)
    seen = [next(outcomes) for _ in range(20)]
    outcomes.stop()
    seen += list(outcomes)
    assert_stopped(sandbox, sent(sandbox))
    assert {outcome.item_id for outcome in seen if outcome.status is Status.DONE} == set(sandbox.effects())
    assert outcomes.summary().success == len(seen)


def test_a_slow_caller_holds_the_run_back(start: Start) -> None:
    """Outcomes do not pile up: the run goes no more than a batch ahead of its reader."""
    sandbox = start(conversations=1000, latency_ms=1)
    outcomes = stream(sandbox, batch_size=50)
    next(outcomes)
    settled = threading.Event()
    while not settled.wait(0.3):  # until a third of a second passes in which nothing is sent
        before = sent(sandbox)
        if settled.wait(0.3) or sent(sandbox) == before:
            settled.set()
    assert sent(sandbox) < 300
    outcomes.close()
    assert_stopped(sandbox, sent(sandbox))


def test_a_stream_that_was_never_begun_sends_nothing(start: Start) -> None:
    sandbox = start(**SLOW)
    stream(sandbox).close()
    assert sent(sandbox) == 0
    assert of_the_library() == []


def test_no_thread_and_no_connection_outlives_a_run(start: Start) -> None:
    sandbox = start(conversations=100)
    list(stream(sandbox))
    assert of_the_library() == []


def test_two_streams_of_one_updater_stop_apart(start: Start) -> None:
    sandbox = start(conversations=200, share_other_team=0.5, latency_ms=10)
    closer = ConversationCloser(**sandbox.settings_kwargs())
    one = closer.stream(team_id=sandbox.inbox_id, state="open", parallel_workers=5)
    two = closer.stream(team_id="Billing", state="open", parallel_workers=5)
    first: list[Outcome] = [next(one)]
    list(two)
    one.close()
    assert first
    assert one.summary().state is RunState.STOPPED
    assert two.summary().state is RunState.COMPLETED


SCRIPT = """
import json, sys
from intercom_bulk import ConversationCloser, RunOptions

stream = ConversationCloser().stream(
    team_id="5017691", state="open", parallel_workers=10, options=RunOptions(settle=0.3)
)
try:
    with stream:
        for number, outcome in enumerate(stream):
            if number == 30:
                print("going", flush=True)
except KeyboardInterrupt:
    summary = stream.summary()
    print(json.dumps({"state": summary.state, "done": summary.success, "left": summary.unprocessed}), flush=True)
    sys.exit(130)
print("came to its end", flush=True)
"""


class Script:
    """A user's script in a process of its own. It says "going" when it is under way."""

    def __init__(self, sandbox: SandboxProcess, text: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            env={**os.environ, **sandbox.environ()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "going\n"

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Exit code, and the rest of what it said on stdout and stderr."""
        try:
            out, err = self.process.communicate(timeout=15)
        except BaseException:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode, out, err


def test_ctrl_c_ends_the_process_with_what_was_in_flight_recorded() -> None:
    with SandboxProcess(conversations=600, latency_ms=60, limit_per_minute=600_000) as sandbox:
        script = Script(sandbox, SCRIPT)
        script.interrupt()
        code, out, err = script.end()
        assert (code, err) == (130, "")
        told = json.loads(out)
        assert told["state"] == "stopped"
        assert told["done"] == len(sandbox.effects()) < 600
        assert told["done"] + told["left"] <= 600
        assert sandbox.stats()["active"] == 0


PLAIN = """
from intercom_bulk import bulk_close_hybrid

def going(progress):
    if progress.done:
        print("going", flush=True)

bulk_close_hybrid(parallel_workers=10, progress=going)
"""


def test_ctrl_c_in_the_original_function_stops_the_writes() -> None:
    with SandboxProcess(conversations=600, latency_ms=60, limit_per_minute=600_000) as sandbox:
        script = Script(sandbox, PLAIN)
        script.interrupt()
        code, _, err = script.end()
        assert code != 0
        assert "KeyboardInterrupt" in err
        assert 0 < len(sandbox.effects()) < 600
        assert sandbox.stats()["active"] == 0


STUCK = """
from intercom_bulk import bulk_close_hybrid

bulk_close_hybrid(parallel_workers=10, timeout=120, progress=lambda p: p.in_flight and print("going", flush=True))
"""


def test_a_second_ctrl_c_does_not_wait_for_a_server_that_hangs() -> None:
    with SandboxProcess(conversations=50, hangs=1.0, fault_scope="writes", limit_per_minute=600_000) as sandbox:
        script = Script(sandbox, STUCK)
        script.interrupt()
        with pytest.raises(subprocess.TimeoutExpired):
            script.process.wait(0.7)
        script.interrupt()
        assert script.end()[0] != 0


DROPPED = """
from intercom_bulk import ConversationCloser

stream = ConversationCloser().stream(team_id="5017691", state="open", parallel_workers=10)
for number, outcome in enumerate(stream):
    if number == 60:
        break
print("going", flush=True)
"""


def test_a_script_that_forgets_its_stream_ends_and_writes_no_more() -> None:
    with SandboxProcess(conversations=600, latency_ms=20, limit_per_minute=600_000) as sandbox:
        assert Script(sandbox, DROPPED).end()[0] == 0
        assert len(sandbox.effects()) < 300
