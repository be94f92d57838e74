"""Operations, and plans of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Body
from starlette.responses import Response  # noqa: TC002  FastAPI reads it

from intercom_bulk.service.answers import Json, errors
from intercom_bulk.service.models import (
    Applying,
    OperationAnswer,
    PlanAnswer,
    Planning,
    PlansAnswer,
    RunAnswer,
)
from intercom_bulk.service.routes.parameters import STARTS, Digest, Limit

if TYPE_CHECKING:
    from fastapi import FastAPI

    from intercom_bulk.service.desk import Desk

__all__ = ["add_to"]


def add_to(app: FastAPI, desk: Desk) -> None:
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

    @app.post("/api/plans/{digest}/apply", tags=["plans"], response_model=RunAnswer, responses=STARTS)
    def apply_plan(digest: Digest, said: Annotated[Applying, Body()] = Applying()) -> Response:  # noqa: B008
        """Start the run over exactly its items; once."""
        told = desk.apply(digest, irreversible=said.irreversible, strict=said.strict, max_items=said.max_items)
        return Json(told)
