"""The server around the application: where it listens, and how it stops."""

from __future__ import annotations

import ipaddress
import logging
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from intercom_bulk.errors import SettingsError, UsageError
from intercom_bulk.service.app import make_app
from intercom_bulk.service.desk import Desk
from intercom_bulk.service.security import LEAST_TOKEN, TokenFilter, drawn_token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from intercom_bulk.pipeline.pipeline import Pipeline
    from intercom_bulk.service.security import Access
    from intercom_bulk.settings import Settings

__all__ = ["PORT", "TOKEN_VARIABLE", "Service", "chosen_token"]

PORT = 8000
TOKEN_VARIABLE = "INTERCOM_BULK_SERVICE_TOKEN"  # noqa: S105  its name
logger = logging.getLogger(__name__)


class Service:
    """A desk, its application, its socket. `run()` serves until SIGTERM, SIGINT or `stop()`; `ready` is set when it
    answers.
    """

    def __init__(
        self, settings: Settings, *, token: str, host: str = "127.0.0.1", port: int = PORT, names: Iterable[str] = (),
        secure: bool = False,
        pipeline: Pipeline | None = None,
        longest_stream: float | None = None,
    ) -> None:  # fmt: skip
        self.token = token
        wanted = [name.lower() for name in names]
        _check_names(wanted)
        self._socket = _listening(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.hosts = _hosts(host, self.port, wanted)
        self.ready = threading.Event()
        self.desk = Desk(settings, pipeline=pipeline, longest_stream=longest_stream)
        app = make_app(self.desk, token=token, hosts=self.hosts, secure=secure)
        self.access: Access = app.state.access
        config = uvicorn.Config(
            app,
            access_log=False,  # its lines would have the token of /login
            log_config=None,
            server_header=False,
            proxy_headers=False,
            ws="none",
            http="h11",  # the other one, where it is installed, takes heads of any size
            timeout_keep_alive=30,
            timeout_graceful_shutdown=30,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._server = _Server(config, self.desk, self.ready)
        for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).addFilter(TokenFilter(token, str(settings.access_token)))

    @property
    def address(self) -> str:
        """Of this machine's browser."""
        return f"http://{_shown(self.host)}:{self.port}"

    @property
    def login(self) -> str:
        """The address that gives a browser its cookie."""
        return f"{self.address}/login?token={self.token}"

    def run(self) -> None:
        """Runs that go on are stopped, resumable, before this returns."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.close()

    def close(self) -> None:
        """Of a service that has served, or never did."""
        self.desk.close()
        self._socket.close()

    def stop(self) -> None:
        """From any thread."""
        self._server.should_exit = True

    def __repr__(self) -> str:
        return f"Service({self.address})"


class _Server(uvicorn.Server):
    """Tells the desk first: uvicorn waits for streams that are open, and they wait for news."""

    def __init__(self, config: uvicorn.Config, desk: Desk, ready: threading.Event) -> None:
        super().__init__(config)
        self._desk = desk
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but for its end: that one raises the signal again, and the runs would be cut."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._desk.closing()
        await super().shutdown(sockets)


def chosen_token(said: str | None, host: str) -> str:
    """The token of this start: the one that was chosen, or a new one. Raises `SettingsError`."""
    if said:
        if len(said) < LEAST_TOKEN or not all("!" <= c <= "~" for c in said):
            raise SettingsError(
                f"{TOKEN_VARIABLE} must be {LEAST_TOKEN} or more printable characters without spaces: make one with"
                " `python -c 'import secrets; print(secrets.token_urlsafe(32))'`."
            )
        return said
    if not _is_loopback(host):
        raise SettingsError(
            f"--host {host} lets other machines ask: set {TOKEN_VARIABLE} to a token of your own first, or leave --host"
            " out."
        )
    return drawn_token()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _check_names(names: Sequence[str]) -> None:
    if any(not name or any(c in name for c in "/@?# *") for name in names):
        raise UsageError("--allow-host takes a name as a browser shows it, such as bulk.example.com or 10.0.0.5:8000.")


def _hosts(host: str, port: int, names: Sequence[str]) -> frozenset[str]:
    """As browsers write them: loopback's three names, the address itself, and what somebody calls it: with its port,
    or, where that goes without saying, without.
    """
    anywhere = host in {"0.0.0.0", "::"}  # noqa: S104
    loopback = ("127.0.0.1", "localhost", "[::1]") if anywhere or _is_loopback(host) else ()
    own = () if anywhere else (_shown(host).lower(),)
    with_port = {name for name in names if ":" in name.rpartition("]")[2]}
    plain = set(names) - with_port
    return frozenset(with_port | plain | {f"{name}:{port}" for name in (*loopback, *own, *plain)})


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _listening(host: str, port: int) -> socket.socket:
    if not 0 <= port < 1 << 16:
        raise UsageError(f"--port must be from 0 to 65535, not {port}.")
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(found[0], socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(found[4])
        made.listen(128)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}): choose another --port.") from None
    return made
