"""The command line `intercom-bulk`."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from intercom_bulk.cli.options import COMMON
from intercom_bulk.cli.parser import make_parser

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; the exit code. Nothing of the library is loaded before it is needed."""
    words = list(sys.argv[1:] if argv is None else argv)
    _open_closed()
    try:
        given = _given(words)
        from intercom_bulk.cli.ending import ended

        return ended(lambda: _command(given), given)
    except SystemExit as end:
        return int(end.code or 0)


def _open_closed() -> None:
    """A stream that whoever started this has closed (`>&-`) is nothing: not the next file that is opened."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  until the process ends


def _given(words: list[str]) -> argparse.Namespace:
    """What is said, and the rest of it. The sandbox reads its own words: it has a knob for everything."""
    if words[:1] == ["sandbox"]:
        return argparse.Namespace(run="intercom_bulk.cli.rehearsal:sandbox", arguments=words[1:], **COMMON)
    given = make_parser().parse_args(words)
    for name, value in COMMON.items():
        vars(given).setdefault(name, value)
    return given


def _command(given: argparse.Namespace) -> int:
    module, _, name = str(given.run).partition(":")
    code: int = getattr(import_module(module), name)(given)
    return code
