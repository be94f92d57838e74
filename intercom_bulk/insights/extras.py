"""What the extra `insights` installs, imported where it is first used, with a sentence for who has not got it."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from intercom_bulk.errors import UsageError

__all__ = ["extra"]


def extra(module: str) -> Any:
    """A module of the extra. Raises `UsageError`, which says what to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{module.partition('.')[0]} is missing, which insights need: pip install 'intercom-bulk[insights]'"
        ) from error
