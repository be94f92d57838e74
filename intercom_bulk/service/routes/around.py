"""The rate, the mirror, the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from intercom_bulk.service.answers import Json, errors
from intercom_bulk.service.metrics import CONTENT_TYPE, exposition
from intercom_bulk.service.models import (
    MirrorAnswer,
    RateAnswer,
)

if TYPE_CHECKING:
    from fastapi import FastAPI

    from intercom_bulk.service.desk import Desk

__all__ = ["add_to"]

_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


def add_to(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/rate", tags=["around"], response_model=RateAnswer, responses=errors())
    def show_rate() -> Response:
        """The last hour of ten-second windows."""
        return Json(desk.rate())

    @app.get("/api/mirror", tags=["around"], response_model=MirrorAnswer, responses=errors(502))
    def show_mirror() -> Response:
        """What the local copy holds, how far it can be trusted, day by day."""
        return Json(desk.mirror())

    @app.get("/metrics", tags=["around"], response_class=Response, responses={**_METRICS, **errors()})
    def metrics() -> Response:
        """For Prometheus; it sends the token as bearer (`authorization` in its scrape_config)."""
        return Response(exposition(desk), media_type=CONTENT_TYPE)
