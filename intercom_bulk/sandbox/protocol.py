"""uvicorn's HTTP protocol with a handle on the socket, for the faults that an ASGI message cannot express."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["EXTENSION", "Connections", "SandboxProtocol", "abort", "cut"]

EXTENSION = "sandbox.transport"
_NO_LINGER = struct.pack("ii", 1, 0)


class Connections:
    """How many connections one server has accepted."""

    def __init__(self) -> None:
        self.opened = 0


class SandboxProtocol(HttpToolsProtocol):
    """Puts the transport into the scope and counts connections."""

    counted = Connections()

    @classmethod
    def counting(cls, connections: Connections) -> type[SandboxProtocol]:
        """A protocol of its own for one server: uvicorn offers no other place for its state."""
        return type(cls.__name__, (cls,), {"counted": connections})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.counted.opened += 1
        super().connection_made(transport)

    def on_headers_complete(self) -> None:
        extended: Any = self.scope
        extended["extensions"] = {EXTENSION: self.transport}
        super().on_headers_complete()


def abort(transport: asyncio.Transport) -> None:
    """Break the connection with a TCP reset."""
    pseudo = transport.get_extra_info("socket")
    if pseudo is not None:
        with socket.socket(fileno=os.dup(pseudo.fileno())) as real:
            real.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()


def cut(transport: asyncio.Transport, start: bytes) -> None:
    """Send `start` and then end the connection in good order, as if the rest had been lost."""
    transport.write(start)
    transport.close()
