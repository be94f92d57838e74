"""A raw load generator: a few keep-alive sockets with prepared, pipelined closes. Far lighter than the server.

python tests/sandbox/load.py 12000   prints the server's CPU milliseconds per request
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from urllib.parse import urlsplit

from intercom_bulk.sandbox import SandboxProcess

DEPTH = 8
SOCKETS = 16


def requests_for(sandbox: SandboxProcess, ids: list[str]) -> list[bytes]:
    """The closes as bytes on the wire."""
    body = b'{"message_type":"close","type":"admin","admin_id":"780"}'
    head = (
        "POST /conversations/{} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\nIntercom-Version: 2.16\r\n"
        "Accept: application/json\r\nContent-Type: application/json\r\nUser-Agent: load\r\nContent-Length: {}\r\n\r\n"
    )
    return [head.format(f"{one}/parts", sandbox.token, len(body)).encode() + body for one in ids]


def measure(sandbox: SandboxProcess, ids: list[str]) -> float:
    """CPU milliseconds of the server per request, while it is kept busy."""
    before = sandbox.stats()
    _pump(sandbox.url, requests_for(sandbox, ids))
    after = sandbox.stats()
    answered = after["total"] - before["total"]
    if answered != len(ids):
        raise SystemExit(f"{answered} of {len(ids)} requests were answered")
    return float(after["cpu_seconds"] - before["cpu_seconds"]) / len(ids) * 1000


def _pump(url: str, requests: list[bytes]) -> None:
    parts = urlsplit(url)
    waiting = selectors.DefaultSelector()
    open_now = 0
    for place in range(SOCKETS):
        share = requests[place::SOCKETS]
        made = socket.create_connection((parts.hostname or "", parts.port or 0))
        made.sendall(b"".join(share[:DEPTH]))
        waiting.register(made, selectors.EVENT_READ, [share[DEPTH:], len(share)])
        open_now += 1
    while open_now:
        for key, _ in waiting.select():
            left = key.data
            answers = key.fileobj.recv(1 << 18).count(b"HTTP/1.1 200")  # type: ignore[union-attr]
            left[1] -= answers
            if left[0] and answers:
                key.fileobj.sendall(b"".join(left[0][:answers]))  # type: ignore[union-attr]
                left[0] = left[0][answers:]
            if left[1] <= 0:
                waiting.unregister(key.fileobj)
                key.fileobj.close()  # type: ignore[union-attr]
                open_now -= 1
    waiting.close()


def main() -> None:
    """Close many conversations and print the figure."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 12_000
    with SandboxProcess(conversations=count, limit_per_minute=10_000_000) as sandbox:
        ids = [item["id"] for item in sandbox.items()]
        began = time.perf_counter()
        cost = measure(sandbox, ids)
        rate = count / (time.perf_counter() - began)
        memory = sandbox.stats()["max_rss"] / 1e6
    print(f"{count} closes: {cost:.3f} ms of server CPU a request, {rate:.0f} requests/s, {memory:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
