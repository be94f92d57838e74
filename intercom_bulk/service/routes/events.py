"""Streams of server-sent events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from intercom_bulk.service.answers import errors
from intercom_bulk.service.events import ALL
from intercom_bulk.service.routes.parameters import RunId, Seconds  # noqa: TC001  FastAPI reads it

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import FastAPI

    from intercom_bulk.service.desk import Desk
    from intercom_bulk.service.events import Stream

__all__ = ["add_to"]

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events; `data` is JSON.",
        "content": {
            "text/event-stream": {
                "schema": {
                    "type": "object",
                    "properties": {"event": {"enum": ["run", "runs", "bye"]}, "data": {"type": "string"}},
                }
            }
        },
    }
}


def add_to(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/events", tags=["events"], response_class=Response, responses={**_STREAM, **errors(422)})
    async def watch_all(seconds: Seconds = None) -> Response:
        """`event: runs`, about twice a second while something goes on."""
        return await _streamed(desk, ALL, seconds)

    @app.get(
        "/api/runs/{run_id}/events", tags=["events"], response_class=Response, responses={**_STREAM, **errors(404, 422)}
    )
    async def watch_run(run_id: RunId, seconds: Seconds = None) -> Response:
        """`event: run`, of one."""
        return await _streamed(desk, run_id, seconds)


async def _streamed(desk: Desk, topic: str, seconds: float | None) -> Response:
    first = await run_in_threadpool(desk.picture, topic)
    stream, longest = desk.hub.open(topic), desk.hub.longest
    stream.put(first)
    seconds = longest if seconds is None else seconds if longest is None else min(seconds, longest)
    return StreamingResponse(_read(desk, topic, stream, seconds), media_type="text/event-stream")


async def _read(desk: Desk, topic: str, stream: Stream, seconds: float | None) -> AsyncIterator[bytes]:
    try:
        async for picture in stream.read(seconds):
            yield picture
    finally:
        desk.hub.leave(topic, stream)
