"""What the server counts about itself."""

from __future__ import annotations

import resource
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from intercom_bulk.sandbox.protocol import Connections

__all__ = ["Stats"]


class Stats:
    """Requests by route and by status, concurrency, and what the process has used since the counts began."""

    def __init__(self, connections: Connections) -> None:
        self.routes: Counter[tuple[str, int]] = Counter()
        self.active = 0
        self.peak = 0
        self._cpu = time.process_time()
        self._connections = connections
        self._opened = connections.opened

    def enter(self) -> None:
        """A request has arrived."""
        self.active += 1
        self.peak = max(self.peak, self.active)

    def leave(self, route: str, status: int) -> None:
        """A request was answered; status 0 means that no whole answer was sent."""
        self.active -= 1
        self.routes[route, status] += 1

    def record(self) -> dict[str, Any]:
        """The counts as JSON. `max_rss` is in bytes."""
        requests: dict[str, dict[str, int]] = {}
        statuses: Counter[str] = Counter()
        for (route, status), count in self.routes.items():
            requests.setdefault(route, {})[str(status)] = count
            statuses[str(status)] += count
        return {
            "requests": requests,
            "statuses": dict(statuses),
            "total": sum(statuses.values()),
            "active": self.active,
            "peak_concurrent": self.peak,
            "connections": self._connections.opened - self._opened,
            "cpu_seconds": time.process_time() - self._cpu,
            "max_rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
