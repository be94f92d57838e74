"""The pipeline, by the paths that people's runbooks have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Body
from starlette.responses import Response  # noqa: TC002  FastAPI reads it

from intercom_bulk.service.answers import Json, errors
from intercom_bulk.service.models import (
    PipelineActive,
    PipelineAnswer,
    PipelineAsked,
    PipelineStarted,
    PipelineStopping,
)
from intercom_bulk.service.routes.parameters import STARTS, Limit, PipelineId

if TYPE_CHECKING:
    from fastapi import FastAPI

    from intercom_bulk.service.desk import Desk

__all__ = ["add_to"]


def add_to(app: FastAPI, desk: Desk) -> None:
    pipeline = desk.pipeline

    @app.post("/api/pipeline/run", tags=["pipeline"], response_model=PipelineStarted, responses=STARTS)
    def run_pipeline(said: Annotated[PipelineAsked, Body()] = PipelineAsked()) -> Response:  # noqa: B008
        """Fetch the conversations of the last days and work them out; or go on with a run, under its own id."""
        return Json(
            pipeline.run(
                days=said.days,
                auto_create_stories=said.auto_create_stories,
                resume=said.resume,
                resume_run_id=said.resume_run_id,
            )
        )

    @app.get("/api/pipeline/active", tags=["pipeline"], response_model=PipelineActive, responses=errors(502))
    def active_pipeline() -> Response:
        """The run under way, in whatever process."""
        return Json(pipeline.active())

    @app.get("/api/pipeline/status/{run_id}", tags=["pipeline"], response_model=PipelineAnswer,
             responses=errors(404, 422, 502))  # fmt: skip
    def pipeline_status(run_id: PipelineId) -> Response:
        """How a run stands."""
        return Json(pipeline.status(run_id))

    @app.get("/api/pipeline/history", tags=["pipeline"], response_model=list[PipelineAnswer],
             responses=errors(422, 502))  # fmt: skip
    def pipeline_history(limit: Limit = 20) -> Response:
        """Newest first."""
        return Json(pipeline.history(limit))

    @app.post("/api/pipeline/stop", tags=["pipeline"], response_model=PipelineStopping, responses=errors(409, 415, 502))
    def stop_pipeline() -> Response:
        """What is in flight ends and is stored, and a checkpoint is kept."""
        return Json(pipeline.stop())
