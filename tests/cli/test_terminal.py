"""On a real terminal (a pseudo one): drawn, asked and answered."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intercom_bulk.sandbox import Sandbox


class Terminal:
    """A program on a terminal of 80 columns: what it shows, and a keyboard."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self._process = process
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def until(self, words: str, *, seconds: float = 20.0) -> None:
        """Read until this is shown."""
        deadline = time.monotonic() + seconds
        while words not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read()

    def ended(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        return self._process.wait(20)

    def _read(self) -> bool:
        try:
            said = os.read(self._master, 65536)
        except OSError:  # Linux says so when the other side is closed
            return False
        self.shown += said.decode(errors="replace")
        return bool(said)


@contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    command = [sys.executable, "-m", "intercom_bulk", *words]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment) as process:
        os.close(slave)
        try:
            yield Terminal(master, process)
        finally:
            process.kill()
            os.close(master)


def test_somebody_looks_agrees_and_watches(sandbox: Sandbox) -> None:
    with terminal("close", "--where", "state:open") as screen:
        screen.until("close: 28 conversations? [y/N]")
        assert sandbox.effects() == {}
        screen.type("y\n")
        assert screen.ended() == 0
    assert "28 done" in screen.shown
    assert len(sandbox.effects()) == 28


def test_what_is_typed_before_the_question_is_no_answer(sandbox: Sandbox) -> None:
    with terminal("close", "--where", "state:open") as screen:
        screen.type("y\ny\ny\n")
        screen.until("[y/N]")
        screen.type("n\n")
        assert screen.ended() == 130
    assert sandbox.effects() == {}


def test_it_is_drawn_where_rich_is_installed(sandbox: Sandbox) -> None:
    pytest.importorskip("rich")
    with terminal("close", "--where", "state:open", "--yes") as screen:
        assert screen.ended() == 0
    assert "items" in screen.shown
    assert "window" in screen.shown
