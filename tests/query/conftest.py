"""The sandbox, for expressions that are searched for in earnest."""

from __future__ import annotations

from intercom_bulk.testing import intercom_sandbox, make_intercom_sandbox

__all__ = ["intercom_sandbox", "make_intercom_sandbox"]
