"""The server around the application: where it listens, and how it stops."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from typing import TYPE_CHECKING

import uvicorn

from intercom_bulk.errors import SettingsError, UsageError
from intercom_bulk.service.app import make_app
from intercom_bulk.service.desk import Desk
from intercom_bulk.service.security import LEAST_TOKEN, TokenFilter, drawn_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from intercom_bulk.settings import Settings

__all__ = ["PORT", "TOKEN_VARIABLE", "Service", "chosen_token"]

PORT = 8000
TOKEN_VARIABLE = "INTERCOM_BULK_SERVICE_TOKEN"  # noqa: S105  its name
logger = logging.getLogger(__name__)


class Service:
    """One service: a desk, its application, its socket. `run()` serves until SIGTERM, SIGINT or `stop()`."""

    def __init__(
        self, settings: Settings, *, token: str, host: str = "127.0.0.1", port: int = PORT, names: Iterable[str] = (),
        secure: bool = False,
    ) -> None:  # fmt: skip
        self.token = token
        self._socket = _listening(host, port)
        self.host, self.port = host, int(self._socket.getsockname()[1])
        self.hosts = _hosts(host, self.port, names)
        self.desk = Desk(settings)
        app = make_app(self.desk, token=token, hosts=self.hosts, secure=secure)
        config = uvicorn.Config(
            app,
            access_log=False,  # its lines would have the token of /login
            log_config=None,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=30,
            h11_max_incomplete_event_size=64 * 1024,
        )
        self._server = _Server(config, self.desk)
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

    @property
    def is_serving(self) -> bool:
        return bool(self._server.started)

    def run(self) -> None:
        """Runs that go on are stopped, resumable, before this returns."""
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self.desk.close()
            self._socket.close()

    def stop(self) -> None:
        """From any thread."""
        self._server.should_exit = True

    def __repr__(self) -> str:
        return f"Service({self.address})"


class _Server(uvicorn.Server):
    """Tells the desk first: uvicorn waits for streams that are open, and they wait for news."""

    def __init__(self, config: uvicorn.Config, desk: Desk) -> None:
        super().__init__(config)
        self._desk = desk

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


def token_of_environment() -> str | None:
    return os.environ.get(TOKEN_VARIABLE) or None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _hosts(host: str, port: int, names: Iterable[str]) -> frozenset[str]:
    """As browsers write them: loopback's three names, the address itself, and what somebody calls it."""
    loopback = ("127.0.0.1", "localhost", "[::1]") if _is_loopback(host) or host in {"0.0.0.0", "::"} else ()  # noqa: S104
    said = [name.lower() for name in names]
    if any(not name or any(c in name for c in "/@?# *") for name in said):
        raise UsageError("--allow-host takes a name as a browser shows it, such as bulk.example.com or 10.0.0.5:8000.")
    own = () if host in {"0.0.0.0", "::"} else (_shown(host),)  # noqa: S104
    plain = {f"{name}:{port}" for name in (*loopback, *own)}
    return frozenset(
        plain | {name if ":" in name.rpartition("]")[2] else f"{name}:{port}" for name in said} | set(said)
    )


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _listening(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(found[0], socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(found[4])
        made.listen(128)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on ({error.strerror}): choose another --port.") from None
    return made
