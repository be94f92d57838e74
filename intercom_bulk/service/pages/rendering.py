"""Templates, and the files that they name. Everything that a template prints is escaped, whatever its name."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from intercom_bulk.clock import SYSTEM
from intercom_bulk.service.pages import words

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import Scope

__all__ = ["STATIC", "Assets", "page"]

_HERE = Path(__file__).parent.parent
STATIC = _HERE / "static"
_A_YEAR = "private, max-age=31536000, immutable"


class Assets(StaticFiles):
    """The files of `static`. One that is named by its content is kept by the browser; any other is asked for again."""

    def __init__(self) -> None:
        super().__init__(directory=STATIC)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        is_named = (
            scope["query_string"].decode("latin-1") == f"v={_version(path)}" if response.status_code < 400 else False
        )
        response.headers["Cache-Control"] = _A_YEAR if is_named else "no-cache"
        return response


def page(template: str, *, code: int = 200, **context: Any) -> HTMLResponse:
    """A page, or the part of one. Never kept: what it says is of this moment."""
    text = _environment().get_template(template).render(**context)
    return HTMLResponse(text, status_code=code, headers={"Cache-Control": "no-store"})


def _asset(path: str) -> str:
    return f"/static/{path}?v={_version(path)}"


@cache
def _version(path: str) -> str:
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    found.globals["asset"] = _asset
    found.filters |= {
        "number": words.number,
        "percent": words.percent,
        "duration": words.duration,
        "iso": words.iso,
        "clock": words.clock,
        "ago": lambda at: words.ago(at, SYSTEM.time()),
    }
    return found
