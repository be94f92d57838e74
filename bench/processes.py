"""Several processes with one token: how much of the limit they use together, how many 429s, how fair.

Each child drives a governor as a workspace wires it, with as many threads as it asks for, against one sandbox that
counts. With one home they share `governor.db`; apart, each has a home of its own and knows the others by the headers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.children import serve
from bench.report import Figure, Section, at_least, at_most, info

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench.children import Site
    from intercom_bulk.api.peers import News, Report
    from intercom_bulk.workspace import Workspace

__all__ = ["SCENARIOS", "Scenario", "Together", "measure"]

WINDOW = 10.0
PERCENT, FINE_PERCENT = "{:.1%}", "{:.2%}"
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What the sandbox counted, and what each process says it got. `full`: windows in which all were busy throughout.

    `answers`: accepted calls of each process per epoch second. `killed_at`: when the last process was killed.
    """

    windows: list[dict[str, float]]
    full: list[dict[str, float]]
    answers: list[dict[int, int]]
    exchanges: list[list[float]]
    seconds: float
    killed_at: float | None = None
    said: list[str] = field(default_factory=list)

    @property
    def shares(self) -> list[float]:
        """Of each full window, how much of the limit was used."""
        return [one["ours_accepted"] / one["limit"] for one in self.full]

    @property
    def requests(self) -> int:
        return round(sum(one["ours_accepted"] + one["ours_rejected"] for one in self.windows))

    @property
    def rejected(self) -> int:
        """429s."""
        return round(sum(one["ours_rejected"] for one in self.windows))

    @property
    def fairness(self) -> float | None:
        """What the worst-off process got, of an even share."""
        if not self.full:
            return None
        since, until = self.full[0]["start"], self.full[-1]["start"] + WINDOW
        got = [sum(n for at, n in one.items() if since <= at < until) for one in self.answers]
        return min(got) / max(statistics.fmean(got), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """So many processes for so many seconds. `kill_at`: seconds after which one of them is killed with SIGKILL;
    `first_window_in`: seconds, to within one, until the first full window begins; `threads` 0: as many as are needed.
    """

    name: str
    count: int
    run_seconds: float = 38.0
    apart: bool = False
    kill_at: float | None = None
    limit: int = 10_000
    threads: int = 0
    first_window_in: int | None = None

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        return self.run_seconds + 4 + self.count / 2

    def __call__(self, *, quick: bool) -> Section:
        """Run it."""
        scenario = replace(self, run_seconds=4.0, count=min(self.count, 2)) if quick else self
        with serve(conversations=200, latency_ms=250, latency_sigma=0.3, limit_per_minute=self.limit) as site:
            together = measure(site, scenario)
        judged = _killed(self.name, together) if self.kill_at is not None else _judge(self, together)
        return Section(judged, together.said, data=asdict(together))


def _judge(scenario: Scenario, together: Together) -> list[Figure]:
    name, worst = scenario.name, min(together.shares, default=None)
    rejected = together.rejected / max(together.requests, 1)
    figures = [
        at_least(f"{name}: limit used, worst of {len(together.full)} full windows", worst, 0.95, PERCENT),
        at_most(
            f"{name}: 429s in {together.requests:,} requests", rejected, 0.01 if scenario.apart else 0.001, FINE_PERCENT
        ),
        at_least(f"{name}: the worst-off process, of an even share", together.fairness, 0.5, PERCENT),
    ]
    if scenario.apart:
        return [replace(figures[0], bar="", ok=None), figures[1], replace(figures[2], bar="", ok=None)]
    took = sorted(1000 * one for each in together.exchanges for one in each)
    return [
        *figures,
        info(f"{name}: tellings a second and process", len(took) / together.seconds / scenario.count, "{:.1f}"),
        info(f"{name}: a telling, median", statistics.median(took) if took else None, "{:.2f} ms"),
        info(f"{name}: a telling, p99", took[int(0.99 * len(took))] if took else None, "{:.2f} ms"),
    ]


def _killed(name: str, together: Together) -> list[Figure]:
    """Ten seconds after the kill the survivors' calls must fill the limit again."""
    killed = together.killed_at or 0.0
    limit = together.windows[-1]["limit"]
    after = [one["ours_accepted"] / limit for one in together.full if one["start"] > killed]
    hit = [one["ours_accepted"] / limit for one in together.full if one["start"] <= killed < one["start"] + WINDOW]
    per_second = [sum(one.get(int(killed) + s, 0) for one in together.answers) for s in range(2, 9)]
    back = next((s for s, n in enumerate(per_second, start=2) if n >= 0.95 * limit / WINDOW), None)
    rejected = together.rejected / max(together.requests, 1)
    return [
        at_least(f"{name}: limit used in the window of the kill", min(hit, default=None), 0.9, PERCENT),
        at_least(f"{name}: and in {len(after)} windows after it", min(after, default=None), 0.95, PERCENT),
        at_most(f"{name}: its share is back after", None if back is None else float(back), 10.0, "{:.0f} s"),
        at_most(f"{name}: 429s in {together.requests:,} requests", rejected, 0.001, FINE_PERCENT),
    ]


# -- the parent


def measure(site: Site, scenario: Scenario) -> Together:
    """Start the children, let them go at once, and count."""
    with tempfile.TemporaryDirectory() as folder:
        homes = [Path(folder, str(n) if scenario.apart else "shared") for n in range(scenario.count)]
        with _children(site, homes, scenario) as children:
            for child in children:
                assert child.stdout is not None
                child.stdout.readline()  # ready
            if scenario.first_window_in is not None:
                site.sandbox.set(window_phase=int(time.time() + scenario.first_window_in) % WINDOW)
            site.sandbox.reset()
            began = time.time()
            for child in children:
                _say(child)
            killed_at = _kill(children, began, scenario)
            said = [child.communicate()[0] for child in children]
    found = [json.loads(one.splitlines()[-1]) if one.strip() else None for one in said]
    alive = [one for one in found if one is not None]
    windows = [one for one in site.sandbox.windows() if one["ours_accepted"] + one["ours_rejected"]]
    ends = began + scenario.run_seconds
    return Together(
        windows=windows,
        full=[one for one in windows if one["start"] > began and one["start"] + WINDOW < ends],
        answers=[{int(at): n for at, n in one["answers"].items()} for one in alive],
        exchanges=[one["exchanges"] for one in alive],
        seconds=scenario.run_seconds,
        killed_at=killed_at,
        said=[line for one in alive for line in one["said"]],
    )


def _say(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def _kill(children: Sequence[subprocess.Popen[str]], began: float, scenario: Scenario) -> float | None:
    if scenario.kill_at is None:
        return None
    time.sleep(max(began + min(scenario.kill_at, 0.6 * scenario.run_seconds) - time.time(), 0.0))
    children[-1].kill()
    return time.time()


@contextmanager
def _children(site: Site, homes: Sequence[Path], scenario: Scenario) -> Iterator[list[subprocess.Popen[str]]]:
    command = [sys.executable, "-m", "bench.processes", str(scenario.run_seconds), str(scenario.threads)]
    children: list[subprocess.Popen[str]] = []
    try:
        for home in homes:
            home.mkdir(exist_ok=True)
            environ = site.environ(str(home))
            children.append(
                subprocess.Popen(
                    command, env=environ, cwd=home, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
            )
        yield children
    finally:
        for child in children:
            if child.poll() is None:
                child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()


# -- the child


class _Timed:
    """The real way into the file, with a stop-watch."""

    def __init__(self, shared: Any) -> None:
        self._shared = shared
        self.took: list[float] = []

    def exchange(self, report: Report) -> News | None:
        began = time.perf_counter()
        news: News | None = self._shared.exchange(report)
        self.took.append(time.perf_counter() - began)
        return news

    def close(self) -> None:
        self._shared.close()


class _Caller:
    """Calls as fast as the governor lets it, with as many threads as the pace needs."""

    def __init__(self, workspace: Workspace, until: float) -> None:
        self._workspace = workspace
        self._until = until
        self._lock = threading.Lock()
        self.answers: Counter[int] = Counter()

    def call_on(self) -> None:
        from intercom_bulk.errors import ApiError

        while time.monotonic() < self._until:
            try:
                self._workspace.client.send("GET", "me")
            except ApiError:
                continue
            with self._lock:
                self.answers[int(time.time())] += 1

    def run(self, threads: int) -> None:
        """`threads` 0: as many as the governor wants, looked at every now and then."""
        started: list[threading.Thread] = []
        while time.monotonic() < self._until:
            wanted = threads or self._workspace.governor.concurrency()
            while len(started) < wanted:
                started.append(threading.Thread(target=self.call_on))
                started[-1].start()
            time.sleep(0.1)
        for one in started:
            one.join()


def _child(seconds: float, threads: int) -> None:
    from intercom_bulk.settings import Settings
    from intercom_bulk.workspace import Workspace

    workspace = Workspace(Settings.build())
    timed = _Timed(workspace.governor.shared)
    workspace.governor.shared = timed
    print("ready", flush=True)
    sys.stdin.readline()
    caller = _Caller(workspace, time.monotonic() + seconds)
    caller.run(threads)
    said = [repr(workspace.governor)] if workspace.governor.rate_limited else []
    workspace.close()
    print(json.dumps({"answers": caller.answers, "exchanges": timed.took, "said": said}), flush=True)


SCENARIOS: Sequence[Scenario] = (
    Scenario(name="processes-2", count=2),
    Scenario(name="processes-4", count=4),
    Scenario(name="processes-16", count=16),
    Scenario(name="processes-apart-2", count=2, apart=True),
    Scenario(name="processes-apart-4", count=4, apart=True),
    Scenario(name="processes-kill", count=2, run_seconds=45.0, kill_at=24.0),
)


def main() -> None:
    """One child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    _child(given.seconds, given.threads)


if __name__ == "__main__":
    main()
