"""Memory does not grow with the number of items. `make crash` does it with a million."""

from __future__ import annotations

import pytest

from tests.crash.memory import growth

pytestmark = pytest.mark.slow


def test_ten_times_the_items_take_no_more_memory() -> None:
    assert growth(10_000, 60_000) < 5.0
