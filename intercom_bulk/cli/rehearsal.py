"""`sandbox` and `demo`: a simulated workspace, to rehearse on and to show what this is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from intercom_bulk.errors import UsageError

if TYPE_CHECKING:
    import argparse

__all__ = ["demo", "sandbox"]

MISSING = "The simulated workspace is an extra: pip install 'intercom-bulk[sandbox]'."


def sandbox(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C; its arguments are its own."""
    try:
        from intercom_bulk.sandbox.__main__ import main
    except ImportError as error:
        raise UsageError(MISSING) from error
    return main(list(given.arguments), prog="intercom-bulk sandbox")


def demo(given: argparse.Namespace) -> int:
    """Close a simulated inbox at the speed limit, and ask the server what it saw."""
    try:
        from intercom_bulk.cli.demo import show
    except ImportError as error:
        raise UsageError(MISSING) from error
    return show(given.conversations, given.latency_ms, given.search_latency_ms)
