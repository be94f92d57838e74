"""The names under which records and plans keep updaters: the public door's, so that a class may move between rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import intercom_bulk

if TYPE_CHECKING:
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["lasting", "lasting_name"]

DOOR = "intercom_bulk"


def lasting_name(kind: type[IntercomBulkUpdater]) -> str:
    """The name that finds the class again, "module:Class"; for one of ours whatever room it lives in by then."""
    return lasting(f"{kind.__module__}:{kind.__qualname__}")


def lasting(name: str) -> str:
    """A name as records have it, also one from before its class moved: what is public is named by the door."""
    module, _, path = name.partition(":")
    is_ours = module == DOOR or module.startswith(f"{DOOR}.")
    return f"{DOOR}:{path}" if is_ours and path in intercom_bulk.__all__ else name
