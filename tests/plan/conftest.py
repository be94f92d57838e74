"""The same clean environment and roomy sandboxes as the acceptance tests."""

from __future__ import annotations

from intercom_bulk.testing import make_intercom_sandbox
from tests.acceptance.conftest import _nobodys_environment, start

__all__ = ["_nobodys_environment", "make_intercom_sandbox", "start"]
