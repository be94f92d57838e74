"""Runs: looked at, steered, taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Query
from starlette.responses import Response, StreamingResponse

from intercom_bulk.runs.model import Status  # noqa: TC001  FastAPI reads it
from intercom_bulk.service.answers import Json, errors
from intercom_bulk.service.models import (
    Asked,
    Confirmed,
    ItemsAnswer,
    LiveAnswer,
    RunAnswer,
    RunsAnswer,
)
from intercom_bulk.service.routes.parameters import STARTS, After, Limit, RunId

if TYPE_CHECKING:
    from fastapi import FastAPI

    from intercom_bulk.service.desk import Desk

__all__ = ["add_to"]

_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/x-ndjson", "text/markdown")
        },
    }
}


def add_to(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/runs", tags=["runs"], response_model=RunsAnswer, responses=errors(404, 422))
    def list_runs(after: After = None, limit: Limit = 20) -> Response:
        """Newest first."""
        return Json(desk.runs(after=after, limit=limit))

    @app.get("/api/live", tags=["runs"], response_model=LiveAnswer, responses=errors())
    def list_live() -> Response:
        """The runs that some process works on."""
        return Json({"runs": desk.live()})

    @app.get("/api/runs/{run_id}", tags=["runs"], response_model=RunAnswer, responses=errors(404, 422))
    def show_run(run_id: RunId) -> Response:
        """How it stands."""
        return Json(desk.run(run_id))

    @app.get("/api/runs/{run_id}/items", tags=["runs"], response_model=ItemsAnswer, responses=errors(404, 422))
    def list_items(
        run_id: RunId,
        status: Annotated[Status | None, Query(description="only items of this one")] = None,
        text: Annotated[str | None, Query(max_length=200, description="what id, code or message contain")] = None,
        after: After = None,
        limit: Limit = 50,
    ) -> Response:
        """In the order of their ids."""
        return Json(desk.items(run_id, status=status, text=text, after=after, limit=limit))

    @app.get(
        "/api/runs/{run_id}/report", tags=["runs"], response_class=Response, responses={**_REPORT, **errors(404, 422)}
    )
    def download_report(run_id: RunId, format: Literal["csv", "jsonl", "markdown"] = "csv") -> Response:
        """What happened to each item: csv, jsonl, or a markdown summary."""
        name, kind, pieces = desk.report(run_id, format)
        return StreamingResponse(
            pieces, media_type=kind, headers={"content-disposition": f'attachment; filename="{name}"'}
        )

    for wish, told in (("pause", "Send nothing more; what is in flight ends."), ("unpause", "Go on after a pause."),
                       ("stop", "End it, resumable; it is not waited for.")):  # fmt: skip
        _add_wish(app, desk, wish, told)

    @app.post("/api/runs/{run_id}/resume", tags=["runs"], response_model=RunAnswer, responses=STARTS)
    def resume_run(run_id: RunId) -> Response:
        """Go on with a run that was paused, stopped, halted or interrupted, under its own id."""
        return Json(desk.resume(run_id))

    @app.post("/api/runs/{run_id}/undo", tags=["runs"], response_model=RunAnswer, responses=STARTS)
    def undo_run(run_id: RunId, said: Confirmed) -> Response:
        """Take back what it did, where the items still are as it left them: a run of its own."""
        return Json(desk.undo(run_id, confirm=said.confirm))


def _add_wish(app: FastAPI, desk: Desk, wish: str, told: str) -> None:
    @app.post(
        f"/api/runs/{{run_id}}/{wish}",
        tags=["runs"],
        name=f"{wish}_run",
        operation_id=f"{wish}_run",
        description=told,
        response_model=Asked,
        responses=errors(404, 409, 415, 422),
    )
    def ask(run_id: RunId) -> Response:
        return Json(getattr(desk, wish)(run_id))
