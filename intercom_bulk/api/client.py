"""One request, one answer or one error. No retries of its own, and every permit it takes it gives back."""

from __future__ import annotations

import logging
import math
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from intercom_bulk.api import codec, transport
from intercom_bulk.api.pace import Reading
from intercom_bulk.api.permit import Permit
from intercom_bulk.api.refusals import refusal
from intercom_bulk.api.resend import is_read, is_resendable
from intercom_bulk.clock import SYSTEM
from intercom_bulk.errors import ApiError, ItemIdError, RateLimited, Transient, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from intercom_bulk.api.audit import AuditTrail, Note
    from intercom_bulk.api.governor import Governor
    from intercom_bulk.clock import Clock
    from intercom_bulk.settings import Settings

__all__ = ["Answer", "Client", "Permit", "patience", "reading_of", "segment"]

logger = logging.getLogger(__name__)

MAX_BODY = 32 * 1024 * 1024
"""Bytes of one decompressed answer. A thread of 500 long parts stays under it."""

APPEND_IDLE = 2.0
"""Seconds that a connection may have been idle to carry a request that must not be sent twice."""

_SEGMENT = re.compile(r"[A-Za-z0-9_-]{1,128}")
_PATH = re.compile(r"[A-Za-z0-9_~%.-]+(/[A-Za-z0-9_~%.-]+)*")


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx with the JSON object that was expected. `date` is the server's clock in epoch seconds, if it said."""

    status: int
    body: dict[str, Any]
    request_id: str | None
    date: int | None


