"""The functions of the script that this package replaces, under their old names."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from intercom_bulk.display import ProgressLine
from intercom_bulk.runs.options import RunOptions
from intercom_bulk.updaters.conversations import ConversationCloser

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.runs.summary import Progress, Summary

__all__ = ["bulk_close", "bulk_close_hybrid", "bulk_close_maximal"]

logger = logging.getLogger(__name__)


def bulk_close(
    team_id: str | int | None = None,
    parallel_workers: int | None = None,
    batch_size: int = 50,
    max_conversations: int | None = None,
    *,
    delay: float | None = None,
    progress: Callable[[Progress], None] | str | None = "stderr",
    options: RunOptions | None = None,
    **keywords: Any,
) -> Summary:
    """Close the open conversations of a team; `team_id` (id or name) None: `INTERCOM_INBOX_ID`.

    `progress` None silences the line on stderr; a function gets each `Progress` instead. `delay` is accepted for the
    sake of old calls and ignored: the pace comes from the API's own headers. Raises `UsageError` before anything is
    written; a run halted later says so in the summary.
    """
    if delay is not None:
        logger.warning("delay=%s is ignored: the pace comes from Intercom's rate-limit headers", delay)
    line = ProgressLine() if progress == "stderr" else None
    callback = line if line is not None else progress
    chosen = options or RunOptions()
    if chosen.progress is None and callable(callback):
        chosen = replace(chosen, progress=callback)
    connection = {name: keywords.pop(name) for name in _CONNECTION if name in keywords}
    closer = ConversationCloser(**connection)
    try:
        summary = closer.bulk_close(
            team_id, parallel_workers, batch_size, max_conversations, options=chosen, **keywords
        )
    except KeyboardInterrupt:
        if line is not None:
            line.interrupted()
        raise
    if line is not None:
        line.finish(summary)
    return summary


_CONNECTION = ("access_token", "admin_id", "settings", "region", "base_url")

bulk_close_hybrid = bulk_close
bulk_close_maximal = bulk_close
