"""The pages of the dashboard: server-rendered, and told by the stream when to ask for a part of them again."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from starlette.requests import Request  # noqa: TC002  FastAPI reads the annotation of a route

from intercom_bulk.errors import IntercomBulkError
from intercom_bulk.service.pages.mirrors import mirror_view
from intercom_bulk.service.pages.pipelines import PipelineView, StoryView
from intercom_bulk.service.pages.planning import PlanView, fields, grouped
from intercom_bulk.service.pages.rates import rate_view
from intercom_bulk.service.pages.rendering import Assets, page
from intercom_bulk.service.pages.views import RunView, about, item, link, tabs
from intercom_bulk.service.refusals import status_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI
    from starlette.responses import HTMLResponse

    from intercom_bulk.service.desk import Desk

__all__ = ["add_to"]

RECENT = 25
ITEMS = 50
_STREAM = "/api/events"


def add_to(app: FastAPI) -> None:
    """The pages and their assets. `app.state.desk` answers them."""
    app.mount("/static", Assets(), name="static")
    for path, answer in (
        ("/", _home), ("/runs/{run_id}", _run), ("/plan", _plan), ("/plans/{digest}", _plan_one), ("/rate", _rate),
        ("/mirror", _mirror), ("/pipeline", _pipeline),
    ):  # fmt: skip
        app.add_api_route(path, _told(answer), methods=["GET"], include_in_schema=False)


def _told(answer: Any) -> Any:
    """A page that cannot be made says why, as a page."""

    def ask(request: Request) -> HTMLResponse:
        try:
            found: HTMLResponse = answer(request, request.app.state.desk)
        except IntercomBulkError as error:
            status = status_of(error)
            title = "Not found" if status == 404 else "That did not work"
            return page("trouble.html", code=status, title=title, text=str(error), **_frame(""))
        return found

    return ask


def _frame(here: str, stream: str = "") -> dict[str, Any]:
    """What every page has around it."""
    return {"here": here, "stream": stream, "version": _version(), "workspace": ""}


def _version() -> str:
    try:
        return version("intercom-bulk")
    except PackageNotFoundError:  # run from a folder of source
        return ""


def _is_part(request: Request) -> bool:
    return request.query_params.get("part") == "1"


def _home(request: Request, desk: Desk) -> HTMLResponse:
    window = desk.rate()["now"]
    live = [RunView(told, window) for told in desk.live()]
    under_way = {run.id for run in live}
    # What a pipeline does phase by phase is told on its own page.
    listed = [told for told in desk.runs(limit=2 * RECENT)["runs"] if told["kind"] != "phase"]
    recent = [RunView(told) for told in listed[:RECENT] if told["run_id"] not in under_way]
    return page(
        "parts/home.html" if _is_part(request) else "home.html",
        live=live, recent=recent,
        say=" ".join(run.say for run in live) or "Nothing is under way.",
        say_state=" ".join(f"{run.id} {run.state}" for run in live),
        **_frame("/", _STREAM),
    )  # fmt: skip


def _run(request: Request, desk: Desk) -> HTMLResponse:
    told = desk.run(request.path_params["run_id"])
    run = RunView(told, desk.rate()["now"])
    shown = {"run": run, "history": told["rates"] if len(told["rates"]) > 2 else []}
    if _is_part(request):
        return page("parts/run.html", **shown)
    stream = f"/api/runs/{run.id}/events" if run.is_live else _STREAM
    return page("run.html", about=about(told), **shown, **_items(request, desk, told, run), **_frame("/runs", stream))


def _items(request: Request, desk: Desk, told: Mapping[str, Any], run: RunView) -> dict[str, Any]:
    """The rows that the query asks for, and the ways to others."""
    asked = request.query_params
    status, text, after = (
        asked.get("status") or None,
        (asked.get("text") or "").strip() or None,
        asked.get("after") or None,
    )
    found = desk.items(run.id, status=status, text=text, after=after, limit=ITEMS)
    query = {"status": status, "text": text}
    return {
        "items": [item(one) for one in found["items"]],
        "tabs": tabs(told, status, text),
        "status": status,
        "text": text or "",
        "prev": link(run.path, **query) if after else None,
        "next": link(run.path, **query, after=found["next"]) if found["next"] else None,
        "here_now": link(run.path, **query, after=after),
        "size": ITEMS,
        "counted": None if text else told["counts"].get(status) if status else sum(told["counts"].values()),
    }


def _plan(request: Request, desk: Desk) -> HTMLResponse:
    operations, asked = desk.operations(), request.query_params
    chosen = next((row for row in operations if row["operation"] == asked.get("operation")), operations[0])
    form: dict[str, Any] = {
        "groups": grouped(operations), "chosen": chosen, "arguments": fields(chosen), "where": asked.get("where", ""),
        "reason": asked.get("reason", ""),
    }  # fmt: skip
    if asked.get("part") == "form":
        return page("parts/plan_form.html", **form)
    return page("plan.html", plans=[PlanView(told) for told in desk.plans(limit=RECENT)], **form, **_frame("/plan"))


def _plan_one(request: Request, desk: Desk) -> HTMLResponse:
    return page("plan_one.html", plan=PlanView(desk.plan_view(request.path_params["digest"])), **_frame("/plans"))


def _rate(request: Request, desk: Desk) -> HTMLResponse:
    template = "parts/rate.html" if _is_part(request) else "rate.html"
    return page(template, **rate_view(desk.rate()), **_frame("/rate", _STREAM))


def _mirror(_: Request, desk: Desk) -> HTMLResponse:
    return page("mirror.html", **mirror_view(desk.mirror()), **_frame("/mirror"))


def _pipeline(request: Request, desk: Desk) -> HTMLResponse:
    runs = [PipelineView(told) for told in desk.pipeline.history(RECENT)]
    shown = next((run for run in runs if run.is_live), runs[0] if runs else None)
    stories = [StoryView(told) for told in desk.mirror()["stories"]] if runs else []
    return page(
        "parts/pipeline.html" if _is_part(request) else "pipeline.html",
        shown=shown, history=[run for run in runs if run is not shown], stories=stories,
        say=shown.say if shown else "No pipeline run yet.", say_state=shown.status if shown else "",
        **_frame("/pipeline", _STREAM),
    )  # fmt: skip
