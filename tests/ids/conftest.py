"""A clean environment, and sandboxes whose limit does not matter."""

from __future__ import annotations

from intercom_bulk.testing import make_intercom_sandbox
from tests.acceptance.conftest import _nobodys_environment, start

__all__ = ["_nobodys_environment", "make_intercom_sandbox", "start"]
