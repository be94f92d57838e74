"""The names of what an updater gives to its items, made sure of before the first write."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from intercom_bulk.errors import Unauthorized

if TYPE_CHECKING:
    from intercom_bulk.updaters.base import IntercomBulkUpdater

__all__ = ["check_exists"]

logger = logging.getLogger(__name__)


def check_exists(updater: IntercomBulkUpdater, kind: str, wanted: str) -> None:
    """Raises `UnknownNameError` where the workspace has no such team, tag or admin."""
    try:
        updater.workspace.directory.resolve(kind, wanted)
    except Unauthorized:
        logger.info("the token may not list %ss: whether %s exists will show", kind, wanted)
