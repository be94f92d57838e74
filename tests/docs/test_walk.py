"""The page that walks through a bulk change, walked: every block is run, in order, and its output compared."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from intercom_bulk.sandbox import Sandbox
from tests.docs.conftest import ROOT
from tests.docs.screens import until_noon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "what-happened.md"
END = "\x1e"
"""Printed after each block, to tell its output from the next one's."""
VARIES = re.compile(r"\d{8}-\d{6}-[0-9a-f]{6}|\b[0-9a-f]{64}\b|\babout (?:a second|\d+ seconds)")
"""Ids of runs, digests of plans, and how long it is to the next window: that moves the line breaks too."""


@dataclass
class Block:
    """A block of Python, what the page says that it prints, and the sandbox's knobs that are turned before it."""

    line: int
    text: str
    knobs: dict[str, str]
    printed: str = ""


@dataclass
class Session:
    """Blocks that share a process. `killed`: by kill -9, as soon as it has begun to write."""

    killed: bool = False
    blocks: list[Block] = field(default_factory=list)


def sessions(page: str) -> Iterator[Session]:
    """What is between the fences; comments say where a process ends, and how."""
    session, knobs = Session(), dict[str, str]()
    part = re.compile(
        r"^<!-- (?P<said>[^\n]*) -->$|^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
    )
    for found in part.finditer(page):
        said = found["said"] or ""
        if said == "a new process":
            yield session
            session = Session()
        elif said == "kill -9 while it runs":
            session.killed = True
        elif said.startswith("sandbox: "):
            name, _, value = said.removeprefix("sandbox: ").partition("=")
            knobs[name] = value
        elif found["language"] == "python":
            line = page.count("\n", 0, found.start()) + 2
            session.blocks.append(Block(line, found["text"], knobs))
            knobs = {}
        elif found["language"] == "text":
            session.blocks[-1].printed = found["text"]
    yield session


def test_the_page_does_what_it_shows(tmp_path: Path, environment: dict[str, str]) -> None:
    with Sandbox(conversations=400, latency_ms=5, clock_skew=until_noon()) as sandbox:
        where = {**environment, **sandbox.environ()}
        for session in sessions(PAGE.read_text()):
            (killed if session.killed else walked)(session, sandbox, tmp_path, where)


def walked(session: Session, sandbox: Sandbox, folder: Path, environment: dict[str, str]) -> None:
    """Feed the blocks to one Python, one after the other."""
    command = [sys.executable, "-u", "-c", READER]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as python:
        assert python.stdin is not None
        assert python.stdout is not None
        for block in session.blocks:
            turn(sandbox, block)
            python.stdin.write(f"{block.text!r}\n")
            python.stdin.flush()
            printed = "".join(takewhile(lambda line: line != f"{END}\n", python.stdout))
            assert steady(printed) == steady(block.printed), f"{PAGE.name}:{block.line}"
        python.stdin.close()
        assert python.wait(60) == 0


def steady(text: str) -> list[str]:
    """The words that are the same each time."""
    return VARIES.sub("…", " ".join(text.split())).split()


READER = f"""
import ast, sys
names = {{"__name__": "walk"}}
for line in sys.stdin:
    exec(ast.literal_eval(line), names)
    print({END!r})
"""


def killed(session: Session, sandbox: Sandbox, folder: Path, environment: dict[str, str]) -> None:
    """Kill the process in the middle of its work."""
    (block,) = session.blocks
    turn(sandbox, block)
    before = sum(sandbox.effects().values())
    with subprocess.Popen([sys.executable, "-c", block.text], cwd=folder, env=environment) as python:
        deadline = time.monotonic() + 30
        while sum(sandbox.effects().values()) < before + 30:
            assert time.monotonic() < deadline
            assert python.poll() is None
            time.sleep(0.01)
        python.send_signal(signal.SIGKILL)
        assert python.wait(10) == -signal.SIGKILL


def turn(sandbox: Sandbox, block: Block) -> None:
    for name, value in block.knobs.items():
        if name.endswith("_ids"):
            sandbox.set(**{name: tuple(filter(None, value.split(",")))})
        else:
            sandbox.set(**{name: float(value)})


def test_the_prose_of_the_page_fits_into_80_columns() -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert [line for line in prose.splitlines() if len(line) > 80 and not line.startswith("|")] == []


def test_the_code_of_the_page_fits_into_80_columns() -> None:
    blocks = (block for session in sessions(PAGE.read_text()) for block in session.blocks)
    assert [line for block in blocks for line in block.text.splitlines() if len(line) > 80] == []
