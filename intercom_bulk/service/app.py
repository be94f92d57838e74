"""The routes. What they say is said by `Desk`; who may ask is decided by `Gate`, around all of this."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module, util
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import Body, FastAPI, Path, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from intercom_bulk.clock import bind_stop
from intercom_bulk.runs.model import Status  # noqa: TC001  FastAPI reads it
from intercom_bulk.service.answers import Json, errors, speak_plainly
from intercom_bulk.service.events import ALL
from intercom_bulk.service.metrics import CONTENT_TYPE, exposition
from intercom_bulk.service.models import (
    Applying,
    Asked,
    Confirmed,
    HealthAnswer,
    ItemsAnswer,
    LiveAnswer,
    MirrorAnswer,
    OperationAnswer,
    PipelineActive,
    PipelineAnswer,
    PipelineAsked,
    PipelineStarted,
    PipelineStopping,
    PlanAnswer,
    Planning,
    PlansAnswer,
    RateAnswer,
    RunAnswer,
    RunsAnswer,
)
from intercom_bulk.service.security import Access, Gate

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Iterable

    from starlette.types import Receive, Scope, Send

    from intercom_bulk.service.desk import Desk
    from intercom_bulk.service.events import Stream

__all__ = ["make_app"]

RunId = Annotated[str, Path(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9_-]+$", description="a run's id")]
Digest = Annotated[str, Path(min_length=64, max_length=64, pattern=r"^[0-9a-f]+$", description="a plan's digest")]
PipelineId = Annotated[int, Path(ge=1, le=2**53, description="a run of the pipeline")]
Limit = Annotated[int, Query(ge=1, le=500)]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
Seconds = Annotated[float | None, Query(ge=0, le=86_400, description="end the stream after so long; else it goes on")]
_STARTS = errors(404, 409, 415, 422, 502)
_METRICS: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}
_REPORT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/x-ndjson", "text/markdown")
        },
    }
}
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


def make_app(desk: Desk, *, token: str, hosts: Iterable[str], secure: bool = False) -> FastAPI:
    """The whole service. `hosts`: the exact `host:port` that it may be asked by. `secure`: it stands behind https."""
    access = Access.to(token, hosts, secure=secure)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        desk.closing()

    app = _Guarded(
        access,
        desk.ending,
        title="intercom-bulk",
        version="1",
        description="Bulk runs on one Intercom workspace: look, plan, apply, watch, steer, take back.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    speak_plainly(app, desk.settings)
    _add_door(app, access)
    _add_runs(app, desk)
    _add_plans(app, desk)
    _add_around(app, desk)
    _add_pipeline(app, desk)
    _add_events(app, desk)
    if util.find_spec("intercom_bulk.service.pages") is not None:
        import_module("intercom_bulk.service.pages").add_to(app)
    app.state.desk, app.state.access = desk, access
    return app


class _Guarded(FastAPI):
    """Nobody gets in beside the gate, and nothing out: it stands before the framework's own middleware."""

    def __init__(self, access: Access, ending: threading.Event, **more: Any) -> None:
        super().__init__(**more)
        self._ending = ending
        self._gate = Gate(super().__call__, access=access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        bind_stop(self._ending)  # of this request alone, and of the thread that answers it
        await self._gate(scope, receive, send)


def _add_door(app: FastAPI, access: Access) -> None:
    @app.get("/healthz", tags=["around"], response_model=HealthAnswer, summary="Whether it answers; needs no token")
    def healthz() -> Response:
        return Json({"status": "ok"})

    @app.get("/login", include_in_schema=False)
    def login() -> Response:
        """The token was looked at by the gate."""
        return RedirectResponse("/", status_code=303, headers={"set-cookie": access.set_cookie()})


def _add_runs(app: FastAPI, desk: Desk) -> None:
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

    @app.post("/api/runs/{run_id}/resume", tags=["runs"], response_model=RunAnswer, responses=_STARTS)
    def resume_run(run_id: RunId) -> Response:
        """Go on with a run that was paused, stopped, halted or interrupted, under its own id."""
        return Json(desk.resume(run_id))

    @app.post("/api/runs/{run_id}/undo", tags=["runs"], response_model=RunAnswer, responses=_STARTS)
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


def _add_plans(app: FastAPI, desk: Desk) -> None:
    @app.get("/api/operations", tags=["plans"], response_model=list[OperationAnswer], responses=errors())
    def list_operations() -> Response:
        """What can be planned, with which arguments."""
        return Json(desk.operations())

    @app.get("/api/plans", tags=["plans"], response_model=PlansAnswer, responses=errors(422))
    def list_plans(limit: Limit = 50) -> Response:
        """Newest first, without samples."""
        return Json({"plans": desk.plans(limit)})

    @app.post("/api/plans", tags=["plans"], response_model=PlanAnswer, responses=errors(404, 415, 422, 502))
    def make_plan(said: Planning) -> Response:
        """Look at every item that an operation would change, and freeze the list. Nothing is written to Intercom."""
        exclude = said.exclude.model_dump() if said.exclude is not None else None
        told = desk.plan(
            said.operation,
            said.arguments,
            where=said.where,
            query=said.query,
            ids=said.ids,
            everything=said.all,
            exclude=exclude,
            max_items=said.max_items,
            reason=said.reason,
        )
        return Json(told)

    @app.get("/api/plans/{digest}", tags=["plans"], response_model=PlanAnswer, responses=errors(404, 422))
    def show_plan(digest: Digest) -> Response:
        """Counts, a sample, side effects, what cannot be undone, and whether it may still be applied."""
        return Json(desk.plan_view(digest))

    @app.post("/api/plans/{digest}/apply", tags=["plans"], response_model=RunAnswer, responses=_STARTS)
    def apply_plan(digest: Digest, said: Annotated[Applying, Body()] = Applying()) -> Response:  # noqa: B008
        """Start the run over exactly its items; once."""
        told = desk.apply(digest, irreversible=said.irreversible, strict=said.strict, max_items=said.max_items)
        return Json(told)


def _add_around(app: FastAPI, desk: Desk) -> None:
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


def _add_pipeline(app: FastAPI, desk: Desk) -> None:
    pipeline = desk.pipeline

    @app.post("/api/pipeline/run", tags=["pipeline"], response_model=PipelineStarted, responses=_STARTS)
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


def _add_events(app: FastAPI, desk: Desk) -> None:
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
