"""`completion`: what a shell wants to know to complete the words of `intercom-bulk`. Made by shtab, an extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from intercom_bulk.cli.parser import Parser, make_parser
from intercom_bulk.cli.screen import Screen
from intercom_bulk.cli.values import file_and_column
from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["completion", "whole"]


def completion(given: argparse.Namespace) -> int:
    """The script on stdout; how to use it on stderr."""
    try:
        import shtab
    except ImportError as error:
        raise UsageError("Completion is made by an extra: pip install 'intercom-bulk[cli]'.") from error
    screen = Screen(given)
    script = shtab.complete(whole(make_parser(grouped=False), files=shtab.FILE), shell=given.shell)
    if screen.as_json:
        screen.give({"shell": given.shell, "script": script})
    else:
        screen.show(script)
    screen.say(_HOW[given.shell])
    return 0


def whole(parser: Parser, *, files: object = None) -> Parser:
    """The parser with every branch of its tree. `files`: what shtab wants to find where a file's name is meant."""
    for branch in parser.filled().branches.values():
        whole(branch, files=files)
    for action in parser.arguments:
        if action.type in {Path, file_and_column}:
            action.complete = files  # type: ignore[attr-defined]
    return parser


_HOW = {
    "bash": "To use it: intercom-bulk completion bash > ~/.local/share/bash-completion/completions/intercom-bulk",
    "zsh": "To use it: intercom-bulk completion zsh > a folder of your $fpath, as _intercom-bulk",
    "fish": "To use it: intercom-bulk completion fish > ~/.config/fish/completions/intercom-bulk.fish",
}
