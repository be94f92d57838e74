"""Asking for help: quick, complete, and on a screen of 80 columns."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from intercom_bulk.cli.completion import whole
from intercom_bulk.cli.parser import Parser, make_parser

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.conftest import Cli

PROGRAM = "intercom-bulk"


def walked(parser: Parser) -> Iterator[Parser]:
    yield parser
    for branch in parser.branches.values():
        yield from walked(branch)


COMMANDS = {parser.prog: parser for parser in walked(whole(make_parser()))}
FEW = [
    name
    for name in COMMANDS
    if not name.startswith((f"{PROGRAM} preview ", f"{PROGRAM} plan ")) or name.endswith(("set", "detach-company"))
]
"""The operations below `preview` and `plan` are the same ones."""


def test_each_command_explains_each_of_its_arguments() -> None:
    for name, parser in COMMANDS.items():
        told = [action for action in parser.arguments if not isinstance(action, argparse._SubParsersAction)]
        assert [action.dest for action in told if not action.help] == [], name


@pytest.mark.parametrize("name", FEW)
def test_the_help_of_each_command_can_be_read_on_80_columns(name: str, cli: Cli) -> None:
    if name == f"{PROGRAM} sandbox":
        pytest.skip("it has a help of its own, tested with it")
    ended = cli(*name.split()[1:], "--help")
    assert ended.code == 0
    assert ended.err == ""
    assert [line for line in ended.out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize("name", [name for name in FEW if COMMANDS[name].get_default("operation")])
def test_each_operation_refuses_to_guess_which_items(name: str, cli: Cli) -> None:
    ended = cli(*name.split()[1:])
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 2


def test_help_lists_every_command_and_the_exit_codes(cli: Cli) -> None:
    told = cli("--help").out
    assert [name for name in make_parser().branches if f"\n  {name} " not in told] == []
    assert all(f"\n  {code} " in told for code in (0, 1, 2, 3, 130))


@pytest.mark.parametrize(
    ("words", "meant"),
    [(["clos"], "close"), (["contacts", "tagg"], "tag"), (["runs", "lst"], "list"), (["preview", "assing"], "assign")],
)
def test_a_word_that_is_not_there_is_answered_with_the_nearest(words: list[str], meant: str, cli: Cli) -> None:
    ended = cli(*words)
    assert ended.code == 2
    assert f"did you mean {meant}" in ended.err


def test_options_are_not_guessed_from_their_beginning(cli: Cli) -> None:
    assert cli("close", "--all", "--ye").code == 2


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").out.startswith(f"{PROGRAM} ")


def test_help_loads_nothing_of_the_library_and_answers_at_once() -> None:
    asked = f"import sys\nfrom intercom_bulk.cli import main\nmain({['--help']!r})\n"
    heavy = "requests tenacity sqlite3 urllib3 rich intercom_bulk.updaters intercom_bulk.settings"
    check = f"print([name for name in {heavy.split()!r} if name in sys.modules], file=sys.stderr)"
    told = subprocess.run([sys.executable, "-c", asked + check], capture_output=True, text=True, check=True)
    assert told.stderr.strip() == "[]"


@pytest.mark.parametrize("words", [("--help",), ("close", "--help"), ("contacts", "--help")])
def test_help_takes_little_longer_than_python_itself(words: tuple[str, ...]) -> None:
    bare = quickest([sys.executable, "-c", "import argparse"])
    asked = quickest([sys.executable, "-m", "intercom_bulk", *words])
    assert asked < max(0.4, 5 * bare)


def quickest(command: list[str]) -> float:
    """Seconds, the best of a few: the machine has other things to do."""
    took = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run(command, capture_output=True, check=True, env=dict(os.environ))
        took.append(time.monotonic() - began)
    return min(took)
