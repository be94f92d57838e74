"""The screens of a page, made by the real command on a terminal of 80 columns.

    python -m tests.docs.screens docs/command-line.md    # writes them anew

A block of `console` begins with the command after `$ `; what follows is what it shows. A comment before the block says
what is typed at its question: `<!-- answer: y -->`.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyte

from intercom_bulk.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Shot", "opened", "shots", "steady", "until_noon"]

WORKSPACE: dict[str, Any] = {
    "conversations": 600, "share_tagged": 0.3, "share_other_team": 0.2, "seed": 7, "latency_ms": 20,
}  # fmt: skip
COLUMNS, LINES = 80, 120
HOME, _HOME = "~/.local/state/intercom-bulk", re.compile(r"/tmp/\S+")
BLOCK = re.compile(
    r"(?:^<!-- answer: (?P<answer>.*?) -->\n)?^```console\n\$ (?P<command>.*?)\n(?P<shown>.*?)^```$", re.M | re.S
)
_VARIES = re.compile(
    r"\d{8}-\d{6}-[0-9a-f]{6}|\b[0-9a-f\n]{60,}|\d{4}-\d\d-\d\d \d\d:\d\d|\b\d{10}\b|[━╸╺]+"
    r"|\babout (?:a second|\d+ seconds)|[\d.,]+ s\b|[\d.]+ items/s|\d+/s|\d+:\d\d left|\d+%|next in"
    r"|\b[\d,]+ requests|[\d.]+ GB|Python [\d.]+|(?:under|in)\s+[~/]\S+|\s+"
)
"""Ids of runs, dates and times, bars, speeds, and where lines break because of them."""


class Shot(NamedTuple):
    """One block: what is typed, and what the page says that it shows."""

    command: str
    answer: str | None
    shown: str


def shots(page: str) -> Iterator[Shot]:
    for found in BLOCK.finditer(page):
        yield Shot(found["command"].replace("\\\n", ""), found["answer"], found["shown"])


def until_noon() -> float:
    """Seconds: a workspace whose day stands at noon finds the same whenever it is asked."""
    now = datetime.now(UTC)
    return (now.replace(hour=12, minute=0, second=0, microsecond=0) - now).total_seconds()


def opened(page: Path, folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[Shot, str]]:
    """Each block of the page, and what it shows now, one after the other on one workspace."""
    with Sandbox(**WORKSPACE) as sandbox, tempfile.TemporaryDirectory() as home:  # short: long ones break lines
        where = {**environment, **sandbox.environ(), "INTERCOM_BULK_HOME": home}
        for number, shot in enumerate(shots(page.read_text())):
            if number == 1:  # the doctor, who comes first, would remark on the clock
                sandbox.set(clock_skew=until_noon())
                sandbox.reset()
            yield shot, show(shot, folder, where)


def show(shot: Shot, folder: Path, environment: Mapping[str, str]) -> str:
    """What is on the screen when the command has ended."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    words = shlex.split(shot.command)
    assert words.pop(0) == "intercom-bulk", shot.command
    where = {**environment, "TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    command = [sys.executable, "-m", "intercom_bulk", *words]
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=where) as process:
        os.close(slave)
        asked = False
        while said := _read(master):
            stream.feed(said)
            if shot.answer is not None and not asked and _asks(screen):
                asked = True
                os.write(master, f"{shot.answer}\n".encode())
        process.wait(30)
    os.close(master)
    return "\n".join(line.rstrip() for line in screen.display).rstrip() + "\n"


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError:  # Linux says so when the other side is closed
        return b""


def _asks(screen: pyte.Screen) -> bool:
    line = screen.display[screen.cursor.y].rstrip()
    return line.endswith(("[y/N]", "to do it:"))


def steady(text: str) -> str:
    """What is the same each time."""
    return _VARIES.sub(" ", text).strip()


def main(page: Path) -> None:
    """Write the screens of the page anew."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INTERCOM_")}
    with tempfile.TemporaryDirectory() as folder:
        made = opened(page, Path(folder), {**clean, "PYTHONPATH": str(Path.cwd())})
        shown = [_HOME.sub(HOME, screen) for _, screen in made]

    def anew(found: re.Match[str]) -> str:
        return found[0][: found.start("shown") - found.start()] + shown.pop(0) + "```"

    page.write_text(BLOCK.sub(anew, page.read_text()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
