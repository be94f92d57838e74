"""The application: the gate around it, its door, its routes and its pages. What they say is said by `Desk`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from importlib import import_module, util
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.responses import RedirectResponse, Response

from intercom_bulk.clock import bind_stop
from intercom_bulk.service import routes
from intercom_bulk.service.answers import Json, speak_plainly
from intercom_bulk.service.models import HealthAnswer
from intercom_bulk.service.security import Access, Gate

if TYPE_CHECKING:
    import threading
    from collections.abc import AsyncIterator, Iterable

    from starlette.types import Receive, Scope, Send

    from intercom_bulk.service.desk import Desk

__all__ = ["make_app"]


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
    routes.add_to(app, desk)
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
