"""Memory does not grow with the number of items."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from intercom_bulk.sandbox import SandboxProcess

RUN = """
import resource
from intercom_bulk import ConversationCloser

class Pretender(ConversationCloser):
    def perform_action(self, item_id):
        return {"id": item_id}  # the way without the wire: search, ledger, pace, threads, outcomes

done = Pretender().bulk_process(team_id=5017691, state="open")["success"]
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def peak(items: int) -> int:
    """Bytes that a process needs at most to go through so many conversations."""
    with SandboxProcess(conversations=items, limit_per_minute=600_000, contacts=5) as sandbox:
        environment = {**os.environ, **sandbox.environ()}
        ended = subprocess.run(
            [sys.executable, "-c", RUN], env=environment, check=True, capture_output=True, text=True, timeout=100
        )
    done, size = ended.stdout.split()
    assert int(done) == items
    return int(size)


@pytest.mark.long
@pytest.mark.slow
def test_ten_times_the_items_need_no_more_memory() -> None:
    """30,000 kept as what the search said of them would be 60 MB; as outcomes, 25 MB."""
    assert peak(30_000) - peak(3_000) < 20_000_000
