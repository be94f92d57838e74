"""What a machine lacks skips tests, but where nothing may be skipped."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

__all__ = ["SKIP_NOTHING", "lacking"]

SKIP_NOTHING = "TESTS_SKIP_NOTHING"
"""Of the environment: set by CI, which installs everything that the tests need."""


def lacking(what: str) -> NoReturn:
    """Skip this test, or fail it on CI."""
    if os.environ.get(SKIP_NOTHING):
        pytest.fail(f"{SKIP_NOTHING} is set, but there is {what}")
    pytest.skip(what)
