"""The runbook, run: every command in its order, against a live service that is stopped, killed and started again."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import pytest

from intercom_bulk.mirror.keeping.store import open_mirror
from intercom_bulk.sandbox import Sandbox
from tests.docs.conftest import ROOT
from tests.mirror.truth import differences, everything

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PAGE = ROOT / "docs" / "runbook.md"
END = "\x1e"
TOKEN = "a-token-that-the-runbook-is-run-with"
PATIENCE = 60.0

pytestmark = pytest.mark.slow


@dataclass
class Step:
    """A command, what the page says that it answers, or something that happens meanwhile."""

    line: int
    command: str = ""
    code: int = 200
    answer: Any = None
    happens: str = ""


def steps(page: str) -> Iterator[Step]:
    """What is between the fences, and what comments say."""
    pattern = re.compile(r"^<!-- (?P<said>.*?) -->$|^```(?P<kind>bash|json)\n(?P<text>.*?)^```$", re.M | re.S)
    waiting: Step | None = None
    code = 200
    for found in pattern.finditer(page):
        line = page.count("\n", 0, found.start()) + 2
        if found["kind"] == "json":
            assert waiting is not None
            waiting.answer = json.loads(found["text"])
            continue
        if waiting is not None:
            yield waiting
            waiting = None
        if found["kind"] == "bash":
            waiting, code = Step(line, found["text"], code), 200
        elif found["said"].startswith("answers "):
            code = int(found["said"].removeprefix("answers "))
        else:
            yield Step(line, happens=found["said"])
    if waiting is not None:
        yield waiting


class Service:
    """`intercom-bulk serve`, as often as it is started."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "intercom_bulk", "serve", "--port", self._environment["PORT"]]
        self._process = subprocess.Popen(
            command, env=dict(self._environment), cwd=self._folder, stderr=subprocess.DEVNULL
        )
        until(lambda: self._answers("/healthz"))

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        assert self._process.wait(10) == -signal.SIGKILL

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._get("/api/pipeline/status/1"))
        return told

    def close(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(30)
            finally:
                self._process.kill()

    def _answers(self, path: str) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the service ended"
        try:
            return bool(self._get(path))
        except OSError:
            return False

    def _get(self, path: str) -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._environment['PORT']}{path}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


def until(true: Any) -> None:
    """Ask again and again."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Shell:
    """One bash for all the commands. Its curl also tells the code of the answer."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], env=dict(environment), cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.run('curl() { command curl -w "\\n%{http_code}" "$@"; }')

    def run(self, command: str) -> str:
        """What it printed; it must not fail."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f"{command}\necho; echo {END}$?\n")
        self._bash.stdin.flush()
        lines: list[str] = list(takewhile(lambda line: not line.startswith(END), self._read()))
        assert self._ended == f"{END}0\n", "".join(lines)
        return "".join(lines).strip()

    def _read(self) -> Iterator[str]:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._ended = line
            yield line

    def close(self) -> None:
        self._bash.communicate("exit\n", timeout=10)


def holds(told: Any, answer: Any) -> bool:
    """Whether everything that the page shows is in the answer; what it leaves out, or shows as …, may be anything."""
    if isinstance(told, dict):
        return isinstance(answer, dict) and all(name in answer and holds(told[name], answer[name]) for name in told)
    if isinstance(told, list):
        return isinstance(answer, list) and len(told) == len(answer) and all(map(holds, told, answer))
    return bool(told == answer) or (told == "…" and isinstance(answer, str) and bool(answer))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_every_command_of_the_runbook_does_what_it_says(tmp_path: Path, home: Path) -> None:
    with Sandbox(conversations=500, days=80, latency_ms=60, contacts=40) as sandbox:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("INTERCOM_")}
        there = {
            **clean, **sandbox.environ(), "INTERCOM_BULK_HOME": str(home), "PORT": str(free_port()),
            "INTERCOM_BULK_SERVICE_TOKEN": TOKEN, "PYTHONPATH": str(ROOT), "COLUMNS": "120",
        }  # fmt: skip
        service, shell = Service(there, tmp_path), Shell(there, tmp_path)
        shell.run(f'intercom-bulk() {{ {sys.executable} -m intercom_bulk "$@"; }}')
        try:
            for step in steps(PAGE.read_text()):
                walk(step, service, shell)
        finally:
            shell.close()
            service.close()
        sandbox.set(latency_ms=0, limit_per_minute=6_000_000)
        truth = everything(sandbox.url, sandbox.token)
        with open_mirror(home, sandbox.options.app_id) as store:
            assert differences(store, truth) == []


def walk(step: Step, service: Service, shell: Shell) -> None:
    at = f"{PAGE.name}:{step.line}"
    if step.happens == "the service starts":
        service.start()
    elif step.happens == "the service is killed":
        assert service.status()["status"] == "running", at
        service.kill()
    elif step.happens:
        name, sign, value = step.happens.removeprefix("until ").split()
        wanted = json.loads(value)
        until(lambda: service.status()[name] >= wanted if sign == ">=" else service.status()[name] == wanted)
    else:
        printed = shell.run(step.command)
        if "$SERVICE/" not in step.command:
            return
        body, _, code = printed.rpartition("\n")
        assert code == str(step.code), f"{at}: {printed}"
        assert step.answer is None or holds(step.answer, json.loads(body)), f"{at}: {body}"


def test_each_error_of_the_runbook_is_on_the_page() -> None:
    codes = [step.code for step in steps(PAGE.read_text()) if step.command]
    assert sorted(set(codes)) == [200, 400, 401, 404, 409]
    assert codes.count(409) == 2
    assert codes.count(404) == 2