_patience: ContextVar[float] = ContextVar("intercom_bulk_patience", default=30.0)


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Requests of this thread, sent inside the block, bear that many seconds of silence."""
    token = _patience.set(seconds)
    try:
        yield
    finally:
        _patience.reset(token)


_permit: ContextVar[Permit | None] = ContextVar("intercom_bulk_permit", default=None)


def segment(item_id: object) -> str:
    """An id as one path segment. Quoting alone is not enough: `quote("..")` is still a step up."""
    text = str(item_id)
    if not _SEGMENT.fullmatch(text):
        raise ItemIdError(
            f"The id {text[:60]!r} cannot stand in a path: ids are up to 128 letters, digits, '-' and '_'."
        )
    return quote(text, safe="")


class Client:
    """The workspace's HTTP door. Thread-safe; the session is shared by all threads."""

    def __init__(
        self,
        settings: Settings,
        governor: Governor,
        session: requests.Session,
        clock: Clock = SYSTEM,
        trail: AuditTrail | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._governor = governor
        self._session = session
        self._trail = trail
        self._headers = {
            "Authorization": f"Bearer {settings.access_token!s}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Intercom-Version": settings.api_version,
            "User-Agent": "intercom-bulk",
        }

    def send(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | str | None = None,
        empty_ok: bool = False,
    ) -> Answer:
        """Send once, when the governor lets it. A silence lasts at most the thread's `patience`, the whole twice that.

        Raises the `ApiError` that says what to do next, `Stopped` when the run ends while this waits for its turn,
        and `UsageError` for a path that would leave the API's root.
        """
        prepared = self._prepare(method, path, json, params)
        resendable = is_resendable(method, path, json)
        call = self._take_permit()
        note: Note | None = None
        try:
            note = self._noted(prepared, json)
            answer, failure, reading, size = self._exchange(prepared, empty_ok=empty_ok, fresh=not resendable)
        except BaseException as error:
            self._governor.lost(call)
            if note is not None:
                note.end(error=type(error).__name__)
            raise
        if note is not None:
            end: Answer | ApiError | None = failure or answer
            status, request_id = (end.status, end.request_id) if end is not None else (None, None)
            note.end(status=status, error=failure.code if failure else None, request_id=request_id, size=size)
        if isinstance(failure, RateLimited):
            self._governor.refused(call, reading, retry_after=failure.retry_after)
        elif reading is None:
            self._governor.lost(call)
        else:
            self._governor.answered(call, reading)
        logger.debug("%s %s -> %s", method, path, failure.code if failure else "ok")
        # Raised here, outside any handler: no requests exception, whose request carries the token, hangs on to ours.
        if isinstance(failure, Transient):
            failure.resendable = resendable
        if failure is not None:
            raise failure
        assert answer is not None  # noqa: S101  narrowing: _exchange gives one of the two
        return answer

    @contextmanager
    def permit(self) -> Iterator[Permit]:
        """Take a permit now; the first `send` of this thread uses it, else it counts as one call made elsewhere."""
        permit = Permit(self._governor)
        token = _permit.set(permit)
        try:
            if self._trail is not None:
                self._trail.check()
            yield permit
        finally:
            _permit.reset(token)
            permit.close()

    def _noted(self, prepared: requests.PreparedRequest, json: Mapping[str, Any] | None) -> Note | None:
        if self._trail is None:
            return None
        method, path = str(prepared.method), str(prepared.url).removeprefix(self._settings.base_url)
        return self._trail.begin(method, path, None if is_read(method, path) else json)

    def _take_permit(self) -> int:
        held = _permit.get()
        call = held.take() if held is not None else None
        return self._governor.acquire() if call is None else call

    def _prepare(
        self, method: str, path: str, json: Mapping[str, Any] | None, params: Mapping[str, Any] | str | None
    ) -> requests.PreparedRequest:
        """By hand, from a template: `Request.prepare()` costs more CPU than the rest of the client."""
        trimmed = path.removeprefix(self._settings.base_url).strip("/")
        if not _PATH.fullmatch(trimmed) or {".", ".."} & set(trimmed.split("/")):
            raise UsageError(
                f"The path {path[:80]!r} must be relative to the API's root and plain: put ids through segment()."
            )
        url = f"{self._settings.base_url}/{trimmed}"
        if params:
            url += "?" + (params if isinstance(params, str) else urlencode(params))
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url = method.upper(), url
        prepared.headers = CaseInsensitiveDict(self._headers)
        prepared.hooks = {"response": []}
        if json is not None:
            body = codec.encode(json)
            prepared.body = body
            prepared.headers["Content-Type"] = "application/json"
            prepared.headers["Content-Length"] = str(len(body))
        elif prepared.method not in {"GET", "HEAD"}:
            prepared.headers["Content-Length"] = "0"
        return prepared

    def _exchange(
        self, prepared: requests.PreparedRequest, *, empty_ok: bool, fresh: bool
    ) -> tuple[Answer | None, ApiError | None, Reading | None, int | None]:
        """The last one: how many bytes the answer's body has."""
        connect, timeout = self._settings.connect_timeout, _patience.get()
        until = self._clock.monotonic() + 2 * timeout + connect
        try:
            # An append on a connection that the server is just closing would be in doubt: take one used a moment ago.
            with transport.exchange(until=until, max_idle=APPEND_IDLE if fresh else math.inf):
                response = self._session.send(
                    prepared,
                    stream=True,
                    timeout=(connect, timeout),
                    allow_redirects=False,
                    proxies=dict(self._settings.proxies),
                )
                data = transport.read_body(response, max_bytes=MAX_BODY)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            sent, code = transport.classify(error)
            return None, _broken(sent=sent, code=code, host=self._settings.base_url), None, None
        return *self._judge(response, data, empty_ok=empty_ok), len(data)

    def _judge(
        self, response: requests.Response, data: bytes, *, empty_ok: bool
    ) -> tuple[Answer | None, ApiError | None, Reading]:
        headers = response.headers
        reading = reading_of(headers)
        request_id = headers.get("X-Request-Id")
        body = _object(data)
        if not 200 <= response.status_code < 300:
            path = str(response.url).removeprefix(self._settings.base_url)
            return None, refusal(response.status_code, headers, body, path, self._settings.access_token), reading
        if body is None and empty_ok and not data:
            body = {}
        if body is None or body.get("type") == "error.list":
            message = "Intercom answered 2xx without the JSON it promises."
            failure = Transient(
                message, sent=True, code="bad_answer", status=response.status_code, request_id=request_id
            )
            return None, failure, reading
        return Answer(response.status_code, body, request_id or body.get("request_id"), reading.date), None, reading


def reading_of(headers: Mapping[str, str]) -> Reading:
    """The window's headers and the server's clock; None for what is missing or garbage (docs: rate limiting)."""
    return Reading(
        limit=_number(headers.get("X-RateLimit-Limit")),
        remaining=_number(headers.get("X-RateLimit-Remaining")),
        reset=_number(headers.get("X-RateLimit-Reset")),
        date=_epoch(headers.get("Date")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.strip().isdigit() else None


_dates: dict[str, int] = {}


def _epoch(text: str | None) -> int | None:
    """Parsing a date costs more than all other headers together, and a second's answers share theirs."""
    if text is None:
        return None
    known = _dates.get(text)
    if known is None:
        try:
            known = int(parsedate_to_datetime(text).timestamp())
        except (TypeError, ValueError):
            return None
        if len(_dates) > 64:
            _dates.clear()
        _dates[text] = known
    return known


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        value = codec.decode(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _broken(*, sent: bool, code: str, host: str) -> Transient:
    if sent:
        return Transient(
            f"The connection to Intercom failed before its answer was complete ({code}).", sent=True, code=code
        )
    return Transient(
        f"No connection to {host} ({code}): check the network, the region and the proxy.", sent=False, code=code
    )
