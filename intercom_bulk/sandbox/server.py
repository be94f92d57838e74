"""The sandbox in this process: a real HTTP server on a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

import uvicorn

from intercom_bulk.sandbox.app import SandboxApp
from intercom_bulk.sandbox.options import SandboxOptions
from intercom_bulk.sandbox.protocol import SandboxProtocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from intercom_bulk.sandbox.workspace import Workspace

try:
    import uvloop

    _new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # Windows
    _new_loop = asyncio.new_event_loop

__all__ = ["Sandbox", "bind", "serve"]

T = TypeVar("T")
_BACKLOG = 2048
_START_SECONDS = 60.0
_TICK = 0.01


class _Server(uvicorn.Server):
    """Notices sooner that it is to stop: tests start and stop many sandboxes."""

    async def main_loop(self) -> None:
        while not self.should_exit:
            await asyncio.sleep(_TICK)


def bind(options: SandboxOptions) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    made = socket.create_server((options.host, options.port), backlog=_BACKLOG)
    made.settimeout(0)
    return made


def serve(app: SandboxApp, options: SandboxOptions) -> uvicorn.Server:
    """The server, not yet running."""
    config = uvicorn.Config(
        app,
        http=SandboxProtocol.counting(app.connections),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
        backlog=_BACKLOG,
        ssl_certfile=options.certfile,
        ssl_keyfile=options.keyfile,
    )
    return _Server(config)


class Sandbox:
    """A simulated workspace: `with Sandbox(SandboxOptions(conversations=100)) as sandbox: ... sandbox.url`.

    What it tells about the state is read on the server's own thread, so it is always consistent.
    """

    def __init__(self, options: SandboxOptions | None = None, **knobs: Any) -> None:
        self.options = (options or SandboxOptions()).with_knobs(**knobs)
        self.app = SandboxApp(self.options)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._socket: socket.socket | None = None
        self._address: tuple[str, int] = (self.options.host, self.options.port)

    def __repr__(self) -> str:
        return f"Sandbox({self.url!r}, running={self._thread is not None})"

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        scheme = "https" if self.options.certfile else "http"
        return f"{scheme}://{self._address[0]}:{self._address[1]}"

    @property
    def token(self) -> str:
        """The access token."""
        return self.options.token

    @property
    def admin_id(self) -> str:
        """The teammate of the token."""
        return self.options.admin_id

    @property
    def inbox_id(self) -> str:
        """The team whose inbox is full."""
        return self.options.team_id

    @property
    def workspace(self) -> Workspace:
        """The state itself; read it while nothing is being sent."""
        return self.app.workspace

    def settings_kwargs(self) -> dict[str, Any]:
        """What a client needs to know."""
        return {"access_token": self.token, "base_url": self.url, "admin_id": self.admin_id}

    def environ(self) -> dict[str, str]:
        """The environment variables that point a client here."""
        return {
            "INTERCOM_BASE_URL": self.url,
            "INTERCOM_ACCESS_TOKEN": self.token,
            "INTERCOM_ADMIN_ID": self.admin_id,
            "INTERCOM_INBOX_ID": self.inbox_id,
        }

    def start(self) -> Self:
        """Listen, and return once requests are answered."""
        if self._thread is not None:
            return self
        self._socket = bind(self.options)
        self._address = (self.options.host, self._socket.getsockname()[1])
        self._ready.clear()
        self._thread = threading.Thread(target=self._run, name="intercom-sandbox")
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or self._failure is not None:
            self._thread.join()
            self._thread = None
            raise RuntimeError("The sandbox could not start.") from self._failure
        return self

    def stop(self) -> None:
        """Stop listening and break what is still open."""
        if self._thread is None or self._server is None:
            return
        self._server.should_exit = self._server.force_exit = True
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def windows(self) -> list[dict[str, float]]:
        """The account of every window so far, the open one last."""
        return self._ask(lambda: self.app.control.windows())

    def effects(self, resource: str = "conversations") -> dict[str, int]:
        """Effects per item, of the items that had any."""
        return self._ask(lambda: self.app.workspace.effects(resource))

    def states(self, resource: str = "conversations") -> dict[str, dict[str, Any]]:
        """What the digest covers, by id."""
        return self._ask(lambda: self.app.workspace.states(resource))

    def digest(self, resource: str = "conversations") -> str:
        """SHA-256 over the state of all conversations, contacts, companies or tickets."""
        return self._ask(lambda: self.app.workspace.digest(resource))

    def stats(self) -> dict[str, Any]:
        """Requests, statuses, concurrency, connections, CPU seconds, memory, faults that struck."""
        return self._ask(lambda: self.app.control.stats())

    def items(self, **query: Any) -> list[dict[str, Any]]:
        """Conversations with their state, effects and number of parts."""
        texts = {name: str(value) for name, value in query.items()}
        return self._ask(lambda: self.app.control.items(**texts))

    def arrived(self) -> list[str]:
        """The ids of the conversations that arrived while it ran."""
        return self._ask(lambda: [str(one) for one in self.app.workspace.arrived])

    def set(self, **knobs: Any) -> None:
        """Change knobs while it runs; `delete_tag="101"` deletes a tag."""
        self._ask(lambda: self.app.control.set(**knobs))
        self.options = self.app.options

    def reset(self) -> None:
        """A fresh workspace."""
        self._ask(self.app.reset)

    def _ask(self, question: Callable[[], T]) -> T:
        if self._thread is None or self._loop is None:
            return question()

        async def ask() -> T:
            return question()

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=_new_loop) as runner:
                runner.run(self._main())
        except BaseException as error:  # noqa: BLE001 - start() raises it in the caller's thread
            self._failure = error
        finally:
            if self._socket is not None:
                self._socket.close()
            self._ready.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = serve(self.app, self.options)
        watch = asyncio.create_task(self._announce(self._server))
        assert self._socket is not None  # noqa: S101
        await self._server.serve(sockets=[self._socket])
        watch.cancel()
        await self._break_connections(self._server)

    async def _announce(self, server: uvicorn.Server) -> None:
        while not server.started:
            await asyncio.sleep(0.002)
        self._ready.set()

    async def _break_connections(self, server: uvicorn.Server) -> None:
        for connection in list(server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
        tasks = list(server.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
