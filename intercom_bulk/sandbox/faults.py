"""Which fault strikes a request, drawn from a seeded stream; and which items always misbehave."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from intercom_bulk.sandbox.answers import Answer, Problem, html

if TYPE_CHECKING:
    from intercom_bulk.sandbox.options import SandboxOptions

__all__ = ["Fault", "Faults"]


class Fault(NamedTuple):
    """A fault of one request. `after`: the request takes effect first. `answer`: what is sent instead, if anything."""

    kind: str
    after: bool
    answer: Answer | None = None


_TITLES = {500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}
_CODES = {500: "server_error", 502: "service_unavailable", 503: "service_unavailable", 504: "service_unavailable"}


class Faults:
    """Draws at most one fault a request: the shares are disjoint, so they add up."""

    def __init__(self, options: SandboxOptions) -> None:
        self._random = random.Random(options.seed ^ 0xFA17)
        self._seen = 0
        self.struck: dict[str, int] = {}
        self.set_options(options)

    def set_options(self, options: SandboxOptions) -> None:
        """Changed shares hold from the next request; the stream of draws goes on."""
        self.options = options
        shares = {
            "5xx": options.errors_5xx,
            "reset": options.resets,
            "hang": options.hangs,
            "cut_body": options.cut_bodies,
            "cut_header": options.cut_headers,
            "empty_200": options.empty_200,
            "html_200": options.html_200,
            "html_403": options.html_403,
            "plain_429": options.plain_429,
            "drip": options.drips,
        }
        self._shares = [(kind, share) for kind, share in shares.items() if share > 0]
        self._items = any(
            (
                options.gone,
                options.gone_ids,
                options.poison_500,
                options.poison_500_ids,
                options.poison_422,
                options.poison_422_ids,
            )
        )

    def draw(self, *, write: bool) -> Fault | None:
        """The fault of the next request, if any."""
        self._seen += 1
        options = self.options
        if not self._shares or self._seen <= options.fault_after:
            return None
        if options.fault_scope == "writes" and not write:
            return None
        at = self._random.random()
        for kind, share in self._shares:
            at -= share
            if at < 0:
                self.struck[kind] = self.struck.get(kind, 0) + 1
                return self._make(kind)
        return None

    def _make(self, kind: str) -> Fault:
        options, draw = self.options, self._random.random
        if kind == "5xx":
            status = self._random.choice(options.errors_5xx_statuses)
            as_html = draw() < options.errors_5xx_html
            answer = html(status, _TITLES.get(status, "Error")) if as_html else _error(status)
            return Fault(kind, draw() < options.errors_5xx_after_share, answer)
        if kind == "reset":
            return Fault(kind, draw() < options.resets_after_share)
        if kind == "hang":
            return Fault(kind, draw() < options.hangs_after_share)
        if kind == "html_200":
            return Fault(kind, draw() < options.html_200_after_share, html(200, "OK"))
        if kind == "html_403":
            return Fault(kind, after=False, answer=html(403, "Forbidden"))
        if kind == "plain_429":
            return Fault(kind, after=False, answer=html(429, "Too Many Requests"))
        if kind == "empty_200":
            return Fault(kind, after=True, answer=Answer(200, b""))
        return Fault(kind, after=True)

    def check_item(self, item_id: str) -> None:
        """Raises the Problem that this item always has."""
        if not self._items:
            return
        options = self.options
        if item_id in options.gone_ids or self._drawn(item_id, b"gone", options.gone):
            raise Problem(404, "not_found", "Resource Not Found")
        if item_id in options.poison_500_ids or self._drawn(item_id, b"500", options.poison_500):
            raise Problem(500, "server_error", "Server error")
        if item_id in options.poison_422_ids or self._drawn(item_id, b"422", options.poison_422):
            raise Problem(422, "parameter_invalid", "this item cannot be changed")

    def _drawn(self, item_id: str, salt: bytes, share: float) -> bool:
        return share > 0 and crc32(b"%s:%s:%d" % (salt, item_id.encode(), self.options.seed)) < share * 2**32


def _error(status: int) -> Answer:
    return Problem(status, _CODES.get(status, "server_error"), _TITLES.get(status, "Error")).answer()
